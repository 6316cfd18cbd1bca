/* ring.h - samples of one thread on their way to the drainer: one producer, one consumer, no lock, no wait.
 *
 * The producer is the thread itself, in a signal handler or a hook, one at a time (slot.h: `busy`); wall
 * samples taken without a signal go into the wall thread's own ring.  A record that does not fit is lost and
 * counted by kind, its value too.
 *
 * Threads   put: the producer, signal-safe.  peek, pop: the drainer.
 * Bounds    64 KiB for the first 128 threads, 16 KiB up to 512, 8 KiB beyond.
 * Failure   put returns false: no room. */
#ifndef SONDE_PROFILER_RING_H
#define SONDE_PROFILER_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sample.h"

typedef struct sonde_prof__ring {
    uint8_t *data;                                  /* mapped; NULL: none */
    uint32_t size;                                  /* a power of two */
    _Atomic uint32_t head;                          /* written by the producer */
    _Atomic uint32_t lost[SONDE_PROF__KINDS];       /* records */
    _Atomic uint64_t lost_value[SONDE_PROF__KINDS]; /* see sonde_prof__worth() */
    _Alignas(64) _Atomic uint32_t tail;             /* written by the consumer */
} sonde_prof__ring;

/* Copies head and frames in; `sample->bytes` is set here.  Signal-safe: yes. */
bool sonde_prof__ring_put(sonde_prof__ring *r, const sonde_prof__sample *sample,
                          const uint64_t *frames);

/* More than three quarters full: time to wake the drainer.  Signal-safe: yes. */
bool sonde_prof__ring_is_filling(const sonde_prof__ring *r);

/* There is something in it.  By any thread; signal-safe: yes. */
static inline bool sonde_prof__ring_holds(const sonde_prof__ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_relaxed) !=
           atomic_load_explicit(&r->tail, memory_order_relaxed);
}

/* The oldest record, in one piece; NULL: empty.  Valid until pop.  Signal-safe: no. */
const sonde_prof__sample *sonde_prof__ring_peek(sonde_prof__ring *r);
void sonde_prof__ring_pop(sonde_prof__ring *r);

#endif /* SONDE_PROFILER_RING_H */
