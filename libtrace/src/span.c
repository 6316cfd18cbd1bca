/* span.c - a span's start, activation and end: the hot path of the library.
 *
 * In steady state nothing here allocates, locks or calls the kernel: cells come from the thread's stack,
 * the clock is read in user space, and a trace that stays on its thread is changed by plain stores.
 *
 * Threads   all; one span is worked on by one thread at a time.
 * Bounds    SONDE__SEGMENT_SPANS_MAX spans of a segment; the region of cells. */
#include "span.h"

#include <string.h>

#include "chars.h"
#include "fast_clock.h"
#include "flusher.h"
#include "propagate.h"
#include "sampler.h"
#include "span_cost.h"
#include "tail_keep.h"
#include "tracer.h"
#include "watch.h"

#define RESOURCE_MAX_BYTES 5000

_Static_assert(SONDE__SPAN_BYTES + SONDE__TEXT_HEAD + SONDE__NAME_MAX_BYTES < SONDE__CELL_BYTES,
               "a name fits beside its span");

/* Where a new span goes. */
typedef struct parentage {
    sonde__segment *segment; /* NULL: a new trace */
    uint64_t parent_id;
    sonde__service service; /* to inherit */
    sonde__baggage_ref baggage;
    bool by_open_span; /* reached through a span of this thread that is open */
    bool is_void;      /* the parent was lost: so is the child */
} parentage;

static bool from_span(const sonde_span *handle, parentage *p)
{
    const sonde__span *span = sonde__span_open(handle);

    if (!span)
        return false;
    p->segment = span->segment;
    p->parent_id = span->id;
    p->service = span->service;
    p->baggage = span->baggage;
    p->by_open_span = true;
    return true;
}

static bool from_context(const sonde_context *handle, parentage *p)
{
    const sonde__context *context = (const sonde__context *)sonde__cell_of(handle);

    if (!context)
        return false;
    p->segment = context->segment;
    p->parent_id = context->span_id;
    p->service = context->service;
    p->baggage = context->baggage;
    return true;
}

static inline SONDE__HOT void from_active(sonde__area *a, parentage *p)
{
    const sonde__place *top = sonde__area_top(a);

    if (!top)
        return;
    p->segment = top->segment;
    p->parent_id = top->span_id;
    p->by_open_span = !top->holds;
    p->service = top->holds ? top->service : top->span->service;
    p->baggage = top->holds ? top->baggage : top->span->baggage;
}

static inline SONDE__HOT void find_parent(sonde__area *a, const sonde_span_options *o, parentage *p)
{
    *p = (parentage){ .segment = NULL };
    if (o->parent == SONDE__VOID_SPAN)
        p->is_void = true;
    else if ((o->parent && from_span(o->parent, p)) ||
             (o->context && from_context(o->context, p)) || o->new_trace)
        return;
    else if (a->void_depth > 0)
        p->is_void = true;
    else
        from_active(a, p);
}

static sonde__segment *new_trace(sonde__area *a, uint32_t epoch)
{
    sonde__segment *s = sonde__segment_new(&a->cells, epoch);

    if (!s)
        return NULL;
    s->mono_to_unix_ns = sonde__mono_to_unix_ns();
    atomic_store_explicit(&s->state, SONDE__STATE_OPEN_ONE, memory_order_relaxed);
    return s;
}

/* Enters the span into an existing segment; false: no room. */
static inline SONDE__HOT bool join(sonde__area *a, const parentage *p, uint32_t epoch)
{
    /* pairs with sonde__segment_adopt() */
    if (__builtin_expect(atomic_load_explicit(&p->segment->epoch, memory_order_acquire) != epoch,
                         0))
        sonde__segment_adopt(p->segment, epoch, &a->cells);
    return sonde__segment_open(p->segment, p->by_open_span);
}

static inline SONDE__HOT size_t cut_len(sonde__area *a, const char *text, size_t len, size_t max)
{
    if (__builtin_expect(len <= max, 1))
        return len;
    sonde__count_own(&a->counts, SONDE__TAGS_TRUNCATED, 1);
    return sonde_utf8_cut((sonde_str){ text, len }, max);
}

