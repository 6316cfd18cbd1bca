/* v10_values.c - attributes of v1.0: type and value, one after the other, arrays and maps of them.
 *
 * Every value is read, also one that is not kept: texts inside it get their numbers. */
#include "v10.h"

#include "base/alloc.h"
#include "base/format.h"
#include "base/hex.h"

#define ATTRS_FIRST    32u
#define JSON_MAX_BYTES (16u * 1024 * 1024)

enum { TYPE_TEXT = 1, TYPE_BOOL, TYPE_DOUBLE, TYPE_INT, TYPE_BYTES, TYPE_ARRAY, TYPE_MAP };

bool v10_read_header(v10 *v, uint32_t max, uint32_t *out_count)
{
    if (!sonde_mp_read_array(&v->d.r, out_count))
        return false;
    if (*out_count > max)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "too long payload");
    return true;
}

bool v10_read_u32(v10 *v, uint32_t *out)
{
    uint64_t n;

    if (!sonde_mp_read_u64(&v->d.r, &n))
        return false;
    if (n > UINT32_MAX)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "integer does not fit in 32 bits");
    *out = (uint32_t)n;
    return true;
}

/* An array header of a multiple of `each`. */
static bool read_groups(v10 *v, uint32_t each, uint32_t *out_groups)
{
    uint32_t count;

    if (!v10_read_header(v, V10_HEADER_MAX, &count))
        return false;
    *out_groups = count / each;
    return count % each == 0 ||
           sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "attributes do not come in whole entries");
}

static bool read_double(v10 *v, double *out)
{
    sonde_mp_reader *r = &v->d.r;
    uint32_t bits;
    float f;

    if (sonde_mp_peek(r) != SONDE_MP_FLOAT32 || sonde_mp_left(r) < 5)
        return sonde_mp_read_double(r, out);
    bits = sonde_mp_be32(r->at + 1);
    memcpy(&f, &bits, sizeof(f));
    r->at += 5;
    *out = (double)f;
    return true;
}

static bool read_scalar(v10 *v, uint32_t type, v10_attr *a)
{
    sonde_mp_reader *r = &v->d.r;
    bool yes;

    switch (type) {
    case TYPE_TEXT:
        a->value.type = SPAN_ANY_STRING;
        return v10_read_text(v, &a->value.str);
    case TYPE_BOOL:
        a->value.type = SPAN_ANY_BOOL;
        if (!sonde_mp_read_bool(r, &yes))
            return false;
        a->value.integer = yes;
        return true;
    case TYPE_DOUBLE:
        a->value.type = SPAN_ANY_DOUBLE;
        return read_double(v, &a->value.number);
    case TYPE_INT:
        a->value.type = SPAN_ANY_INT;
        return sonde_mp_read_i64(r, &a->value.integer);
    case TYPE_BYTES:
        a->is_bytes = true;
        return sonde_mp_read_bin(r, &a->value.str);
    default:
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "unknown type of an attribute");
    }
}

static bool put_base64(v10 *v, sonde_json_writer *w, sonde_str bytes)
{
    size_t len = sonde_base64_encode_len(bytes.len);
    char *text;

    if (len == 0) {
        sonde_json_str(w, SONDE_STR(""));
        return true;
    }
    if (len > JSON_MAX_BYTES)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "bytes inside a value are too long");
    text = sonde_malloc(len);
    if (!text)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_NOMEM, "out of memory");
    len = sonde_base64_encode((const uint8_t *)bytes.ptr, bytes.len, text);
    sonde_json_str(w, (sonde_str){ text, len });
    sonde_free(text);
    return true;
}

static bool write_scalar(v10 *v, sonde_json_writer *w, uint32_t type)
{
    v10_attr a = { .is_bytes = false };

    if (!read_scalar(v, type, &a))
        return false;
    if (a.is_bytes)
        return put_base64(v, w, a.value.str);
    switch (a.value.type) {
    case SPAN_ANY_BOOL:
        sonde_json_bool(w, a.value.integer != 0);
        break;
    case SPAN_ANY_INT:
        sonde_json_i64(w, a.value.integer);
        break;
    case SPAN_ANY_DOUBLE:
        sonde_json_double(w, a.value.number);
        break;
    default:
        sonde_json_str(w, a.value.str);
        break;
    }
    return true;
}

