/* files.h - descriptors of our threads, apart from the program's.
 *
 * A program counts on the lowest free descriptor, closes all it does not know, and ends connections by closing their last
 * descriptor.  So our threads have a table of their own, empty at first: nothing they open takes a number of the
 * program's, nothing the program closes is ours, and no socket of ours is in a forked child.
 *
 * Where the kernel cannot do it (before 5.9), or a seccomp filter stands in the way, the table is the common one.
 *
 * Threads   looking: whoever makes a thread of ours, which opens a file for a moment: on the new one that number could be
 *           missing where the program counts on it.  The rest: each of ours, once, at its beginning. */
#ifndef SONDE_PROFILER_FILES_H
#define SONDE_PROFILER_FILES_H

#include <stddef.h>

#include "base/log.h"

void sonde_prof__files_look(void); /* whether a filter stands in the way */
void sonde_prof__files_own(void);

/* A sink for log lines: to the program's standard error, from whatever table. */
void sonde_prof__files_log(void *user, sonde_log_level level, const char *line, size_t len);

#endif /* SONDE_PROFILER_FILES_H */
