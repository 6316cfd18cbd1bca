/* read_json.c - the same request as JSON: proto3's mapping, with ids as hexadecimal text.
 *
 * Names of fields count in camelCase and in snake_case; enums as numbers or names; 64-bit numbers as
 * numbers or texts.  A resource that stands behind its spans is read first: what came before it is
 * passed over and read again. */
#include "read.h"

#include <math.h>

#include "base/hex.h"
#include "base/parse.h"
#include "codec/json_read.h"
#include "codec/json_write.h"
#include "limits.h"
#include "map.h"

typedef struct json {
    sonde_json_reader r;
    otlp_builder *b;
    sonde_str key; /* of the field under way: a view or a copy in `name` */
    char name[48];
} json;

static bool fail(json *j, const char *error)
{
    if (j->r.status == SONDE_ERR_EOF || j->r.status == SONDE_ERR_NOMEM)
        return otlp_build_fail(j->b, j->r.status, "unexpected end of JSON");
    if (j->r.status != SONDE_OK) /* nested too deeply as well */
        return otlp_build_fail(j->b, SONDE_ERR_SYNTAX, "malformed JSON");
    return otlp_build_fail(j->b, SONDE_ERR_SYNTAX, error);
}

/* "trace_id" is "traceId". */
static bool key_is(const json *j, const char *camel)
{
    const char *at = j->key.ptr, *end = at + j->key.len;

    for (; *camel && at < end; camel++, at++) {
        if (*at == '_' && *camel >= 'A' && *camel <= 'Z' && at + 1 < end) {
            at++;
            if (*at != *camel - 'A' + 'a')
                return false;
        } else if (*at != *camel) {
            return false;
        }
    }
    return !*camel && at == end;
}

/* The next field of the open object; its end or a failure ends the loop. */
static bool next_field(json *j, bool *out_ok)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out_ok = e == SONDE_JSON_OBJECT_END || e == SONDE_JSON_KEY;
    if (!*out_ok)
        *out_ok = fail(j, "expected a key");
    if (e != SONDE_JSON_KEY)
        return false;
    j->key = j->r.text.len < sizeof(j->name) ? j->r.text : (sonde_str){ NULL, 0 };
    if (j->key.len)
        memcpy(j->name, j->key.ptr, j->key.len);
    j->key.ptr = j->name;
    return true;
}

static bool skip(json *j)
{
    return sonde_json_skip(&j->r, sonde_json_next(&j->r)) || fail(j, "malformed JSON");
}

static bool is_in_body(const json *j, sonde_str s)
{
    return s.ptr >= j->r.start && s.ptr < j->r.end;
}

/* The text of the current event, for as long as the payload lives. */
static bool keep(json *j, sonde_str *out)
{
    *out = j->r.text;
    if (!is_in_body(j, *out) && !otlp_build_copy(j->b, out))
        return false;
    return otlp_build_utf8(j->b, out);
}

static bool read_text(json *j, sonde_str *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = (sonde_str){ NULL, 0 };
    if (e == SONDE_JSON_NULL)
        return true;
    return e == SONDE_JSON_STRING ? keep(j, out) : fail(j, "expected a string");
}

static bool read_hex(json *j, size_t digits, sonde_str *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = (sonde_str){ NULL, 0 };
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_STRING)
        return fail(j, "expected an id");
    *out = j->r.text;
    return out->len == 0 || out->len == digits || fail(j, "an id of the wrong length");
}

static bool parse_id(json *j, sonde_str digits, uint64_t *out)
{
    *out = 0;
    return digits.len == 0 || sonde_hex_parse_u64(digits, 1, out) == SONDE_OK ||
           fail(j, "an id that is not hexadecimal");
}

static bool read_span_id(json *j, uint64_t *out)
{
    sonde_str id;

    return read_hex(j, 16, &id) && parse_id(j, id, out);
}

static bool read_trace_id(json *j, uint64_t *high, uint64_t *low)
{
    sonde_str id;

    return read_hex(j, 32, &id) && parse_id(j, sonde_str_sub(id, 0, 16), high) &&
           parse_id(j, sonde_str_sub(id, 16, 16), low);
}

static bool read_u64(json *j, uint64_t *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if ((e != SONDE_JSON_NUMBER && e != SONDE_JSON_STRING) ||
        sonde_parse_u64(j->r.text, out) != SONDE_OK)
        return fail(j, "expected an unsigned integer");
    return true;
}

