/* read_pb.c - ExportTraceServiceRequest, field by field; texts stay where they are in the body.
 *
 * A resource and a scope may stand behind what belongs to them, so their messages are read first. */
#include "read.h"

#include "base/hex.h"
#include "codec/json_write.h"
#include "codec/pb_read.h"
#include "limits.h"
#include "map.h"

/* Carries a failure of a reader over to the builder. */
static bool done(otlp_builder *b, const sonde_pb_reader *r)
{
    if (r->status == SONDE_OK)
        return b->status == SONDE_OK;
    return otlp_build_fail(b, r->status,
                           r->status == SONDE_ERR_EOF ? "unexpected end of protobuf"
                                                      : "malformed protobuf");
}

static bool read_text(otlp_builder *b, sonde_pb_reader *r, sonde_str *out)
{
    *out = sonde_pb_bytes(r);
    return otlp_build_utf8(b, out);
}

static sonde_pb_reader inner(sonde_pb_reader *r)
{
    sonde_str bytes = sonde_pb_bytes(r);
    sonde_pb_reader in;

    sonde_pb_reader_init(&in, bytes.ptr, bytes.len);
    return in;
}

static uint64_t big_endian(const char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static bool read_span_id(otlp_builder *b, sonde_pb_reader *r, uint64_t *out)
{
    sonde_str id = sonde_pb_bytes(r);

    if (id.len != 0 && id.len != 8)
        return otlp_build_fail(b, SONDE_ERR_SYNTAX, "invalid length for SpanID");
    *out = id.len ? big_endian(id.ptr) : 0;
    return true;
}

static bool read_trace_id(otlp_builder *b, sonde_pb_reader *r, uint64_t *high, uint64_t *low)
{
    sonde_str id = sonde_pb_bytes(r);

    if (id.len != 0 && id.len != 16)
        return otlp_build_fail(b, SONDE_ERR_SYNTAX, "invalid length for TraceID");
    *high = id.len ? big_endian(id.ptr) : 0;
    *low = id.len ? big_endian(id.ptr + 8) : 0;
    return true;
}

static bool put_base64(otlp_builder *b, sonde_json_writer *w, sonde_str bytes)
{
    size_t len = sonde_base64_encode_len(bytes.len);
    char *text = bytes.len > OTLP_TEXT_MAX_BYTES ? NULL : otlp_build_alloc(b, len + 1, 1);

    if (!text) {
        w->out->status = SONDE_ERR_TOO_BIG;
        sonde_json_null(w);
        return b->status == SONDE_OK;
    }
    (void)sonde_base64_encode((const uint8_t *)bytes.ptr, bytes.len, text);
    sonde_json_str(w, (sonde_str){ text, len });
    return true;
}

static bool put_any(otlp_builder *b, sonde_json_writer *w, sonde_pb_reader r, unsigned depth);

/* KeyValue of a map. */
static bool put_pair(otlp_builder *b, sonde_json_writer *w, sonde_pb_reader r, unsigned depth)
{
    sonde_pb_reader value;
    sonde_str key = { NULL, 0 };

    sonde_pb_reader_init(&value, NULL, 0);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            key = sonde_pb_bytes(&r);
        else if (r.field == 2)
            value = inner(&r);
    }
    sonde_json_key(w, key);
    return done(b, &r) && put_any(b, w, value, depth);
}

/* ArrayValue or KeyValueList: both have their entries in field 1. */
static bool put_list(otlp_builder *b, sonde_json_writer *w, sonde_pb_reader r, bool is_map,
                     unsigned depth)
{
    if (depth > OTLP_VALUE_DEPTH_MAX) {
        w->out->status = SONDE_ERR_TOO_BIG;
        sonde_json_null(w);
        return true;
    }
    if (is_map)
        sonde_json_begin_object(w);
    else
        sonde_json_begin_array(w);
    while (sonde_pb_next(&r)) {
        if (r.field != 1)
            continue;
        if (!(is_map ? put_pair(b, w, inner(&r), depth + 1) : put_any(b, w, inner(&r), depth + 1)))
            return false;
    }
    if (is_map)
        sonde_json_end_object(w);
    else
        sonde_json_end_array(w);
    return done(b, &r);
}

