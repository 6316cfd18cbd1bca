/* decode_idx.c - one function a message; fields are written as they are met, in whatever order that is.
 *
 * The table is read first, because nothing says that it comes first.  The first failure sticks. */
#include "dashboards/intake/decode_idx.h"

#include "base/alloc.h"
#include "base/format.h"
#include "base/hex.h"
#include "codec/json_write.h"
#include "codec/pb_read.h"
#include "codec/pb_write.h"
#include "vocab/tags.h"

#define TEXT(literal)  SONDE_STR(literal)
#define TRACE_ID_BYTES 16

typedef struct idx {
    sonde_str *strings;
    size_t strings_len, strings_cap;
    sonde_buf *out;
    sonde_buf value; /* a value as text */
    sonde_buf bytes; /* base64 inside it */
    sonde_status status;
} idx;

typedef struct idx_trace {
    uint64_t hi, lo;
    uint32_t mechanism; /* 0: not said */
} idx_trace;

static void fail(idx *x, sonde_status status)
{
    if (x->status == SONDE_OK)
        x->status = status;
}

/* The next field; false at the end and after any failure. */
static bool next(idx *x, sonde_pb_reader *r)
{
    if (x->status != SONDE_OK || x->out->status != SONDE_OK)
        return false;
    if (sonde_pb_next(r))
        return true;
    if (r->status != SONDE_OK)
        fail(x, r->status);
    return false;
}

/* The end of a message: a value of the wrong type shows only now. */
static void end(idx *x, const sonde_pb_reader *r)
{
    if (r->status != SONDE_OK)
        fail(x, r->status);
}

static void reader_init(sonde_pb_reader *r, sonde_str body)
{
    sonde_pb_reader_init(r, body.ptr, body.len);
}

/* ---- texts ---- */

static bool grow(idx *x)
{
    size_t cap = x->strings_cap ? x->strings_cap * 2 : 64;
    sonde_str *more;

    if (x->strings_len < x->strings_cap)
        return true;
    if (x->strings_len == IDX_STRINGS_MAX) {
        fail(x, SONDE_ERR_TOO_BIG);
        return false;
    }
    more = sonde_realloc(x->strings, cap * sizeof(*more));
    if (!more) {
        fail(x, SONDE_ERR_NOMEM);
        return false;
    }
    x->strings = more;
    x->strings_cap = cap;
    return true;
}

static void read_strings(idx *x, sonde_str body)
{
    sonde_pb_reader r;

    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 1 && grow(x))
            x->strings[x->strings_len++] = sonde_pb_bytes(&r);
    }
    end(x, &r);
}

/* Number 0 is the empty text, also where there is no table. */
static sonde_str text(idx *x, uint64_t ref)
{
    if (ref < x->strings_len)
        return x->strings[ref];
    if (ref != 0)
        fail(x, SONDE_ERR_SYNTAX);
    return (sonde_str){ NULL, 0 };
}

static void put_ref(idx *x, uint32_t field, uint64_t ref)
{
    sonde_pb_str(x->out, field, text(x, ref));
}

/* ---- values ---- */

typedef enum any_kind {
    ANY_NONE,
    ANY_STRING, /* and those below: the numbers of AnyValue */
    ANY_BOOL,
    ANY_DOUBLE,
    ANY_INT,
    ANY_BYTES,
    ANY_ARRAY,
    ANY_LIST,
} any_kind;

typedef struct any {
    int32_t kind;    /* any_kind */
    sonde_str bytes; /* text, bytes, or the message of an array or list */
    double number;
    int64_t integer; /* also a bool */
} any;

static any read_any(idx *x, sonde_str body)
{
    any v = { .kind = ANY_NONE };
    sonde_pb_reader r;

    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field < ANY_STRING || r.field > ANY_LIST)
            continue;
        v.kind = (int32_t)r.field;
        if (r.field == ANY_STRING)
            v.bytes = text(x, sonde_pb_u64(&r));
        else if (r.field == ANY_DOUBLE)
            v.number = sonde_pb_f64(&r);
        else if (r.field == ANY_BOOL)
            v.integer = sonde_pb_u64(&r) != 0;
        else if (r.field == ANY_INT)
            v.integer = sonde_pb_i64(&r);
        else
            v.bytes = sonde_pb_bytes(&r);
    }
    end(x, &r);
    return v;
}

/* An entry of a map, or of a list: key and value. */
static any read_entry(idx *x, sonde_str body, sonde_str *out_key)
{
    any v = { .kind = ANY_NONE };
    sonde_pb_reader r;

    *out_key = (sonde_str){ NULL, 0 };
    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 1)
            *out_key = text(x, sonde_pb_u64(&r));
        else if (r.field == 2)
            v = read_any(x, sonde_pb_bytes(&r));
    }
    end(x, &r);
    return v;
}

