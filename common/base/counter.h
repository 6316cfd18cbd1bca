/* base/counter.h - event counters many threads add to.
 *
 * A counter is sharded over cache lines, so that adding is one uncontended relaxed atomic add.  Where
 * one writer is enough use a plain `_Atomic uint64_t` with relaxed order instead.
 *
 * Threads   all; signal-safe.
 */
#ifndef SONDE_BASE_COUNTER_H
#define SONDE_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

#define SONDE_COUNTER_SHARDS 8

typedef struct sonde_counter {
    struct {
        _Alignas(64) _Atomic uint64_t n;
    } shard[SONDE_COUNTER_SHARDS];
} sonde_counter;

unsigned sonde_counter_shard(void); /* this thread's shard */

static inline void sonde_counter_add(sonde_counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->shard[sonde_counter_shard()].n, n, memory_order_relaxed);
}

static inline uint64_t sonde_counter_read(const sonde_counter *c)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < SONDE_COUNTER_SHARDS; i++)
        sum += atomic_load_explicit(&c->shard[i].n, memory_order_relaxed);
    return sum;
}

#endif /* SONDE_BASE_COUNTER_H */