static bool read_i64(json *j, int64_t *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if ((e != SONDE_JSON_NUMBER && e != SONDE_JSON_STRING) ||
        sonde_parse_i64(j->r.text, out) != SONDE_OK)
        return fail(j, "expected an integer");
    return true;
}

static bool read_double(json *j, double *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = j->r.number;
    if (e == SONDE_JSON_NUMBER)
        return true;
    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_STRING)
        return fail(j, "expected a number");
    if (sonde_str_eq(j->r.text, SONDE_STR("NaN")))
        *out = (double)NAN;
    else if (sonde_str_eq(j->r.text, SONDE_STR("Infinity")))
        *out = (double)INFINITY;
    else if (sonde_str_eq(j->r.text, SONDE_STR("-Infinity")))
        *out = (double)-INFINITY;
    else if (sonde_parse_double(j->r.text, out) != SONDE_OK)
        return fail(j, "expected a number");
    return true;
}

static bool read_bool(json *j, bool *out)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out = e == SONDE_JSON_TRUE;
    return e == SONDE_JSON_TRUE || e == SONDE_JSON_FALSE || e == SONDE_JSON_NULL ||
           fail(j, "expected true or false");
}

/* A number, or a name out of a list. */
static bool read_enum(json *j, const char *const *names, int32_t len, int32_t *out)
{
    sonde_json_event e = sonde_json_next(&j->r);
    int64_t v = 0;

    *out = 0;
    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_NUMBER && e != SONDE_JSON_STRING)
        return fail(j, "expected an enum");
    for (int32_t i = 0; e == SONDE_JSON_STRING && i < len; i++) {
        if (sonde_str_eq(j->r.text, sonde_str_from(names[i]))) {
            *out = i;
            return true;
        }
    }
    if (sonde_parse_i64(j->r.text, &v) == SONDE_OK && v >= 0 && v < len)
        *out = (int32_t)v;
    return true;
}

/* Opens the value of a field; false with *out_ok set: null, nothing to read. */
static bool open(json *j, sonde_json_event kind, bool *out_ok)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out_ok = e == kind || e == SONDE_JSON_NULL;
    if (!*out_ok)
        *out_ok = fail(j, kind == SONDE_JSON_OBJECT ? "expected an object" : "expected an array");
    return e == kind;
}

/* The next object of the open array; its end or a failure ends the loop. */
static bool next_object(json *j, bool *out_ok)
{
    sonde_json_event e = sonde_json_next(&j->r);

    *out_ok = e == SONDE_JSON_OBJECT || e == SONDE_JSON_ARRAY_END;
    if (!*out_ok)
        *out_ok = fail(j, "expected an object");
    return e == SONDE_JSON_OBJECT;
}

/* Values inside values become natural JSON in the builder's text. */
static bool put_any(json *j, sonde_json_writer *w, unsigned depth);

/* The open object of a KeyValue. */
static bool put_pair(json *j, sonde_json_writer *w, unsigned depth)
{
    bool ok, has_value = false, has_key = false;

    while (next_field(j, &ok)) {
        if (key_is(j, "key") && !has_key) {
            if (sonde_json_next(&j->r) != SONDE_JSON_STRING)
                return fail(j, "expected a string");
            sonde_json_key(w, j->r.text);
            has_key = true;
        } else if (key_is(j, "value") && has_key && !has_value) {
            if (!open(j, SONDE_JSON_OBJECT, &ok)) {
                if (!ok)
                    return false;
                sonde_json_null(w);
            } else if (!put_any(j, w, depth)) {
                return false;
            }
            has_value = true;
        } else if (!skip(j)) {
            return false;
        }
    }
    if (ok && has_key && !has_value)
        sonde_json_null(w);
    return ok;
}

