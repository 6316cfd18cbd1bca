/* counter.c - deals threads out over the shards, in turn. */
#include "base/counter.h"

static _Atomic unsigned next_thread;

/* 1-based, 0: not dealt yet.  initial-exec: read in signal handlers, must never be allocated lazily. */
static __thread unsigned this_shard __attribute__((tls_model("initial-exec")));

unsigned sonde_counter_shard(void)
{
    if (__builtin_expect(this_shard == 0, 0)) {
        unsigned n = atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed);

        this_shard = n % SONDE_COUNTER_SHARDS + 1;
    }
    return this_shard - 1;
}
