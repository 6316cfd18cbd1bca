/* encode_v1.c - a table of texts by hash, and maps with numbers for keys. */
#include "encode_v1.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "codec/msgpack_write.h"
#include "vocab/tags.h"

#include "chars.h"
#include "put.h"
#include "wire_span.h"

enum payload_key {
    PAYLOAD_CONTAINER = 2,
    PAYLOAD_LANGUAGE,
    PAYLOAD_LANGUAGE_VERSION,
    PAYLOAD_TRACER_VERSION,
    PAYLOAD_RUNTIME_ID,
    PAYLOAD_ENV,
    PAYLOAD_HOSTNAME,
    PAYLOAD_VERSION,
    PAYLOAD_ATTRIBUTES,
    PAYLOAD_CHUNKS
};

enum chunk_key {
    CHUNK_PRIORITY = 1,
    CHUNK_ORIGIN,
    CHUNK_SPANS = 4,
    CHUNK_TRACE_ID = 6,
    CHUNK_MECHANISM
};

enum span_key {
    SPAN_SERVICE = 1,
    SPAN_NAME,
    SPAN_RESOURCE,
    SPAN_ID,
    SPAN_PARENT_ID,
    SPAN_START,
    SPAN_DURATION,
    SPAN_ERROR,
    SPAN_ATTRIBUTES,
    SPAN_TYPE,
    SPAN_LINKS,
    SPAN_EVENTS,
    SPAN_ENV,
    SPAN_VERSION,
    SPAN_COMPONENT,
    SPAN_KIND
};

enum link_key { LINK_TRACE_ID = 1, LINK_SPAN_ID, LINK_ATTRIBUTES, LINK_TRACESTATE, LINK_FLAGS };

enum event_key { EVENT_TIME = 1, EVENT_NAME, EVENT_ATTRIBUTES };

enum value_type { VALUE_TEXT = 1, VALUE_BOOL, VALUE_DOUBLE, VALUE_INT, VALUE_BYTES, VALUE_ARRAY };

#define TEXT_MAX_BYTES(len) ((len) + 5) /* new, or its number */

/* -- opening, closing ----------------------------------------------------------------------------- */