/* The object {"values": [...]} of a list or a map. */
static bool put_list(json *j, sonde_json_writer *w, bool is_map, unsigned depth)
{
    bool ok, begun = false;

    if (is_map)
        sonde_json_begin_object(w);
    else
        sonde_json_begin_array(w);
    if (depth > OTLP_VALUE_DEPTH_MAX)
        w->out->status = SONDE_ERR_TOO_BIG;
    if (!open(j, SONDE_JSON_OBJECT, &ok))
        goto done;
    while (next_field(j, &ok)) {
        if (!key_is(j, "values") || begun || depth > OTLP_VALUE_DEPTH_MAX) {
            if (!skip(j))
                return false;
            continue;
        }
        begun = true;
        if (!open(j, SONDE_JSON_ARRAY, &ok)) {
            if (!ok)
                return false;
            continue;
        }
        while (next_object(j, &ok)) {
            if (!(is_map ? put_pair(j, w, depth + 1) : put_any(j, w, depth + 1)))
                return false;
        }
        if (!ok)
            return false;
    }
done:
    if (is_map)
        sonde_json_end_object(w);
    else
        sonde_json_end_array(w);
    return ok;
}

static bool put_scalar(json *j, sonde_json_writer *w)
{
    bool yes;
    int64_t integer;
    double number;

    if (key_is(j, "boolValue")) {
        if (!read_bool(j, &yes))
            return false;
        sonde_json_bool(w, yes);
    } else if (key_is(j, "intValue")) {
        if (!read_i64(j, &integer))
            return false;
        sonde_json_i64(w, integer);
    } else if (key_is(j, "doubleValue")) {
        if (!read_double(j, &number))
            return false;
        sonde_json_double(w, number);
    } else { /* stringValue, bytesValue: base64 already */
        sonde_json_event e = sonde_json_next(&j->r);

        if (e != SONDE_JSON_STRING && e != SONDE_JSON_NULL)
            return fail(j, "expected a string");
        sonde_json_str(w, e == SONDE_JSON_NULL ? (sonde_str){ NULL, 0 } : j->r.text);
    }
    return true;
}

static bool is_scalar(const json *j)
{
    return key_is(j, "stringValue") || key_is(j, "boolValue") || key_is(j, "intValue") ||
           key_is(j, "doubleValue") || key_is(j, "bytesValue");
}

/* The open object of a value: the first member counts. */
static bool put_any(json *j, sonde_json_writer *w, unsigned depth)
{
    bool ok, found = false;

    while (next_field(j, &ok)) {
        bool is_map = key_is(j, "kvlistValue");

        if (!found && is_scalar(j)) {
            ok = put_scalar(j, w);
            found = true;
        } else if (!found && (is_map || key_is(j, "arrayValue"))) {
            ok = put_list(j, w, is_map, depth);
            found = true;
        } else {
            ok = skip(j);
        }
        if (!ok)
            return false;
    }
    if (ok && !found)
        sonde_json_null(w);
    return ok;
}

/* The member under way is an array, a map or bytes. */
static bool read_json_value(json *j, otlp_value *out)
{
    sonde_json_writer w;
    bool is_map = key_is(j, "kvlistValue");

    out->type = OTLP_JSON;
    sonde_buf_reset(&j->b->text);
    sonde_json_writer_init(&w, &j->b->text);
    if (!(key_is(j, "bytesValue") ? put_scalar(j, &w) : put_list(j, &w, is_map, 1)))
        return false;
    return otlp_keep_text(j->b, &out->text);
}

static bool read_value(json *j, otlp_value *out)
{
    bool ok, yes;

    if (!open(j, SONDE_JSON_OBJECT, &ok))
        return ok;
    while (next_field(j, &ok)) {
        if (key_is(j, "stringValue")) {
            out->type = OTLP_STRING;
            ok = read_text(j, &out->text);
        } else if (key_is(j, "intValue")) {
            out->type = OTLP_INT;
            ok = read_i64(j, &out->integer);
        } else if (key_is(j, "boolValue")) {
            out->type = OTLP_BOOL;
            ok = read_bool(j, &yes);
            out->integer = ok && yes;
        } else if (key_is(j, "doubleValue")) {
            out->type = OTLP_DOUBLE;
            ok = read_double(j, &out->number);
        } else if (key_is(j, "arrayValue") || key_is(j, "kvlistValue") || key_is(j, "bytesValue")) {
            ok = read_json_value(j, out);
        } else {
            ok = skip(j);
        }
        if (!ok)
            return false;
    }
    return ok;
}

/* The open object of a KeyValue. */
static bool read_attr(json *j, otlp_attrs *attrs)
{
    bool cut, ok;
    otlp_attr *a = otlp_build_attr(j->b, attrs, &cut);

    if (!a)
        return cut && (sonde_json_skip(&j->r, SONDE_JSON_OBJECT) || fail(j, ""));
    while (next_field(j, &ok)) {
        if (key_is(j, "key"))
            ok = read_text(j, &a->key);
        else if (key_is(j, "value"))
            ok = read_value(j, &a->value);
        else
            ok = skip(j);
        if (!ok)
            return false;
    }
    if (attrs != &j->b->span.more)
        otlp_build_attr_key(attrs, a);
    return ok;
}