/* A value as JSON while it is read. */
static bool write_value(v10 *v, sonde_json_writer *w, uint32_t type, unsigned depth)
{
    bool is_map = type == TYPE_MAP;
    uint32_t count, inner;
    sonde_str key;

    if (type != TYPE_ARRAY && !is_map)
        return write_scalar(v, w, type);
    if (depth == V10_DEPTH_MAX)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_TOO_BIG, "nested too deeply");
    if (!read_groups(v, is_map ? 3 : 2, &count))
        return false;
    is_map ? sonde_json_begin_object(w) : sonde_json_begin_array(w);
    while (count-- > 0) {
        if (is_map) {
            if (!v10_read_text(v, &key))
                return false;
            sonde_json_key(w, key);
        }
        if (!v10_read_u32(v, &inner) || !write_value(v, w, inner, depth + 1))
            return false;
    }
    is_map ? sonde_json_end_object(w) : sonde_json_end_array(w);
    return true;
}

/* An array or a map as one text. */
static bool read_as_json(v10 *v, uint32_t type, v10_attr *a)
{
    sonde_json_writer w;

    sonde_buf_reset(&v->json);
    sonde_json_writer_init(&w, &v->json);
    if (!write_value(v, &w, type, 0))
        return false;
    if (v->json.status != SONDE_OK)
        return sonde_mp_fail(&v->d.r, v->json.status, "a value is too long");
    a->value.type = SPAN_ANY_STRING;
    a->value.str.len = v->json.len;
    a->value.str.ptr = decoder_alloc(&v->d, (uint32_t)v->json.len, 1);
    if (!a->value.str.ptr)
        return false;
    memcpy((char *)(uintptr_t)a->value.str.ptr, v->json.data, v->json.len);
    return true;
}

/* Bytes have no place in an event: base64. */
static bool bytes_to_text(v10 *v, v10_attr *a)
{
    size_t len = sonde_base64_encode_len(a->value.str.len);
    char *text = len <= JSON_MAX_BYTES ? decoder_alloc(&v->d, (uint32_t)len, 1) : NULL;

    if (len > JSON_MAX_BYTES)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_SYNTAX, "bytes inside a value are too long");
    if (len && !text)
        return false;
    len = len ? sonde_base64_encode((const uint8_t *)a->value.str.ptr, a->value.str.len, text) : 0;
    a->value.str = (sonde_str){ text, len };
    a->is_bytes = false;
    return true;
}

static bool read_element(v10 *v, span_any *out)
{
    v10_attr a = { .is_bytes = false };
    uint32_t type;
    bool ok;

    if (!v10_read_u32(v, &type))
        return false;
    ok = type == TYPE_ARRAY || type == TYPE_MAP ? read_as_json(v, type, &a)
                                                : read_scalar(v, type, &a);
    if (!ok || (a.is_bytes && !bytes_to_text(v, &a)))
        return false;
    *out = a.value;
    return true;
}

static bool read_elements(v10 *v, span_any *array)
{
    uint32_t count, kept;
    span_any dropped;

    if (!read_groups(v, 2, &count))
        return false;
    kept = decoder_bounded(&v->d, count);
    array->type = SPAN_ANY_ARRAY;
    array->values = decoder_alloc(&v->d, kept, sizeof(*array->values));
    if (!array->values && kept)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_element(v, i < kept ? &array->values[i] : &dropped))
            return false;
    }
    array->values_len = kept;
    return true;
}

static inline bool read_value(v10 *v, v10_arrays arrays, v10_attr *a)
{
    const uint8_t *at = v->d.r.at;
    uint32_t type;

    a->is_bytes = false;
    a->value = (span_any){ 0 };
    if (at != v->d.r.end && *at < 0x80)
        type = *v->d.r.at++;
    else if (!v10_read_u32(v, &type))
        return false;
    if (type == TYPE_TEXT)
        return v10_read_text(v, &a->value.str);
    if (type < TYPE_ARRAY)
        return read_scalar(v, type, a) &&
               (!a->is_bytes || arrays == V10_ARRAYS_AS_JSON || bytes_to_text(v, a));
    if (type == TYPE_ARRAY && arrays == V10_ARRAYS_OF_ANY)
        return read_elements(v, &a->value);
    return read_as_json(v, type, a);
}

