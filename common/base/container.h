/* base/container.h - which container this process runs in, from the text of /proc/self/cgroup.
 *
 * Threads   pure. */
#ifndef SONDE_BASE_CONTAINER_H
#define SONDE_BASE_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define SONDE_CONTAINER_ID_MAX 96 /* SONDE_CGROUP_ID_MAX, "ci-" and NUL */

/* The path of the unified hierarchy ("0::/path"), else of the first line; for the inode form. */
sonde_str sonde_cgroup_path(sonde_str cgroup);

/* Fills the two header values, empty when unknown: the container id, and "ci-<id>" or "in-<inode>". */
void sonde_container_read(char id[SONDE_CONTAINER_ID_MAX], char entity[SONDE_CONTAINER_ID_MAX]);

#endif /* SONDE_BASE_CONTAINER_H */
