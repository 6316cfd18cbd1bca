/* propagate.c - the public calls, and several styles at once. */
#include "propagate.h"

#include <stddef.h>
#include <string.h>

#include "vocab/headers.h"

#include "area.h"
#include "chars.h"
#include "context.h"
#include "org_marker.h"
#include "sampler.h"
#include "span.h"
#include "standalone.h"
#include "trace_tags.h"
#include "tracer.h"

/* Mostly without a call. */
static inline void count(unsigned which)
{
    if (__builtin_expect(sonde__self != NULL, 1))
        sonde__count_own(&sonde__self->counts, which, 1);
    else
        sonde__count(which, 1);
}

/* -- reading the carrier -------------------------------------------------------------------------- */

static bool take(sonde_str name, sonde_str known, sonde_str value, sonde_str *to)
{
    if (!sonde_str_eq_nocase(name, known))
        return false;
    *to = value;
    return true;
}

static void take_line(sonde_str value, sonde_str *lines, uint32_t *count, uint32_t max)
{
    if (*count < max && value.len > 0)
        lines[(*count)++] = value;
}

static void take_ot_baggage(sonde_str name, sonde_str value, sonde__headers *h)
{
    const size_t prefix = sizeof(SONDE_HDR_OT_BAGGAGE) - 1;

    if (h->ot_baggage_count < SONDE__OT_BAGGAGE_MAX &&
        sonde_str_eq_nocase(sonde_str_sub(name, 0, prefix), SONDE_STR(SONDE_HDR_OT_BAGGAGE)))
        h->ot_baggage[h->ot_baggage_count++] =
            (sonde__tag){ sonde_str_sub(name, prefix, name.len), value };
}

/* Most headers are none of ours: their length tells. */
static void take_header(void *user, sonde_str name, sonde_str value)
{
    sonde__headers *h = (sonde__headers *)user;

    if (name.len > sizeof(SONDE_HDR_OT_BAGGAGE) - 1 && (name.ptr[0] | 0x20) == 'o')
        take_ot_baggage(name, value, h);
    switch (name.len) {
    case sizeof(SONDE_HDR_B3) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_B3), value, &h->b3);
        break;
    case sizeof(SONDE_HDR_BAGGAGE) - 1:
        if (sonde_str_eq_nocase(name, SONDE_STR(SONDE_HDR_BAGGAGE)))
            take_line(value, h->baggage, &h->baggage_count, SONDE__BAGGAGE_LINES_MAX);
        break;
    case sizeof(SONDE_HDR_TRACESTATE) - 1: /* and x-b3-flags */
        if (sonde_str_eq_nocase(name, SONDE_STR(SONDE_HDR_TRACESTATE)))
            take_line(value, h->tracestate, &h->tracestate_count, SONDE__TRACESTATE_LINES_MAX);
        else
            (void)take(name, SONDE_STR(SONDE_HDR_B3_FLAGS), value, &h->b3_flags);
        break;
    case sizeof(SONDE_HDR_TRACEPARENT) - 1: /* and x-b3-spanid */
        if (take(name, SONDE_STR(SONDE_HDR_TRACEPARENT), value, &h->traceparent))
            h->traceparent_count++;
        else
            (void)take(name, SONDE_STR(SONDE_HDR_B3_SPAN_ID), value, &h->b3_span_id);
        break;
    case sizeof(SONDE_HDR_B3_TRACE_ID) - 1: /* and x-b3-sampled */
        if (!take(name, SONDE_STR(SONDE_HDR_B3_TRACE_ID), value, &h->b3_trace_id))
            (void)take(name, SONDE_STR(SONDE_HDR_B3_SAMPLED), value, &h->b3_sampled);
        break;
    case sizeof(SONDE_HDR_DD_TAGS) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_DD_TAGS), value, &h->tags);
        break;
    case sizeof(SONDE_HDR_DD_ORIGIN) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_DD_ORIGIN), value, &h->origin);
        break;
    case sizeof(SONDE_HDR_DD_TRACE_ID) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_DD_TRACE_ID), value, &h->trace_id);
        break;
    case sizeof(SONDE_HDR_DD_PARENT_ID) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_DD_PARENT_ID), value, &h->parent_id);
        break;
    case sizeof(SONDE_HDR_DD_PRIORITY) - 1:
        (void)take(name, SONDE_STR(SONDE_HDR_DD_PRIORITY), value, &h->priority);
        break;
    default:
        break;
    }
}

