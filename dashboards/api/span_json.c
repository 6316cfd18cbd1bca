/* span_json.c - a span as JSON, its links and events decoded from the protobuf they came in. */
#include <string.h>

#include "base/format.h"
#include "base/hex.h"
#include "codec/pb_read.h"
#include "internal.h"

#define VALUE_DEPTH_MAX 4

void api_write_trace_id(sonde_json_writer *w, const char *key, uint64_t hi, uint64_t lo)
{
    char hex[32];

    sonde_hex_u64(hi, hex);
    sonde_hex_u64(lo, hex + 16);
    sonde_json_put_str(w, key, (sonde_str){ hex, sizeof(hex) });
}

void api_write_id(sonde_json_writer *w, const char *key, uint64_t id)
{
    char text[SONDE_U64_MAX_LEN];
    size_t n = sonde_format_u64(id, text);

    sonde_json_put_str(w, key, (sonde_str){ text, n });
}

void api_write_unix_ns(sonde_json_writer *w, const char *key, int64_t ns)
{
    char text[SONDE_I64_MAX_LEN];
    size_t n = sonde_format_i64(ns, text);

    sonde_json_put_str(w, key, (sonde_str){ text, n });
}

/* ---- links and events ---- */

static void write_value(sonde_json_writer *w, sonde_str body, int depth);

static void write_array(sonde_json_writer *w, sonde_str body, int depth)
{
    sonde_pb_reader r;

    sonde_json_begin_array(w);
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (depth < VALUE_DEPTH_MAX && sonde_pb_next(&r))
        if (r.field == 1)
            write_value(w, sonde_pb_bytes(&r), depth + 1);
    sonde_json_end_array(w);
}

/* AttributeAnyValue: the last field present counts, as type and field always agree. */
static void write_value(sonde_json_writer *w, sonde_str body, int depth)
{
    sonde_pb_reader r;
    uint64_t type = 0, scalar = 0;
    sonde_str bytes = { NULL, 0 };

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            type = sonde_pb_u64(&r);
        else if (r.wire == 2)
            bytes = sonde_pb_bytes(&r);
        else
            scalar = r.scalar;
    }
    switch (type) {
    case 1:
        sonde_json_bool(w, scalar != 0);
        break;
    case 2:
        sonde_json_i64(w, (int64_t)scalar);
        break;
    case 3: {
        double d;

        memcpy(&d, &scalar, sizeof(d));
        sonde_json_double(w, d);
        break;
    }
    case 4:
        write_array(w, bytes, depth);
        break;
    default:
        sonde_json_str(w, bytes);
        break;
    }
}

typedef enum map_of { MAP_OF_TEXT, MAP_OF_VALUES } map_of;

/* All entries of map `field` in `body` as one object. */
static void write_map(sonde_json_writer *w, sonde_str body, uint32_t field, map_of of)
{
    sonde_pb_reader r, entry;

    sonde_json_key(w, SONDE_STR("attributes"));
    sonde_json_begin_object(w);
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        sonde_str key = { NULL, 0 }, value = { NULL, 0 };

        if (r.field != field || r.wire != 2)
            continue;
        sonde_pb_reader_init(&entry, r.bytes.ptr, r.bytes.len);
        while (sonde_pb_next(&entry))
            if (entry.field == 1)
                key = sonde_pb_bytes(&entry);
            else if (entry.field == 2)
                value = sonde_pb_bytes(&entry);
        sonde_json_key(w, key);
        if (of == MAP_OF_TEXT)
            sonde_json_str(w, value);
        else
            write_value(w, value, 0);
    }
    sonde_json_end_object(w);
}

static void write_link(sonde_json_writer *w, sonde_str body)
{
    uint64_t hi = 0, lo = 0, span_id = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r))
        if (r.field == 1)
            lo = sonde_pb_u64(&r);
        else if (r.field == 2)
            hi = sonde_pb_u64(&r);
        else if (r.field == 3)
            span_id = sonde_pb_u64(&r);
    sonde_json_begin_object(w);
    api_write_trace_id(w, "trace_id", hi, lo);
    api_write_id(w, "span_id", span_id);
    write_map(w, body, 4, MAP_OF_TEXT);
    sonde_json_end_object(w);
}

static void write_event(sonde_json_writer *w, sonde_str body)
{
    sonde_str name = { NULL, 0 };
    uint64_t time = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r))
        if (r.field == 1)
            time = sonde_pb_u64(&r);
        else if (r.field == 2)
            name = sonde_pb_bytes(&r);
    sonde_json_begin_object(w);
    api_write_unix_ns(w, "time_unix_ns", (int64_t)time);
    sonde_json_put_str(w, "name", name);
    write_map(w, body, 3, MAP_OF_VALUES);
    sonde_json_end_object(w);
}

static void write_extra(sonde_json_writer *w, const char *key, sonde_str extra, uint32_t field,
                        void (*write)(sonde_json_writer *, sonde_str))
{
    sonde_pb_reader r;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    sonde_pb_reader_init(&r, extra.ptr, extra.len);
    while (sonde_pb_next(&r))
        if (r.field == field && r.wire == 2)
            write(w, r.bytes);
    sonde_json_end_array(w);
}

/* ---- the span ---- */

static void write_attrs(sonde_json_writer *w, const char *key, const found_span *f,
                        model_attr_kind kind)
{
    uint32_t i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (i = 0; i < f->span->attrs_len; i++) {
        const model_attr *a = &f->frame->attrs[f->span->attrs[i]];

        if (a->kind != kind)
            continue;
        sonde_json_key(w, a->key);
        if (kind == MODEL_ATTR_METRIC)
            sonde_json_double(w, a->number);
        else
            sonde_json_str(w, a->text);
    }
    sonde_json_end_object(w);
}

void api_write_span(sonde_json_writer *w, const found_span *f)
{
    const model_span *s = f->span;
    const model_source *source = s->chunk->source;

    sonde_json_begin_object(w);
    api_write_id(w, "span_id", s->span_id);
    api_write_id(w, "parent_id", s->parent_id);
    sonde_json_put_str(w, "service", s->service);
    sonde_json_put_str(w, "name", s->name);
    sonde_json_put_str(w, "resource", s->resource);
    sonde_json_put_str(w, "type", s->type);
    sonde_json_put_str(w, "env", source->env);
    sonde_json_put_str(w, "version", source->version);
    sonde_json_put_str(w, "host", source->host);
    api_write_unix_ns(w, "start_unix_ns", s->start_unix_ns);
    sonde_json_put_i64(w, "duration_ns", s->duration_ns);
    sonde_json_put_i64(w, "error", s->error);
    write_attrs(w, "meta", f, MODEL_ATTR_META);
    write_attrs(w, "metrics", f, MODEL_ATTR_METRIC);
    write_extra(w, "links", s->extra, 14, write_link);
    write_extra(w, "events", s->extra, 15, write_event);
    sonde_json_end_object(w);
}
