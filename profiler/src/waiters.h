/* waiters.h - who made others wait: the stack of whoever lets a lock go, for the wait that becomes a sample.
 *
 *   waiter     credit left ──▶ {lock, due} in the table ──▶ waits ──▶ sampled? ──▶ its stack (LOCK), and the releaser's (RELEASE)
 *   releaser   somebody waits for a lock like this? ──no──▶ back         ▲          with the same weight
 *                     └─ one is due ─▶ stack ──────────────────────────────┘
 *
 * A wait is sampled when it is longer than the credit of its thread, so it is known beforehand from when on it is.  The
 * first to let go of the lock from then on is who held it at the sampled instant: it leaves its stack, once, before the
 * real call; the lock's memory is never looked at.  The sample is the waiter's to make, and weighs what its own weighs,
 * so both sums are the same to the last digit; where nobody was seen to let go, the stack is `[lost]`.
 *
 * Threads   all.  release: signal-safe (sem_post() is); the others: no.
 * Bounds    SONDE_PROF__WAITERS_MAX waits at once, each at most WAITERS_PROBES places from its lock's (counter
 *           `waiters_full`), SONDE_PROF__RELEASES_MAX stacks on their way (counter `releases_full`).
 * See also  waits.h, docs/decisions/0011-who-made-others-wait.md */
#ifndef SONDE_PROFILER_WAITERS_H
#define SONDE_PROFILER_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define SONDE_PROF__WAITERS_MAX    1024u
#define SONDE_PROF__WAITERS_PROBES 256u
#define SONDE_PROF__RELEASES_MAX   32u

/* A releaser's stack, with what a sample says of its thread. */
typedef struct sonde_prof__release {
    _Atomic uint32_t refs; /* who looks at it; 0: free */
    uint32_t tid;
    uint16_t depth;
    uint8_t end;
    sonde_prof__context context;
    uint64_t frames[SONDE_PROF__FRAMES_MAX];
} sonde_prof__release;

/* Waits by their lock's hash: what every release looks at. */
extern _Atomic uint16_t sonde_prof__waiting[SONDE_PROF__WAITERS_MAX];

/* Memory for RELEASES_MAX stacks, mapped by waits.c; NULL: all are lost. */
extern _Atomic(sonde_prof__release *) sonde_prof__releases;

static inline uint32_t sonde_prof__lock_hash(const volatile void *lock)
{
    return (uint32_t)(uintptr_t)lock * UINT32_C(2654435769) >> 22;
}

/* Somebody may wait for it. */
static inline bool sonde_prof__is_waited_for(const volatile void *lock)
{
    return atomic_load_explicit(&sonde_prof__waiting[sonde_prof__lock_hash(lock)],
                                memory_order_relaxed) != 0;
}

/* The thread of `slot`, the calling one, is about to wait for `lock`; `due_mono_ns`: from then on it is a sample. */
sonde_prof__waiter sonde_prof__waiter_add(sonde_prof__slot *slot, const volatile void *lock,
                                          uint64_t due_mono_ns);

/* It waits no more; also when another wait of the thread has taken its place.  NULL: nobody was seen to let go when it was
 * due.  What is returned is given back by release_put(). */
sonde_prof__release *sonde_prof__waiter_remove(sonde_prof__slot *slot, sonde_prof__waiter waiter);
void sonde_prof__release_put(sonde_prof__release *r);

/* The thread ends in the middle of a wait (it was cancelled). */
void sonde_prof__waiter_forget(sonde_prof__slot *slot);

/* The calling thread is about to let go of `lock`: all who wait and are due get its stack, or one of them (of a semaphore).
 * `caller` as for sample_here(). */
void sonde_prof__released(const volatile void *lock, bool all, const void *caller);

void sonde_prof__waiters_postfork_child(void); /* nobody waits */

#endif /* SONDE_PROFILER_WAITERS_H */