static sonde_str base64(sonde_buf *to, sonde_str bytes)
{
    char *out;

    sonde_buf_reset(to);
    out = (char *)sonde_buf_reserve(to, sonde_base64_encode_len(bytes.len) + 1);
    if (out && bytes.len)
        sonde_buf_commit(to, sonde_base64_encode((const uint8_t *)bytes.ptr, bytes.len, out));
    return sonde_buf_str(to);
}

static void json_value(idx *x, sonde_json_writer *w, const any *v, int depth);

static void json_items(idx *x, sonde_json_writer *w, const any *v, int depth)
{
    sonde_pb_reader r;
    sonde_str key;
    any item;

    reader_init(&r, v->bytes);
    while (next(x, &r)) {
        if (r.field != 1)
            continue;
        if (v->kind == ANY_LIST) {
            item = read_entry(x, sonde_pb_bytes(&r), &key);
            sonde_json_key(w, key);
        } else {
            item = read_any(x, sonde_pb_bytes(&r));
        }
        json_value(x, w, &item, depth);
    }
    end(x, &r);
}

static void json_value(idx *x, sonde_json_writer *w, const any *v, int depth)
{
    switch (v->kind) {
    case ANY_STRING:
        sonde_json_str(w, v->bytes);
        break;
    case ANY_BOOL:
        sonde_json_bool(w, v->integer != 0);
        break;
    case ANY_DOUBLE:
        sonde_json_double(w, v->number);
        break;
    case ANY_INT:
        sonde_json_i64(w, v->integer);
        break;
    case ANY_BYTES:
        sonde_json_str(w, base64(&x->bytes, v->bytes));
        break;
    case ANY_ARRAY:
    case ANY_LIST:
        if (depth == IDX_DEPTH_MAX) {
            fail(x, SONDE_ERR_TOO_BIG);
            sonde_json_null(w);
            return;
        }
        v->kind == ANY_LIST ? sonde_json_begin_object(w) : sonde_json_begin_array(w);
        json_items(x, w, v, depth + 1);
        v->kind == ANY_LIST ? sonde_json_end_object(w) : sonde_json_end_array(w);
        break;
    default:
        sonde_json_null(w);
        break;
    }
}

/* Any value as one text; it lives until the next is asked for. */
static sonde_str as_text(idx *x, const any *v)
{
    sonde_json_writer w;

    switch (v->kind) {
    case ANY_NONE:
        return (sonde_str){ NULL, 0 };
    case ANY_STRING:
        return v->bytes;
    case ANY_BYTES:
        return base64(&x->value, v->bytes);
    default:
        sonde_buf_reset(&x->value);
        sonde_json_writer_init(&w, &x->value);
        json_value(x, &w, v, 0);
        break;
    }
    if (x->value.status != SONDE_OK || x->bytes.status != SONDE_OK)
        fail(x, x->value.status != SONDE_OK ? x->value.status : x->bytes.status);
    return sonde_buf_str(&x->value);
}

/* A tag of a chunk, a payload or a link: always text. */
static void put_tag(idx *x, uint32_t field, sonde_str body)
{
    sonde_str key;
    any v = read_entry(x, body, &key);

    if (v.kind != ANY_NONE)
        sonde_pb_map_str_str(x->out, field, key, as_text(x, &v));
}

/* ---- spans ---- */

static void put_span_attr(idx *x, sonde_str body)
{
    sonde_str key;
    any v = read_entry(x, body, &key);

    if (v.kind == ANY_DOUBLE || v.kind == ANY_INT)
        sonde_pb_map_str_double(x->out, 11, key, v.kind == ANY_INT ? (double)v.integer : v.number);
    else if (v.kind == ANY_BYTES)
        sonde_pb_map_str_str(x->out, 13, key, v.bytes);
    else if (v.kind != ANY_NONE)
        sonde_pb_map_str_str(x->out, 10, key, as_text(x, &v));
}

static void put_meta(idx *x, sonde_str key, sonde_str value)
{
    if (value.len)
        sonde_pb_map_str_str(x->out, 10, key, value);
}

static void put_kind(idx *x, uint64_t kind)
{
    static const char *const names[] = {
        "", "internal", "server", "client", "producer", "consumer"
    };

    if (kind < sizeof(names) / sizeof(names[0]))
        put_meta(x, TEXT(SONDE_TAG_SPAN_KIND), sonde_str_from(names[kind]));
}