static sonde_str look_up(const sonde_reader *r, sonde_str name)
{
    sonde_str value = r->get(r->user, name);

    return value.ptr ? value : (sonde_str){ NULL, 0 };
}

static void look_up_style(const sonde_reader *r, sonde__style style, sonde__headers *h)
{
    switch (style) {
    case SONDE__STYLE_DATADOG:
        h->trace_id = look_up(r, SONDE_STR(SONDE_HDR_DD_TRACE_ID));
        h->parent_id = look_up(r, SONDE_STR(SONDE_HDR_DD_PARENT_ID));
        h->priority = look_up(r, SONDE_STR(SONDE_HDR_DD_PRIORITY));
        h->origin = look_up(r, SONDE_STR(SONDE_HDR_DD_ORIGIN));
        h->tags = look_up(r, SONDE_STR(SONDE_HDR_DD_TAGS));
        break;
    case SONDE__STYLE_TRACECONTEXT:
        h->traceparent = look_up(r, SONDE_STR(SONDE_HDR_TRACEPARENT));
        h->traceparent_count = h->traceparent.len > 0;
        take_line(look_up(r, SONDE_STR(SONDE_HDR_TRACESTATE)), h->tracestate, &h->tracestate_count,
                  1);
        break;
    case SONDE__STYLE_B3:
        h->b3 = look_up(r, SONDE_STR(SONDE_HDR_B3));
        break;
    case SONDE__STYLE_B3MULTI:
        h->b3_trace_id = look_up(r, SONDE_STR(SONDE_HDR_B3_TRACE_ID));
        h->b3_span_id = look_up(r, SONDE_STR(SONDE_HDR_B3_SPAN_ID));
        h->b3_sampled = look_up(r, SONDE_STR(SONDE_HDR_B3_SAMPLED));
        h->b3_flags = look_up(r, SONDE_STR(SONDE_HDR_B3_FLAGS));
        break;
    case SONDE__STYLE_BAGGAGE:
        take_line(look_up(r, SONDE_STR(SONDE_HDR_BAGGAGE)), h->baggage, &h->baggage_count, 1);
        break;
    default:
        break;
    }
}

static void read_headers(const sonde_reader *r, const sonde__styles *styles, sonde__headers *h)
{
    uint32_t i;

    memset(h, 0, offsetof(sonde__headers, tracestate));
    if (r->each) {
        r->each(r->user, take_header, h);
        return;
    }
    for (i = 0; i < styles->len; i++)
        look_up_style(r, styles->style[i], h);
}

/* -- several styles ------------------------------------------------------------------------------- */

typedef struct found {
    sonde__remote main;
    sonde__remote later[SONDE__STYLES]; /* of other traces, or the one `w3c` is */
    uint32_t later_len;
    sonde__remote *w3c; /* whichever has the tracestate of this trace; NULL: none */
    char last_id_room[16];
} found;

static bool is_zero_id(sonde_str hex)
{
    size_t i;

    for (i = 0; i < hex.len; i++)
        if (hex.ptr[i] != '0')
            return false;
    return true;
}

/* A later w3c context of the same trace: its parent is nearer, its tracestate goes on. */
static void merge_w3c(found *f, sonde__remote *w3c)
{
    f->w3c = w3c;
    if (f->main.parent_id == w3c->parent_id)
        return;
    if (!is_zero_id(w3c->last_id)) {
        f->main.last_id = w3c->last_id;
    } else {
        sonde__put_hex16(f->main.parent_id, f->last_id_room);
        f->main.last_id = (sonde_str){ f->last_id_room, 16 };
    }
    f->main.parent_id = w3c->parent_id;
}