static bool reserve(v10 *v, uint32_t count)
{
    uint32_t cap = v->attrs_cap ? v->attrs_cap : ATTRS_FIRST;
    v10_attr *attrs;

    while (cap < count)
        cap *= 2;
    if (cap == v->attrs_cap)
        return true;
    attrs = sonde_realloc(v->attrs, cap * sizeof(*attrs));
    if (!attrs)
        return sonde_mp_fail(&v->d.r, SONDE_ERR_NOMEM, "out of memory");
    v->attrs = attrs;
    v->attrs_cap = cap;
    return true;
}

/* What is beyond the ceiling. */
static bool pass_attrs(v10 *v, uint32_t count, v10_arrays arrays)
{
    v10_attr dropped;

    while (count-- > 0) {
        if (!v10_read_text(v, &dropped.key) || !read_value(v, arrays, &dropped))
            return false;
    }
    return true;
}

bool v10_read_attrs(v10 *v, v10_arrays arrays, uint32_t *out_len)
{
    uint32_t count, kept;
    decode_map map;

    if (!read_groups(v, 3, &count))
        return false;
    kept = decoder_bounded(&v->d, count);
    if (!reserve(v, kept))
        return false;
    decode_map_init(&v->d, &map, v->attrs, sizeof(*v->attrs), kept);
    for (uint32_t i = 0; i < kept; i++) {
        v10_attr *a;
        sonde_str key;

        if (!v10_read_text(v, &key))
            return false;
        a = &v->attrs[decode_map_slot(&v->d, &map, key)];
        a->key = key;
        if (!read_value(v, arrays, a))
            return false;
    }
    *out_len = map.len;
    v->seen = map.slots_mask ? UINT64_MAX : map.seen;
    return pass_attrs(v, count - kept, arrays);
}

static bool number_text(v10 *v, const span_any *value, sonde_str *out)
{
    char text[SONDE_DOUBLE_MAX_LEN > SONDE_I64_MAX_LEN ? SONDE_DOUBLE_MAX_LEN : SONDE_I64_MAX_LEN];
    size_t len = value->type == SPAN_ANY_INT ? sonde_format_i64(value->integer, text)
                                             : sonde_format_double(value->number, text);
    char *copy = decoder_alloc(&v->d, (uint32_t)len, 1);

    if (!copy)
        return false;
    memcpy(copy, text, len);
    *out = (sonde_str){ copy, len };
    return true;
}

bool v10_text_of(v10 *v, const v10_attr *a, sonde_str *out)
{
    v10_attr copy = *a;

    if (copy.is_bytes) {
        if (!bytes_to_text(v, &copy))
            return false;
        *out = copy.value.str;
        return true;
    }
    switch (a->value.type) {
    case SPAN_ANY_BOOL:
        *out = a->value.integer ? SONDE_STR("true") : SONDE_STR("false");
        return true;
    case SPAN_ANY_INT:
    case SPAN_ANY_DOUBLE:
        return number_text(v, &a->value, out);
    default:
        *out = a->value.str;
        return true;
    }
}

bool v10_read_tags(v10 *v, span_meta **out_tags, uint32_t *out_len)
{
    span_meta *tags;
    uint32_t len;

    if (!v10_read_attrs(v, V10_ARRAYS_AS_JSON, &len))
        return false;
    tags = decoder_alloc(&v->d, len, sizeof(*tags));
    if (!tags && len)
        return false;
    for (uint32_t i = 0; i < len; i++) {
        tags[i].key = v->attrs[i].key;
        if (!v10_text_of(v, &v->attrs[i], &tags[i].value))
            return false;
    }
    *out_tags = tags;
    *out_len = len;
    return true;
}
