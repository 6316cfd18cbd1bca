/* segment.c - the shared word of a segment, and giving cells back. */
#include "segment.h"

#include "base/mutex.h"

#include "counters.h"
#include "tracer.h"

static sonde_mutex adopting = SONDE_MUTEX_INIT(SONDE_RANK_SEGMENT);

sonde__segment *sonde__segment_new(sonde__cell_stack *cells, uint32_t epoch)
{
    sonde__segment *s = (sonde__segment *)sonde__cell_take(cells);

    if (!s)
        return NULL;
    atomic_store_explicit(&s->state, 0, memory_order_relaxed);
    atomic_store_explicit(&s->decision, 0, memory_order_relaxed);
    atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&s->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&s->flags, 0, memory_order_relaxed);
    s->orphans = 0;
    s->trace_id_high = 0;
    s->trace_id_low = 0;
    s->remote_parent_id = 0;
    atomic_store_explicit(&s->local_root_id, 0, memory_order_relaxed);
    sonde__text_init(&s->text, s, SONDE__SEGMENT_BYTES);
    return s;
}

void sonde__segment_put(sonde__segment *s, sonde__cell_stack *cells)
{
    /* The last holder need not write.  Pairs with the releases of other holders, below. */
    if (atomic_load_explicit(&s->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    sonde__text_free(&s->text, cells);
    if (__builtin_expect(
            atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_HAS_USER, 0))
        sonde__cell_give(cells, sonde__cell_at(s->user));
    sonde__cell_give(cells, s);
}

static void free_span(sonde__span *span, sonde__cell_stack *cells)
{
    sonde__text_free(&span->text, cells);
    sonde__baggage_put(span->baggage, cells);
    sonde__cell_give(cells, span);
}

bool sonde__segment_open_shared(sonde__segment *s)
{
    uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);

    if (__builtin_expect(sonde__state_open(state) + sonde__state_finished(state) >=
                             SONDE__SEGMENT_SPANS_MAX,
                         0)) {
        atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_TOO_BIG, memory_order_relaxed);
        return false;
    }
    state = atomic_fetch_add_explicit(&s->state, SONDE__STATE_OPEN_ONE, memory_order_acq_rel);
    if (sonde__state_open(state) == 0)
        sonde__segment_get(s);
    return true;
}

/* The list changes hands: pairs with the releases of those who added to it. */
sonde__span *sonde__segment_close_shared(sonde__segment *s, sonde__span *span, uint32_t partial_len,
                                         sonde__cell_stack *cells)
{
    uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    bool referenced = false;
    uint32_t open, finished;
    uint64_t now;

    do {
        uint32_t head = sonde__state_head(state);

        open = sonde__state_open(state) - 1;
        finished = sonde__state_finished(state) + 1;
        span->next = head ? (sonde__span *)sonde__cell_at(head) : NULL;
        now = (uint64_t)open << SONDE__STATE_OPEN_SHIFT;
        if (open > 0 && finished < partial_len)
            now |= (uint64_t)finished << SONDE__STATE_FINISHED_SHIFT | sonde__cell_index(span);
        if (open > 0 && finished >= partial_len && !referenced) {
            sonde__segment_get(s); /* for the chunk; a complete one inherits the open spans' */
            referenced = true;
        }
    } while (!atomic_compare_exchange_weak_explicit(&s->state, &state, now, memory_order_acq_rel,
                                                    memory_order_acquire));
    if (referenced && (open == 0 || finished < partial_len))
        sonde__segment_put(s, cells);
    if (open > 0 && finished < partial_len)
        return NULL;
    if (open > 0)
        sonde__count(SONDE__PARTIAL_FLUSHES, 1);
    span->text.chunk_len = finished;
    return span;
}

static uint64_t free_spans(sonde__span *span, sonde__cell_stack *cells)
{
    uint64_t n = 0;

    for (; span; n++) {
        sonde__span *next = span->next;

        free_span(span, cells);
        span = next;
    }
    return n;
}

/* Spans that a forked child inherited are the parent's to count. */
static void count_stopped(uint32_t epoch, uint64_t spans)
{
    if (epoch >= sonde__first_epoch())
        sonde__count(SONDE__SPANS_DROPPED + SONDE_DROP_STOPPED, spans);
}

void sonde__segment_adopt(sonde__segment *s, uint32_t epoch, sonde__cell_stack *cells)
{
    sonde__span *left = NULL;
    uint32_t was;

    sonde_mutex_lock(&adopting);
    was = atomic_load_explicit(&s->epoch, memory_order_relaxed);
    if (was != epoch) {
        uint64_t state = atomic_exchange_explicit(&s->state, 0, memory_order_acq_rel);

        if (sonde__state_head(state))
            left = (sonde__span *)sonde__cell_at(sonde__state_head(state));
        if (s->orphans > 0 && sonde__state_open(state) > 0)
            atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel); /* they share one */
        s->orphans += sonde__state_open(state);
        /* pairs with the load in front of every call */
        atomic_store_explicit(&s->epoch, epoch, memory_order_release);
    }
    sonde_mutex_unlock(&adopting);
    count_stopped(was, free_spans(left, cells));
}

void sonde__segment_discard(sonde__span *span, sonde__cell_stack *cells)
{
    sonde__segment *s = span->segment;
    uint32_t epoch = span->epoch;
    sonde__span *chunk = NULL;
    bool last_orphan = false;

    sonde_mutex_lock(&adopting);
    if (atomic_load_explicit(&s->epoch, memory_order_relaxed) == epoch)
        chunk = sonde__segment_close(s, span, 1, cells);
    else
        last_orphan = --s->orphans == 0;
    sonde_mutex_unlock(&adopting);
    if (chunk) {
        count_stopped(epoch, free_spans(chunk, cells));
        sonde__segment_put(s, cells);
        return;
    }
    free_span(span, cells);
    count_stopped(epoch, 1);
    if (last_orphan)
        sonde__segment_put(s, cells);
}

SONDE_NO_TSA void sonde__segments_prefork(void)
{
    sonde_mutex_lock(&adopting);
}

SONDE_NO_TSA void sonde__segments_postfork(void)
{
    sonde_mutex_unlock(&adopting);
}

void sonde__chunk_free(sonde__span *chunk, sonde__cell_stack *cells)
{
    sonde__segment *s = chunk->segment;

    (void)free_spans(chunk, cells);
    sonde__segment_put(s, cells);
}
