/* overhead.h - how much the samplers may cost: less often when they use too much time, less kept when memory is short.
 *
 *   once a second:  own time > budget ──▶ a step down: CPU period x 1.5 (8 at most), intervals of wall, heap, locks and I/O x 2
 *                   own time < half of it for 30 s ──▶ a step back
 *                   memory above 7/8 of the ceiling ──▶ shed more: timeline, live heap; locks, I/O and exceptions, then wall
 *                                                       samples a 64th as often
 *                   memory below 3/4 for 30 s ──▶ shed less
 *
 * The budget is a share of the process's CPU time, and 2 ms a second at least.
 *
 * Threads   none: the drainer.  Pure: what it decides is applied by its caller.
 * Source    docs/guide/profiling.md, "What it costs" */
#ifndef SONDE_PROFILER_OVERHEAD_H
#define SONDE_PROFILER_OVERHEAD_H

#include <stdbool.h>
#include <stdint.h>

#define SONDE_PROF__STEPS_MAX 6u

/* each with those before */
typedef enum sonde_prof__shed {
    SONDE_PROF__SHED_NOTHING,
    SONDE_PROF__SHED_TIMELINE,
    SONDE_PROF__SHED_LIVE,
    SONDE_PROF__SHED_LOCKS,
    SONDE_PROF__SHED_WALL,
} sonde_prof__shed;

typedef struct sonde_prof__overhead {
    double max; /* share of the process's CPU time */
    uint64_t next_ns;
    uint64_t last_ns, last_own_ns, last_cpu_ns; /* at the last look */
    uint64_t low_since_ns;                      /* 0: it was not below half */
    uint64_t slim_since_ns;                     /* the same for memory */
    uint32_t step;
    uint32_t shed; /* sonde_prof__shed */
    uint32_t ppm;  /* own time in millionths of the process's, at the last look */
} sonde_prof__overhead;

typedef struct sonde_prof__costs {
    uint64_t now_mono_ns;
    uint64_t own_ns; /* in handlers and hooks, ever */
    uint64_t cpu_ns; /* of the process, ever */
    uint64_t memory_bytes;
    uint64_t memory_max;
} sonde_prof__costs;

void sonde_prof__overhead_init(sonde_prof__overhead *o, double max_percent);

/* True: `step` or `shed` is another now. */
bool sonde_prof__overhead_look(sonde_prof__overhead *o, const sonde_prof__costs *c);

/* Intervals at that step. */
uint64_t sonde_prof__cpu_period_at(uint64_t period_ns, uint32_t step);
uint64_t sonde_prof__interval_at(uint64_t interval, uint32_t step);

#endif /* SONDE_PROFILER_OVERHEAD_H */
