/* lock.h - a lock that never calls pthread: the profiler stands in front of pthread_mutex_lock().
 *
 * Held for a few instructions or one system call, never while anything is called out.  Not for handlers.
 *
 * Threads   all; not recursive.
 * Source    U. Drepper, "Futexes are tricky", mutex 2 */
#ifndef SONDE_PROFILER_LOCK_H
#define SONDE_PROFILER_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sonde_prof__lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and waited for */
} sonde_prof__lock;

static inline void sonde_prof__lock_init(sonde_prof__lock *l) /* free, whoever held it */
{
    atomic_store_explicit(&l->state, 0, memory_order_relaxed);
}

void sonde_prof__lock_take(sonde_prof__lock *l);
bool sonde_prof__lock_try(sonde_prof__lock *l, uint32_t for_ms); /* false: not in that time */
void sonde_prof__lock_give(sonde_prof__lock *l);

#endif /* SONDE_PROFILER_LOCK_H */
