/* baggage.h - key-values of the program that travel with a place in a trace.
 *
 * A baggage is immutable once it is shared: spans, contexts and held places refer to it by the index of its
 * cell, and a child starts with its parent's.  A change makes another one, which only the span that asked
 * for it has.  Most spans have none and pay one comparison.
 *
 * Threads   all: the count of references is atomic, the rest is only read.
 * Bounds    SONDE__BAGGAGE_ITEMS_MAX items and SONDE__BAGGAGE_BYTES_MAX bytes each; the region of cells.
 *           What does not fit is counted as baggage_dropped.
 * Source    docs/spec/propagation.md, "Baggage". */
#ifndef SONDE_LIBTRACE_BAGGAGE_H
#define SONDE_LIBTRACE_BAGGAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "cell.h"
#include "sonde/propagate.h"
#include "text.h"

#define SONDE__BAGGAGE_ITEMS_MAX 256
#define SONDE__BAGGAGE_KEY_MAX   200 /* a key lies in one cell */
#define SONDE__BAGGAGE_VALUE_MAX 8192
#define SONDE__BAGGAGE_BYTES_MAX 32768 /* keys and values */

typedef uint32_t sonde__baggage_ref; /* index of a cell, 0: no baggage */

typedef struct sonde__baggage {
    _Atomic uint64_t token;
    _Atomic uint32_t refs;
    uint32_t items;
    uint32_t bytes;
    uint32_t unused;
    sonde__text text; /* records of kind STR, in the order in which the keys came */
} sonde__baggage;

static inline sonde__baggage *sonde__baggage_at(sonde__baggage_ref ref)
{
    return (sonde__baggage *)sonde__cell_at(ref);
}

/* One more reference; `ref` may be 0. */
static inline sonde__baggage_ref sonde__baggage_get(sonde__baggage_ref ref)
{
    if (__builtin_expect(ref != 0, 0))
        atomic_fetch_add_explicit(&sonde__baggage_at(ref)->refs, 1, memory_order_relaxed);
    return ref;
}

void sonde__baggage_free_one(sonde__baggage_ref ref, sonde__cell_stack *cells);

static inline void sonde__baggage_put(sonde__baggage_ref ref, sonde__cell_stack *cells)
{
    if (__builtin_expect(ref != 0, 0))
        sonde__baggage_free_one(ref, cells);
}

/* Replaces *ref, whose reference is the caller's, by a baggage that has `value` under `key` (an empty value:
 * that has no `key`).  False: over a bound or no memory, and *ref is as it was. */
bool sonde__baggage_change(sonde__baggage_ref *ref, sonde__cell_stack *cells, sonde_str key,
                           sonde_str value);

/* Walks the items. */
sonde__text_cursor sonde__baggage_read(sonde__baggage_ref ref);

/* Calls back with every item. */
void sonde__baggage_each(sonde__baggage_ref ref, sonde_visitor visit, void *user);

#endif /* SONDE_LIBTRACE_BAGGAGE_H */