static inline void put_text(sonde__area *a, sonde__span *span, unsigned kind, sonde_str text,
                            size_t max)
{
    text.len = cut_len(a, text.ptr, text.len, max);
    if (!sonde__text_add(&span->text, &a->cells, kind, (sonde_str){ NULL, 0 }, text))
        sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, 1);
}

/* What came with the headers for the first span. */
static void received_root(sonde__span *span)
{
    if (span->baggage != 0)
        sonde__baggage_tag(span);
    if (atomic_load_explicit(&span->segment->flags, memory_order_relaxed) &
        SONDE__SEGMENT_HAS_LINKS)
        sonde__add_stored_links(span);
}

/* The first span of a segment here. */
static void root_begins(sonde__area *a, sonde__span *span, bool new_here, sonde_str name,
                        const char *resource)
{
    sonde__segment *s = span->segment;
    uint64_t none = 0;

    if (new_here) {
        s->trace_id_low = span->id;
        if (sonde__settings()->id_128_bit)
            s->trace_id_high = sonde__id_high_of((int64_t)span->start_mono_ns + s->mono_to_unix_ns);
    }
    /* Of several spans started from one received context the first is the root. */
    if (new_here)
        atomic_store_explicit(&s->local_root_id, span->id, memory_order_relaxed);
    else if (!atomic_compare_exchange_strong_explicit(&s->local_root_id, &none, span->id,
                                                      memory_order_relaxed, memory_order_relaxed))
        return;
    sonde__root_begins(a, span, name, resource);
    if (!new_here)
        received_root(span);
}

static inline SONDE__HOT void apply_options(sonde__area *a, sonde__span *span,
                                            const sonde_span_options *o)
{
    if (o->service)
        span->service = sonde__service_number(sonde_str_from(o->service));
    if (o->resource)
        put_text(a, span, SONDE__TEXT_RESOURCE, sonde_str_from(o->resource), RESOURCE_MAX_BYTES);
    if (o->type)
        put_text(a, span, SONDE__TEXT_TYPE, sonde_str_from(o->type), SONDE__NAME_MAX_BYTES);
    if (o->start_unix_ns)
        span->start_mono_ns = (uint64_t)(o->start_unix_ns - span->segment->mono_to_unix_ns);
}

static sonde__span *lost(sonde__area *a, unsigned reason)
{
    sonde__count_own(&a->counts, SONDE__SPANS_STARTED, 1);
    sonde__count_own(&a->counts, SONDE__SPANS_FINISHED, 1);
    sonde__count_own(&a->counts, SONDE__SPANS_DROPPED + reason, 1);
    return NULL;
}

/* Inlined once without options, where most of it falls away, and once with them. */
static inline SONDE__HOT sonde__span *start(sonde__area *a, uint32_t epoch, sonde_str name,
                                            const sonde_span_options *o)
{
    parentage p;
    sonde__span *span;
    sonde__segment *s;

    find_parent(a, o, &p);
    if (p.is_void)
        return lost(a, SONDE_DROP_NO_MEMORY);
    span = (sonde__span *)sonde__cell_take(&a->cells);
    if (!span)
        return lost(a, SONDE_DROP_NO_MEMORY);
    s = p.segment;
    if (s ? !join(a, &p, epoch) : (s = new_trace(a, epoch)) == NULL) {
        sonde__cell_give(&a->cells, span);
        return lost(a, s ? SONDE_DROP_TRACE_TOO_BIG : SONDE_DROP_NO_MEMORY);
    }
    span->segment = s;
    span->id = sonde__area_new_id(a);
    span->parent_id = p.parent_id;
    span->service = span->parent_service = p.service;
    span->active = 0;
    span->flags = p.parent_id == s->remote_parent_id ? SONDE__SPAN_LOCAL_ROOT : 0;
    span->epoch = epoch;
    span->baggage = sonde__baggage_get(p.baggage);
    span->start_mono_ns = sonde__now_mono_ns();
    name.len = cut_len(a, name.ptr, name.len, SONDE__NAME_MAX_BYTES);
    sonde__text_begin(&span->text, span, SONDE__SPAN_BYTES, SONDE__TEXT_NAME, name);
    apply_options(a, span, o);
    if (span->flags & SONDE__SPAN_LOCAL_ROOT)
        root_begins(a, span, p.segment == NULL, name, o->resource);
    if (__builtin_expect(sonde__watched() != 0, 0))
        sonde__watch_starts(a, span, o);
    sonde__count_own(&a->counts, SONDE__SPANS_STARTED, 1);
    return span;
}

