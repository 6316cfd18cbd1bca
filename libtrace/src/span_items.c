/* span_items.c - links and events of a span.
 *
 * Each becomes one record of the span's text: the map that v0.4 has for it, packed on the caller's thread.
 * What the encoder does not send natively it makes from that map (encode_items.h).
 *
 * Source: docs/spec/spans.md, "Links", "Events". */
#include <string.h>

#include "vocab/headers.h"
#include "vocab/tags.h"

#include "attributes.h"
#include "fast_clock.h"
#include "propagate.h"
#include "sonde/event.h"
#include "sonde/link.h"
#include "span.h"

#define ITEMS_MAX 1024 /* links, events and tags of a span together */
#define GIVEN_MAX 1024 /* attributes that are looked at: each is compared with those behind it */

static void add(sonde__area *a, sonde__span *span, unsigned kind, sonde__pack pack,
                const void *what)
{
    sonde__text *text = &span->text;

    if (text->count < ITEMS_MAX && sonde__text_pack(text, &a->cells, kind, pack, what))
        text->count++;
    else
        sonde__count_own(
            &a->counts, kind == SONDE__TEXT_LINK ? SONDE__LINKS_DROPPED : SONDE__EVENTS_DROPPED, 1);
}

static sonde__attributes given(sonde__area *a, const sonde_attribute *items, uint32_t len)
{
    sonde__attributes g = { items, items ? len : 0 };

    if (g.len > GIVEN_MAX) {
        sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, g.len - GIVEN_MAX);
        g.len = GIVEN_MAX;
    }
    return g;
}

/* -- links ---------------------------------------------------------------------------------------- */

typedef struct link_to {
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t span_id;
    sonde__attributes attributes;
    uint32_t attributes_kept;
    uint32_t flags;
    sonde_str tracestate;
    sonde__area *area; /* for the callback below */
    sonde__span *span;
} link_to;

static void pack_link(sonde__packer *p, const void *what)
{
    const link_to *l = (const link_to *)what;

    sonde__pack_map(p, 2u + (l->trace_id_high != 0) + (l->attributes_kept > 0) +
                           (l->tracestate.len > 0) + (l->flags != 0));
    sonde__pack_str(p, SONDE_STR("trace_id"));
    sonde__pack_u64(p, l->trace_id_low);
    if (l->trace_id_high != 0) {
        sonde__pack_str(p, SONDE_STR("trace_id_high"));
        sonde__pack_u64(p, l->trace_id_high);
    }
    sonde__pack_str(p, SONDE_STR("span_id"));
    sonde__pack_u64(p, l->span_id);
    if (l->attributes_kept > 0) {
        sonde__pack_str(p, SONDE_STR("attributes"));
        sonde__texts_pack(p, &l->attributes, l->attributes_kept);
    }
    if (l->tracestate.len > 0) {
        sonde__pack_str(p, SONDE_STR("tracestate"));
        sonde__pack_str(p, l->tracestate);
    }
    if (l->flags != 0) {
        sonde__pack_str(p, SONDE_STR("flags"));
        sonde__pack_u64(p, l->flags);
    }
}

/* The headers that would be injected come here; what the link needs lives during the call. */
static void take_tracestate(void *user, sonde_str name, sonde_str value)
{
    link_to *l = (link_to *)user;

    if (!sonde_str_eq(name, SONDE_STR(SONDE_HDR_TRACESTATE)))
        return;
    l->tracestate = value;
    add(l->area, l->span, SONDE__TEXT_LINK, pack_link, l);
}

static void link_to_place(link_to *l, sonde__segment *s, uint64_t span_id)
{
    sonde__decision d = atomic_load_explicit(&s->decision, memory_order_relaxed);
    sonde__outbound o = {
        .segment = s, .span_id = span_id, .is_local = span_id != s->remote_parent_id, .decision = d
    };

    l->trace_id_high = s->trace_id_high;
    l->trace_id_low = s->trace_id_low;
    l->span_id = span_id;
    if (d == 0) { /* received without a priority, and no span here yet */
        add(l->area, l->span, SONDE__TEXT_LINK, pack_link, l);
        return;
    }
    l->flags = sonde__decision_priority(d) > 0 ? SONDE_LINK_SAMPLED : SONDE_LINK_NOT_SAMPLED;
    sonde__inject_w3c(&o, &(sonde_writer){ .set = take_tracestate, .user = l });
}

