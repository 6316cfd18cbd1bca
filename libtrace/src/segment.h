/* segment.h - the part of one trace in this process: a segment, its spans, and contexts that refer to it.
 *
 * All three live in cells.  A segment counts its open spans and collects the finished ones in one word:
 *
 *   bits  0..27  index of the span finished last, whose `next` leads to the others (0: none)
 *   bits 28..45  finished spans in that list
 *   bits 46..63  open spans
 *
 * so that finishing a span, seeing that it was the last one and taking the list is one compare-exchange.
 * Who takes the list owns these spans and hands them to the flusher: a chunk.
 *
 * References keep a segment: one for all its open spans together, one per context, one per chunk on its
 * way.  Where the one open span holds the only reference, no other thread can reach the segment, and the
 * word is changed by plain stores: the common case of a trace that stays on its thread.
 *
 * Epochs: a segment belongs to one life of the tracer (start to stop, or fork).  Spans of another life
 * are discarded when they finish; a context from another life is adopted at its next use
 * (sonde__segment_adopt).
 *
 * Threads   all, but for one span, which one thread works on at a time.
 * See also  docs/decisions/0002-segment-memory.md */
#ifndef SONDE_LIBTRACE_SEGMENT_H
#define SONDE_LIBTRACE_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#include "baggage.h"
#include "cell.h"
#include "decision.h"
#include "rules.h"
#include "service.h"
#include "text.h"

#define SONDE__SEGMENT_SPANS_MAX 100000 /* open and finished ones held at once */

#define SONDE__STATE_FINISHED_SHIFT 28
#define SONDE__STATE_OPEN_SHIFT     46
#define SONDE__STATE_FINISHED_ONE   (UINT64_C(1) << SONDE__STATE_FINISHED_SHIFT)
#define SONDE__STATE_OPEN_ONE       (UINT64_C(1) << SONDE__STATE_OPEN_SHIFT)

typedef struct sonde__segment {
    _Atomic uint64_t token;
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    _Atomic uint64_t state;
    _Atomic uint64_t decision;
    _Atomic uint32_t refs;
    _Atomic uint32_t epoch;
    _Atomic uint32_t flags; /* SONDE__SEGMENT_... */
    uint16_t policy_id;     /* the rules that `known` is about */
    uint16_t unused;
    uint32_t orphans; /* open spans of former lives, which hold one reference together */
    _Atomic uint32_t limit_ratio; /* of the limiter when it was asked, in SONDE__LIMIT_RATIO_UNIT */
    uint32_t user;                /* cell of an id that travels, see user.h */
    uint32_t unused_too;
    uint64_t remote_parent_id;      /* 0: none */
    _Atomic uint64_t local_root_id; /* 0: no span yet */
    int64_t mono_to_unix_ns;        /* unix = mono + this, for all its spans */
    sonde__bits known;              /* of the local root, under rules; its thread's */
    sonde__text text;               /* what came with the headers; written before it is shared */
} sonde__segment;

#define SONDE__SEGMENT_BYTES sizeof(sonde__segment) /* the text starts here */

/* segment flags */
#define SONDE__SEGMENT_TOO_BIG         1u /* its spans are dropped */
#define SONDE__SEGMENT_INJECT_MAX_SIZE 2u /* errors to report as _dd.propagation_error */
#define SONDE__SEGMENT_ENCODING_ERROR  4u
#define SONDE__SEGMENT_TAGS_DISABLED   8u
#define SONDE__SEGMENT_HAS_TEXT        16u
#define SONDE__SEGMENT_FRESH           32u /* made for a context: its first span is still to come */
#define SONDE__SEGMENT_FILTERED        64u /* its local root is not wanted, nor what comes later */
#define SONDE__SEGMENT_HAS_LINKS       128u /* among its text */
#define SONDE__SEGMENT_LIMIT_ASKED     256u
#define SONDE__SEGMENT_LIMIT_PASSED    512u
#define SONDE__SEGMENT_TAIL_DONE       1024u /* the head decides, or the local root has finished */
#define SONDE__SEGMENT_TAIL_KEPT       2048u
#define SONDE__SEGMENT_SEEN            4096u /* the flusher has had a chunk of it */

#define SONDE__SEGMENT_USER_TAKEN   8192u
#define SONDE__SEGMENT_HAS_USER     16384u /* `user` is set */
#define SONDE__SEGMENT_SOURCE_SHIFT 16     /* 8 bits, see standalone.h */

#define SONDE__LIMIT_RATIO_UNIT 1e9

typedef struct sonde__span {
    _Atomic uint64_t token;
    struct sonde__span *next; /* once finished: an older finished span of the segment */
    sonde__segment *segment;
    uint64_t id;
    uint64_t parent_id;
    uint64_t start_mono_ns;
    uint64_t duration_ns;
    sonde__service service;
    sonde__service parent_service;
    uint16_t flags;  /* SONDE__SPAN_... */
    uint16_t active; /* how many activations refer to it */
    sonde__text text;
    uint32_t epoch;
    sonde__baggage_ref baggage; /* referenced */
} sonde__span;

#define SONDE__SPAN_BYTES 96 /* the text starts here */