static __attribute__((noinline)) sonde__span *
start_with(sonde__area *a, uint32_t epoch, sonde_str name, const sonde_span_options *given)
{
    sonde_span_options o;

    if (given->struct_bytes > 0 && given->struct_bytes < sizeof(o)) {
        memset(&o, 0, sizeof(o)); /* an older, smaller struct: the rest means "default" */
        memcpy(&o, given, given->struct_bytes);
        given = &o;
    }
    return start(a, epoch, name, given);
}

static __attribute__((noinline)) sonde__span *start_plain(sonde__area *a, uint32_t epoch,
                                                          sonde_str name)
{
    static const sonde_span_options none;

    return start(a, epoch, name, &none);
}

/* A thread that could not get an area. */
static __attribute__((noinline, cold)) sonde_span *lost_thread(void)
{
    sonde__count(SONDE__SPANS_STARTED, 1);
    sonde__count(SONDE__SPANS_FINISHED, 1);
    sonde__count(SONDE__SPANS_DROPPED + SONDE_DROP_NO_MEMORY, 1);
    return SONDE__VOID_SPAN;
}

/* Out of line, so that the call costs nothing where tracing is off. */
static __attribute__((noinline)) sonde_span *
start_live(sonde_str name, const sonde_span_options *options, uint32_t epoch)
{
    sonde__area *a = sonde__area_get();
    sonde__span *span;

    if (!a)
        return lost_thread();
    span = options ? start_with(a, epoch, name, options) : start_plain(a, epoch, name);
    return span ? (sonde_span *)sonde__cell_handle(span) : SONDE__VOID_SPAN;
}

sonde_span *sonde_span_start_n(sonde_str name, const sonde_span_options *options)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);

    return __builtin_expect(epoch != 0, 1) ? start_live(name, options, epoch) : NULL;
}

sonde_span *sonde_span_start(const char *name, const sonde_span_options *options)
{
    return sonde_span_start_n(SONDE_STR_FROM(name), options);
}

/* -- active span ---------------------------------------------------------------------------------- */

static inline SONDE__HOT void enter(sonde__area *a, sonde__span *span)
{
    sonde__place *p = sonde__area_push(a);

    if (!p)
        return;
    p->span = span;
    p->token = sonde__cell_token(span);
    p->segment = span->segment;
    p->span_id = span->id;
    p->extra = 0;
    span->active++;
    sonde__area_show(a, p);
}

static __attribute__((noinline, cold)) void enter_costed(sonde__area *a, sonde__span *span)
{
    uint32_t at = a->depth;

    sonde__cost_settle(a);
    enter(a, span);
    if (a->depth > at)
        sonde__cost_enters(&a->places[at]);
}

static inline SONDE__HOT bool are_costs_wanted(void)
{
    return __builtin_expect((sonde__watched() & SONDE__WATCH_COSTS) != 0, 0);
}

/* Of a span that is not the innermost place, or finished meanwhile, or whose cost is wanted. */
static __attribute__((noinline)) sonde__span *leave_any(sonde__area *a, const sonde_span *handle)
{
    uint64_t token = (uint64_t)(uintptr_t)handle;
    sonde__place *p;
    sonde__span *span;
    uint32_t i;

    for (i = a->depth; i-- > 0;)
        if (__builtin_expect(a->places[i].token == token, 1))
            break;
    if (i == UINT32_MAX)
        return sonde__span_open(handle);
    p = &a->places[i];
    span = sonde__cell_token(p->span) == token ? p->span : NULL;
    if (are_costs_wanted())
        sonde__cost_settle(a);
    if (span && !(span->flags & SONDE__SPAN_FINISHED))
        sonde__cost_leaves(a, p);
    if (p->holds)
        sonde__area_let_go(a, p);
    sonde__area_remove(a, i);
    sonde__area_show(a, sonde__area_top(a));
    if (!span || (span->flags & SONDE__SPAN_FINISHED))
        return NULL;
    span->active--;
    return span;
}

