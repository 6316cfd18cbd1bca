/* area.h - what one thread owns: cells in hand, active places, counters, its queue to the flusher and its
 * context record.
 *
 * An area is made at a thread's first span and goes back to a list when the thread ends; it is never
 * freed, so the flusher and sonde_counters_read() walk the list of all areas without a lock.
 *
 * Threads   an area belongs to its thread, but for `queue` (taken by the flusher), `returned` (filled by it, and
 *           taken from by all) and `counts` (read by all).
 * Bounds    areas and deeper stacks: an eighth of memory_bytes (sonde__areas_open), counters
 *           threads_refused and activations_refused; SONDE__PLACES_MAX active places. */
#ifndef SONDE_LIBTRACE_AREA_H
#define SONDE_LIBTRACE_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/handover.h"
#include "base/thread_ctx.h"
#include "blackbox.h"
#include "cell.h"
#include "counters.h"
#include "ctx_record.h"
#include "segment.h"

#define SONDE__PLACES_FEW 16 /* in the area itself; more are allocated once */
#define SONDE__PLACES_MAX 128

#define SONDE__COSTS_LEN 3 /* cpu_ns, alloc_bytes, lock_wait_ns of the record */

/* An active place: a span of this process, or an attached context. */
typedef struct sonde__place {
    uint64_t token;          /* the handle that was activated or attached */
    sonde__span *span;       /* NULL: a context; looked at only while its token is `token` */
    sonde__segment *segment; /* valid while the span is, or when `holds` */
    uint64_t span_id;
    sonde__baggage_ref baggage; /* when `holds`: what a child inherits; a span's is referenced */
    sonde__service service;     /* likewise */
    union {
        struct {
            bool holds;     /* a reference on the segment: the span finished here, or a context */
            uint8_t costed; /* SONDE__COSTS_..., see span_cost.h */
        };
        uint16_t extra; /* not 0: ending it takes more than the common steps */
    };
    /* of the span while it was innermost here, not yet in its tags */
    uint64_t cost[SONDE__COSTS_LEN];
} sonde__place;

typedef struct sonde__area {
    sonde__place *places;     /* `few`, or allocated */
    uint64_t ids;             /* state of the id generator */
    uint32_t depth;           /* used places */
    uint32_t void_depth;      /* inert spans entered: what starts under them is inert too */
    uint64_t shown_segment;   /* token of the segment the record shows, 0 none */
    sonde_thread_ctx *record; /* seat.record; NULL: no room */
    sonde__seat seat;
    uint64_t cost_seen[SONDE__COSTS_LEN]; /* the record's counters when they were last looked at */
    struct sonde__area *next;             /* of all areas; fixed once published */
    struct sonde__area *next_idle;
    bool taken;                             /* guarded by the list's mutex */
    _Atomic(struct sonde__policy *) policy; /* this thread uses now, see policy.h */
    sonde__cell_stack cells;
    sonde__counts counts;
    sonde__place few[SONDE__PLACES_FEW];
    char apart[64];       /* what the flusher writes is not on a line of ours */
    sonde_handover queue; /* chunks for the flusher */
    char apart_too[64];
    sonde__cell_list returned; /* cells that come back from the flusher */
    char apart_from_them[64];
} sonde__area;

extern __thread sonde__area *sonde__self __attribute__((tls_model("initial-exec")));
extern _Atomic(sonde__area *) sonde__areas;

void sonde__areas_open(uint64_t max_bytes, bool with_file); /* of the black box */
uint64_t sonde__areas_bytes(void);

void sonde__area_seed(uint64_t seed); /* ids of this and later threads follow from it; 0: random */

sonde__area *sonde__area_make(void); /* for a thread without one; NULL: refused */

static inline sonde__area *sonde__area_get(void)
{
    sonde__area *a = sonde__self;

    return __builtin_expect(a != NULL, 1) ? a : sonde__area_make();
}

/* False when the span was finished elsewhere: then the place does not count. */
static inline bool sonde__place_counts(const sonde__place *p)
{
    return p->holds ||
           (sonde__cell_token(p->span) == p->token && !(p->span->flags & SONDE__SPAN_FINISHED));
}

/* The thread's innermost place that counts, or NULL. */
static inline sonde__place *sonde__area_top(sonde__area *a)
{
    uint32_t i;

    for (i = a->depth; i-- > 0;)
        if (__builtin_expect(sonde__place_counts(&a->places[i]), 1))
            return &a->places[i];
    return NULL;
}

/* An id: uniform, never 0, below 2^63 (splitmix64, seeded per area and after a fork). */
static inline uint64_t sonde__area_new_id(sonde__area *a)
{
    uint64_t z;

    do {
        z = (a->ids += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z = (z ^ z >> 31) >> 1;
    } while (__builtin_expect(z == 0, 0));
    return z;
}

bool sonde__area_grow(sonde__area *a); /* room for SONDE__PLACES_MAX; false: no memory */

/* Out of line: the record's fields that change with the trace. */
void sonde__area_show_trace(sonde__area *a, const sonde__segment *s);

/* Writes the record for the place `p`, NULL: none. */
static inline __attribute__((always_inline)) void sonde__area_show(sonde__area *a,
                                                                   const sonde__place *p)
{
    sonde_thread_ctx *r = a->record;
    sonde__decision d;

    if (!r)
        return;
    if (!p) {
        sonde__ctx_record_hide(r);
        return;
    }
    d = atomic_load_explicit(&p->segment->decision, memory_order_relaxed);
    sonde__ctx_record_begin(r);
    sonde__ctx_record_put_span(r, p->span_id, sonde__decision_priority(d) > 0);
    if (sonde__cell_token(p->segment) != a->shown_segment)
        sonde__area_show_trace(a, p->segment);
    sonde__ctx_record_end(r, 1);
}

/* The i-th record ever given to a thread, with its tid now (0: free); NULL: there are no more. */
sonde_thread_ctx *sonde__areas_record(uint32_t i, uint32_t *out_tid);

/* In a forked child: the black box is a file again. */
void sonde__areas_renew(void);

void sonde__areas_prefork(void);
void sonde__areas_postfork(void);
/* areas of threads that did not come along are free again */
void sonde__areas_postfork_child(void);

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

/* Drops what a place got there. */
void sonde__area_let_go(sonde__area *a, const sonde__place *p);

#endif /* SONDE_LIBTRACE_AREA_H */