static bool read_attrs(json *j, otlp_attrs *attrs)
{
    bool ok;

    if (!open(j, SONDE_JSON_ARRAY, &ok))
        return ok;
    while (next_object(j, &ok)) {
        if (!read_attr(j, attrs))
            return false;
    }
    return ok;
}

static bool read_event(json *j)
{
    bool cut, ok;
    otlp_event *e = otlp_build_event(j->b, &cut);

    if (!e)
        return cut && (sonde_json_skip(&j->r, SONDE_JSON_OBJECT) || fail(j, ""));
    while (next_field(j, &ok)) {
        if (key_is(j, "timeUnixNano"))
            ok = read_u64(j, &e->time_unix_nano);
        else if (key_is(j, "name"))
            ok = read_text(j, &e->name);
        else if (key_is(j, "attributes"))
            ok = read_attrs(j, &j->b->span.more);
        else
            ok = skip(j);
        if (!ok)
            return false;
    }
    e->attrs_len = j->b->span.more.len - e->attrs_from;
    return ok;
}

static bool read_link(json *j)
{
    bool cut, ok;
    otlp_link *l = otlp_build_link(j->b, &cut);
    uint64_t flags;

    if (!l)
        return cut && (sonde_json_skip(&j->r, SONDE_JSON_OBJECT) || fail(j, ""));
    while (next_field(j, &ok)) {
        if (key_is(j, "traceId")) {
            ok = read_trace_id(j, &l->trace_id_high, &l->trace_id);
        } else if (key_is(j, "spanId")) {
            ok = read_span_id(j, &l->span_id);
        } else if (key_is(j, "traceState")) {
            ok = read_text(j, &l->tracestate);
        } else if (key_is(j, "flags")) {
            ok = read_u64(j, &flags);
            l->flags = (uint32_t)flags;
        } else if (key_is(j, "attributes")) {
            ok = read_attrs(j, &j->b->span.more);
        } else {
            ok = skip(j);
        }
        if (!ok)
            return false;
    }
    l->attrs_len = j->b->span.more.len - l->attrs_from;
    return ok;
}

static bool read_list(json *j, bool (*read)(json *j))
{
    bool ok;

    if (!open(j, SONDE_JSON_ARRAY, &ok))
        return ok;
    while (next_object(j, &ok)) {
        if (!read(j))
            return false;
    }
    return ok;
}

static bool read_status(json *j)
{
    static const char *const codes[] = { "STATUS_CODE_UNSET", "STATUS_CODE_OK",
                                         "STATUS_CODE_ERROR" };
    otlp_span *s = &j->b->span;
    bool ok;

    if (!open(j, SONDE_JSON_OBJECT, &ok))
        return ok;
    while (next_field(j, &ok)) {
        if (key_is(j, "message"))
            ok = read_text(j, &s->message);
        else if (key_is(j, "code"))
            ok = read_enum(j, codes, OTLP_CODE_COUNT, &s->code);
        else
            ok = skip(j);
        if (!ok)
            return false;
    }
    return ok;
}

static bool read_span_field(json *j)
{
    static const char *const kinds[] = { "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                         "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                         "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER" };
    otlp_span *s = &j->b->span;

    if (key_is(j, "traceId"))
        return read_trace_id(j, &s->trace_id_high, &s->trace_id);
    if (key_is(j, "spanId"))
        return read_span_id(j, &s->span_id);
    if (key_is(j, "traceState"))
        return read_text(j, &s->tracestate);
    if (key_is(j, "parentSpanId"))
        return read_span_id(j, &s->parent_id);
    if (key_is(j, "name"))
        return read_text(j, &s->name);
    if (key_is(j, "kind"))
        return read_enum(j, kinds, OTLP_KIND_COUNT, &s->kind);
    if (key_is(j, "startTimeUnixNano"))
        return read_u64(j, &s->start);
    if (key_is(j, "endTimeUnixNano"))
        return read_u64(j, &s->end);
    if (key_is(j, "attributes"))
        return read_attrs(j, &s->attrs);
    if (key_is(j, "events"))
        return read_list(j, read_event);
    if (key_is(j, "links"))
        return read_list(j, read_link);
    if (key_is(j, "status"))
        return read_status(j);
    return skip(j);
}

