/* decode_v10.c - v1.0: maps under numbers, texts by number; what becomes of it is spans as v0.4 has them.
 *
 * What v1.0 has a place of its own for goes back to the tag the rest of the agent knows it by: env, version,
 * component, span.kind of a span; the high half of the trace's id (_dd.p.tid) and the sampling mechanism
 * (_dd.p.dm) of a chunk, on its first span.  Texts and bools are meta, numbers metrics, bytes meta_struct, arrays
 * and maps meta as JSON.
 *
 * Bounds   v10.h; PAYLOAD_ARRAY_MAX chunks and spans a chunk.
 * Source   docs/spec/receiver.md, "v1.0".
 */
#include "v10.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "vocab/tags.h"

#define META_SPARE     4 /* env, version, component, kind: then no span's tags grow */
#define JSON_MAX_BYTES (16u * 1024 * 1024)

typedef struct chunk_ids { /* of a chunk, known when it is through */
    uint64_t high, low;
    uint32_t mechanism;
    bool has_mechanism;
} chunk_ids;

typedef struct span_extras { /* of a span: to be tags */
    sonde_str env, version, component;
    uint32_t kind;
    uint64_t seen; /* of its attributes, as v10.seen */
} span_extras;

typedef struct chunk_list {
    payload_chunk *chunks;
    uint32_t len;
} chunk_list;

/* Keys are positive; what is none fails as the integer it is not. */
static bool read_map(v10 *v, uint32_t *out_fields)
{
    if (!sonde_mp_read_map(&v->d.r, out_fields))
        return false;
    if (*out_fields > V10_HEADER_MAX)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "too long payload");
    return true;
}

static bool read_trace_id(v10 *v, uint64_t *out_high, uint64_t *out_low)
{
    sonde_str id;

    if (!sonde_mp_read_bin(&v->d.r, &id))
        return false;
    if (id.len != 16)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "a trace id needs exactly 16 bytes");
    *out_high = sonde_mp_be64((const uint8_t *)id.ptr);
    *out_low = sonde_mp_be64((const uint8_t *)id.ptr + 8);
    return true;
}

/* -- attributes of a span -------------------------------------------------------------------------- */

static bool is_number(const v10_attr *a)
{
    return a->value.type == SPAN_ANY_INT || a->value.type == SPAN_ANY_DOUBLE;
}

static bool is_struct(v10 *v, const v10_attr *a)
{
    if (!a->is_bytes)
        return false;
    if (a->value.str.len <= SPAN_META_STRUCT_MAX_BYTES)
        return true;
    v->d.tally.tags_cut++;
    return false;
}

static bool reserve_tags(v10 *v, payload_span *s, uint32_t len)
{
    uint32_t numbers = 0, structs = 0;

    for (uint32_t i = 0; i < len; i++) {
        numbers += is_number(&v->attrs[i]);
        structs += v->attrs[i].is_bytes;
    }
    s->meta_len = s->metrics_len = s->meta_struct_len = 0;
    s->meta_cap = len - numbers - structs + META_SPARE;
    s->metrics_cap = numbers + DECODE_METRICS_SPARE;
    s->meta = decoder_alloc(&v->d, s->meta_cap, sizeof(*s->meta));
    s->metrics = decoder_alloc(&v->d, s->metrics_cap, sizeof(*s->metrics));
    s->meta_struct = decoder_alloc(&v->d, structs, sizeof(*s->meta_struct));
    return s->meta && s->metrics && (s->meta_struct || !structs);
}

static bool read_attributes(v10 *v, payload_span *s)
{
    uint32_t len;

    if (!v10_read_attrs(v, V10_ARRAYS_AS_JSON, &len) || !reserve_tags(v, s, len))
        return false;
    for (uint32_t i = 0; i < len; i++) {
        const v10_attr *a = &v->attrs[i];
        sonde_str text;

        if (is_number(a)) {
            s->metrics[s->metrics_len++] =
                (span_metric){ a->key, a->value.type == SPAN_ANY_INT ? (double)a->value.integer
                                                                     : a->value.number };
        } else if (a->is_bytes) {
            if (is_struct(v, a))
                s->meta_struct[s->meta_struct_len++] = (span_meta){ a->key, a->value.str };
        } else {
            text = a->value.str;
            if (a->value.type != SPAN_ANY_STRING && !v10_text_of(v, a, &text))
                return false;
            s->meta[s->meta_len++] = (span_meta){ a->key, text };
        }
    }
    return true;
}

