/* blackbox_span.c - open spans in their places: what is left of them when the process dies.
 *
 * A place is filled before its span id is written, and emptied before its span can be sent, so that no
 * span is both sent and found here.  Nothing is allocated, nothing is interned: texts are cut and
 * copied. */
#include "blackbox.h"

#include "area.h"
#include "span.h"
#include "tracer.h"

#define INDEX_BITS 5 /* of a place in its area; a span's of_owner is area and place */
#define INDEX_MASK ((1u << INDEX_BITS) - 1)

_Static_assert(SONDE_BLACKBOX_PLACES <= INDEX_MASK, "a number for each place");

static inline sonde_blackbox_place *place_of(const sonde__span *span)
{
    uint32_t at = span->text.of_owner;

    return &sonde__blackbox_area(at >> INDEX_BITS)->places[at & INDEX_MASK];
}

/* A forked child has the parent's spans, but not their places. */
static inline bool has_place(const sonde__span *span)
{
    return (span->flags & SONDE__SPAN_RECORDED) &&
           (span->epoch == atomic_load_explicit(&sonde__live, memory_order_relaxed) ||
            span->epoch >= sonde__first_epoch());
}

/* -- start ---------------------------------------------------------------------------------------- */

static inline uint8_t put(char *to, size_t max, sonde_str text)
{
    if (__builtin_expect(text.len > max, 0))
        text.len = sonde_utf8_cut(text, max);
    sonde__copy_short((uint8_t *)to, text.ptr, text.len);
    return (uint8_t)text.len;
}

static inline int32_t priority_of(const sonde__span *span)
{
    sonde__decision d = atomic_load_explicit(&span->segment->decision, memory_order_relaxed);

    return d == 0 ? SONDE_BLACKBOX_UNDECIDED : sonde__decision_priority(d);
}

static inline uint32_t flags_of(const sonde__span *span)
{
    const sonde__segment *s = span->segment;
    uint32_t flags = 0;

    if (atomic_load_explicit(&s->local_root_id, memory_order_relaxed) == span->id)
        flags |= SONDE_BLACKBOX_LOCAL_ROOT;
    if (span->parent_id != 0 && span->parent_id == s->remote_parent_id)
        flags |= SONDE_BLACKBOX_REMOTE_PARENT;
    return flags;
}

static inline void fill(sonde_blackbox_place *p, const sonde__span *span,
                        const sonde__span_texts *texts)
{
    const sonde__segment *s = span->segment;

    p->parent_id = span->parent_id;
    p->trace_id_low = s->trace_id_low;
    p->trace_id_high = s->trace_id_high;
    p->local_root_id = atomic_load_explicit(&s->local_root_id, memory_order_relaxed);
    p->start_unix_ns = (int64_t)span->start_mono_ns + s->mono_to_unix_ns;
    atomic_store_explicit(&p->priority, priority_of(span), memory_order_relaxed);
    atomic_store_explicit(&p->flags, flags_of(span), memory_order_relaxed);
    p->name_len = put(p->name, sizeof(p->name), texts->name);
    p->service_len = put(p->service, sizeof(p->service), sonde__service_name(span->service));
    p->resource_len = put(p->resource, sizeof(p->resource), texts->resource);
    p->type_len = put(p->type, sizeof(p->type), texts->type);
    atomic_store_explicit(&p->span_id, span->id, memory_order_release);
}

static __attribute__((noinline, cold)) void count_span(sonde__area *a)
{
    sonde_blackbox_header *h = sonde__blackbox_header();

    sonde__count_own(&a->counts, SONDE__BLACKBOX_NO_PLACE, 1);
    if (h)
        atomic_fetch_add_explicit(&h->spans_without_place, 1, memory_order_relaxed);
}

/* Takes what other threads have given back; false: nothing. */
static bool collect(sonde__box *box)
{
    /* pairs with sonde__blackbox_finishes() */
    box->free = atomic_exchange_explicit(&box->back, 0, memory_order_acquire);
    return box->free != 0;
}

void sonde__blackbox_starts(sonde__area *a, sonde__span *span, const sonde__span_texts *texts)
{
    sonde__box *box = a->seat.box;
    uint32_t index;

    if (!box || (box->free == 0 && !collect(box))) {
        count_span(a);
        return;
    }
    index = (uint32_t)__builtin_ctz(box->free);
    box->free &= box->free - 1;
    span->text.of_owner = a->seat.number << INDEX_BITS | index;
    span->flags |= SONDE__SPAN_RECORDED;
    fill(place_of(span), span, texts);
}

/* -- changes -------------------------------------------------------------------------------------- */

static void begin_change(sonde_blackbox_place *p)
{
    uint32_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);

    atomic_store_explicit(&p->seq, seq + 1, memory_order_relaxed);
    sonde__ctx_record_fence();
}

static void end_change(sonde_blackbox_place *p)
{
    uint32_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);

    atomic_store_explicit(&p->seq, seq + 1, memory_order_release);
}

void sonde__blackbox_changes(sonde__span *span, unsigned kind, sonde_str text)
{
    sonde_blackbox_place *p;

    if (!has_place(span))
        return;
    p = place_of(span);
    begin_change(p);
    if (kind == SONDE__TEXT_NAME)
        p->name_len = put(p->name, sizeof(p->name), text);
    else if (kind == SONDE__TEXT_RESOURCE)
        p->resource_len = put(p->resource, sizeof(p->resource), text);
    else if (kind == SONDE__TEXT_TYPE)
        p->type_len = put(p->type, sizeof(p->type), text);
    end_change(p);
    atomic_store_explicit(&p->priority, priority_of(span), memory_order_relaxed);
}

void sonde__blackbox_moves(sonde__span *span)
{
    sonde_blackbox_place *p;

    if (!has_place(span))
        return;
    p = place_of(span);
    begin_change(p);
    p->service_len = put(p->service, sizeof(p->service), sonde__service_name(span->service));
    end_change(p);
    atomic_store_explicit(&p->priority, priority_of(span), memory_order_relaxed);
}

void sonde__blackbox_decides(sonde__span *span)
{
    if (has_place(span))
        atomic_store_explicit(&place_of(span)->priority, priority_of(span), memory_order_relaxed);
}

void sonde__blackbox_marks(sonde__span *span, uint32_t flag, bool on)
{
    _Atomic uint32_t *flags;
    uint32_t was;

    if (!has_place(span))
        return;
    flags = &place_of(span)->flags;
    was = atomic_load_explicit(flags, memory_order_relaxed);
    atomic_store_explicit(flags, on ? was | flag : was & ~flag, memory_order_relaxed);
}

/* -- finish --------------------------------------------------------------------------------------- */

void sonde__blackbox_finishes(sonde__area *a, sonde__span *span)
{
    uint32_t number = span->text.of_owner >> INDEX_BITS;
    uint32_t bit = 1u << (span->text.of_owner & INDEX_MASK);

    if (!has_place(span))
        return;
    span->flags &= (uint16_t)~SONDE__SPAN_RECORDED;
    atomic_store_explicit(&place_of(span)->span_id, 0, memory_order_release);
    if (a->seat.box && a->seat.number == number)
        a->seat.box->free |= bit;
    else
        /* pairs with collect() and with the next owner's is_empty() */
        atomic_fetch_or_explicit(&sonde__blackbox_box(number)->back, bit, memory_order_release);
}