/* Ends the innermost activation of `handle`.  Returns the span while it is open, else NULL. */
static inline SONDE__HOT sonde__span *leave(sonde__area *a, const sonde_span *handle)
{
    uint64_t token = (uint64_t)(uintptr_t)handle;
    sonde__place *p = a->depth > 0 ? &a->places[a->depth - 1] : NULL;

    if (__builtin_expect(!p || p->token != token || p->extra || !sonde__place_counts(p), 0))
        return leave_any(a, handle);
    a->depth--;
    sonde__area_show(a, sonde__area_top(a));
    p->span->active--;
    return p->span;
}

void sonde_span_activate(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = sonde__area_get();

    if (!a)
        return;
    if (span && are_costs_wanted())
        enter_costed(a, span);
    else if (span)
        enter(a, span);
    else if (handle == SONDE__VOID_SPAN)
        a->void_depth++;
}

void sonde_span_deactivate(sonde_span *handle)
{
    sonde__area *a = sonde__self;

    if (!a || !handle)
        return;
    if (handle != SONDE__VOID_SPAN)
        (void)leave(a, handle);
    else if (a->void_depth > 0)
        a->void_depth--;
}

sonde_span *sonde_span_current(void)
{
    const sonde__place *top = sonde__self ? sonde__area_top(sonde__self) : NULL;

    return top && !top->holds ? (sonde_span *)(uintptr_t)top->token : NULL;
}

static __attribute__((noinline)) sonde_span *
enter_live(sonde_str name, const sonde_span_options *options, uint32_t epoch)
{
    static const sonde_span_options none;
    sonde__area *a = sonde__area_get();
    sonde__span *span;

    if (!a)
        return lost_thread();
    span = options ? start_with(a, epoch, name, options) : start(a, epoch, name, &none);
    if (!span) {
        a->void_depth++;
        return SONDE__VOID_SPAN;
    }
    if (are_costs_wanted())
        enter_costed(a, span);
    else
        enter(a, span);
    return (sonde_span *)sonde__cell_handle(span);
}

sonde_span *sonde_span_enter_n(sonde_str name, const sonde_span_options *options)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);

    return __builtin_expect(epoch != 0, 1) ? enter_live(name, options, epoch) : NULL;
}

sonde_span *sonde_span_enter(const char *name, const sonde_span_options *options)
{
    return sonde_span_enter_n(SONDE_STR_FROM(name), options);
}

/* -- end ------------------------------------------------------------------------------------------ */

static __attribute__((noinline, cold)) void end_of_former_life(sonde__area *a, sonde__span *span)
{
    if (span->epoch >= sonde__first_epoch()) /* else the parent's to count */
        sonde__count_own(&a->counts, SONDE__SPANS_FINISHED, 1);
    sonde__segment_discard(span, &a->cells);
}

static inline SONDE__HOT void finish(sonde__area *a, sonde__span *span, uint64_t end_mono_ns)
{
    sonde__segment *s = span->segment;
    int64_t duration = (int64_t)(end_mono_ns - span->start_mono_ns);
    uint32_t partial_len;
    sonde__tail *tail;
    sonde__span *chunk;

    if (__builtin_expect(sonde__watched() || (span->flags & SONDE__SPAN_LOOKED_AT), 0))
        sonde__watch_finishes(a, span);
    span->duration_ns = duration > 0 ? (uint64_t)duration : 0;
    span->flags |= SONDE__SPAN_FINISHED;
    if (span->active > 0)
        sonde__area_hold(a, span);
    if (__builtin_expect(span->epoch != atomic_load_explicit(&sonde__live, memory_order_acquire),
                         0)) {
        end_of_former_life(a, span);
        return;
    }
    sonde__count_own(&a->counts, SONDE__SPANS_FINISHED, 1);
    partial_len = sonde__settings()->partial_flush_len;
    /* pairs with sonde__tail_open() */
    tail = atomic_load_explicit(&sonde__tail_now, memory_order_acquire);
    if (__builtin_expect(tail != NULL, 0))
        partial_len = sonde__tail_finishes(tail, a, span, partial_len);
    chunk = sonde__segment_close(s, span, partial_len, &a->cells);
    if (chunk)
        sonde__flusher_push(chunk);
}

