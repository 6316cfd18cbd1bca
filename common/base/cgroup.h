/* base/cgroup.h - ids of containers in the paths of control groups.
 *
 * An id is 64 hex digits (Docker, containerd, CRI-O), a UUID, or 32 hex digits and a number (ECS), at the
 * end of a path component, a ".scope" cut off.
 *
 * Threads   none.
 */
#ifndef SONDE_BASE_CGROUP_H
#define SONDE_BASE_CGROUP_H

#include "base/str.h"

#define SONDE_CGROUP_ID_MAX 92

/* The id one component of a path ends in; empty: none. */
sonde_str sonde_cgroup_component_id(sonde_str component);

/* The first id in the text of a /proc/<pid>/cgroup: of the last component of a line; empty: none. */
sonde_str sonde_cgroup_container_id(sonde_str text);

#endif /* SONDE_BASE_CGROUP_H */