/* The last member of the oneof counts, as protobuf says. */
static bool last_field(otlp_builder *b, sonde_pb_reader *r)
{
    sonde_pb_reader last = *r;
    bool found = false;

    while (sonde_pb_next(r)) {
        if (r->field < 1 || r->field > 7)
            continue;
        last = *r;
        found = true;
    }
    if (!done(b, r))
        return false;
    if (found)
        *r = last;
    else
        r->field = 0;
    return true;
}

static bool put_any(otlp_builder *b, sonde_json_writer *w, sonde_pb_reader r, unsigned depth)
{
    bool ok = true;

    if (!last_field(b, &r))
        return false;
    switch (r.field) {
    case 1:
        sonde_json_str(w, sonde_pb_bytes(&r));
        break;
    case 2:
        sonde_json_bool(w, sonde_pb_u64(&r) != 0);
        break;
    case 3:
        sonde_json_i64(w, sonde_pb_i64(&r));
        break;
    case 4:
        sonde_json_double(w, sonde_pb_f64(&r));
        break;
    case 5:
    case 6:
        ok = put_list(b, w, inner(&r), r.field == 6, depth);
        break;
    case 7:
        ok = put_base64(b, w, sonde_pb_bytes(&r));
        break;
    default:
        sonde_json_null(w);
        break;
    }
    return ok && done(b, &r);
}

static bool read_json_value(otlp_builder *b, sonde_pb_reader r, otlp_value *out)
{
    sonde_json_writer w;

    out->type = OTLP_JSON;
    sonde_buf_reset(&b->text);
    sonde_json_writer_init(&w, &b->text);
    return put_any(b, &w, r, 1) && otlp_keep_text(b, &out->text);
}

static bool read_value(otlp_builder *b, sonde_pb_reader r, otlp_value *out)
{
    const sonde_pb_reader whole = r;

    if (!last_field(b, &r))
        return false;
    switch (r.field) {
    case 0:
        return true;
    case 1:
        out->type = OTLP_STRING;
        return read_text(b, &r, &out->text) && done(b, &r);
    case 2:
        out->type = OTLP_BOOL;
        out->integer = sonde_pb_u64(&r) != 0;
        return done(b, &r);
    case 3:
        out->type = OTLP_INT;
        out->integer = sonde_pb_i64(&r);
        return done(b, &r);
    case 4:
        out->type = OTLP_DOUBLE;
        out->number = sonde_pb_f64(&r);
        return done(b, &r);
    default:
        return read_json_value(b, whole, out);
    }
}

static bool read_attr(otlp_builder *b, sonde_pb_reader r, otlp_attrs *attrs)
{
    bool cut;
    otlp_attr *a = otlp_build_attr(b, attrs, &cut);

    if (!a)
        return cut;
    while (sonde_pb_next(&r)) {
        if (r.field == 1 && !read_text(b, &r, &a->key))
            return false;
        if (r.field == 2 && !read_value(b, inner(&r), &a->value))
            return false;
    }
    if (attrs != &b->span.more)
        otlp_build_attr_key(attrs, a);
    return done(b, &r);
}

static bool read_event(otlp_builder *b, sonde_pb_reader r)
{
    bool cut, ok = true;
    otlp_event *e = otlp_build_event(b, &cut);

    if (!e)
        return cut;
    while (ok && sonde_pb_next(&r)) {
        switch (r.field) {
        case 1:
            e->time_unix_nano = sonde_pb_u64(&r);
            break;
        case 2:
            ok = read_text(b, &r, &e->name);
            break;
        case 3:
            ok = read_attr(b, inner(&r), &b->span.more);
            break;
        default:
            break;
        }
    }
    e->attrs_len = b->span.more.len - e->attrs_from;
    return done(b, &r);
}

static bool read_link(otlp_builder *b, sonde_pb_reader r)
{
    bool cut, ok = true;
    otlp_link *l = otlp_build_link(b, &cut);

    if (!l)
        return cut;
    while (ok && sonde_pb_next(&r)) {
        switch (r.field) {
        case 1:
            ok = read_trace_id(b, &r, &l->trace_id_high, &l->trace_id);
            break;
        case 2:
            ok = read_span_id(b, &r, &l->span_id);
            break;
        case 3:
            ok = read_text(b, &r, &l->tracestate);
            break;
        case 4:
            ok = read_attr(b, inner(&r), &b->span.more);
            break;
        case 6:
            l->flags = (uint32_t)sonde_pb_u64(&r);
            break;
        default:
            break;
        }
    }
    l->attrs_len = b->span.more.len - l->attrs_from;
    return done(b, &r);
}

