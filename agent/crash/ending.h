/* agent/crash/ending.h - how a process ended: what the kernel tells about one that is not our child.
 *
 * Threads   all.  Failure: what cannot be learnt is unknown, never an error. */
#ifndef SONDE_AGENT_CRASH_ENDING_H
#define SONDE_AGENT_CRASH_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#define ENDING_PATH_ROOM 512

/* Where to look how often the kernel killed in the process's cgroup for want of memory; asked while it lives. */
typedef struct ending_watch {
    char events_path[ENDING_PATH_ROOM]; /* .../memory.events; "": none */
    uint64_t oom_kills;                 /* when the watch began */
} ending_watch;

void ending_watch_begin(ending_watch *w, pid_t pid);
bool ending_was_oom_killed(const ending_watch *w);

/* A descriptor that becomes readable when the process ends; of the connection's other end where the kernel
 * can tell it apart from a later process of the same number.  -1: none to be had. */
int ending_pidfd(int socket, pid_t pid);

/* The status, as wait(2) has it, of a process that has ended.  False: nobody tells. */
bool ending_status(int pidfd, pid_t pid, int *out_status);

#endif /* SONDE_AGENT_CRASH_ENDING_H */