sonde_status sonde__v1_open(sonde__v1 *v, const sonde__config *config, const char *runtime_id,
                            const char *container, size_t max_bytes)
{
    memset(v, 0, sizeof(*v));
    v->config = config;
    memcpy(v->runtime_id, runtime_id, sizeof(v->runtime_id) - 1);
    memcpy(v->container, container, strnlen(container, sizeof(v->container) - 1));
    sonde_buf_init(&v->body, max_bytes / 3 * 2);
    if (sonde__text_numbers_open(&v->texts, max_bytes / 3) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    sonde__v1_reset(v);
    return v->body.status;
}

void sonde__v1_close(sonde__v1 *v)
{
    sonde_buf_done(&v->body);
    sonde__text_numbers_close(&v->texts);
}

/* -- texts ---------------------------------------------------------------------------------------- */

static uint8_t *put_new(sonde__v1 *v, uint8_t *at, sonde__text_slot *slot, sonde_str text,
                        uint32_t hash)
{
    if (sonde__text_numbers_full(&v->texts)) {
        v->body.status = SONDE_ERR_TOO_BIG;
        return at;
    }
    at = sonde__put_str_head(at, text.len);
    (void)sonde__text_numbers_put(&v->texts, slot, hash, (size_t)(at - v->body.data), text.len);
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static inline uint8_t *put_text(sonde__v1 *v, uint8_t *at, sonde_str text)
{
    sonde__text_slot *slot;
    uint32_t hash;

    if (text.len == 0) {
        *at++ = 0;
        return at;
    }
    slot = sonde__text_numbers_find(&v->texts, v->body.data, text, &hash);
    if (slot->number != 0)
        return sonde__put_u64(at, slot->number);
    return put_new(v, at, slot, text, hash);
}

/* The same where room is made for each text. */
static void write_text(sonde__v1 *v, sonde_str text)
{
    uint8_t *at = sonde_buf_reserve(&v->body, TEXT_MAX_BYTES(text.len));

    if (at)
        v->body.len = (size_t)(put_text(v, at, text) - v->body.data);
}

static void write_text_field(sonde__v1 *v, unsigned key, sonde_str text)
{
    sonde_mp_write_u64(&v->body, key);
    write_text(v, text);
}

/* -- payload -------------------------------------------------------------------------------------- */

static sonde_str reported_hostname(const sonde__config *c)
{
    return c->report_hostname || c->source_hostname.len > 0 ? c->hostname : SONDE_STR("");
}

static void write_process_tags(sonde__v1 *v)
{
    sonde_mp_write_u64(&v->body, PAYLOAD_ATTRIBUTES);
    sonde_mp_write_array(&v->body, 3);
    write_text(v, SONDE_STR(SONDE_TAG_PROCESS_TAGS));
    sonde_mp_write_u64(&v->body, VALUE_TEXT);
    write_text(v, v->config->process_tags);
}

void sonde__v1_reset(sonde__v1 *v)
{
    const sonde__config *c = v->config;
    const sonde_str texts[] = {
        [PAYLOAD_CONTAINER] = sonde_str_from(v->container),
        [PAYLOAD_LANGUAGE] = c->language,
        [PAYLOAD_LANGUAGE_VERSION] = SONDE_STR("201112"),
        [PAYLOAD_TRACER_VERSION] = c->tracer_version,
        [PAYLOAD_RUNTIME_ID] = sonde_str_from(v->runtime_id),
        [PAYLOAD_ENV] = c->env,
        [PAYLOAD_HOSTNAME] = reported_hostname(c),
        [PAYLOAD_VERSION] = c->version,
    };
    uint32_t fields = 1u + (c->process_tags.len > 0);
    unsigned i;

    sonde__text_numbers_reset(&v->texts);
    sonde_buf_reset(&v->body);
    for (i = PAYLOAD_CONTAINER; i <= PAYLOAD_VERSION; i++)
        fields += texts[i].len > 0;
    sonde_mp_write_map(&v->body, fields);
    for (i = PAYLOAD_CONTAINER; i <= PAYLOAD_VERSION; i++)
        if (texts[i].len > 0)
            write_text_field(v, i, texts[i]);
    if (c->process_tags.len > 0)
        write_process_tags(v);
    sonde_mp_write_u64(&v->body, PAYLOAD_CHUNKS);
    v->chunks_mark = sonde_mp_begin_array32(&v->body);
}

/* -- what has a place of its own ------------------------------------------------------------------ */

typedef struct chunk_facts {
    sonde_str origin;
    sonde_str tid;      /* "" when it is not one */
    sonde_str dm;       /* "" when it has no number */
    uint64_t mechanism; /* of dm */
    uint64_t trace_id_high;
    double priority;
} chunk_facts;

typedef struct span_facts {
    sonde_str env;
    sonde_str version;
    sonde_str component;
    unsigned kind; /* 0: not set */
} span_facts;

static unsigned kind_number(sonde_str kind)
{
    static const sonde_str kinds[] = {
        { "internal", 8 }, { "server", 6 }, { "client", 6 }, { "producer", 8 }, { "consumer", 8 }
    };
    unsigned i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (sonde_str_eq(kind, kinds[i]))
            return i + 1;
    return 0;
}

/* "-4", with a hash in front of it in the oldest form. */
static bool read_mechanism(sonde_str dm, uint64_t *out)
{
    const char *dash = dm.len ? (const char *)memrchr(dm.ptr, '-', dm.len) : NULL;
    sonde_str digits;

    if (!dash)
        return false;
    digits = sonde_str_sub(dm, (size_t)(dash - dm.ptr) + 1, dm.len);
    return sonde__decimal(digits, out) && *out <= UINT32_MAX;
}

static void take_chunk_meta(chunk_facts *f, sonde_str key, sonde_str value)
{
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_ORIGIN)))
        f->origin = value;
    else if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_TID)) && value.len == 16 &&
             sonde__hex16(value.ptr, &f->trace_id_high))
        f->tid = value;
    else if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_DM)) && read_mechanism(value, &f->mechanism))
        f->dm = value;
}

