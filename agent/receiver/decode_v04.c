/* decode_v04.c - v0.3 and v0.4: arrays of arrays of span maps, which v0.7 has too.
 *
 * The hottest code of the agent: one pass, keys told apart by length and letters, texts left where
 * they are.  A key that comes twice in a span or a map counts with its last value.
 *
 * Bounds   PAYLOAD_ARRAY_MAX chunks and spans a chunk; SPAN_ENTRIES_MAX entries of anything in a span.
 * Source   docs/spec/receiver.md, "Spans as maps".
 */
#include "decoder.h"

typedef enum span_field {
    FIELD_UNKNOWN,
    FIELD_SERVICE,
    FIELD_NAME,
    FIELD_RESOURCE,
    FIELD_TYPE,
    FIELD_TRACE_ID,
    FIELD_SPAN_ID,
    FIELD_PARENT_ID,
    FIELD_START,
    FIELD_DURATION,
    FIELD_ERROR,
    FIELD_META,
    FIELD_METRICS,
    FIELD_META_STRUCT,
    FIELD_LINKS,
    FIELD_EVENTS,
} span_field;

#define KEY_IS(literal) (memcmp(key.ptr, (literal), sizeof(literal) - 1) == 0)

static inline span_field span_field_of(sonde_str key)
{
    switch (key.len) {
    case 4:
        if (KEY_IS("name"))
            return FIELD_NAME;
        if (KEY_IS("type"))
            return FIELD_TYPE;
        return KEY_IS("meta") ? FIELD_META : FIELD_UNKNOWN;
    case 5:
        if (KEY_IS("start"))
            return FIELD_START;
        return KEY_IS("error") ? FIELD_ERROR : FIELD_UNKNOWN;
    case 7:
        if (KEY_IS("service"))
            return FIELD_SERVICE;
        if (KEY_IS("span_id"))
            return FIELD_SPAN_ID;
        return KEY_IS("metrics") ? FIELD_METRICS : FIELD_UNKNOWN;
    case 8:
        if (KEY_IS("resource"))
            return FIELD_RESOURCE;
        if (KEY_IS("trace_id"))
            return FIELD_TRACE_ID;
        return KEY_IS("duration") ? FIELD_DURATION : FIELD_UNKNOWN;
    case 9:
        return KEY_IS("parent_id") ? FIELD_PARENT_ID : FIELD_UNKNOWN;
    case 10:
        return KEY_IS("span_links") ? FIELD_LINKS : FIELD_UNKNOWN;
    case 11:
        if (KEY_IS("meta_struct"))
            return FIELD_META_STRUCT;
        return KEY_IS("span_events") ? FIELD_EVENTS : FIELD_UNKNOWN;
    default:
        return FIELD_UNKNOWN;
    }
}

/* A map header and room for its entries (and `spare` more); nil and the empty map give count 0. */
static bool read_entries(decoder *d, size_t entry_bytes, uint32_t spare, uint32_t *out_count,
                         uint32_t *out_kept, void **out_entries)
{
    *out_count = 0;
    if (!sonde_mp_read_nil(&d->r) && !sonde_mp_read_map(&d->r, out_count))
        return false;
    *out_kept = decoder_bounded(d, *out_count);
    *out_entries = NULL;
    if (*out_count == 0)
        return true;
    *out_entries = decoder_alloc(d, *out_kept + spare, entry_bytes);
    return *out_entries != NULL;
}

