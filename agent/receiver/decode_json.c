/* decode_json.c - v0.2 to v0.4 as JSON: arrays of arrays of span objects, keys as in decode_v04.c.
 *
 * For people with curl and for small clients; nothing here is hot.  null means the zero value, unknown
 * keys are passed over, what follows the array is not looked at.  meta_struct cannot travel in JSON and
 * is passed over.
 *
 * Bounds   PAYLOAD_ARRAY_MAX, SPAN_ENTRIES_MAX, the reader's depth; arrays grow by doubling in the
 *          arena.  Source: docs/spec/receiver.md, "JSON".
 */
#include "decoder.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/parse.h"
#include "codec/json_read.h"

typedef struct json_decoder {
    sonde_json_reader j;
    decoder d; /* for arena, repair, tally and map slots; its reader carries our failures */
} json_decoder;

static bool fail(json_decoder *jd, sonde_status status, const char *error)
{
    jd->d.r.at = jd->d.r.start + (jd->j.at - jd->j.start);
    return sonde_mp_fail(&jd->d.r, status, error);
}

static bool unexpected(json_decoder *jd, sonde_json_event event, const char *error)
{
    if (event == SONDE_JSON_ERROR)
        return fail(jd, jd->j.status, jd->j.error);
    return fail(jd, SONDE_ERR_SYNTAX, error);
}

/* The text just read, in the body or copied out of the reader's scratch. */
static bool keep_text(json_decoder *jd, sonde_str *out)
{
    sonde_str text = jd->j.text;

    if (text.len && (text.ptr < jd->j.start || text.ptr >= jd->j.end)) {
        char *copy = decoder_alloc(&jd->d, (uint32_t)text.len, 1);

        if (!copy)
            return false;
        memcpy(copy, text.ptr, text.len);
        text.ptr = copy;
    }
    *out = text;
    return decode_is_ascii(text.ptr, text.len) || decoder_repair(&jd->d, out);
}

static bool read_text(json_decoder *jd, sonde_str *out)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out = (sonde_str){ NULL, 0 };
    if (e == SONDE_JSON_NULL)
        return true;
    return e == SONDE_JSON_STRING ? keep_text(jd, out) : unexpected(jd, e, "expected a string");
}

static bool read_u64(json_decoder *jd, uint64_t *out)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_NUMBER || sonde_parse_u64(jd->j.text, out) != SONDE_OK)
        return unexpected(jd, e, "expected an unsigned integer");
    return true;
}

static bool read_i64(json_decoder *jd, int64_t *out)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_NUMBER || sonde_parse_i64(jd->j.text, out) != SONDE_OK)
        return unexpected(jd, e, "expected an integer");
    return true;
}

static bool read_i32(json_decoder *jd, int32_t *out)
{
    int64_t v;

    if (!read_i64(jd, &v))
        return false;
    if (v < INT32_MIN || v > INT32_MAX)
        return fail(jd, SONDE_ERR_SYNTAX, "integer does not fit in 32 bits");
    *out = (int32_t)v;
    return true;
}

static bool read_u32(json_decoder *jd, uint32_t *out)
{
    uint64_t v;

    if (!read_u64(jd, &v))
        return false;
    if (v > UINT32_MAX)
        return fail(jd, SONDE_ERR_SYNTAX, "integer does not fit in 32 bits");
    *out = (uint32_t)v;
    return true;
}

static bool read_double(json_decoder *jd, double *out)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_NUMBER)
        return unexpected(jd, e, "expected a number");
    *out = jd->j.number;
    return true;
}

static bool read_bool(json_decoder *jd, int64_t *out)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out = e == SONDE_JSON_TRUE;
    if (e == SONDE_JSON_TRUE || e == SONDE_JSON_FALSE || e == SONDE_JSON_NULL)
        return true;
    return unexpected(jd, e, "expected true or false");
}

static bool skip_value(json_decoder *jd)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    if (e == SONDE_JSON_ERROR || !sonde_json_skip(&jd->j, e))
        return unexpected(jd, SONDE_JSON_ERROR, NULL);
    return true;
}

/* Opens an object or array; *out_is_null when there is null instead. */
static bool open_value(json_decoder *jd, sonde_json_event kind, bool *out_is_null)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out_is_null = e == SONDE_JSON_NULL;
    if (e == kind || *out_is_null)
        return true;
    return unexpected(jd, e,
                      kind == SONDE_JSON_OBJECT ? "expected an object" : "expected an array");
}