/* The first span says it for its chunk. */
static chunk_facts read_chunk_facts(const sonde__wire_span *first)
{
    chunk_facts f = { .priority = 0 };
    sonde__wire_map map = first->meta;
    sonde_str key, text;
    double number;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_str(&map.at, &text);
        if (key.len > 4 && key.ptr[0] == '_')
            take_chunk_meta(&f, key, text);
    }
    for (map = first->metrics; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &number);
        if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_PRIORITY)))
            f.priority = number;
    }
    return f;
}

/* True when the chunk or the payload says it already. */
static bool is_said(const sonde__v1 *v, const chunk_facts *c, sonde_str key, sonde_str value)
{
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_ORIGIN)))
        return sonde_str_eq(value, c->origin);
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_TID)))
        return value.len > 0 && sonde_str_eq(value, c->tid);
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_DM)))
        return value.len > 0 && sonde_str_eq(value, c->dm);
    return sonde_str_eq(key, SONDE_STR(SONDE_TAG_PROCESS_TAGS)) &&
           sonde_str_eq(value, v->config->process_tags);
}

/* Takes a tag that has a field of the span; false: it has none. */
static bool take_field(span_facts *f, sonde_str key, sonde_str value)
{
    switch (key.len) {
    case sizeof(SONDE_TAG_ENV) - 1:
        if (memcmp(key.ptr, SONDE_TAG_ENV, key.len) != 0)
            return false;
        f->env = value;
        return true;
    case sizeof(SONDE_TAG_VERSION) - 1:
        if (memcmp(key.ptr, SONDE_TAG_VERSION, key.len) != 0)
            return false;
        f->version = value;
        return true;
    case sizeof(SONDE_TAG_COMPONENT) - 1: /* as long as span.kind */
        if (memcmp(key.ptr, SONDE_TAG_COMPONENT, key.len) == 0)
            f->component = value;
        else if (memcmp(key.ptr, SONDE_TAG_SPAN_KIND, key.len) != 0 || kind_number(value) == 0)
            return false;
        else
            f->kind = kind_number(value);
        return true;
    default:
        return false;
    }
}

_Static_assert(sizeof(SONDE_TAG_COMPONENT) == sizeof(SONDE_TAG_SPAN_KIND), "one case for both");

/* True when the tag stands, or comes to stand, in a place of its own. */
static inline bool has_place(const sonde__v1 *v, const chunk_facts *c, span_facts *f, sonde_str key,
                             sonde_str value)
{
    if (key.len > 0 && key.ptr[0] == '_')
        return is_said(v, c, key, value);
    return take_field(f, key, value);
}

/* Fills `f`; returns the tags that have no place. */
static uint32_t read_meta(const sonde__v1 *v, const chunk_facts *c, sonde__wire_map map,
                          span_facts *f)
{
    uint32_t left = 0;
    sonde_str key, value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_str(&map.at, &value);
        left += !has_place(v, c, f, key, value);
    }
    return left;
}

static bool is_chunk_priority(const chunk_facts *c, sonde_str key, double value)
{
    return value == c->priority && sonde_str_eq(key, SONDE_STR(SONDE_TAG_PRIORITY));
}

static uint32_t count_metrics(const chunk_facts *c, sonde__wire_map map)
{
    uint32_t left = 0;
    sonde_str key;
    double value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &value);
        left += !is_chunk_priority(c, key, value);
    }
    return left;
}

/* -- links and events ----------------------------------------------------------------------------- */