static bool read_meta(decoder *d, span_meta **out_entries, uint32_t *out_len)
{
    uint32_t count, kept;
    span_meta *entries;
    decode_map map;

    *out_len = 0;
    if (!read_entries(d, sizeof(*entries), 0, &count, &kept, (void **)&entries))
        return false;
    decode_map_init(d, &map, entries, sizeof(*entries), kept);
    for (uint32_t i = 0; i < kept; i++) {
        sonde_str key, value;

        if (!decode_text(d, &key) || !decode_text(d, &value))
            return false;
        entries[decode_map_slot(d, &map, key)] = (span_meta){ key, value };
    }
    *out_entries = entries;
    *out_len = map.len;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_metrics(decoder *d, payload_span *s)
{
    uint32_t count, kept;
    span_metric *entries;
    decode_map map;

    s->metrics_len = s->metrics_cap = 0;
    if (!read_entries(d, sizeof(*entries), DECODE_METRICS_SPARE, &count, &kept, (void **)&entries))
        return false;
    decode_map_init(d, &map, entries, sizeof(*entries), kept);
    for (uint32_t i = 0; i < kept; i++) {
        sonde_str key;
        double value;

        if (!decode_text(d, &key) || !sonde_mp_read_double(&d->r, &value))
            return false;
        entries[decode_map_slot(d, &map, key)] = (span_metric){ key, value };
    }
    s->metrics = entries;
    s->metrics_len = map.len;
    s->metrics_cap = count ? kept + DECODE_METRICS_SPARE : 0;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_meta_struct(decoder *d, payload_span *s)
{
    uint32_t count, kept;
    span_meta *entries;
    decode_map map;

    s->meta_struct_len = 0;
    if (!read_entries(d, sizeof(*entries), 0, &count, &kept, (void **)&entries))
        return false;
    decode_map_init(d, &map, entries, sizeof(*entries), kept);
    for (uint32_t i = 0; i < kept; i++) {
        sonde_str key, value;

        if (!decode_text(d, &key) || !sonde_mp_read_bin(&d->r, &value))
            return false;
        if (value.len > SPAN_META_STRUCT_MAX_BYTES) {
            d->tally.tags_cut++;
            continue;
        }
        entries[decode_map_slot(d, &map, key)] = (span_meta){ key, value };
    }
    s->meta_struct = entries;
    s->meta_struct_len = map.len;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_u32(decoder *d, uint32_t *out)
{
    uint64_t v = 0;

    if (!sonde_mp_read_u64(&d->r, &v))
        return false;
    if (v > UINT32_MAX)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "integer does not fit in 32 bits");
    *out = (uint32_t)v;
    return true;
}

static bool read_link(decoder *d, span_link *link)
{
    uint32_t fields;

    *link = (span_link){ 0 };
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;
        bool ok;

        if (!sonde_mp_read_str(&d->r, &key))
            return false;
        if (sonde_str_eq(key, SONDE_STR("trace_id")))
            ok = sonde_mp_read_u64(&d->r, &link->trace_id);
        else if (sonde_str_eq(key, SONDE_STR("trace_id_high")))
            ok = sonde_mp_read_u64(&d->r, &link->trace_id_high);
        else if (sonde_str_eq(key, SONDE_STR("span_id")))
            ok = sonde_mp_read_u64(&d->r, &link->span_id);
        else if (sonde_str_eq(key, SONDE_STR("tracestate")))
            ok = decode_text(d, &link->tracestate);
        else if (sonde_str_eq(key, SONDE_STR("flags")))
            ok = read_u32(d, &link->flags);
        else if (sonde_str_eq(key, SONDE_STR("attributes")))
            ok = read_meta(d, &link->attributes, &link->attributes_len);
        else
            ok = sonde_mp_skip(&d->r);
        if (!ok)
            return false;
    }
    return true;
}

/* An array header and room for its elements; nil and the empty array give count 0. */
static bool read_elements(decoder *d, size_t bytes, uint32_t *out_count, uint32_t *out_kept,
                          void **out_elements)
{
    *out_count = 0;
    if (!sonde_mp_read_nil(&d->r) && !sonde_mp_read_array(&d->r, out_count))
        return false;
    *out_kept = decoder_bounded(d, *out_count);
    *out_elements = decoder_alloc(d, *out_kept, bytes);
    return *out_elements != NULL || *out_kept == 0;
}

static bool read_links(decoder *d, payload_span *s)
{
    uint32_t count, kept, len = 0;
    span_link *links;

    s->links_len = 0;
    if (!read_elements(d, sizeof(*links), &count, &kept, (void **)&links))
        return false;
    for (uint32_t i = 0; i < kept; i++) {
        if (sonde_mp_read_nil(&d->r))
            continue;
        if (!read_link(d, &links[len++]))
            return false;
    }
    s->links = links;
    s->links_len = len;
    return decoder_skip(d, count - kept);
}

static bool read_any(decoder *d, span_any *any, any_depth depth);

/* {"values": [value, ...]}, whose elements are not arrays themselves. */
static bool read_any_array(decoder *d, span_any *any)
{
    uint32_t fields, count, kept;

    if (sonde_mp_read_nil(&d->r))
        return true;
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;

        if (!sonde_mp_read_str(&d->r, &key))
            return false;
        if (!sonde_str_eq(key, SONDE_STR("values"))) {
            if (!sonde_mp_skip(&d->r))
                return false;
            continue;
        }
        any->values_len = 0;
        if (!read_elements(d, sizeof(*any->values), &count, &kept, (void **)&any->values))
            return false;
        for (uint32_t i = 0; i < kept; i++) {
            span_any *value = &any->values[any->values_len];

            if (!read_any(d, value, ANY_IN_ARRAY))
                return false;
            any->values_len += decode_any_is_known(value, ANY_IN_ARRAY);
        }
        if (!decoder_skip(d, count - kept))
            return false;
    }
    return true;
}

