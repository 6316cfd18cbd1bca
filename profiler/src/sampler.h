/* sampler.h - between the samplers' own files: what the handler reads, and the handler.
 *
 * Threads   written by samplers.c, read by handlers.  Signal-safe: yes, all. */
#ifndef SONDE_PROFILER_SAMPLER_H
#define SONDE_PROFILER_SAMPLER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

extern const char sonde_prof__wall_cookie; /* in siginfo of the wall sampler's signals */

typedef void sonde_prof__begin_child(void);

typedef struct sonde_prof__sampling {
    _Atomic bool cpu; /* samples are taken */
    _Atomic bool wall;
    _Atomic bool timers;   /* threads have one: for CPU samples, or to answer the wall sampler */
    _Atomic uint32_t perf; /* sonde_prof__perf: what wakes threads for CPU samples */
    _Atomic uint64_t cpu_period_ns;
    _Atomic uint32_t frames_max;
    _Atomic uint32_t wake;        /* a futex: 1 the drainer shall look */
    _Atomic uint64_t watch_until; /* handlers take their CPU time until then */
    _Atomic uint32_t long_ones;   /* handlers above a millisecond in this minute */
    _Atomic(sonde_prof__begin_child *)
        begin_child;         /* not NULL: a forked child has no thread of ours yet (child.h) */
    struct sigaction before; /* whose handler was there; written before ours is installed */
    _Atomic(const struct sigaction *) asked; /* the program's, of later; NULL: none */
} sonde_prof__sampling;

extern sonde_prof__sampling sonde_prof__sampling_now;

/* The last CPU sample of the slot's thread, on it, from the function that ends it (threads.h). */
void sonde_prof__sample_end(sonde_prof__slot *slot, uintptr_t entry);

void sonde_prof__on_signal(int signo, siginfo_t *info, void *context);

#endif /* SONDE_PROFILER_SAMPLER_H */
