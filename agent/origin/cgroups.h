/* agent/origin/cgroups.h - containers as the kernel shows them: control groups of processes and the tree
 * of all control groups.
 *
 * Threads   none: origin.c guards it.
 * Bounds    CGROUPS_DIRS_MAX folders and CGROUPS_DEPTH_MAX levels of a walk. */
#ifndef SONDE_AGENT_ORIGIN_CGROUPS_H
#define SONDE_AGENT_ORIGIN_CGROUPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cgroup.h"
#include "base/str.h"

#define CGROUPS_DIRS_MAX  8192
#define CGROUPS_DEPTH_MAX 12

typedef char container_id[SONDE_CGROUP_ID_MAX + 1];

/* The container of a process; false: none, or the process is gone. */
bool cgroups_of_process(const char *proc, pid_t pid, container_id out);

/* The container whose control group has this inode. */
bool cgroups_of_inode(const char *root, uint64_t inode, container_id out);

/* The container of a pod that has only one; with several nobody knows which. */
bool cgroups_of_pod(const char *root, sonde_str pod_uid, container_id out);

#endif /* SONDE_AGENT_ORIGIN_CGROUPS_H */