/* Some send every field, whatever the type: each of its own. */
static bool read_any(decoder *d, span_any *any, any_depth depth)
{
    uint32_t fields;
    bool yes = false;

    *any = (span_any){ 0 };
    if (sonde_mp_read_nil(&d->r))
        return true;
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;
        bool ok;

        if (!sonde_mp_read_str(&d->r, &key))
            return false;
        if (sonde_str_eq(key, SONDE_STR("type"))) {
            ok = sonde_mp_read_i32(&d->r, &any->type);
        } else if (sonde_str_eq(key, SONDE_STR("string_value"))) {
            ok = decode_text(d, &any->str);
        } else if (sonde_str_eq(key, SONDE_STR("bool_value"))) {
            ok = sonde_mp_read_bool(&d->r, &yes);
        } else if (sonde_str_eq(key, SONDE_STR("int_value"))) {
            ok = sonde_mp_read_i64(&d->r, &any->integer);
        } else if (sonde_str_eq(key, SONDE_STR("double_value"))) {
            ok = sonde_mp_read_double(&d->r, &any->number);
        } else if (sonde_str_eq(key, SONDE_STR("array_value")) && depth == ANY_IN_EVENT) {
            ok = read_any_array(d, any);
        } else {
            ok = sonde_mp_skip(&d->r);
        }
        if (!ok)
            return false;
    }
    if (any->type == SPAN_ANY_BOOL)
        any->integer = yes;
    return true;
}

static bool read_event_attributes(decoder *d, span_event *event)
{
    uint32_t count, kept;
    span_event_attr *entries;
    decode_map map;

    event->attributes_len = 0;
    if (!read_entries(d, sizeof(*entries), 0, &count, &kept, (void **)&entries))
        return false;
    decode_map_init(d, &map, entries, sizeof(*entries), kept);
    for (uint32_t i = 0; i < kept; i++) {
        span_event_attr attr;

        if (!decode_text(d, &attr.key) || !read_any(d, &attr.value, ANY_IN_EVENT))
            return false;
        if (decode_any_is_known(&attr.value, ANY_IN_EVENT))
            entries[decode_map_slot(d, &map, attr.key)] = attr;
    }
    event->attributes = entries;
    event->attributes_len = map.len;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_event(decoder *d, span_event *event)
{
    uint32_t fields;

    *event = (span_event){ 0 };
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;
        bool ok;

        if (!sonde_mp_read_str(&d->r, &key))
            return false;
        if (sonde_str_eq(key, SONDE_STR("time_unix_nano")))
            ok = sonde_mp_read_u64(&d->r, &event->time_unix_nano);
        else if (sonde_str_eq(key, SONDE_STR("name")))
            ok = decode_text(d, &event->name);
        else if (sonde_str_eq(key, SONDE_STR("attributes")))
            ok = read_event_attributes(d, event);
        else
            ok = sonde_mp_skip(&d->r);
        if (!ok)
            return false;
    }
    return true;
}

static bool read_events(decoder *d, payload_span *s)
{
    uint32_t count, kept, len = 0;
    span_event *events;

    s->events_len = 0;
    if (!read_elements(d, sizeof(*events), &count, &kept, (void **)&events))
        return false;
    for (uint32_t i = 0; i < kept; i++) {
        if (sonde_mp_read_nil(&d->r))
            continue;
        if (!read_event(d, &events[len++]))
            return false;
    }
    s->events = events;
    s->events_len = len;
    return decoder_skip(d, count - kept);
}

