/* context.c - places in a trace that are kept and moved between threads. */
#include "context.h"

#include "area.h"
#include "fast_clock.h"
#include "span.h"
#include "span_cost.h"
#include "tracer.h"
#include "watch.h"

sonde_context *sonde__context_adopt(sonde__area *a, const sonde__where *w)
{
    sonde__context *c = (sonde__context *)sonde__cell_take(&a->cells);

    if (!c) {
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
        return NULL;
    }
    c->segment = w->segment;
    c->span_id = w->span_id;
    c->service = w->service;
    c->baggage = w->baggage;
    atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
    return (sonde_context *)sonde__cell_handle(c);
}

sonde_context *sonde__context_make(sonde__area *a, const sonde__where *w)
{
    sonde_context *c = sonde__context_adopt(a, w);

    if (c) {
        sonde__segment_get(w->segment);
        (void)sonde__baggage_get(w->baggage);
    }
    return c;
}

sonde__segment *sonde__context_new_trace(sonde__area *a, uint32_t epoch)
{
    sonde__segment *s = sonde__segment_new(&a->cells, epoch);

    if (!s) {
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
        return NULL;
    }
    s->mono_to_unix_ns = sonde__mono_to_unix_ns();
    s->trace_id_low = sonde__area_new_id(a);
    atomic_store_explicit(&s->flags, SONDE__SEGMENT_FRESH, memory_order_relaxed);
    if (sonde__settings()->id_128_bit)
        s->trace_id_high = sonde__id_high_of((int64_t)sonde__now_mono_ns() + s->mono_to_unix_ns);
    return s;
}

/* Field by field, here and below: a struct built aside and copied in wider pieces would wait for its parts. */
static void where_is(const sonde__place *p, sonde__where *out)
{
    out->segment = p->segment;
    out->span_id = p->span_id;
    out->baggage = p->holds ? p->baggage : p->span->baggage;
    out->service = p->holds ? p->service : p->span->service;
}

bool sonde__context_where(const sonde_context *context, sonde__where *out)
{
    const sonde__context *c = (const sonde__context *)sonde__cell_of(context);
    const sonde__place *top;

    if (c) {
        out->segment = c->segment;
        out->span_id = c->span_id;
        out->baggage = c->baggage;
        out->service = c->service;
        return true;
    }
    top = !context && sonde__self ? sonde__area_top(sonde__self) : NULL;
    if (top)
        where_is(top, out);
    return top != NULL;
}

static bool is_live(void)
{
    return atomic_load_explicit(&sonde__live, memory_order_acquire) != 0;
}

sonde_context *sonde_context_current(void)
{
    sonde__area *a = is_live() ? sonde__self : NULL;
    const sonde__place *top = a ? sonde__area_top(a) : NULL;
    sonde__where w;

    if (!top)
        return NULL;
    if (!top->span)
        return sonde_context_retain((sonde_context *)(uintptr_t)top->token);
    where_is(top, &w);
    return sonde__context_make(a, &w);
}

sonde_context *sonde_context_of_span(const sonde_span *handle)
{
    const sonde__span *span = is_live() ? sonde__span_open(handle) : NULL;
    sonde__area *a = span ? sonde__area_get() : NULL;
    sonde__where w;

    if (!a)
        return NULL;
    w = (sonde__where){ span->segment, span->id, span->baggage, span->service };
    return sonde__context_make(a, &w);
}

sonde_context *sonde_context_retain(sonde_context *handle)
{
    sonde__context *c = (sonde__context *)sonde__cell_of(handle);

    if (!c)
        return NULL;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return handle;
}

void sonde_context_release(sonde_context *handle)
{
    sonde__context *c = (sonde__context *)sonde__cell_of(handle);
    sonde__area *a = c ? sonde__area_get() : NULL;
    sonde__segment *s;

    if (!a)
        return; /* the cells have nowhere to go: the reference stays */
    /* The last holder need not write.  Pairs with the releases of other holders, below. */
    if (atomic_load_explicit(&c->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    s = c->segment;
    sonde__baggage_put(c->baggage, &a->cells);
    sonde__cell_give(&a->cells, c);
    sonde__segment_put(s, &a->cells);
}

sonde_context *sonde_context_attach(sonde_context *handle)
{
    sonde__context *c = is_live() ? (sonde__context *)sonde__cell_of(handle) : NULL;
    sonde__area *a = c ? sonde__area_get() : NULL;
    sonde__place *p;

    if (a && (sonde__watched() & SONDE__WATCH_COSTS))
        sonde__cost_settle(a);
    p = a ? sonde__area_push(a) : NULL;
    if (!p)
        return NULL;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    p->span = NULL;
    p->token = sonde__cell_token(c);
    p->segment = c->segment;
    p->span_id = c->span_id;
    p->service = c->service;
    p->baggage = c->baggage;
    p->extra = 0;
    p->holds = true;
    sonde__area_show(a, p);
    return handle;
}

void sonde_context_detach(sonde_context *attached)
{
    sonde__area *a = sonde__self;
    uint32_t i;

    if (!a || !attached)
        return;
    for (i = a->depth; i-- > 0;)
        if (!a->places[i].span && a->places[i].token == (uint64_t)(uintptr_t)attached)
            break;
    if (i == UINT32_MAX)
        return;
    if (sonde__watched() & SONDE__WATCH_COSTS)
        sonde__cost_settle(a);
    sonde__area_remove(a, i);
    sonde_context_release(attached);
    sonde__area_show(a, sonde__area_top(a));
}

uint64_t sonde_context_span_id(const sonde_context *handle)
{
    const sonde__context *c = (const sonde__context *)sonde__cell_of(handle);

    return c ? c->span_id : 0;
}

uint64_t sonde_context_trace_id_low(const sonde_context *handle)
{
    const sonde__context *c = (const sonde__context *)sonde__cell_of(handle);

    return c ? c->segment->trace_id_low : 0;
}

uint64_t sonde_context_trace_id_high(const sonde_context *handle)
{
    const sonde__context *c = (const sonde__context *)sonde__cell_of(handle);

    return c ? c->segment->trace_id_high : 0;
}