/* The next key of the open object; its end or a failure ends the loop. */
static bool next_key(json_decoder *jd, bool *out_ok)
{
    sonde_json_event e = sonde_json_next(&jd->j);

    *out_ok = e == SONDE_JSON_OBJECT_END || e == SONDE_JSON_KEY;
    if (!*out_ok)
        (void)unexpected(jd, e, "expected a key");
    return e == SONDE_JSON_KEY;
}

static bool key_is(const json_decoder *jd, const char *name)
{
    return sonde_str_eq(jd->j.text, sonde_str_from(name));
}

/* Arrays of unknown length double in the arena. */
static bool grow(json_decoder *jd, void **items, uint32_t len, uint32_t *cap, size_t bytes)
{
    uint32_t wanted = *cap ? *cap * 2 : 8;
    void *grown;

    if (len < *cap)
        return true;
    grown = decoder_alloc(&jd->d, wanted, bytes);
    if (!grown)
        return false;
    if (len)
        memcpy(grown, *items, len * bytes);
    *items = grown;
    *cap = wanted;
    return true;
}

/* Whether one more entry fits below SPAN_ENTRIES_MAX; else it is passed over and counted. */
static bool has_room(json_decoder *jd, uint32_t len)
{
    if (len < SPAN_ENTRIES_MAX)
        return true;
    jd->d.tally.tags_cut++;
    return false;
}

/* The slot of `key` in a map whose entries may just have moved. */
static uint32_t map_slot(json_decoder *jd, decode_map *map, const void *entries, sonde_str key)
{
    map->entries = entries;
    if (map->len == DECODE_LINEAR_MAX && !map->slots_mask)
        decode_map_index(&jd->d, map);
    return decode_map_slot(&jd->d, map, key);
}

static bool read_meta(json_decoder *jd, span_meta **entries, uint32_t *out_len)
{
    decode_map map = { .entry_bytes = sizeof(**entries) };
    uint32_t cap = 0;
    sonde_str key, value;
    bool is_null, ok;

    *out_len = 0;
    if (!open_value(jd, SONDE_JSON_OBJECT, &is_null) || is_null)
        return is_null;
    while (next_key(jd, &ok)) {
        if (!keep_text(jd, &key) || !read_text(jd, &value))
            return false;
        if (!has_room(jd, map.len))
            continue;
        if (!grow(jd, (void **)entries, map.len, &cap, sizeof(**entries)))
            return false;
        (*entries)[map_slot(jd, &map, *entries, key)] = (span_meta){ key, value };
    }
    *out_len = map.len;
    return ok;
}

static bool read_metrics(json_decoder *jd, payload_span *s)
{
    decode_map map = { .entry_bytes = sizeof(*s->metrics) };
    sonde_str key;
    double value;
    bool is_null, ok;

    s->metrics_len = s->metrics_cap = 0;
    if (!open_value(jd, SONDE_JSON_OBJECT, &is_null) || is_null)
        return is_null;
    while (next_key(jd, &ok)) {
        if (!keep_text(jd, &key) || !read_double(jd, &value))
            return false;
        if (!has_room(jd, map.len))
            continue;
        if (!grow(jd, (void **)&s->metrics, map.len, &s->metrics_cap, sizeof(*s->metrics)))
            return false;
        s->metrics[map_slot(jd, &map, s->metrics, key)] = (span_metric){ key, value };
    }
    s->metrics_len = map.len;
    return ok;
}

/* Inside the object already, as all that are elements of an array. */
static bool read_link(json_decoder *jd, void *out)
{
    span_link *link = out;
    bool ok;

    *link = (span_link){ 0 };
    while (next_key(jd, &ok)) {
        if (key_is(jd, "trace_id"))
            ok = read_u64(jd, &link->trace_id);
        else if (key_is(jd, "trace_id_high"))
            ok = read_u64(jd, &link->trace_id_high);
        else if (key_is(jd, "span_id"))
            ok = read_u64(jd, &link->span_id);
        else if (key_is(jd, "tracestate"))
            ok = read_text(jd, &link->tracestate);
        else if (key_is(jd, "flags"))
            ok = read_u32(jd, &link->flags);
        else if (key_is(jd, "attributes"))
            ok = read_meta(jd, &link->attributes, &link->attributes_len);
        else
            ok = skip_value(jd);
        if (!ok)
            return false;
    }
    return ok;
}