static void read_trace_id(idx *x, sonde_str bytes, idx_trace *out)
{
    uint64_t halves[2] = { 0, 0 };

    if (bytes.len == 0)
        return;
    if (bytes.len != TRACE_ID_BYTES) {
        fail(x, SONDE_ERR_SYNTAX);
        return;
    }
    for (int i = 0; i < TRACE_ID_BYTES; i++)
        halves[i / 8] = halves[i / 8] << 8 | (uint8_t)bytes.ptr[i];
    out->hi = halves[0];
    out->lo = halves[1];
}

static void put_link(idx *x, sonde_str body)
{
    size_t mark = sonde_pb_begin(x->out, 14);
    idx_trace id = { 0 };
    sonde_pb_reader r;

    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 1)
            read_trace_id(x, sonde_pb_bytes(&r), &id);
        else if (r.field == 2)
            sonde_pb_varint(x->out, 3, sonde_pb_u64(&r));
        else if (r.field == 3)
            put_tag(x, 4, sonde_pb_bytes(&r));
        else if (r.field == 4)
            put_ref(x, 5, sonde_pb_u64(&r));
        else if (r.field == 5)
            sonde_pb_varint(x->out, 6, sonde_pb_u64(&r));
    }
    end(x, &r);
    sonde_pb_varint(x->out, 1, id.lo);
    sonde_pb_varint(x->out, 2, id.hi);
    sonde_pb_end(x->out, mark);
}

/* AttributeAnyValue: 0 text, 1 bool, 2 int, 3 double; what it has no place for is text. */
static void put_scalar(idx *x, const any *v)
{
    switch (v->kind) {
    case ANY_BOOL:
        sonde_pb_varint(x->out, 1, 1);
        sonde_pb_varint(x->out, 3, (uint64_t)v->integer);
        break;
    case ANY_INT:
        sonde_pb_varint(x->out, 1, 2);
        sonde_pb_int64(x->out, 4, v->integer);
        break;
    case ANY_DOUBLE:
        sonde_pb_varint(x->out, 1, 3);
        sonde_pb_double(x->out, 5, v->number);
        break;
    default:
        sonde_pb_str(x->out, 2, as_text(x, v));
        break;
    }
}

static void put_array(idx *x, const any *v)
{
    size_t array, item;
    sonde_pb_reader r;

    sonde_pb_varint(x->out, 1, 4);
    array = sonde_pb_begin(x->out, 6);
    reader_init(&r, v->bytes);
    while (next(x, &r)) {
        any element = r.field == 1 ? read_any(x, sonde_pb_bytes(&r)) : (any){ .kind = ANY_NONE };

        if (r.field != 1)
            continue;
        item = sonde_pb_begin(x->out, 1);
        put_scalar(x, &element);
        sonde_pb_end(x->out, item);
    }
    end(x, &r);
    sonde_pb_end(x->out, array);
}

static void put_event_attr(idx *x, sonde_str body)
{
    sonde_str key;
    any v = read_entry(x, body, &key);
    size_t entry, value;

    if (v.kind == ANY_NONE)
        return;
    entry = sonde_pb_begin(x->out, 3);
    sonde_pb_str_always(x->out, 1, key);
    value = sonde_pb_begin(x->out, 2);
    if (v.kind == ANY_ARRAY)
        put_array(x, &v);
    else
        put_scalar(x, &v);
    sonde_pb_end(x->out, value);
    sonde_pb_end(x->out, entry);
}

static void put_event(idx *x, sonde_str body)
{
    size_t mark = sonde_pb_begin(x->out, 15);
    sonde_pb_reader r;

    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 1)
            sonde_pb_fixed64(x->out, 1, sonde_pb_u64(&r));
        else if (r.field == 2)
            put_ref(x, 2, sonde_pb_u64(&r));
        else if (r.field == 3)
            put_event_attr(x, sonde_pb_bytes(&r));
    }
    end(x, &r);
    sonde_pb_end(x->out, mark);
}

/* What the plain form has as tags of the chunk's first span. */
static void put_trace_tags(idx *x, const idx_trace *trace)
{
    char hex[16];

    if (trace->hi) {
        sonde_hex_u64(trace->hi, hex);
        put_meta(x, TEXT(SONDE_TAG_TID), (sonde_str){ hex, sizeof(hex) });
    }
    if (trace->mechanism) {
        char number[SONDE_I64_MAX_LEN];
        size_t len = sonde_format_i64(-(int64_t)trace->mechanism, number);

        put_meta(x, TEXT(SONDE_TAG_DM), (sonde_str){ number, len });
    }
}