/* -- links and events ------------------------------------------------------------------------------ */

static bool read_link_field(v10 *v, span_link *link, uint64_t key)
{
    switch (key) {
    case 1:
        return read_trace_id(v, &link->trace_id_high, &link->trace_id);
    case 2:
        return sonde_mp_read_u64(&v->d.r, &link->span_id);
    case 3:
        return v10_read_tags(v, &link->attributes, &link->attributes_len);
    case 4:
        return v10_read_text(v, &link->tracestate);
    case 5:
        return v10_read_u32(v, &link->flags);
    default:
        return sonde_mp_skip(&v->d.r);
    }
}

static bool read_event_attributes(v10 *v, span_event *event)
{
    uint32_t len;

    if (!v10_read_attrs(v, V10_ARRAYS_OF_ANY, &len))
        return false;
    event->attributes = decoder_alloc(&v->d, len, sizeof(*event->attributes));
    if (!event->attributes && len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        event->attributes[i] = (span_event_attr){ v->attrs[i].key, v->attrs[i].value };
    event->attributes_len = len;
    return true;
}

static bool read_event_field(v10 *v, span_event *event, uint64_t key)
{
    switch (key) {
    case 1:
        return sonde_mp_read_u64(&v->d.r, &event->time_unix_nano);
    case 2:
        return v10_read_text(v, &event->name);
    case 3:
        return read_event_attributes(v, event);
    default:
        return sonde_mp_skip(&v->d.r);
    }
}

static bool read_link(v10 *v, span_link *link)
{
    uint32_t fields;
    uint64_t key;

    *link = (span_link){ 0 };
    if (!read_map(v, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_u64(&v->d.r, &key) || !read_link_field(v, link, key))
            return false;
    }
    return true;
}

static bool read_event(v10 *v, span_event *event)
{
    uint32_t fields;
    uint64_t key;

    *event = (span_event){ 0 };
    if (!read_map(v, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_u64(&v->d.r, &key) || !read_event_field(v, event, key))
            return false;
    }
    return true;
}

static bool read_links(v10 *v, payload_span *s)
{
    uint32_t count, kept;
    span_link dropped;

    if (!v10_read_header(v, V10_HEADER_MAX, &count))
        return false;
    kept = decoder_bounded(&v->d, count);
    s->links_len = 0;
    s->links = decoder_alloc(&v->d, kept, sizeof(*s->links));
    if (!s->links && kept)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_link(v, i < kept ? &s->links[i] : &dropped))
            return false;
    }
    s->links_len = kept;
    return true;
}

static bool read_events(v10 *v, payload_span *s)
{
    uint32_t count, kept;
    span_event dropped;

    if (!v10_read_header(v, V10_HEADER_MAX, &count))
        return false;
    kept = decoder_bounded(&v->d, count);
    s->events_len = 0;
    s->events = decoder_alloc(&v->d, kept, sizeof(*s->events));
    if (!s->events && kept)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_event(v, i < kept ? &s->events[i] : &dropped))
            return false;
    }
    s->events_len = kept;
    return true;
}

/* -- a span ---------------------------------------------------------------------------------------- */

static bool read_error(v10 *v, payload_span *s)
{
    bool error;

    if (!sonde_mp_read_bool(&v->d.r, &error))
        return false;
    s->error = error;
    return true;
}

static bool read_ns(v10 *v, int64_t *out)
{
    uint64_t ns;

    if (!sonde_mp_read_u64(&v->d.r, &ns))
        return false;
    *out = (int64_t)ns; /* what does not fit is negative, and normalisation repairs it */
    return true;
}

static inline bool read_span_field(v10 *v, payload_span *s, span_extras *more, uint64_t key)
{
    switch (key) {
    case 1:
        return v10_read_text(v, &s->service);
    case 2:
        return v10_read_text(v, &s->name);
    case 3:
        return v10_read_text(v, &s->resource);
    case 4:
        return sonde_mp_read_u64(&v->d.r, &s->span_id);
    case 5:
        return sonde_mp_read_u64(&v->d.r, &s->parent_id);
    case 6:
        return read_ns(v, &s->start);
    case 7:
        return read_ns(v, &s->duration);
    case 8:
        return read_error(v, s);
    case 9:
        if (!read_attributes(v, s))
            return false;
        more->seen = v->seen;
        return true;
    case 10:
        return v10_read_text(v, &s->type);
    case 11:
        return read_links(v, s);
    case 12:
        return read_events(v, s);
    case 13:
        return v10_read_text(v, &more->env);
    case 14:
        return v10_read_text(v, &more->version);
    case 15:
        return v10_read_text(v, &more->component);
    case 16:
        return v10_read_u32(v, &more->kind);
    default:
        return sonde_mp_skip(&v->d.r);
    }
}