static bool read_any(json_decoder *jd, span_any *any, any_depth depth);

static bool read_any_values(json_decoder *jd, span_any *any)
{
    uint32_t cap = 0;
    span_any value;
    bool is_null;

    any->values_len = 0;
    if (!open_value(jd, SONDE_JSON_ARRAY, &is_null) || is_null)
        return is_null;
    for (;;) {
        sonde_json_event e = sonde_json_next(&jd->j);

        if (e == SONDE_JSON_ARRAY_END)
            return true;
        if (e != SONDE_JSON_OBJECT)
            return unexpected(jd, e, "expected an object");
        if (!read_any(jd, &value, ANY_IN_ARRAY))
            return false;
        if (!decode_any_is_known(&value, ANY_IN_ARRAY) || !has_room(jd, any->values_len))
            continue;
        if (!grow(jd, (void **)&any->values, any->values_len, &cap, sizeof(value)))
            return false;
        any->values[any->values_len++] = value;
    }
}

static bool read_any_array(json_decoder *jd, span_any *any)
{
    bool is_null, ok;

    if (!open_value(jd, SONDE_JSON_OBJECT, &is_null) || is_null)
        return is_null;
    while (next_key(jd, &ok)) {
        if (!(key_is(jd, "values") ? read_any_values(jd, any) : skip_value(jd)))
            return false;
    }
    return ok;
}

/* Inside the object already. */
static bool read_any(json_decoder *jd, span_any *any, any_depth depth)
{
    int64_t yes = 0;
    bool ok;

    *any = (span_any){ 0 };
    while (next_key(jd, &ok)) {
        if (key_is(jd, "type"))
            ok = read_i32(jd, &any->type);
        else if (key_is(jd, "string_value"))
            ok = read_text(jd, &any->str);
        else if (key_is(jd, "bool_value"))
            ok = read_bool(jd, &yes);
        else if (key_is(jd, "int_value"))
            ok = read_i64(jd, &any->integer);
        else if (key_is(jd, "double_value"))
            ok = read_double(jd, &any->number);
        else if (key_is(jd, "array_value") && depth == ANY_IN_EVENT)
            ok = read_any_array(jd, any);
        else
            ok = skip_value(jd);
        if (!ok)
            return false;
    }
    if (any->type == SPAN_ANY_BOOL)
        any->integer = yes;
    return ok;
}

static bool read_event_attributes(json_decoder *jd, span_event *event)
{
    decode_map map = { .entry_bytes = sizeof(*event->attributes) };
    uint32_t cap = 0;
    span_event_attr attr;
    bool is_null, ok;

    event->attributes_len = 0;
    if (!open_value(jd, SONDE_JSON_OBJECT, &is_null) || is_null)
        return is_null;
    while (next_key(jd, &ok)) {
        if (!keep_text(jd, &attr.key) || !open_value(jd, SONDE_JSON_OBJECT, &is_null))
            return false;
        attr.value = (span_any){ 0 };
        if (!is_null && !read_any(jd, &attr.value, ANY_IN_EVENT))
            return false;
        if (!decode_any_is_known(&attr.value, ANY_IN_EVENT) || !has_room(jd, map.len))
            continue;
        if (!grow(jd, (void **)&event->attributes, map.len, &cap, sizeof(attr)))
            return false;
        event->attributes[map_slot(jd, &map, event->attributes, attr.key)] = attr;
    }
    event->attributes_len = map.len;
    return ok;
}

static bool read_event(json_decoder *jd, void *out)
{
    span_event *event = out;
    bool ok;

    *event = (span_event){ 0 };
    while (next_key(jd, &ok)) {
        if (key_is(jd, "time_unix_nano"))
            ok = read_u64(jd, &event->time_unix_nano);
        else if (key_is(jd, "name"))
            ok = read_text(jd, &event->name);
        else if (key_is(jd, "attributes"))
            ok = read_event_attributes(jd, event);
        else
            ok = skip_value(jd);
        if (!ok)
            return false;
    }
    return ok;
}