/* Whether the carrier had what a context of that style cannot do without. */
static bool is_there(sonde__style style, const sonde__headers *h)
{
    switch (style) {
    case SONDE__STYLE_DATADOG:
        return h->trace_id.len > 0;
    case SONDE__STYLE_TRACECONTEXT:
        return h->traceparent.len > 0;
    case SONDE__STYLE_B3:
        return h->b3.len > 1; /* one character is a decision without a context */
    case SONDE__STYLE_B3MULTI:
        return h->b3_trace_id.len > 0;
    default:
        return false;
    }
}

static bool extract_one(sonde__style style, const sonde__headers *h, const sonde__config *c,
                        sonde__remote *out)
{
    bool ok = false;

    switch (style) {
    case SONDE__STYLE_DATADOG:
        ok = sonde__extract_datadog(h, c->tags_max_bytes, out);
        break;
    case SONDE__STYLE_TRACECONTEXT:
        ok = sonde__extract_w3c(h, out);
        break;
    case SONDE__STYLE_B3:
        ok = sonde__extract_b3(h, out);
        break;
    case SONDE__STYLE_B3MULTI:
        ok = sonde__extract_b3multi(h, out);
        break;
    default:
        break;
    }
    out->style = style;
    if (ok)
        count(SONDE__CONTEXTS_EXTRACTED + style);
    else if (is_there(style, h))
        count(SONDE__CONTEXTS_MALFORMED + style);
    return ok;
}

static bool is_same_trace(const sonde__remote *a, const sonde__remote *b)
{
    return a->trace_id_low == b->trace_id_low && a->trace_id_high == b->trace_id_high;
}

static bool extract_first(const sonde__headers *h, const sonde__config *c, found *f, uint32_t *i)
{
    for (; *i < c->extract.len; ++*i)
        if (extract_one(c->extract.style[*i], h, c, &f->main))
            return true;
    return false;
}

static void take_later(const sonde__headers *h, const sonde__config *c, found *f,
                       sonde__style style)
{
    sonde__remote *r = &f->later[f->later_len];
    bool same;

    if (!extract_one(style, h, c, r))
        return;
    same = is_same_trace(&f->main, r);
    if (same && style == SONDE__STYLE_TRACECONTEXT)
        merge_w3c(f, r);
    if (!same || f->w3c == r)
        f->later_len++;
}

static bool extract_all(const sonde__headers *h, const sonde__config *c, found *f)
{
    uint32_t i = 0;

    if (!extract_first(h, c, f, &i))
        return false;
    f->w3c = f->main.style == SONDE__STYLE_TRACECONTEXT ? &f->main : NULL;
    f->later_len = 0;
    while (++i < c->extract.len && !c->extract_first)
        take_later(h, c, f, c->extract.style[i]);
    return true;
}

/* A trace of another organisation: what remains of it are its ids and what is not Datadog's. */
static void guard(const sonde__config *c, found *f)
{
    sonde_str ours = sonde__org_marker();
    char room[SONDE__DD_MEMBER_MAX_BYTES];
    sonde__remote *m = &f->main;
    sonde_str none = { NULL, 0 };

    if (ours.len == 0 || sonde__org_accepts(c, ours,
                                            m->style == SONDE__STYLE_TRACECONTEXT
                                                ? sonde__w3c_tag(m, SONDE_STR("opm"), room)
                                                : sonde__datadog_tag(m, SONDE_STR("opm"))))
        return;
    m->has_priority = m->dm_is_default = m->dm_is_gone = false;
    m->origin = m->tags = m->last_id = none;
    if (f->w3c)
        f->w3c->has_unknown_items = false;
}

/* -- storing -------------------------------------------------------------------------------------- */

static bool store(sonde__segment *s, sonde__cell_stack *cells, unsigned kind, sonde_str value)
{
    if (value.len > SONDE__TRACE_TAG_VALUE_MAX)
        value.len = SONDE__TRACE_TAG_VALUE_MAX;
    return value.len == 0 || sonde__text_add(&s->text, cells, kind, (sonde_str){ NULL, 0 }, value);
}