static void write_link(sonde__v1 *v, sonde__wire_link *l)
{
    uint8_t id[16];
    sonde_str key, value;

    sonde__put_be64(id, l->trace_id_high);
    sonde__put_be64(id + 8, l->trace_id);
    sonde_mp_write_map(&v->body,
                       2u + (l->attributes.len > 0) + (l->tracestate.len > 0) + (l->flags != 0));
    sonde_mp_write_u64(&v->body, LINK_TRACE_ID);
    sonde_mp_write_bin(&v->body, id, sizeof(id));
    sonde_mp_write_u64(&v->body, LINK_SPAN_ID);
    sonde_mp_write_u64(&v->body, l->span_id);
    if (l->attributes.len > 0) {
        sonde_mp_write_u64(&v->body, LINK_ATTRIBUTES);
        sonde_mp_write_array(&v->body, 3 * l->attributes.len);
        for (; l->attributes.len > 0; l->attributes.len--) {
            (void)sonde_mp_read_str(&l->attributes.at, &key);
            (void)sonde_mp_read_str(&l->attributes.at, &value);
            write_text(v, key);
            sonde_mp_write_u64(&v->body, VALUE_TEXT);
            write_text(v, value);
        }
    }
    if (l->tracestate.len > 0)
        write_text_field(v, LINK_TRACESTATE, l->tracestate);
    if (l->flags != 0) {
        sonde_mp_write_u64(&v->body, LINK_FLAGS);
        sonde_mp_write_u64(&v->body, l->flags);
    }
}

static void write_links(sonde__v1 *v, sonde_str links)
{
    sonde__wire_link l;
    sonde_mp_reader r;
    uint32_t len = 0;

    sonde_mp_reader_init(&r, links.ptr, links.len);
    (void)sonde_mp_read_array(&r, &len);
    sonde_mp_write_u64(&v->body, SPAN_LINKS);
    sonde_mp_write_array(&v->body, len);
    for (; len > 0 && sonde__wire_link_read(&r, &l); len--)
        write_link(v, &l);
}

/* Type and value of {"type": n, "<kind>_value": v}: our own bytes, so reading them does not fail. */
static void write_value(sonde__v1 *v, sonde_mp_reader *r)
{
    sonde_str key, text;
    uint32_t members, count;
    uint64_t type = 0;
    double number;
    int64_t integer;
    bool truth;

    if (!sonde_mp_read_map(r, &members) || !sonde_mp_read_str(r, &key) ||
        !sonde_mp_read_u64(r, &type) || !sonde_mp_read_str(r, &key))
        return;
    if (type == 0 && sonde_mp_read_str(r, &text)) {
        sonde_mp_write_u64(&v->body, VALUE_TEXT);
        write_text(v, text);
    } else if (type == 1 && sonde_mp_read_bool(r, &truth)) {
        sonde_mp_write_u64(&v->body, VALUE_BOOL);
        sonde_mp_write_bool(&v->body, truth);
    } else if (type == 2 && sonde_mp_read_i64(r, &integer)) {
        sonde_mp_write_u64(&v->body, VALUE_INT);
        sonde_mp_write_i64(&v->body, integer);
    } else if (type == 3 && sonde_mp_read_double(r, &number)) {
        sonde_mp_write_u64(&v->body, VALUE_DOUBLE);
        sonde_mp_write_double(&v->body, number);
    } else if (type == 4 && sonde_mp_read_map(r, &members) && sonde_mp_read_str(r, &key) &&
               sonde_mp_read_array(r, &count)) {
        sonde_mp_write_u64(&v->body, VALUE_ARRAY);
        sonde_mp_write_array(&v->body, 2 * count);
        while (count-- > 0)
            write_value(v, r); /* of scalars: one level */
    }
}

static void write_event_attributes(sonde__v1 *v, sonde_mp_reader *r)
{
    uint32_t count = 0;
    sonde_str key;

    (void)sonde_mp_read_map(r, &count);
    sonde_mp_write_u64(&v->body, EVENT_ATTRIBUTES);
    sonde_mp_write_array(&v->body, 3 * count);
    while (count-- > 0 && sonde_mp_read_str(r, &key)) {
        write_text(v, key);
        write_value(v, r);
    }
}

static void write_event(sonde__v1 *v, sonde_mp_reader *r)
{
    uint32_t members = 0;
    sonde_str key, name;
    uint64_t time;

    (void)sonde_mp_read_map(r, &members);
    sonde_mp_write_map(&v->body, members);
    while (members-- > 0 && sonde_mp_read_str(r, &key)) {
        if (sonde_str_eq(key, SONDE_STR("attributes"))) {
            write_event_attributes(v, r);
        } else if (sonde_str_eq(key, SONDE_STR("name")) && sonde_mp_read_str(r, &name)) {
            write_text_field(v, EVENT_NAME, name);
        } else if (sonde_mp_read_u64(r, &time)) {
            sonde_mp_write_u64(&v->body, EVENT_TIME);
            sonde_mp_write_u64(&v->body, time);
        }
    }
}