/* An array of objects, null ones left out, into `*items`; elements beyond `max` end it one way or the
 * other. */
typedef struct object_array {
    bool (*read)(json_decoder *jd, void *out);
    size_t bytes;
    uint32_t max;
    bool cut; /* beyond max: passed over and counted, else a failure */
} object_array;

static bool read_objects(json_decoder *jd, const object_array *what, void **items,
                         uint32_t *out_len)
{
    uint32_t cap = 0, len = 0;

    for (;;) {
        sonde_json_event e = sonde_json_next(&jd->j);

        if (e == SONDE_JSON_ARRAY_END)
            break;
        if (e == SONDE_JSON_NULL)
            continue;
        if (e != SONDE_JSON_OBJECT)
            return unexpected(jd, e, "expected an object");
        if (len == what->max && !what->cut)
            return fail(jd, SONDE_ERR_SYNTAX, "configured reader limit exceeded");
        if (len == what->max) {
            jd->d.tally.tags_cut++;
            if (!sonde_json_skip(&jd->j, e))
                return unexpected(jd, SONDE_JSON_ERROR, NULL);
            continue;
        }
        if (!grow(jd, items, len, &cap, what->bytes))
            return false;
        if (!what->read(jd, (char *)*items + len * what->bytes))
            return false;
        len++;
    }
    *out_len = len;
    return true;
}

static bool read_links(json_decoder *jd, payload_span *s)
{
    static const object_array links = { read_link, sizeof(span_link), SPAN_ENTRIES_MAX, true };
    bool is_null;

    s->links_len = 0;
    if (!open_value(jd, SONDE_JSON_ARRAY, &is_null) || is_null)
        return is_null;
    return read_objects(jd, &links, (void **)&s->links, &s->links_len);
}

static bool read_events(json_decoder *jd, payload_span *s)
{
    static const object_array events = { read_event, sizeof(span_event), SPAN_ENTRIES_MAX, true };
    bool is_null;

    s->events_len = 0;
    if (!open_value(jd, SONDE_JSON_ARRAY, &is_null) || is_null)
        return is_null;
    return read_objects(jd, &events, (void **)&s->events, &s->events_len);
}

static bool read_span_field(json_decoder *jd, payload_span *s)
{
    if (key_is(jd, "service"))
        return read_text(jd, &s->service);
    if (key_is(jd, "name"))
        return read_text(jd, &s->name);
    if (key_is(jd, "resource"))
        return read_text(jd, &s->resource);
    if (key_is(jd, "type"))
        return read_text(jd, &s->type);
    if (key_is(jd, "trace_id"))
        return read_u64(jd, &s->trace_id);
    if (key_is(jd, "span_id"))
        return read_u64(jd, &s->span_id);
    if (key_is(jd, "parent_id"))
        return read_u64(jd, &s->parent_id);
    if (key_is(jd, "start"))
        return read_i64(jd, &s->start);
    if (key_is(jd, "duration"))
        return read_i64(jd, &s->duration);
    if (key_is(jd, "error"))
        return read_i32(jd, &s->error);
    if (key_is(jd, "meta"))
        return read_meta(jd, &s->meta, &s->meta_len);
    if (key_is(jd, "metrics"))
        return read_metrics(jd, s);
    if (key_is(jd, "span_links"))
        return read_links(jd, s);
    if (key_is(jd, "span_events"))
        return read_events(jd, s);
    return skip_value(jd);
}

static bool read_span(json_decoder *jd, void *out)
{
    payload_span *s = out;
    bool ok;

    *s = (payload_span){ 0 };
    while (next_key(jd, &ok)) {
        if (!read_span_field(jd, s))
            return false;
    }
    s->meta_cap = s->meta_len;
    jd->d.tally.spans += ok;
    return ok;
}

static bool read_chunk(json_decoder *jd, payload_chunk *chunk)
{
    static const object_array spans = { read_span, sizeof(payload_span), PAYLOAD_ARRAY_MAX, false };

    *chunk = (payload_chunk){ .priority = PRIORITY_NONE };
    return read_objects(jd, &spans, (void **)&chunk->spans, &chunk->spans_len);
}