/* span flags */
#define SONDE__SPAN_FINISHED     1u
#define SONDE__SPAN_ERROR        2u
#define SONDE__SPAN_LOCAL_ROOT   4u
#define SONDE__SPAN_WATCHED      8u  /* rules look at it: changes are told to the sampler */
#define SONDE__SPAN_OWN_RESOURCE 16u /* kept when watched */
#define SONDE__SPAN_RECORDED     32u /* has a place in the black box, text.of_owner says where */
#define SONDE__SPAN_COSTED_SHIFT 6
#define SONDE__SPAN_COSTED       (3u << 6) /* the profiler's life it was started in, see watch.h */
#define SONDE__SPAN_REPORTED     256u      /* the profiler knows its resource */
#define SONDE__SPAN_ENDPOINT     512u      /* a profiler that wants to was there at its start */

/* Somebody looks at the span: its finish, and changes of what it is, take more than the common steps. */
#define SONDE__SPAN_LOOKED_AT (SONDE__SPAN_RECORDED | SONDE__SPAN_COSTED | SONDE__SPAN_ENDPOINT)
#define SONDE__SPAN_TELLS     (SONDE__SPAN_WATCHED | SONDE__SPAN_RECORDED | SONDE__SPAN_ENDPOINT)

_Static_assert(sizeof(sonde__span) == SONDE__SPAN_BYTES, "text start");

typedef struct sonde__context {
    _Atomic uint64_t token;
    sonde__segment *segment; /* referenced */
    uint64_t span_id;
    _Atomic uint32_t refs;
    sonde__service service; /* what a child inherits */
    uint16_t unused;
    sonde__baggage_ref baggage; /* referenced */
} sonde__context;

static inline uint32_t sonde__state_head(uint64_t state)
{
    return (uint32_t)(state & SONDE__CELL_INDEX_MASK);
}

static inline uint32_t sonde__state_finished(uint64_t state)
{
    return (uint32_t)(state >> SONDE__STATE_FINISHED_SHIFT) & 0x3ffff;
}

static inline uint32_t sonde__state_open(uint64_t state)
{
    return (uint32_t)(state >> SONDE__STATE_OPEN_SHIFT);
}

/* The upper half of a new trace's id. */
static inline uint64_t sonde__id_high_of(int64_t start_unix_ns)
{
    return (uint64_t)(uint32_t)(start_unix_ns / SONDE_NS_PER_S) << 32;
}

/* A segment of a new trace, with one reference and no span; NULL: no memory. */
sonde__segment *sonde__segment_new(sonde__cell_stack *cells, uint32_t epoch);

static inline void sonde__segment_get(sonde__segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void sonde__segment_put(sonde__segment *s, sonde__cell_stack *cells);

/* True when only the span the caller works on can lead to `s`. */
static inline bool sonde__segment_exclusive(sonde__segment *s, uint64_t state)
{
    return sonde__state_open(state) == 1 &&
           /* pairs with the releases of sonde__segment_put() */
           atomic_load_explicit(&s->refs, memory_order_acquire) == 1;
}

bool sonde__segment_open_shared(sonde__segment *s);

/* Counts one more open span.  The caller works on an open span of `s` (which stays open meanwhile) or
 * holds a reference.  False: too many, nothing was counted. */
static inline bool sonde__segment_open(sonde__segment *s, bool by_open_span)
{
    uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);

    if (!by_open_span || sonde__state_finished(state) >= SONDE__SEGMENT_SPANS_MAX - 1 ||
        !sonde__segment_exclusive(s, state))
        return sonde__segment_open_shared(s);
    /* pairs with sonde__segment_close() */
    atomic_store_explicit(&s->state, state + SONDE__STATE_OPEN_ONE, memory_order_release);
    return true;
}

/* Takes `s` over into life `epoch`: what the former life had open or collected is not ours to send.
 * The caller holds a reference. */
void sonde__segment_adopt(sonde__segment *s, uint32_t epoch, sonde__cell_stack *cells);

sonde__span *sonde__segment_close_shared(sonde__segment *s, sonde__span *span, uint32_t partial_len,
                                         sonde__cell_stack *cells);

/* Counts `span` as finished.  Returns the first span of a chunk to hand over (its text.chunk_len is
 * set, a reference on the segment goes with it), or NULL. */
static inline sonde__span *sonde__segment_close(sonde__segment *s, sonde__span *span,
                                                uint32_t partial_len, sonde__cell_stack *cells)
{
    uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    uint32_t head = sonde__state_head(state);
    uint32_t finished = sonde__state_finished(state) + 1;
    uint64_t now = (state - head + sonde__cell_index(span)) + SONDE__STATE_FINISHED_ONE -
                   SONDE__STATE_OPEN_ONE;

    span->next = head ? (sonde__span *)sonde__cell_at(head) : NULL;
    if (sonde__segment_exclusive(s, state)) {
        /* The list changes hands: pairs with the releases of those who added to it. */
        atomic_store_explicit(&s->state, 0, memory_order_release);
        span->text.chunk_len = finished;
        return span;
    }
    if (sonde__state_open(state) > 1 && finished < partial_len &&
        atomic_compare_exchange_strong_explicit(&s->state, &state, now, memory_order_acq_rel,
                                                memory_order_relaxed))
        return NULL;
    return sonde__segment_close_shared(s, span, partial_len, cells);
}

/* Ends a span of a former life; nothing of it is sent. */
void sonde__segment_discard(sonde__span *span, sonde__cell_stack *cells);

/* Frees the spans of a chunk and drops its reference. */
void sonde__chunk_free(sonde__span *chunk, sonde__cell_stack *cells);

void sonde__segments_prefork(void);
void sonde__segments_postfork(void); /* parent and child */

#endif /* SONDE_LIBTRACE_SEGMENT_H */
