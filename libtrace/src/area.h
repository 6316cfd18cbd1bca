/* area.h - what one thread owns: cells in hand, active places, counters, its queue to the flusher and its
 * context record.
 *
 * An area is made at a thread's first span and goes back to a list when the thread ends; it is never
 * freed, so the flusher and sonde_counters_read() walk the list of all areas without a lock.
 *
 * Threads   an area belongs to its thread, but for `queue` (taken by the flusher) and `counts` (read by all).
 * Bounds    areas and deeper stacks: an eighth of memory_bytes (sonde__areas_open), counters
 *           threads_refused and activations_refused; SONDE__PLACES_MAX active places. */
#ifndef SONDE_LIBTRACE_AREA_H
#define SONDE_LIBTRACE_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/handover.h"
#include "base/thread_ctx.h"
#include "cell.h"
#include "counters.h"
#include "segment.h"

#define SONDE__PLACES_FEW 16 /* in the area itself; more are allocated once */
#define SONDE__PLACES_MAX 128

/* An active place: a span of this process, or an attached context. */
typedef struct sonde__place {
    uint64_t span;           /* token; 0: a context */
    uint64_t context;        /* token; 0: a span */
    sonde__segment *segment; /* valid while the span is, or when `holds` */
    uint64_t span_id;
    sonde__service service; /* of the span when `holds`: what a child inherits */
    bool holds; /* the place has a reference on the segment: the span finished here, or a context */
} sonde__place;

typedef struct sonde__area {
    sonde__place *places;     /* `few`, or allocated */
    uint32_t depth;           /* used places */
    uint32_t void_depth;      /* inert spans entered: what starts under them is inert too */
    uint64_t shown_segment;   /* token of the segment the record shows, 0 none */
    sonde_thread_ctx *record; /* NULL: no room */
    struct sonde__area *next; /* of all areas; fixed once published */
    struct sonde__area *next_idle;
    bool taken; /* guarded by the list's mutex */
    sonde__cell_stack cells;
    sonde__counts counts;
    sonde__place few[SONDE__PLACES_FEW];
    char apart[64];       /* what the flusher writes is not on a line of ours */
    sonde_handover queue; /* chunks for the flusher */
    char apart_too[64];
} sonde__area;

extern __thread sonde__area *sonde__self __attribute__((tls_model("initial-exec")));
extern _Atomic(sonde__area *) sonde__areas;

void sonde__areas_open(uint64_t max_bytes);
uint64_t sonde__areas_bytes(void);

sonde__area *sonde__area_make(void); /* for a thread without one; NULL: refused */

static inline sonde__area *sonde__area_get(void)
{
    sonde__area *a = sonde__self;

    return __builtin_expect(a != NULL, 1) ? a : sonde__area_make();
}

/* The thread's innermost usable place, or NULL.  Stale ones (the span was finished elsewhere and sent)
 * do not count. */
static inline sonde__place *sonde__area_top(sonde__area *a)
{
    uint32_t i;

    for (i = a->depth; i-- > 0;) {
        sonde__place *p = &a->places[i];

        const sonde__span *span;

        if (p->holds)
            return p;
        span = (const sonde__span *)sonde__cell_of((void *)(uintptr_t)p->span);
        if (__builtin_expect(span && !(span->flags & SONDE__SPAN_FINISHED), 1))
            return p;
    }
    return NULL;
}

bool sonde__area_grow(sonde__area *a); /* room for SONDE__PLACES_MAX; false: no memory */
void sonde__area_show(sonde__area *a); /* writes the record for the innermost place */
void sonde__areas_prefork(void);
void sonde__areas_postfork(void);
void sonde__areas_postfork_child(
    void);                             /* areas of threads that did not come along are free again */
void sonde__area_postfork_child(void); /* the surviving thread's area */

/* Makes room for one more place and returns it, or NULL (counted). */
static inline sonde__place *sonde__area_push(sonde__area *a)
{
    uint32_t cap = a->places == a->few ? SONDE__PLACES_FEW : SONDE__PLACES_MAX;

    if (__builtin_expect(a->depth == cap, 0) && !sonde__area_grow(a)) {
        sonde__count_own(&a->counts, SONDE__ACTIVATIONS_REFUSED, 1);
        return NULL;
    }
    return &a->places[a->depth++];
}

/* Removes place `i` without dropping its reference. */
void sonde__area_remove(sonde__area *a, uint32_t i);

/* A span that is active on this thread finished: its places keep the segment from now on. */
void sonde__area_hold(sonde__area *a, const sonde__span *span);

#endif /* SONDE_LIBTRACE_AREA_H */