static void write_events(sonde__v1 *v, sonde_str events)
{
    sonde_mp_reader r;
    uint32_t len = 0;

    sonde_mp_reader_init(&r, events.ptr, events.len);
    (void)sonde_mp_read_array(&r, &len);
    sonde_mp_write_u64(&v->body, SPAN_EVENTS);
    sonde_mp_write_array(&v->body, len);
    while (len-- > 0 && r.status == SONDE_OK)
        write_event(v, &r);
}

/* -- spans ---------------------------------------------------------------------------------------- */

static uint8_t *put_text_field(sonde__v1 *v, uint8_t *at, unsigned key, sonde_str text)
{
    if (text.len == 0)
        return at;
    *at++ = (uint8_t)key;
    return put_text(v, at, text);
}

static uint8_t *put_number_field(uint8_t *at, unsigned key, uint64_t value)
{
    if (value == 0)
        return at;
    *at++ = (uint8_t)key;
    return sonde__put_u64(at, value);
}

static uint8_t *put_meta(sonde__v1 *v, const chunk_facts *c, uint8_t *at, sonde__wire_map map)
{
    span_facts unused;
    sonde_str key, value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_str(&map.at, &value);
        if (has_place(v, c, &unused, key, value))
            continue;
        at = put_text(v, at, key);
        *at++ = VALUE_TEXT;
        at = put_text(v, at, value);
    }
    return at;
}

static uint8_t *put_metrics(sonde__v1 *v, const chunk_facts *c, uint8_t *at, sonde__wire_map map)
{
    sonde_str key;
    double value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &value);
        if (is_chunk_priority(c, key, value))
            continue;
        at = put_text(v, at, key);
        *at++ = VALUE_DOUBLE;
        at = sonde__put_double(at, value);
    }
    return at;
}

static uint8_t *put_structs(sonde__v1 *v, uint8_t *at, sonde__wire_map map)
{
    sonde_str key, value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_bin(&map.at, &value);
        at = put_text(v, at, key);
        *at++ = VALUE_BYTES;
        at = sonde__put_32(at, 0xc6, (uint32_t)value.len);
        memcpy(at, value.ptr, value.len);
        at += value.len;
    }
    return at;
}

static uint32_t count_fields(const sonde__wire_span *s, const span_facts *f, uint32_t attributes)
{
    return (uint32_t)(s->service.len > 0) + (s->name.len > 0) + (s->resource.len > 0) +
           (s->span_id != 0) + (s->parent_id != 0) + (s->start_unix_ns != 0) +
           (s->duration_ns != 0) + (s->error != 0) + (attributes > 0) + (s->type.len > 0) +
           (s->links.len > 0) + (s->events.len > 0) + (f->env.len > 0) + (f->version.len > 0) +
           (f->component.len > 0) + (f->kind != 0);
}

#define SPAN_FIXED_BYTES  128 /* keys, ids, times, numbers of texts */
#define ENTRY_FIXED_BYTES 16  /* of a tag, beside the bytes v0.4 took for it */