/* A tag that may be there already; an empty value is none. */
static bool set_tag(v10 *v, payload_span *s, sonde_str key, sonde_str value)
{
    if (value.len == 0)
        return true;
    return span_meta_set(s, &v->d.p->arena, key, value) == SONDE_OK || decoder_over_memory(&v->d);
}

/* The same where what is there is known roughly: nearly always it is not. */
static inline bool put_tag(v10 *v, payload_span *s, uint64_t seen, sonde_str key, sonde_str value)
{
    if ((seen >> decode_key_bit(key) & 1) || s->meta_len == s->meta_cap)
        return set_tag(v, s, key, value);
    s->meta[s->meta_len] = (span_meta){ key, value };
    s->meta_len += value.len > 0;
    return true;
}

static bool set_extras(v10 *v, payload_span *s, const span_extras *more)
{
    static const sonde_str kinds[] = { { "", 0 },       { "internal", 8 }, { "server", 6 },
                                       { "client", 6 }, { "producer", 8 }, { "consumer", 8 } };
    uint32_t kind = more->kind < sizeof(kinds) / sizeof(kinds[0]) ? more->kind : 0;

    if (s->parent_id == s->span_id)
        s->parent_id = 0;
    return put_tag(v, s, more->seen, SONDE_STR(SONDE_TAG_ENV), more->env) &&
           put_tag(v, s, more->seen, SONDE_STR(SONDE_TAG_VERSION), more->version) &&
           put_tag(v, s, more->seen, SONDE_STR("component"), more->component) &&
           put_tag(v, s, more->seen, SONDE_STR("span.kind"), kinds[kind]);
}

static bool read_span(v10 *v, payload_span *s)
{
    span_extras more = { .kind = 0 };
    uint32_t fields;
    uint64_t key;

    memset(s, 0, sizeof(*s));
    if (!read_map(v, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_u64(&v->d.r, &key) || !read_span_field(v, s, &more, key))
            return false;
    }
    return set_extras(v, s, &more);
}

/* -- a chunk --------------------------------------------------------------------------------------- */

static bool read_spans(v10 *v, payload_chunk *chunk)
{
    uint32_t count;

    if (!v10_read_header(v, PAYLOAD_ARRAY_MAX, &count))
        return false;
    chunk->spans_len = 0;
    chunk->spans = decoder_alloc(&v->d, count, sizeof(*chunk->spans));
    if (!chunk->spans && count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_span(v, &chunk->spans[i]))
            return false;
    }
    chunk->spans_len = count;
    return true;
}

static bool read_chunk_field(v10 *v, payload_chunk *chunk, chunk_ids *ids, uint64_t key)
{
    switch (key) {
    case 1:
        return sonde_mp_read_i32(&v->d.r, &chunk->priority);
    case 2:
        return v10_read_text(v, &chunk->origin);
    case 3:
        if (!v10_read_tags(v, &chunk->tags, &chunk->tags_len))
            return false;
        chunk->tags_cap = chunk->tags_len;
        return true;
    case 4:
        return read_spans(v, chunk);
    case 5:
        return sonde_mp_read_bool(&v->d.r, &chunk->dropped_trace);
    case 6:
        return read_trace_id(v, &ids->high, &ids->low);
    case 7:
        ids->has_mechanism = true;
        return v10_read_u32(v, &ids->mechanism);
    default:
        return sonde_mp_skip(&v->d.r);
    }
}

static bool put_tid(v10 *v, payload_span *first, uint64_t high)
{
    char *text = decoder_alloc(&v->d, 16, 1);

    if (!text)
        return false;
    sonde_hex_u64(high, text);
    return set_tag(v, first, SONDE_STR(SONDE_TAG_TID), (sonde_str){ text, 16 });
}

static bool put_mechanism(v10 *v, payload_span *first, uint32_t mechanism)
{
    v10_attr a = { .value = { .type = SPAN_ANY_INT, .integer = -(int64_t)mechanism } };
    sonde_str text = SONDE_STR("-0");

    if (mechanism && !v10_text_of(v, &a, &text))
        return false;
    return set_tag(v, first, SONDE_STR(SONDE_TAG_DM), text);
}