static bool read_span(json *j)
{
    bool ok;

    otlp_build_span(j->b);
    while (next_field(j, &ok)) {
        if (!read_span_field(j))
            return false;
    }
    return ok && otlp_build_span_ready(j->b);
}

static bool read_scope(json *j)
{
    otlp_scope *s = &j->b->scope;
    bool ok;

    if (!open(j, SONDE_JSON_OBJECT, &ok))
        return ok;
    while (next_field(j, &ok)) {
        if (key_is(j, "name"))
            ok = read_text(j, &s->name);
        else if (key_is(j, "version"))
            ok = read_text(j, &s->version);
        else if (key_is(j, "attributes"))
            ok = read_attrs(j, &s->attrs);
        else
            ok = skip(j);
        if (!ok)
            return false;
    }
    return ok;
}

static bool read_resource(json *j)
{
    bool ok;

    if (!open(j, SONDE_JSON_OBJECT, &ok))
        return ok;
    while (next_field(j, &ok)) {
        if (!(key_is(j, "attributes") ? read_attrs(j, &j->b->resource) : skip(j)))
            return false;
    }
    return ok;
}

/* An object with a head (resource, scope) and an array that needs it.  The array is read at once when
 * the head stands before it, else where the object ends; a missing head is an empty one. */
typedef struct headed {
    const char *head;
    bool (*read_head)(json *j);
    bool (*head_done)(json *j);
    const char *list;
    bool (*read_item)(json *j);
} headed;

/* The array from `text` on, with a reader of its own. */
static bool read_late(json *j, const headed *h, sonde_str text)
{
    sonde_json_reader outer = j->r;
    bool ok;

    sonde_json_reader_init(&j->r, text, outer.scratch.max_bytes);
    ok = read_list(j, h->read_item);
    sonde_json_reader_done(&j->r);
    j->r = outer;
    return ok;
}

static bool read_headed(json *j, const headed *h)
{
    sonde_str late = { NULL, 0 };
    bool ok, has_head = false;

    while (next_field(j, &ok)) {
        if (key_is(j, h->head)) {
            ok = h->read_head(j) && (has_head || h->head_done(j));
            has_head = true;
        } else if (!key_is(j, h->list)) {
            ok = skip(j);
        } else if (has_head) {
            ok = read_list(j, h->read_item);
        } else {
            const char *from = j->r.at;

            ok = skip(j);
            while (from < j->r.at && *from != '[' && *from != 'n')
                from++;
            late = (sonde_str){ from, (size_t)(j->r.at - from) };
        }
        if (!ok)
            return false;
    }
    if (!ok || (!has_head && !h->head_done(j)))
        return false;
    return late.len == 0 || read_late(j, h, late);
}

static bool nothing_more(json *j)
{
    return j->b->status == SONDE_OK;
}

static bool read_scope_spans(json *j)
{
    static const headed rows = { "scope", read_scope, nothing_more, "spans", read_span };

    otlp_build_scope(j->b);
    return read_headed(j, &rows);
}

static bool resource_ready(json *j)
{
    return otlp_build_resource_ready(j->b);
}

static bool read_resource_spans(json *j)
{
    static const headed rows = { "resource", read_resource, resource_ready, "scopeSpans",
                                 read_scope_spans };

    return otlp_build_resource(j->b, 0) && read_headed(j, &rows) && otlp_build_resource_done(j->b);
}

static bool read_request(json *j)
{
    bool ok;

    if (sonde_json_next(&j->r) != SONDE_JSON_OBJECT)
        return fail(j, "expected an object");
    while (next_field(j, &ok)) {
        if (!(key_is(j, "resourceSpans") ? read_list(j, read_resource_spans) : skip(j)))
            return false;
    }
    return ok && (sonde_json_next(&j->r) == SONDE_JSON_END || fail(j, "text behind the request"));
}

sonde_status otlp_read_json(otlp_builder *b, sonde_str body)
{
    json j = { .b = b };

    sonde_json_reader_init(&j.r, body, body.len ? body.len : 1);
    (void)read_request(&j);
    sonde_json_reader_done(&j.r);
    return b->status;
}