static void put_span_field(idx *x, sonde_pb_reader *r)
{
    switch (r->field) {
    case 1: /* service, name, resource keep their numbers */
    case 2:
    case 3:
        put_ref(x, r->field, sonde_pb_u64(r));
        break;
    case 4:
        sonde_pb_varint(x->out, 5, sonde_pb_u64(r));
        break;
    case 5:
        sonde_pb_varint(x->out, 6, sonde_pb_u64(r));
        break;
    case 6: /* start and duration */
    case 7:
        sonde_pb_int64(x->out, r->field + 1, sonde_pb_i64(r));
        break;
    case 8:
        sonde_pb_varint(x->out, 9, sonde_pb_u64(r) != 0);
        break;
    case 9:
        put_span_attr(x, sonde_pb_bytes(r));
        break;
    case 10:
        put_ref(x, 12, sonde_pb_u64(r));
        break;
    case 11:
        put_link(x, sonde_pb_bytes(r));
        break;
    case 12:
        put_event(x, sonde_pb_bytes(r));
        break;
    case 13:
        put_meta(x, TEXT(SONDE_TAG_ENV), text(x, sonde_pb_u64(r)));
        break;
    case 14:
        put_meta(x, TEXT(SONDE_TAG_VERSION), text(x, sonde_pb_u64(r)));
        break;
    case 15:
        put_meta(x, TEXT(SONDE_TAG_COMPONENT), text(x, sonde_pb_u64(r)));
        break;
    case 16:
        put_kind(x, sonde_pb_u64(r));
        break;
    default:
        break;
    }
}

static void put_span(idx *x, sonde_str body, const idx_trace *trace, bool is_first)
{
    size_t mark = sonde_pb_begin(x->out, 3);
    sonde_pb_reader r;

    sonde_pb_varint(x->out, 4, trace->lo);
    if (is_first)
        put_trace_tags(x, trace);
    reader_init(&r, body);
    while (next(x, &r))
        put_span_field(x, &r);
    end(x, &r);
    sonde_pb_end(x->out, mark);
}

/* ---- what holds the spans ---- */

static void read_trace(idx *x, sonde_str body, idx_trace *out)
{
    sonde_pb_reader r;

    *out = (idx_trace){ 0 };
    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 6)
            read_trace_id(x, sonde_pb_bytes(&r), out);
        else if (r.field == 7)
            out->mechanism = (uint32_t)sonde_pb_u64(&r);
    }
    end(x, &r);
}

static void put_chunk(idx *x, sonde_str body)
{
    size_t mark = sonde_pb_begin(x->out, 6);
    bool is_first = true;
    idx_trace trace;
    sonde_pb_reader r;

    read_trace(x, body, &trace);
    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field == 1) {
            sonde_pb_int64(x->out, 1, sonde_pb_i32(&r));
        } else if (r.field == 2) {
            put_ref(x, 2, sonde_pb_u64(&r));
        } else if (r.field == 3) {
            put_tag(x, 4, sonde_pb_bytes(&r));
        } else if (r.field == 4) {
            put_span(x, sonde_pb_bytes(&r), &trace, is_first);
            is_first = false;
        } else if (r.field == 5) {
            sonde_pb_varint(x->out, 5, sonde_pb_u64(&r) != 0);
        }
    }
    end(x, &r);
    sonde_pb_end(x->out, mark);
}

static void put_payload(idx *x, sonde_str body)
{
    /* by number here: the number there */
    static const uint8_t plain[] = {
        [2] = 1, [3] = 2, [4] = 3, [5] = 4, [6] = 5, [7] = 8, [8] = 9, [9] = 10
    };
    sonde_pb_reader r;

    reader_init(&r, body);
    while (next(x, &r)) {
        if (r.field >= 2 && r.field <= 9)
            put_ref(x, plain[r.field], sonde_pb_u64(&r));
        else if (r.field == 10)
            put_tag(x, 7, sonde_pb_bytes(&r));
        else if (r.field == 11)
            put_chunk(x, sonde_pb_bytes(&r));
    }
    end(x, &r);
}

sonde_status idx_to_plain(sonde_str body, sonde_buf *out)
{
    idx x = { .out = out };

    sonde_buf_init(&x.value, IDX_VALUE_MAX_BYTES);
    sonde_buf_init(&x.bytes, IDX_VALUE_MAX_BYTES);
    read_strings(&x, body);
    put_payload(&x, body);
    sonde_buf_done(&x.value);
    sonde_buf_done(&x.bytes);
    sonde_free(x.strings);
    return x.status != SONDE_OK ? x.status : out->status;
}