static void link_to_ids(link_to *l, const sonde_link *link)
{
    l->trace_id_high = link->trace_id_high;
    l->trace_id_low = link->trace_id_low;
    l->span_id = link->span_id;
    l->flags = link->flags ? link->flags | SONDE_LINK_NOT_SAMPLED : 0;
    l->tracestate = sonde_str_from(link->tracestate);
    add(l->area, l->span, SONDE__TEXT_LINK, pack_link, l);
}

static void add_link(sonde__area *a, sonde__span *span, const sonde_link *link)
{
    const sonde__span *to = sonde__span_open(link->to);
    const sonde__context *context = (const sonde__context *)sonde__cell_of(link->context);
    link_to l = { .area = a, .span = span };
    uint32_t dropped;

    if (!to && !context && ((link->trace_id_high | link->trace_id_low) == 0 || link->span_id == 0))
        return;
    l.attributes = given(a, link->attributes, link->attributes_len);
    l.attributes_kept = sonde__texts_count(&l.attributes, &dropped);
    sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, dropped);
    if (to)
        link_to_place(&l, to->segment, to->id);
    else if (context)
        link_to_place(&l, context->segment, context->span_id);
    else
        link_to_ids(&l, link);
}

void sonde_span_add_link(sonde_span *handle, const sonde_link *link)
{
    sonde__span *span = link ? sonde__span_open(handle) : NULL;
    sonde__area *a = span ? sonde__area_get() : NULL;
    sonde_link whole;

    if (!a)
        return;
    if (link->struct_bytes > 0 && link->struct_bytes < sizeof(whole)) {
        memset(&whole, 0, sizeof(whole));
        memcpy(&whole, link, link->struct_bytes);
        link = &whole;
    }
    add_link(a, span, link);
}

/* -- events --------------------------------------------------------------------------------------- */

typedef struct event {
    sonde_str name;
    int64_t unix_ns;
    sonde__attributes attributes;
    uint32_t attributes_kept;
} event;

static void pack_event(sonde__packer *p, const void *what)
{
    const event *e = (const event *)what;

    sonde__pack_map(p, 2u + (e->attributes_kept > 0));
    sonde__pack_str(p, SONDE_STR("name"));
    sonde__pack_str(p, e->name);
    sonde__pack_str(p, SONDE_STR("time_unix_nano"));
    sonde__pack_u64(p, (uint64_t)e->unix_ns);
    if (e->attributes_kept > 0) {
        sonde__pack_str(p, SONDE_STR("attributes"));
        sonde__typed_pack(p, &e->attributes, e->attributes_kept);
    }
}

void sonde_span_add_event_at(sonde_span *handle, sonde_str name, int64_t unix_ns,
                             const sonde_attribute *attributes, uint32_t len)
{
    sonde__span *span = name.ptr && name.len > 0 ? sonde__span_open(handle) : NULL;
    sonde__area *a = span ? sonde__area_get() : NULL;
    event e = { .name = name, .unix_ns = unix_ns };
    uint32_t dropped;

    if (!a)
        return;
    e.name.len = sonde_utf8_cut(name, SONDE__KEY_MAX_BYTES);
    if (e.unix_ns <= 0)
        e.unix_ns = (int64_t)sonde__now_mono_ns() + span->segment->mono_to_unix_ns;
    e.attributes = given(a, attributes, len);
    e.attributes_kept = sonde__typed_count(&e.attributes, &dropped);
    sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, dropped);
    add(a, span, SONDE__TEXT_EVENT, pack_event, &e);
}

void sonde_span_add_event(sonde_span *span, const char *name, const sonde_attribute *attributes,
                          uint32_t len)
{
    sonde_span_add_event_at(span, sonde_str_from(name), 0, attributes, len);
}

void sonde_span_record_exception(sonde_span *span, const char *type, const char *message,
                                 const char *stack)
{
    const sonde_attribute what[] = { sonde_attr_str("exception.type", type),
                                     sonde_attr_str("exception.message", message),
                                     sonde_attr_str("exception.stacktrace", stack) };

    sonde_span_add_event(span, "exception", what, sizeof(what) / sizeof(what[0]));
    sonde_span_set_str(span, SONDE_TAG_ERROR_TYPE, type);
    sonde_span_set_str(span, SONDE_TAG_ERROR_MESSAGE, message);
    sonde_span_set_str(span, SONDE_TAG_ERROR_STACK, stack);
}
