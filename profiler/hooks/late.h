/* late.h - whether we came late: behind the C library in the loader's list.
 *
 * Who is preloaded, or linked in front of libc, is found by everybody; then nothing is patched.
 *
 * Threads   all; the first call asks the loader for its list. */
#ifndef SONDE_PROFILER_HOOKS_LATE_H
#define SONDE_PROFILER_HOOKS_LATE_H

#include <stdbool.h>
#include <stdint.h>

bool sonde_prof__came_late(void);

/* An address in this library. */
uint64_t sonde_prof__late_here(void);

#endif /* SONDE_PROFILER_HOOKS_LATE_H */
