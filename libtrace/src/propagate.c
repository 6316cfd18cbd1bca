/* propagate.c - the public calls, and several styles at once. */
#include "propagate.h"

#include <string.h>

#include "vocab/headers.h"

#include "area.h"
#include "chars.h"
#include "context.h"
#include "sampler.h"
#include "span.h"
#include "trace_tags.h"
#include "tracer.h"

/* -- reading the carrier -------------------------------------------------------------------------- */

static void take_header(void *user, sonde_str name, sonde_str value)
{
    sonde__headers *h = (sonde__headers *)user;
    const struct {
        sonde_str name;
        sonde_str *to;
    } known[] = {
        { SONDE_STR(SONDE_HDR_DD_TRACE_ID), &h->trace_id },
        { SONDE_STR(SONDE_HDR_DD_PARENT_ID), &h->parent_id },
        { SONDE_STR(SONDE_HDR_DD_PRIORITY), &h->priority },
        { SONDE_STR(SONDE_HDR_DD_ORIGIN), &h->origin },
        { SONDE_STR(SONDE_HDR_DD_TAGS), &h->tags },
        { SONDE_STR(SONDE_HDR_TRACEPARENT), &h->traceparent },
    };
    size_t i;

    if (sonde_str_eq_nocase(name, SONDE_STR(SONDE_HDR_TRACESTATE))) {
        if (h->tracestate_count < SONDE__TRACESTATE_LINES_MAX && value.len > 0)
            h->tracestate[h->tracestate_count++] = value;
        return;
    }
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq_nocase(name, known[i].name))
            *known[i].to = value;
    h->traceparent_count += sonde_str_eq_nocase(name, SONDE_STR(SONDE_HDR_TRACEPARENT));
}

static bool wants(const sonde__styles *styles, sonde__style style)
{
    uint32_t i;

    for (i = 0; i < styles->len; i++)
        if (styles->style[i] == style)
            return true;
    return false;
}

static sonde_str look_up(const sonde_reader *r, sonde_str name)
{
    sonde_str value = r->get(r->user, name);

    return value.ptr ? value : (sonde_str){ NULL, 0 };
}

static void read_headers(const sonde_reader *r, const sonde__styles *styles, sonde__headers *h)
{
    memset(h, 0, sizeof(*h));
    if (r->each) {
        r->each(r->user, take_header, h);
        return;
    }
    if (wants(styles, SONDE__STYLE_DATADOG)) {
        h->trace_id = look_up(r, SONDE_STR(SONDE_HDR_DD_TRACE_ID));
        h->parent_id = look_up(r, SONDE_STR(SONDE_HDR_DD_PARENT_ID));
        h->priority = look_up(r, SONDE_STR(SONDE_HDR_DD_PRIORITY));
        h->origin = look_up(r, SONDE_STR(SONDE_HDR_DD_ORIGIN));
        h->tags = look_up(r, SONDE_STR(SONDE_HDR_DD_TAGS));
    }
    if (wants(styles, SONDE__STYLE_TRACECONTEXT)) {
        h->traceparent = look_up(r, SONDE_STR(SONDE_HDR_TRACEPARENT));
        h->traceparent_count = h->traceparent.len > 0;
        h->tracestate[0] = look_up(r, SONDE_STR(SONDE_HDR_TRACESTATE));
        h->tracestate_count = h->tracestate[0].len > 0;
    }
}

/* -- several styles ------------------------------------------------------------------------------- */

