/* late.h - a profiler that came when the program was running already: loaded with dlopen(), put into it, or linked behind
 * the C library.
 *
 * Then nobody finds the hooks by their names: the slots through which objects call each other are pointed at them
 * (base/got.h), for the kinds of samples that are taken, and again when objects were loaded since.
 *
 * Threads   start: whoever starts the profiler; tick: the drainer; one at a time.
 * See also  profiler/hooks/late.c, which has the list */
#ifndef SONDE_PROFILER_LATE_H
#define SONDE_PROFILER_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/got.h"

/* Hooks that go together. */
enum sonde_prof__late_group {
    SONDE_PROF__LATE_ALWAYS = 1, /* threads, signals, exec */
    SONDE_PROF__LATE_HEAP = 2,
    SONDE_PROF__LATE_LOCKS = 4,
    SONDE_PROF__LATE_IO = 8,
    SONDE_PROF__LATE_EXCEPTIONS = 16
};

/* Points slots at the hooks of these groups.  `is_new`: there were others the last time. */
typedef void (*sonde_prof__late_patch)(uint32_t groups, bool is_new, sonde_got_counts *out);

/* Said once by the hooks, when they came late. */
void sonde_prof__late_set(sonde_prof__late_patch patch);

/* Of a profiler that did not come late they do nothing. */
void sonde_prof__late_start(uint32_t groups, uint64_t now_mono_ns);
void sonde_prof__late_tick(uint64_t now_mono_ns);

/* How long the program had lived when its allocations came to be seen; 0: from its beginning. */
uint64_t sonde_prof__late_heap_ms(void);

#endif /* SONDE_PROFILER_LATE_H */