static bool finish_chunk(v10 *v, payload_chunk *chunk, const chunk_ids *ids)
{
    for (uint32_t i = 0; i < chunk->spans_len; i++)
        chunk->spans[i].trace_id = ids->low;
    if (chunk->spans_len == 0)
        return true;
    if (ids->high && !put_tid(v, &chunk->spans[0], ids->high))
        return false;
    return !ids->has_mechanism || put_mechanism(v, &chunk->spans[0], ids->mechanism);
}

/* A priority that is not said is 0 here, as in v0.7. */
static bool read_chunk(v10 *v, payload_chunk *chunk)
{
    chunk_ids ids = { .high = 0 };
    uint32_t fields;
    uint64_t key;

    *chunk = (payload_chunk){ 0 };
    if (!read_map(v, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_u64(&v->d.r, &key) || !read_chunk_field(v, chunk, &ids, key))
            return false;
    }
    return finish_chunk(v, chunk, &ids);
}

static bool read_chunks(v10 *v, chunk_list *list)
{
    uint32_t count;

    if (!v10_read_header(v, PAYLOAD_ARRAY_MAX, &count))
        return false;
    list->len = 0;
    list->chunks = decoder_alloc(&v->d, count, sizeof(*list->chunks));
    if (!list->chunks && count)
        return false;
    while (list->len < count) {
        if (!read_chunk(v, &list->chunks[list->len]))
            return false;
        list->len++;
    }
    return true;
}

/* -- the payload ----------------------------------------------------------------------------------- */

static bool read_payload_tags(v10 *v, payload *p)
{
    if (!v10_read_tags(v, &p->tags, &p->tags_len))
        return false;
    p->tags_cap = p->tags_len;
    return true;
}

static bool read_payload_field(v10 *v, chunk_list *list, sonde_str *container, uint64_t key)
{
    payload *p = v->d.p;

    switch (key) {
    case 1:
        return v10_read_list(v);
    case 2:
        return v10_read_text(v, container);
    case 3:
        return v10_read_text(v, &p->language_name);
    case 4:
        return v10_read_text(v, &p->language_version);
    case 5:
        return v10_read_text(v, &p->tracer_version);
    case 6:
        return v10_read_text(v, &p->runtime_id);
    case 7:
        return v10_read_text(v, &p->env);
    case 8:
        return v10_read_text(v, &p->hostname);
    case 9:
        return v10_read_text(v, &p->app_version);
    case 10:
        return read_payload_tags(v, p);
    case 11:
        return read_chunks(v, list);
    default:
        return sonde_mp_skip(&v->d.r);
    }
}

/* The container of the head stands where the body has none. */
static bool read_payload(v10 *v, chunk_list *list)
{
    sonde_str container = { NULL, 0 };
    uint32_t fields;
    uint64_t key;

    if (!v10_texts_init(v) || !read_map(v, &fields))
        return false;
    while (fields-- > 0) {
        if (sonde_mp_read_u64(&v->d.r, &key) && read_payload_field(v, list, &container, key))
            continue;
        if (!decoder_ends_early(&v->d, list->len))
            return false;
        break;
    }
    if (container.len)
        v->d.p->container_id = container;
    return true;
}

static void accept(v10 *v, const chunk_list *list)
{
    v->d.p->chunks = list->chunks;
    v->d.p->chunks_len = list->len;
    for (uint32_t i = 0; i < list->len; i++)
        v->d.tally.spans += list->chunks[i].spans_len;
}

/* Not the decoder's slots, which are as large as they are cold. */
static void v10_init(v10 *v, payload *p)
{
    decoder_init(&v->d, p);
    decoder_forget_head(p);
    v->texts = NULL;
    v->slots = NULL;
    v->attrs = NULL;
    v->texts_len = v->texts_cap = v->attrs_cap = 0;
    v->is_bad = false;
}

sonde_status decode_v10(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    chunk_list list = { NULL, 0 };
    v10 v;

    v10_init(&v, p);
    sonde_buf_init(&v.json, JSON_MAX_BYTES);
    if (read_payload(&v, &list))
        accept(&v, &list);
    v10_texts_done(&v);
    sonde_free(v.attrs);
    sonde_buf_done(&v.json);
    if (v.is_bad)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "string index %llu out of range",
                          (unsigned long long)v.bad_number);
    return decoder_finish(&v.d, out_tally, out_error);
}