static inline bool read_field(decoder *d, payload_span *s, span_field field)
{
    switch (field) {
    case FIELD_SERVICE:
        return decode_text(d, &s->service);
    case FIELD_NAME:
        return decode_text(d, &s->name);
    case FIELD_RESOURCE:
        return decode_text(d, &s->resource);
    case FIELD_TYPE:
        return decode_text(d, &s->type);
    case FIELD_TRACE_ID:
        return sonde_mp_read_u64(&d->r, &s->trace_id);
    case FIELD_SPAN_ID:
        return sonde_mp_read_u64(&d->r, &s->span_id);
    case FIELD_PARENT_ID:
        return sonde_mp_read_u64(&d->r, &s->parent_id);
    case FIELD_START:
        return sonde_mp_read_i64(&d->r, &s->start);
    case FIELD_DURATION:
        return sonde_mp_read_i64(&d->r, &s->duration);
    case FIELD_ERROR:
        return sonde_mp_read_i32(&d->r, &s->error);
    case FIELD_META:
        if (!read_meta(d, &s->meta, &s->meta_len))
            return false;
        s->meta_cap = s->meta_len;
        return true;
    case FIELD_METRICS:
        return read_metrics(d, s);
    case FIELD_META_STRUCT:
        return read_meta_struct(d, s);
    case FIELD_LINKS:
        return read_links(d, s);
    case FIELD_EVENTS:
        return read_events(d, s);
    case FIELD_UNKNOWN:
        break;
    }
    return sonde_mp_skip(&d->r);
}

static bool read_span(decoder *d, payload_span *s)
{
    uint32_t fields;

    memset(s, 0, sizeof(*s));
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;

        if (!sonde_mp_read_str(&d->r, &key) || !read_field(d, s, span_field_of(key)))
            return false;
    }
    return true;
}

bool decode_outer_array(decoder *d, uint32_t *out_count)
{
    if (!sonde_mp_read_array(&d->r, out_count))
        return false;
    if (*out_count > PAYLOAD_ARRAY_MAX)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "msgp: configured reader limit exceeded");
    return true;
}

bool decode_text_map(decoder *d, span_meta **out_entries, uint32_t *out_len)
{
    return read_meta(d, out_entries, out_len);
}

bool decode_spans(decoder *d, payload_chunk *chunk)
{
    uint32_t count;

    chunk->spans_len = 0;
    if (!decode_outer_array(d, &count))
        return false;
    chunk->spans = decoder_alloc(d, count, sizeof(*chunk->spans));
    if (!chunk->spans && count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (sonde_mp_read_nil(&d->r)) {
            d->tally.nil_spans++;
            continue;
        }
        if (!read_span(d, &chunk->spans[chunk->spans_len]))
            return false;
        chunk->spans_len++;
    }
    d->tally.spans += chunk->spans_len;
    return true;
}

static bool read_chunk(decoder *d, payload_chunk *chunk)
{
    *chunk = (payload_chunk){ .priority = PRIORITY_NONE };
    return decode_spans(d, chunk);
}

/* Also on failure `out_count` says how many are whole. */
static bool read_chunks(decoder *d, payload_chunk **out_chunks, uint32_t *out_count)
{
    uint32_t count;

    *out_count = 0;
    if (!decode_outer_array(d, &count))
        return false;
    *out_chunks = decoder_alloc(d, count, sizeof(**out_chunks));
    if (!*out_chunks && count)
        return false;
    while (*out_count < count) {
        if (!read_chunk(d, &(*out_chunks)[*out_count]))
            return false;
        (*out_count)++;
    }
    return true;
}

sonde_status decode_v04(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    payload_chunk *chunks = NULL;
    uint32_t count = 0;
    decoder d;

    decoder_init(&d, p);
    if (read_chunks(&d, &chunks, &count) || decoder_ends_early(&d, count)) {
        p->chunks = chunks;
        p->chunks_len = count;
    }
    return decoder_finish(&d, out_tally, out_error);
}