static bool store_origin(const found *f, sonde__segment *s, sonde__cell_stack *cells)
{
    char decoded[SONDE__DD_MEMBER_MAX_BYTES];
    sonde_str origin = f->main.origin;
    size_t i;

    if (f->main.style != SONDE__STYLE_TRACECONTEXT || origin.len > sizeof(decoded))
        return store(s, cells, SONDE__TEXT_ORIGIN, origin);
    for (i = 0; i < origin.len; i++)
        decoded[i] = origin.ptr[i] == '~' ? '=' : origin.ptr[i];
    return store(s, cells, SONDE__TEXT_ORIGIN, (sonde_str){ decoded, origin.len });
}

static bool store_error(const sonde__remote *r, sonde__segment *s, sonde__cell_stack *cells)
{
    char text[128];
    size_t len, more;

    if (!r->error)
        return true;
    len = strlen(r->error);
    more = r->error_value.len < sizeof(text) - len ? r->error_value.len : sizeof(text) - len;
    if (r->error[len - 1] != ' ')
        more = 0; /* this one names no value */
    memcpy(text, r->error, len);
    memcpy(text + len, more ? r->error_value.ptr : "", more);
    return store(s, cells, SONDE__TEXT_ERROR, (sonde_str){ text, len + more });
}

static bool store_links(const found *f, const sonde__headers *h, sonde__segment *s,
                        sonde__cell_stack *cells)
{
    uint32_t i;

    for (i = 0; i < f->later_len; i++)
        if (&f->later[i] != f->w3c &&
            !sonde__store_link(&f->later[i], SONDE__LINK_CONFLICT, h, s, cells))
            return false;
    return true;
}

/* Nothing of its tracestate is to be kept. */
static bool is_plain(const sonde__remote *w3c)
{
    return w3c->is_only_member && !w3c->has_unknown_items;
}

static bool store_all(const found *f, const sonde__headers *h, sonde__segment *s,
                      sonde__cell_stack *cells)
{
    bool stored = store_origin(f, s, cells) && store_error(&f->main, s, cells) &&
                  store(s, cells, SONDE__TEXT_PARENT, f->main.last_id) &&
                  (f->main.style == SONDE__STYLE_TRACECONTEXT
                       ? sonde__store_w3c_tags(&f->main, s, cells)
                       : sonde__store_datadog_tags(&f->main, s, cells)) &&
                  (!f->w3c || is_plain(f->w3c) ||
                   sonde__store_tracestate(h, f->w3c, !f->main.has_priority, s, cells)) &&
                  store_links(f, h, s, cells);

    if (s->text.at != SONDE__SEGMENT_BYTES ||
        s->text.more) { /* nobody else knows the segment yet */
        uint32_t flags = atomic_load_explicit(&s->flags, memory_order_relaxed);

        atomic_store_explicit(&s->flags, flags | SONDE__SEGMENT_HAS_TEXT, memory_order_relaxed);
    }
    return stored;
}

static void inherit(sonde__segment *s, const sonde__remote *from)
{
    if (!from->has_priority || (sonde__is_standalone() && !sonde__segment_is_for_products(s)))
        return;
    atomic_store_explicit(&s->decision,
                          sonde__decision_make(from->priority, 0, 0,
                                               SONDE__DECISION_LOCKED | SONDE__DECISION_INHERITED),
                          memory_order_relaxed);
}

/* The segment a received context gets here; NULL: no memory. */
static sonde__segment *continue_trace(sonde__area *a, const found *f, const sonde__headers *h,
                                      uint32_t epoch)
{
    sonde__segment *s = sonde__segment_new(&a->cells, epoch);

    if (!s) {
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
        return NULL;
    }
    s->trace_id_high = f->main.trace_id_high;
    s->trace_id_low = f->main.trace_id_low;
    s->remote_parent_id = f->main.parent_id;
    s->mono_to_unix_ns = sonde__mono_to_unix_ns();
    if (store_all(f, h, s, &a->cells)) {
        inherit(s, &f->main);
        return s;
    }
    sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
    sonde__segment_put(s, &a->cells);
    return NULL;
}

