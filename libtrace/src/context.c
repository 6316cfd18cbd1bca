/* context.c - places in a trace that are kept and moved between threads. */
#include "context.h"

#include "area.h"
#include "span.h"
#include "tracer.h"

sonde_context *sonde__context_make(sonde__area *a, sonde__segment *segment, uint64_t span_id,
                                   sonde__service service)
{
    sonde__context *c = (sonde__context *)sonde__cell_take(&a->cells);

    if (!c) {
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
        return NULL;
    }
    sonde__segment_get(segment);
    c->segment = segment;
    c->span_id = span_id;
    c->service = service;
    atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
    return (sonde_context *)sonde__cell_handle(c);
}

static bool is_live(void)
{
    return atomic_load_explicit(&sonde__live, memory_order_acquire) != 0;
}

sonde_context *sonde_context_current(void)
{
    sonde__area *a = is_live() ? sonde__self : NULL;
    const sonde__place *top = a ? sonde__area_top(a) : NULL;

    if (!top)
        return NULL;
    if (!top->span)
        return sonde_context_retain((sonde_context *)(uintptr_t)top->token);
    if (top->holds)
        return sonde__context_make(a, top->segment, top->span_id, top->service);
    return sonde_context_of_span((sonde_span *)(uintptr_t)top->token);
}

sonde_context *sonde_context_of_span(const sonde_span *handle)
{
    const sonde__span *span = is_live() ? sonde__span_open(handle) : NULL;
    sonde__area *a = span ? sonde__area_get() : NULL;

    return a ? sonde__context_make(a, span->segment, span->id, span->service) : NULL;
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

    /* Without an area the cells have nowhere to go: the reference stays. */
    if (!a || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    s = c->segment;
    sonde__cell_give(&a->cells, c);
    sonde__segment_put(s, &a->cells);
}

sonde_context *sonde_context_attach(sonde_context *handle)
{
    sonde__context *c = is_live() ? (sonde__context *)sonde__cell_of(handle) : NULL;
    sonde__area *a = c ? sonde__area_get() : NULL;
    sonde__place *p = a ? sonde__area_push(a) : NULL;

    if (!p)
        return NULL;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    p->span = NULL;
    p->token = sonde__cell_token(c);
    p->segment = c->segment;
    p->span_id = c->span_id;
    p->service = c->service;
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
