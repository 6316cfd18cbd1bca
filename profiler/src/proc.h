/* proc.h - small files and the list of tasks from /proc/self, without the program's malloc.
 *
 * Threads   all; signal-safe: no. */
#ifndef SONDE_PROFILER_PROC_H
#define SONDE_PROFILER_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Up to cap - 1 bytes of the file and a NUL; the length, 0 when it cannot be read. */
size_t sonde_prof__proc_read(const char *path, char *out, size_t cap);
size_t sonde_prof__proc_read_task(uint32_t tid, const char *name, char *out, size_t cap);

/* The n-th word (from 0) between blanks; "" when there is none. */
sonde_str sonde_prof__proc_word(sonde_str text, uint32_t n);

/* A number of /proc/self/stat, fields counted as in proc(5): 4 and above.  False: it cannot be read. */
bool sonde_prof__proc_stat(uint32_t field, uint64_t *out);

/* Calls for each thread of the process; false: the list cannot be read. */
bool sonde_prof__proc_tasks(void (*each)(void *user, uint32_t tid), void *user);

/* Whether a seccomp filter may stand before the calls of this thread: one does, or it cannot be read. */
bool sonde_prof__proc_is_filtered(void);

/* How many threads there are, from one system call; 0: not known. */
uint32_t sonde_prof__proc_task_count(void);

#endif /* SONDE_PROFILER_PROC_H */