/* A trace that begins here; `from`, when it is not NULL, becomes a link. */
static sonde__segment *new_trace(sonde__area *a, const sonde__remote *from, const sonde__headers *h,
                                 uint32_t epoch)
{
    sonde__segment *s = sonde__context_new_trace(a, epoch);

    if (s && from)
        (void)sonde__store_link(from, SONDE__LINK_RESTART, h, s, &a->cells);
    return s;
}

static sonde_context *make_context(sonde__area *a, const sonde__where *w)
{
    sonde_context *context = w->segment ? sonde__context_adopt(a, w) : NULL;

    if (!context) {
        if (w->segment)
            sonde__segment_put(w->segment, &a->cells);
        sonde__baggage_put(w->baggage, &a->cells);
    }
    return context;
}

sonde_context *sonde_extract(const sonde_reader *reader)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);
    sonde__area *a =
        epoch != 0 && reader && (reader->get || reader->each) ? sonde__area_get() : NULL;
    const sonde__config *c;
    sonde__where w = { .segment = NULL };
    sonde__headers h;
    bool has_trace;
    found f;

    if (!a)
        return NULL;
    c = sonde__settings();
    if (c->extract_behavior == SONDE__EXTRACT_IGNORE)
        return NULL;
    read_headers(reader, &c->extract, &h);
    has_trace = extract_all(&h, c, &f);
    w.baggage = sonde__extract_baggage(&h, c, a);
    if (!has_trace && w.baggage == 0)
        return NULL;
    if (has_trace && c->extract_behavior == SONDE__EXTRACT_CONTINUE) {
        guard(c, &f);
        w.segment = continue_trace(a, &f, &h, epoch);
        w.span_id = f.main.parent_id;
    } else {
        w.segment = new_trace(a, has_trace ? &f.main : NULL, &h, epoch);
    }
    return make_context(a, &w);
}

/* -- injecting ------------------------------------------------------------------------------------ */

static void inject_one(sonde__style style, const sonde__outbound *o, const sonde__config *c,
                       const sonde_writer *w)
{
    switch (style) {
    case SONDE__STYLE_DATADOG:
        sonde__inject_datadog(o, c->tags_max_bytes, w);
        break;
    case SONDE__STYLE_TRACECONTEXT:
        sonde__inject_w3c(o, w);
        break;
    case SONDE__STYLE_B3:
        sonde__inject_b3(o, w);
        break;
    case SONDE__STYLE_B3MULTI:
        sonde__inject_b3multi(o, w);
        break;
    case SONDE__STYLE_BAGGAGE:
        sonde__inject_baggage(&o->at, c, w);
        break;
    default:
        break;
    }
}

/* A trace that has no span yet, of which there is nothing to say. */
static bool is_fresh(const sonde__segment *s)
{
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_FRESH) != 0;
}

void sonde_inject(const sonde_context *context, const sonde_writer *writer)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);
    const sonde__config *c;
    sonde__outbound o;
    uint32_t i;

    if (epoch == 0 || !writer || !writer->set || !sonde__context_where(context, &o.at))
        return;
    if (sonde__is_standalone() && !sonde__segment_is_for_products(o.at.segment))
        return;
    c = sonde__settings();
    if (o.at.span_id == 0 && is_fresh(o.at.segment)) {
        if (sonde__styles_have(&c->inject, SONDE__STYLE_BAGGAGE))
            sonde__inject_baggage(&o.at, c, writer);
        return;
    }
    o.segment = o.at.segment;
    o.span_id = o.at.span_id;
    if (atomic_load_explicit(&o.segment->decision, memory_order_relaxed) == 0)
        sonde__segment_decide_without_root(o.segment);
    o.decision = sonde__segment_lock(o.segment);
    o.is_local = o.span_id != o.segment->remote_parent_id;
    o.is_plain = sonde__trace_tags_are_plain(o.segment, o.decision);
    for (i = 0; i < c->inject.len; i++) {
        inject_one(c->inject.style[i], &o, c, writer);
        if (c->inject.style[i] != SONDE__STYLE_BAGGAGE) /* that one counts itself, if any */
            count(SONDE__CONTEXTS_INJECTED + c->inject.style[i]);
    }
}
