/* heap.h - which allocations are sampled, and what becomes of them.
 *
 *   malloc() ──▶ credit -= bytes ──above 0──▶ back to the program
 *                     └─ used up ─▶ weight, stack ──▶ ring (ALLOC)
 *                                        └──────────▶ live.h, until free()
 *
 * A sample weighs 1/p with the interval its credit was drawn with, so that the interval may change at any time.
 *
 * Threads   all; signal-safe: no.  What runs here never allocates from the program's heap and is not entered twice on a thread
 *           (sonde_prof__self.depth).
 * See also  poisson.h for why this is right */
#ifndef SONDE_PROFILER_HEAP_H
#define SONDE_PROFILER_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"
#include "slot.h"

#define SONDE_PROF__HEAP_MEAN_BYTES     524288u
#define SONDE_PROF__HEAP_MEAN_BYTES_MIN 65536u
#define SONDE_PROF__LIVE_MAX            262144u
#define SONDE_PROF__MMAP_BYTES_MIN      (128u * 1024) /* smaller mappings are no allocations */

typedef struct sonde_prof__heap_settings {
    bool live;           /* also the live heap */
    uint64_t mean_bytes; /* 0: SONDE_PROF__HEAP_MEAN_BYTES */
    uint32_t live_max;   /* 0: SONDE_PROF__LIVE_MAX */
} sonde_prof__heap_settings;

void sonde_prof__heap_start(const sonde_prof__heap_settings *settings);
void sonde_prof__heap_stop(void); /* frees are still followed */

void sonde_prof__heap_set_mean(uint64_t bytes); /* from the next draw on */
uint64_t sonde_prof__heap_mean(void);           /* 0: off */

extern _Atomic bool sonde_prof__heap_on;
extern _Atomic bool sonde_prof__heap_live;

/* The address and serial of a sample, as ALLOC records carry them, found its node: it goes into the live heap's entry. */
#define sonde_prof__heap_resolve sonde_prof__live_resolve

/* -- for the hooks ----------------------------------------------------------------------------------- */

void sonde_prof__heap_sample(void *block, size_t bytes, bool is_region, const void *caller);

/* Allocations are looked at on this thread now. */
static inline bool sonde_prof__heap_looks(void)
{
    return atomic_load_explicit(&sonde_prof__heap_on, memory_order_relaxed) &&
           sonde_prof__self.depth == 0 && !sonde_prof__self.gone;
}

/* `block`, not NULL, was allocated on behalf of `caller`. */
static inline void sonde_prof__heap_allocated(void *block, size_t bytes, const void *caller)
{
    sonde_prof__self.heap_credit -= (int64_t)(bytes ? bytes : 1);
    if (__builtin_expect(sonde_prof__self.heap_credit <= 0, false))
        sonde_prof__heap_sample(block, bytes, false, caller);
}

static inline void sonde_prof__heap_mapped(void *region, size_t bytes, const void *caller)
{
    sonde_prof__self.heap_credit -= (int64_t)bytes;
    if (__builtin_expect(sonde_prof__self.heap_credit <= 0, false))
        sonde_prof__heap_sample(region, bytes, true, caller);
}

void sonde_prof__heap_forget(const void *block);

/* Before the block is given back: its address may be somebody else's at once. */
static inline void sonde_prof__heap_freed(const void *block)
{
    if (__builtin_expect(sonde_prof__live_may_hold((uintptr_t)block), false))
        sonde_prof__heap_forget(block);
}

#endif /* SONDE_PROFILER_HEAP_H */