typedef struct found {
    sonde__remote main;
    bool is_w3c;         /* the style of `main` */
    bool has_tracestate; /* of the same trace */
    sonde__remote w3c;   /* the half it came with */
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
static void merge_w3c(found *f, const sonde__remote *w3c)
{
    if (f->main.trace_id_low != w3c->trace_id_low || f->main.trace_id_high != w3c->trace_id_high)
        return;
    f->has_tracestate = true;
    f->w3c = *w3c;
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

static bool extract_all(const sonde__headers *h, const sonde__config *c, found *f)
{
    bool any = false;
    uint32_t i;

    f->has_tracestate = false;
    for (i = 0; i < c->extract.len && !(any && c->extract_first); i++) {
        bool w3c = c->extract.style[i] == SONDE__STYLE_TRACECONTEXT;
        sonde__remote r;

        if (w3c ? !sonde__extract_w3c(h, &r) : !sonde__extract_datadog(h, c->tags_max_bytes, &r))
            continue;
        if (!any) {
            f->main = r;
            f->is_w3c = f->has_tracestate = w3c;
            f->w3c = r; /* looked at only when it is one */
            any = true;
        } else if (w3c) {
            merge_w3c(f, &r);
        }
    }
    return any;
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

    if (!f->is_w3c || origin.len > sizeof(decoded))
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

static bool store_all(const found *f, const sonde__headers *h, sonde__segment *s,
                      sonde__cell_stack *cells)
{
    bool stored = store_origin(f, s, cells) && store_error(&f->main, s, cells) &&
                  store(s, cells, SONDE__TEXT_PARENT, f->main.last_id) &&
                  (f->is_w3c ? sonde__store_w3c_tags(&f->main, s, cells)
                             : sonde__store_datadog_tags(&f->main, s, cells)) &&
                  (!f->has_tracestate || sonde__store_tracestate(h, &f->w3c, s, cells));

    if (s->text.at != SONDE__SEGMENT_BYTES || s->text.more)
        atomic_store_explicit(&s->flags, SONDE__SEGMENT_HAS_TEXT, memory_order_relaxed);
    return stored;
}

static sonde_context *make_context(sonde__area *a, const found *f, const sonde__headers *h,
                                   uint32_t epoch)
{
    sonde__segment *s = sonde__segment_new(&a->cells, epoch);
    sonde_context *context = NULL;

    if (!s) {
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
        return NULL;
    }
    s->trace_id_high = f->main.trace_id_high;
    s->trace_id_low = f->main.trace_id_low;
    s->remote_parent_id = f->main.parent_id;
    s->mono_to_unix_ns = sonde__mono_to_unix_ns();
    if (f->main.has_priority)
        atomic_store_explicit(
            &s->decision,
            sonde__decision_make(f->main.priority, 0, 0,
                                 SONDE__DECISION_LOCKED | SONDE__DECISION_INHERITED),
            memory_order_relaxed);
    if (store_all(f, h, s, &a->cells))
        context = sonde__context_make(a, s, f->main.parent_id, 0);
    else
        sonde__count_own(&a->counts, SONDE__CONTEXTS_REFUSED, 1);
    sonde__segment_put(s, &a->cells); /* the context has its own reference */
    return context;
}

sonde_context *sonde_extract(const sonde_reader *reader)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);
    sonde__area *a =
        epoch != 0 && reader && (reader->get || reader->each) ? sonde__area_get() : NULL;
    sonde__headers h;
    found f;

    if (!a)
        return NULL;
    read_headers(reader, &sonde__settings()->extract, &h);
    if (!extract_all(&h, sonde__settings(), &f))
        return NULL;
    return make_context(a, &f, &h, epoch);
}

/* -- injecting ------------------------------------------------------------------------------------ */

static bool find_place(const sonde_context *context, sonde__outbound *o)
{
    const sonde__context *c = (const sonde__context *)sonde__cell_of(context);
    const sonde__place *top;

    if (c) {
        o->segment = c->segment;
        o->span_id = c->span_id;
        return true;
    }
    top = !context && sonde__self ? sonde__area_top(sonde__self) : NULL;
    if (!top)
        return false;
    o->segment = top->segment;
    o->span_id = top->span_id;
    return true;
}

void sonde_inject(const sonde_context *context, const sonde_writer *writer)
{
    uint32_t epoch = atomic_load_explicit(&sonde__live, memory_order_acquire);
    const sonde__config *c;
    sonde__outbound o;
    uint32_t i;

    if (epoch == 0 || !writer || !writer->set || !find_place(context, &o))
        return;
    if (atomic_load_explicit(&o.segment->decision, memory_order_relaxed) == 0)
        sonde__segment_decide(o.segment, 0);
    o.decision = sonde__segment_lock(o.segment);
    o.is_local = o.span_id != o.segment->remote_parent_id;
    c = sonde__settings();
    for (i = 0; i < c->inject.len; i++) {
        if (c->inject.style[i] == SONDE__STYLE_TRACECONTEXT)
            sonde__inject_w3c(&o, writer);
        else
            sonde__inject_datadog(&o, c->tags_max_bytes, writer);
    }
}