void sonde_span_finish(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (a)
        finish(a, span, sonde__now_mono_ns());
}

void sonde_span_finish_at(sonde_span *handle, int64_t end_unix_ns)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (a)
        finish(a, span, (uint64_t)(end_unix_ns - span->segment->mono_to_unix_ns));
}

void sonde_span_leave(sonde_span *handle)
{
    sonde__area *a = sonde__self;
    sonde__span *span;

    if (!a || handle == SONDE__VOID_SPAN) {
        sonde_span_deactivate(handle);
        return;
    }
    span = leave(a, handle);
    if (span)
        finish(a, span, sonde__now_mono_ns());
}

/* -- what it is ----------------------------------------------------------------------------------- */

static void replace_text(sonde_span *handle, unsigned kind, sonde_str text, size_t max)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (!a || !text.ptr)
        return;
    put_text(a, span, kind, text, max);
    if (span->flags & SONDE__SPAN_TELLS)
        sonde__watch_changes(a, span, kind, text);
}

void sonde_span_set_name_n(sonde_span *span, sonde_str name)
{
    replace_text(span, SONDE__TEXT_NAME, name, SONDE__NAME_MAX_BYTES);
}

void sonde_span_set_resource_n(sonde_span *span, sonde_str resource)
{
    replace_text(span, SONDE__TEXT_RESOURCE, resource, RESOURCE_MAX_BYTES);
}

void sonde_span_set_type_n(sonde_span *span, sonde_str type)
{
    replace_text(span, SONDE__TEXT_TYPE, type, SONDE__NAME_MAX_BYTES);
}

void sonde_span_set_service_n(sonde_span *handle, sonde_str service)
{
    sonde__span *span = sonde__span_open(handle);
    sonde__area *a = span ? sonde__area_get() : NULL;

    if (!a || !service.ptr)
        return;
    span->service = sonde__service_number(service);
    if (span->flags & SONDE__SPAN_LOCAL_ROOT)
        sonde__root_moves(a, span);
    sonde__blackbox_moves(span);
}

void sonde_span_set_name(sonde_span *span, const char *name)
{
    sonde_span_set_name_n(span, sonde_str_from(name));
}

void sonde_span_set_service(sonde_span *span, const char *service)
{
    sonde_span_set_service_n(span, sonde_str_from(service));
}

void sonde_span_set_resource(sonde_span *span, const char *resource)
{
    sonde_span_set_resource_n(span, sonde_str_from(resource));
}

void sonde_span_set_type(sonde_span *span, const char *type)
{
    sonde_span_set_type_n(span, sonde_str_from(type));
}

static void decide(sonde__span *span, int priority)
{
    sonde__segment_decide_by_hand(span->segment, priority, SONDE__BY_HAND);
    sonde__blackbox_decides(span);
}

void sonde_span_keep(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);

    if (span)
        decide(span, SONDE__USER_KEEP);
}

void sonde_span_drop(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);

    if (span)
        decide(span, SONDE__USER_DROP);
}

/* -- ids ------------------------------------------------------------------------------------------ */

uint64_t sonde_span_id(const sonde_span *handle)
{
    const sonde__span *span = sonde__span_open(handle);

    return span ? span->id : 0;
}

uint64_t sonde_span_trace_id_low(const sonde_span *handle)
{
    const sonde__span *span = sonde__span_open(handle);

    return span ? span->segment->trace_id_low : 0;
}

uint64_t sonde_span_trace_id_high(const sonde_span *handle)
{
    const sonde__span *span = sonde__span_open(handle);

    return span ? span->segment->trace_id_high : 0;
}

void sonde_span_trace_id_hex(const sonde_span *handle, char out[33])
{
    const sonde__span *span = sonde__span_open(handle);

    if (!out)
        return;
    out[0] = '\0';
    if (!span)
        return;
    sonde__put_hex16(span->segment->trace_id_high, out);
    sonde__put_hex16(span->segment->trace_id_low, out + 16);
    out[32] = '\0';
}