static bool read_chunks(json_decoder *jd, payload_chunk **chunks, uint32_t *out_len)
{
    uint32_t cap = 0, len = 0;
    sonde_json_event e = sonde_json_next(&jd->j);

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_ARRAY)
        return unexpected(jd, e, "expected an array");
    while ((e = sonde_json_next(&jd->j)) != SONDE_JSON_ARRAY_END) {
        if (e != SONDE_JSON_ARRAY && e != SONDE_JSON_NULL)
            return unexpected(jd, e, "expected an array");
        if (len == PAYLOAD_ARRAY_MAX)
            return fail(jd, SONDE_ERR_SYNTAX, "configured reader limit exceeded");
        if (!grow(jd, (void **)chunks, len, &cap, sizeof(**chunks)))
            return false;
        if (e == SONDE_JSON_NULL)
            (*chunks)[len] = (payload_chunk){ .priority = PRIORITY_NONE };
        else if (!read_chunk(jd, &(*chunks)[len]))
            return false;
        len++;
    }
    *out_len = len;
    return true;
}

typedef struct flat_span { /* where a span of v0.1 stands */
    uint64_t trace_id;
    uint32_t index;
} flat_span;

static int by_trace_then_place(const void *a_, const void *b_)
{
    const flat_span *a = a_, *b = b_;

    if (a->trace_id != b->trace_id)
        return a->trace_id < b->trace_id ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Spans of one list to a chunk for each trace id. */
static bool group_by_trace(json_decoder *jd, const payload_span *flat, uint32_t len,
                           payload_chunk **out_chunks, uint32_t *out_len)
{
    flat_span *order = decoder_alloc(&jd->d, len, sizeof(*order));
    payload_span *spans = decoder_alloc(&jd->d, len, sizeof(*spans));
    uint32_t traces = 0;

    if (!order || !spans)
        return len == 0;
    for (uint32_t i = 0; i < len; i++)
        order[i] = (flat_span){ flat[i].trace_id, i };
    qsort(order, len, sizeof(*order), by_trace_then_place);
    for (uint32_t i = 0; i < len; i++) {
        spans[i] = flat[order[i].index];
        traces += i == 0 || order[i].trace_id != order[i - 1].trace_id;
    }
    *out_chunks = decoder_alloc(&jd->d, traces, sizeof(**out_chunks));
    if (!*out_chunks)
        return false;
    for (uint32_t i = 0; i < len; i++) {
        if (i == 0 || order[i].trace_id != order[i - 1].trace_id)
            (*out_chunks)[(*out_len)++] =
                (payload_chunk){ .spans = &spans[i], .priority = PRIORITY_NONE };
        (*out_chunks)[*out_len - 1].spans_len++;
    }
    return true;
}

/* v0.1: one list of the spans of all traces. */
static bool read_flat(json_decoder *jd, payload_chunk **out_chunks, uint32_t *out_len)
{
    static const object_array spans = { read_span, sizeof(payload_span), PAYLOAD_ARRAY_MAX, false };
    sonde_json_event e = sonde_json_next(&jd->j);
    payload_span *flat = NULL;
    uint32_t len = 0;

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_ARRAY)
        return unexpected(jd, e, "expected an array");
    return read_objects(jd, &spans, (void **)&flat, &len) &&
           group_by_trace(jd, flat, len, out_chunks, out_len);
}

typedef bool (*chunks_reader)(json_decoder *jd, payload_chunk **out_chunks, uint32_t *out_len);

static sonde_status decode_with(chunks_reader read, payload *p, decode_tally *out_tally,
                                sonde_error *out_error)
{
    payload_chunk *chunks = NULL;
    uint32_t len = 0;
    json_decoder jd;

    decoder_init(&jd.d, p);
    sonde_json_reader_init(&jd.j, p->body, p->body.len);
    if (read(&jd, &chunks, &len)) {
        p->chunks = chunks;
        p->chunks_len = len;
    }
    sonde_json_reader_done(&jd.j);
    if (jd.d.r.status == SONDE_ERR_EOF)
        return sonde_fail(out_error, SONDE_ERR_EOF, "unexpected-eof");
    return decoder_finish(&jd.d, out_tally, out_error);
}

sonde_status decode_json(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    return decode_with(read_chunks, p, out_tally, out_error);
}

sonde_status decode_json_flat(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    return decode_with(read_flat, p, out_tally, out_error);
}
