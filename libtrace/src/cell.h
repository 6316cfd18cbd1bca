/* cell.h - the tracer's memory: one region of equal cells, recycled.
 *
 * Everything that comes and goes with spans lives in cells of 256 bytes: a segment, a span, a context, and
 * the continuation of a text that outgrew its owner's cell.  A trace is the chain of its cells; the
 * region is reserved once, its pages are touched as they are needed, and it is never unmapped.
 *
 * A handle is not an address but a token: the index of a cell and how often the cell has been recycled.
 * So a handle used after its time is recognised, and costs nothing but a comparison.
 *
 * Between threads cells travel in batches: a batch is one cell that lists 31 others.  A thread takes and
 * gives single cells from a small stack of its own; only full and empty stacks touch a list of batches.
 * Each thread has such a list, where the flusher brings back what came from it, up to a quarter of the region;
 * the rest goes to a list for all.  Who finds neither, nor cells that were never used, takes from the others'.
 *
 * Threads   all.  A sonde__cell_stack belongs to one thread.
 * Bounds    the region, fixed by sonde__cells_open(); beyond it sonde__cell_take() returns NULL.
 * See also  docs/decisions/0002-segment-memory.md */
#ifndef SONDE_LIBTRACE_CELL_H
#define SONDE_LIBTRACE_CELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonde/status.h"

#define SONDE__CELL_BYTES      256
#define SONDE__CELL_INDEX_BITS 28
#define SONDE__CELL_INDEX_MASK ((UINT64_C(1) << SONDE__CELL_INDEX_BITS) - 1)
#define SONDE__CELL_BATCH      32

typedef struct sonde__cell {
    _Atomic uint64_t token; /* the handle that means this cell now; written when it is recycled */
    struct sonde__cell *next;
    uint8_t body[SONDE__CELL_BYTES - 16];
} sonde__cell;

_Static_assert(sizeof(sonde__cell) == SONDE__CELL_BYTES, "cells are an array");

/* Batches that nobody uses. */
typedef struct sonde__cell_list {
    _Atomic uint64_t head; /* index of the first, below a change count */
    _Atomic uint32_t len;
    _Atomic uint32_t told; /* of these, to all; seldom, because all write there */
} sonde__cell_list;

typedef struct sonde__cells {
    sonde__cell *base; /* cell 0 is never used, so that token 0 means none */
    uint32_t count;
    _Atomic uint32_t lists; /* beside the shared one */
    _Atomic bool hurry;     /* the flusher was told that half of the cells are in use */
    _Alignas(64) sonde__cell_list shared;
    _Atomic uint32_t fresh; /* cells from here on have never been used */
    _Atomic uint32_t idle;  /* batches in lists, as told by these */
} sonde__cells;

extern sonde__cells sonde__pool;

/* Cells a thread has in hand, the last one next. */
typedef struct sonde__cell_stack {
    /* where its batches come from and go to first; NULL: the list for all */
    sonde__cell_list *home;
    uint32_t len;
    uint32_t index[2 * SONDE__CELL_BATCH];
} sonde__cell_stack;

/* Reserves the region for `bytes` once; later calls keep what there is. */
SONDE_MUST_USE sonde_status sonde__cells_open(uint64_t bytes);
uint64_t sonde__cells_used_bytes(void); /* not idle; cells in threads' hands count as used */
bool sonde__cells_half_used(void);      /* the same at a glance, off by a sixteenth of the region */

bool sonde__cells_refill(sonde__cell_stack *stack);   /* false: the region is used up */
void sonde__cells_spill(sonde__cell_stack *stack);    /* gives one batch back */
void sonde__cells_give_all(sonde__cell_stack *stack); /* the owner ends */

static inline sonde__cell *sonde__cell_at(uint32_t index)
{
    return &sonde__pool.base[index];
}

static inline uint32_t sonde__cell_index(const void *cell)
{
    return (uint32_t)((const sonde__cell *)cell - sonde__pool.base);
}

/* The cell a handle means, or NULL when it was recycled since (or never was a handle). */
static inline void *sonde__cell_of(const void *handle)
{
    uint64_t token = (uint64_t)(uintptr_t)handle;
    uint64_t index = token & SONDE__CELL_INDEX_MASK;
    sonde__cell *cell;

    if (__builtin_expect(index - 1 >= (uint64_t)sonde__pool.count - 1, 0))
        return NULL;
    cell = &sonde__pool.base[index];
    return atomic_load_explicit(&cell->token, memory_order_relaxed) == token ? cell : NULL;
}

static inline uint64_t sonde__cell_token(const void *cell)
{
    return atomic_load_explicit(&((const sonde__cell *)cell)->token, memory_order_relaxed);
}

static inline void *sonde__cell_handle(const void *cell)
{
    return (void *)(uintptr_t)sonde__cell_token(cell);
}

/* Asks for a cell's first three lines to write to them: the flusher's core had them last.  The third, where
 * tags stand, is worth 24 of 114 ns a span with three tags when two threads trace, and costs none without. */
static inline void sonde__cell_prefetch(const void *cell)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0\n\tprefetchw %1\n\tprefetchw %2"
                     :
                     : "m"(*(const char *)cell), "m"(*((const char *)cell + 64)),
                       "m"(*((const char *)cell + 128)));
#else
    __builtin_prefetch(cell, 1);
    __builtin_prefetch((const char *)cell + 64, 1);
    __builtin_prefetch((const char *)cell + 128, 1);
#endif
}

#define SONDE__CELLS_AHEAD 3 /* by the time it is taken, a cell prefetched now has come */

/* A cell with undefined content but for its token; NULL when the region is used up. */
static inline void *sonde__cell_take(sonde__cell_stack *stack)
{
    uint32_t len = stack->len;

    if (__builtin_expect(len == 0, 0)) {
        if (!sonde__cells_refill(stack))
            return NULL;
        len = stack->len;
    }
    if (__builtin_expect(len > SONDE__CELLS_AHEAD, 1))
        sonde__cell_prefetch(sonde__cell_at(stack->index[len - 1 - SONDE__CELLS_AHEAD]));
    stack->len = len - 1;
    return sonde__cell_at(stack->index[len - 1]);
}

/* Makes every handle to the cell stale and keeps it for the next use. */
static inline void sonde__cell_give(sonde__cell_stack *stack, void *which)
{
    sonde__cell *cell = (sonde__cell *)which;
    uint64_t token = atomic_load_explicit(&cell->token, memory_order_relaxed);

    atomic_store_explicit(&cell->token, token + SONDE__CELL_INDEX_MASK + 1, memory_order_relaxed);
    if (stack->len == 2 * SONDE__CELL_BATCH)
        sonde__cells_spill(stack);
    stack->index[stack->len++] = sonde__cell_index(cell);
}

#endif /* SONDE_LIBTRACE_CELL_H */