static bool read_status(otlp_builder *b, sonde_pb_reader r)
{
    while (sonde_pb_next(&r)) {
        if (r.field == 2 && !read_text(b, &r, &b->span.message))
            return false;
        if (r.field == 3)
            b->span.code = sonde_pb_i32(&r);
    }
    return done(b, &r);
}

static bool read_span_field(otlp_builder *b, sonde_pb_reader *r)
{
    otlp_span *s = &b->span;

    switch (r->field) {
    case 1:
        return read_trace_id(b, r, &s->trace_id_high, &s->trace_id);
    case 2:
        return read_span_id(b, r, &s->span_id);
    case 3:
        return read_text(b, r, &s->tracestate);
    case 4:
        return read_span_id(b, r, &s->parent_id);
    case 5:
        return read_text(b, r, &s->name);
    case 6:
        s->kind = sonde_pb_i32(r);
        return true;
    case 7:
        s->start = sonde_pb_u64(r);
        return true;
    case 8:
        s->end = sonde_pb_u64(r);
        return true;
    case 9:
        return read_attr(b, inner(r), &s->attrs);
    case 11:
        return read_event(b, inner(r));
    case 13:
        return read_link(b, inner(r));
    case 15:
        return read_status(b, inner(r));
    default:
        return true;
    }
}

static bool read_span(otlp_builder *b, sonde_pb_reader r)
{
    otlp_build_span(b);
    while (sonde_pb_next(&r)) {
        if (!read_span_field(b, &r))
            return false;
    }
    return done(b, &r) && otlp_build_span_ready(b);
}

static bool read_scope(otlp_builder *b, sonde_pb_reader r)
{
    bool ok = true;

    while (ok && sonde_pb_next(&r)) {
        if (r.field == 1)
            ok = read_text(b, &r, &b->scope.name);
        else if (r.field == 2)
            ok = read_text(b, &r, &b->scope.version);
        else if (r.field == 3)
            ok = read_attr(b, inner(&r), &b->scope.attrs);
    }
    return done(b, &r);
}

static bool read_scope_spans(otlp_builder *b, sonde_pb_reader r)
{
    sonde_pb_reader first = r;

    otlp_build_scope(b);
    while (sonde_pb_next(&first)) {
        if (first.field == 1 && !read_scope(b, inner(&first)))
            return false;
    }
    while (sonde_pb_next(&r)) {
        if (r.field == 2 && !read_span(b, inner(&r)))
            return false;
    }
    return done(b, &first) && done(b, &r);
}

static bool read_resource(otlp_builder *b, sonde_pb_reader r)
{
    while (sonde_pb_next(&r)) {
        if (r.field == 1 && !read_attr(b, inner(&r), &b->resource))
            return false;
    }
    return done(b, &r);
}

/* So that their array need not grow; malformed parts are found when they are read. */
static uint32_t count_spans(sonde_pb_reader r)
{
    uint32_t count = 0;

    while (sonde_pb_next(&r)) {
        sonde_pb_reader scope;

        if (r.field != 2)
            continue;
        scope = inner(&r);
        while (sonde_pb_next(&scope))
            count += scope.field == 2 && count <= PAYLOAD_ARRAY_MAX;
    }
    return count;
}

static bool read_resource_spans(otlp_builder *b, sonde_pb_reader r)
{
    sonde_pb_reader first = r;

    if (!otlp_build_resource(b, count_spans(r)))
        return false;
    while (sonde_pb_next(&first)) {
        if (first.field == 1 && !read_resource(b, inner(&first)))
            return false;
    }
    if (!done(b, &first) || !otlp_build_resource_ready(b))
        return false;
    while (sonde_pb_next(&r)) {
        if (r.field == 2 && !read_scope_spans(b, inner(&r)))
            return false;
    }
    return done(b, &r) && otlp_build_resource_done(b);
}

sonde_status otlp_read_pb(otlp_builder *b, sonde_str body)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1 && !read_resource_spans(b, inner(&r)))
            break;
    }
    (void)done(b, &r);
    return b->status;
}