/* `v04_bytes` is what the span takes as v0.4. */
static void write_span(sonde__v1 *v, const chunk_facts *c, const sonde__wire_span *s,
                       size_t v04_bytes)
{
    span_facts f = { .kind = 0 };
    uint32_t attributes =
        read_meta(v, c, s->meta, &f) + count_metrics(c, s->metrics) + s->structs.len;
    size_t entries = (size_t)s->meta.len + s->metrics.len + s->structs.len;
    uint8_t *at =
        sonde_buf_reserve(&v->body, v04_bytes + SPAN_FIXED_BYTES + ENTRY_FIXED_BYTES * entries);

    if (!at)
        return;
    at = sonde__put_map_head(at, count_fields(s, &f, attributes));
    at = put_text_field(v, at, SPAN_SERVICE, s->service);
    at = put_text_field(v, at, SPAN_NAME, s->name);
    at = put_text_field(v, at, SPAN_RESOURCE, s->resource);
    at = put_number_field(at, SPAN_ID, s->span_id);
    at = put_number_field(at, SPAN_PARENT_ID, s->parent_id);
    at = put_number_field(at, SPAN_START, s->start_unix_ns);
    at = put_number_field(at, SPAN_DURATION, s->duration_ns);
    if (s->error != 0) {
        *at++ = SPAN_ERROR;
        *at++ = 0xc3;
    }
    at = put_text_field(v, at, SPAN_TYPE, s->type);
    at = put_text_field(v, at, SPAN_ENV, f.env);
    at = put_text_field(v, at, SPAN_VERSION, f.version);
    at = put_text_field(v, at, SPAN_COMPONENT, f.component);
    at = put_number_field(at, SPAN_KIND, f.kind);
    if (attributes > 0) {
        *at++ = SPAN_ATTRIBUTES;
        at = sonde__put_array_head(at, 3 * attributes);
        at = put_meta(v, c, at, s->meta);
        at = put_metrics(v, c, at, s->metrics);
        at = put_structs(v, at, s->structs);
    }
    v->body.len = (size_t)(at - v->body.data);
    if (s->links.len > 0)
        write_links(v, s->links);
    if (s->events.len > 0)
        write_events(v, s->events);
}

/* -- chunks --------------------------------------------------------------------------------------- */

static void write_chunk_head(sonde__v1 *v, const chunk_facts *c, uint64_t trace_id, uint32_t spans)
{
    sonde_buf *b = &v->body;
    uint8_t id[16];

    sonde__put_be64(id, c->trace_id_high);
    sonde__put_be64(id + 8, trace_id);
    sonde_mp_write_map(b, 3u + (c->origin.len > 0) + (c->dm.len > 0));
    sonde_mp_write_u64(b, CHUNK_PRIORITY);
    sonde_mp_write_i64(b, (int64_t)c->priority);
    if (c->origin.len > 0)
        write_text_field(v, CHUNK_ORIGIN, c->origin);
    sonde_mp_write_u64(b, CHUNK_TRACE_ID);
    sonde_mp_write_bin(b, id, sizeof(id));
    if (c->dm.len > 0) {
        sonde_mp_write_u64(b, CHUNK_MECHANISM);
        sonde_mp_write_u64(b, c->mechanism);
    }
    sonde_mp_write_u64(b, CHUNK_SPANS);
    sonde_mp_write_array(b, spans);
}

static sonde_status write_chunk(sonde__v1 *v, sonde_str chunk)
{
    chunk_facts facts = { .priority = 0 };
    sonde__wire_span span;
    sonde_mp_reader r;
    uint32_t len, i;

    sonde_mp_reader_init(&r, chunk.ptr, chunk.len);
    if (!sonde_mp_read_array(&r, &len))
        return r.status;
    for (i = 0; i < len; i++) {
        const uint8_t *from = r.at;

        if (!sonde__wire_span_read(&r, &span))
            return r.status;
        if (i == 0) {
            facts = read_chunk_facts(&span);
            write_chunk_head(v, &facts, span.trace_id, len);
        }
        write_span(v, &facts, &span, (size_t)(r.at - from));
    }
    return v->body.status;
}

sonde_status sonde__v1_add(sonde__v1 *v, sonde_str chunk)
{
    uint32_t next = v->texts.next;
    size_t len = v->body.len;
    sonde_status status;

    if (v->body.status != SONDE_OK)
        return v->body.status; /* no memory for an empty payload */
    status = write_chunk(v, chunk);
    if (status == SONDE_OK)
        return SONDE_OK;
    sonde__text_numbers_forget(&v->texts, next);
    v->body.status = SONDE_OK;
    v->body.len = len;
    return status;
}

sonde_str sonde__v1_body(sonde__v1 *v, uint64_t chunks)
{
    sonde_mp_patch32(&v->body, v->chunks_mark, (uint32_t)chunks);
    return v->body.status == SONDE_OK ? sonde_buf_str(&v->body) : (sonde_str){ NULL, 0 };
}
