/* msgpack_read.c - the forms the header does not read inline, and skipping.
 *
 * Every value starts with a lead byte.  take_head() reads it with the length or number behind it and
 * leaves the reader at the body, so that one function knows the format.
 *
 * Threads   none.
 * Bounds    skip() keeps one counter a level, SONDE_MP_DEPTH_MAX levels, on its own stack.
 */
#include "codec/msgpack_read.h"

void sonde_mp_reader_init(sonde_mp_reader *r, const void *data, size_t len)
{
    static const uint8_t nothing;

    *r = (sonde_mp_reader){ .status = SONDE_OK };
    r->start = r->at = len ? data : &nothing;
    r->end = r->start + len;
}

bool sonde_mp_fail(sonde_mp_reader *r, sonde_status status, const char *error)
{
    if (r->status == SONDE_OK) {
        r->status = status;
        r->error = error;
        r->error_at = (size_t)(r->at - r->start);
        r->at = r->end;
    }
    return false;
}

/* What a lead byte announces. */
typedef struct head {
    sonde_mp_type type;
    uint8_t number_bytes; /* that follow the lead byte: a length, a count or the value */
    uint8_t inline_value; /* the value, length or count when number_bytes is 0 */
} head;

/* Types of 0xc0 ... 0xdf and the bytes of the number behind them (fixext: 0, see inline_value). */
static const head HEADS[32] = {
    { SONDE_MP_NIL, 0, 0 },  { SONDE_MP_BAD, 0, 0 },     { SONDE_MP_BOOL, 0, 0 },
    { SONDE_MP_BOOL, 0, 1 }, { SONDE_MP_BIN, 1, 0 },     { SONDE_MP_BIN, 2, 0 },
    { SONDE_MP_BIN, 4, 0 },  { SONDE_MP_EXT, 1, 0 },     { SONDE_MP_EXT, 2, 0 },
    { SONDE_MP_EXT, 4, 0 },  { SONDE_MP_FLOAT32, 4, 0 }, { SONDE_MP_DOUBLE, 8, 0 },
    { SONDE_MP_UINT, 1, 0 }, { SONDE_MP_UINT, 2, 0 },    { SONDE_MP_UINT, 4, 0 },
    { SONDE_MP_UINT, 8, 0 }, { SONDE_MP_INT, 1, 0 },     { SONDE_MP_INT, 2, 0 },
    { SONDE_MP_INT, 4, 0 },  { SONDE_MP_INT, 8, 0 },     { SONDE_MP_EXT, 0, 1 },
    { SONDE_MP_EXT, 0, 2 },  { SONDE_MP_EXT, 0, 4 },     { SONDE_MP_EXT, 0, 8 },
    { SONDE_MP_EXT, 0, 16 }, { SONDE_MP_STR, 1, 0 },     { SONDE_MP_STR, 2, 0 },
    { SONDE_MP_STR, 4, 0 },  { SONDE_MP_ARRAY, 2, 0 },   { SONDE_MP_ARRAY, 4, 0 },
    { SONDE_MP_MAP, 2, 0 },  { SONDE_MP_MAP, 4, 0 },
};

static head head_of(uint8_t lead)
{
    if (lead < 0x80)
        return (head){ SONDE_MP_UINT, 0, lead };
    if (lead < 0x90)
        return (head){ SONDE_MP_MAP, 0, lead & 0x0f };
    if (lead < 0xa0)
        return (head){ SONDE_MP_ARRAY, 0, lead & 0x0f };
    if (lead < 0xc0)
        return (head){ SONDE_MP_STR, 0, lead & 0x1f };
    if (lead < 0xe0)
        return HEADS[lead - 0xc0];
    return (head){ SONDE_MP_INT, 0, lead };
}

sonde_mp_type sonde_mp_peek(const sonde_mp_reader *r)
{
    head h;

    if (r->at == r->end)
        return SONDE_MP_END;
    h = head_of(*r->at);
    if (h.type == SONDE_MP_INT && h.number_bytes && sonde_mp_left(r) > 1 && r->at[1] < 0x80)
        return SONDE_MP_UINT;
    return h.type;
}

/* A value's type with its number: the integer (signed ones sign-extended), the bits of a float, the
 * bytes of a string, binary or extension, the elements of an array or map. */
typedef struct value {
    sonde_mp_type type;
    uint64_t number;
} value;

static uint64_t sign_extend(uint64_t v, unsigned bytes)
{
    uint64_t sign = UINT64_C(1) << (bytes * 8 - 1);

    return (v ^ sign) - sign;
}

/* Reads the head of the next value and leaves the reader behind it; strings, binaries and extensions
 * are known to be complete then, arrays and maps to be possible.  On failure the reader is at the end. */
static bool take_head(sonde_mp_reader *r, value *out)
{
    size_t left = sonde_mp_left(r), need = 0;
    value v = { SONDE_MP_BAD, 0 };
    unsigned i;
    head h;

    if (left == 0)
        return sonde_mp_fail(r, SONDE_ERR_EOF, "a value is missing");
    h = head_of(*r->at);
    if (h.type == SONDE_MP_BAD)
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "byte 0xc1 starts no value");
    if (h.number_bytes >= left)
        return sonde_mp_fail(r, SONDE_ERR_EOF, "a value is cut off");

    v.type = h.type;
    v.number = h.inline_value;
    for (i = 1; i <= h.number_bytes; i++)
        v.number = v.number << 8 | r->at[i];
    left -= 1u + h.number_bytes;

    if (h.type == SONDE_MP_INT)
        v.number = sign_extend(v.number, h.number_bytes ? h.number_bytes : 1);
    else if (h.type == SONDE_MP_STR || h.type == SONDE_MP_BIN || h.type == SONDE_MP_ARRAY)
        need = (size_t)v.number;
    else if (h.type == SONDE_MP_MAP)
        need = (size_t)v.number * 2;
    else if (h.type == SONDE_MP_EXT)
        need = (size_t)v.number + 1;
    if (need > left)
        return sonde_mp_fail(r, SONDE_ERR_EOF, "a value is cut off");

    r->at += 1u + h.number_bytes;
    *out = v;
    return true;
}

/* As take_head(), and the value must be of one of two types; otherwise the reader fails at its start. */
static bool take(sonde_mp_reader *r, sonde_mp_type a, sonde_mp_type b, const char *error,
                 value *out)
{
    const uint8_t *start = r->at;
    value v;

    if (!take_head(r, &v))
        return false;
    if (v.type != a && v.type != b) {
        r->at = start;
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, error);
    }
    *out = v;
    return true;
}

bool sonde_mp_read_bool(sonde_mp_reader *r, bool *out)
{
    value v;

    if (!take(r, SONDE_MP_BOOL, SONDE_MP_BOOL, "expected a boolean", &v))
        return false;
    *out = v.number != 0;
    return true;
}

bool sonde_mp_read_array_slow(sonde_mp_reader *r, uint32_t *out_count)
{
    value v;

    if (!take(r, SONDE_MP_ARRAY, SONDE_MP_ARRAY, "expected an array", &v))
        return false;
    *out_count = (uint32_t)v.number;
    return true;
}

bool sonde_mp_read_map_slow(sonde_mp_reader *r, uint32_t *out_count)
{
    value v;

    if (!take(r, SONDE_MP_MAP, SONDE_MP_MAP, "expected a map", &v))
        return false;
    *out_count = (uint32_t)v.number;
    return true;
}

static bool take_bytes(sonde_mp_reader *r, const char *error, sonde_str *out)
{
    value v;

    if (!take(r, SONDE_MP_STR, SONDE_MP_BIN, error, &v))
        return false;
    *out = (sonde_str){ (const char *)r->at, (size_t)v.number };
    r->at += v.number;
    return true;
}

bool sonde_mp_read_bin(sonde_mp_reader *r, sonde_str *out)
{
    return take_bytes(r, "expected binary data", out);
}

bool sonde_mp_read_str_slow(sonde_mp_reader *r, sonde_str *out)
{
    if (sonde_mp_read_nil(r)) {
        *out = (sonde_str){ NULL, 0 };
        return true;
    }
    return take_bytes(r, "expected a string", out);
}

/* An integer or nil, which counts as 0. */
static bool take_integer(sonde_mp_reader *r, value *out)
{
    if (sonde_mp_read_nil(r)) {
        *out = (value){ SONDE_MP_UINT, 0 };
        return true;
    }
    return take(r, SONDE_MP_UINT, SONDE_MP_INT, "expected an integer", out);
}

bool sonde_mp_read_u64_slow(sonde_mp_reader *r, uint64_t *out)
{
    value v;

    if (!take_integer(r, &v))
        return false;
    *out = v.number;
    return true;
}

static bool out_of_range(sonde_mp_reader *r, const uint8_t *start)
{
    r->at = start;
    return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "the integer is out of range");
}

bool sonde_mp_read_i64_slow(sonde_mp_reader *r, int64_t *out)
{
    const uint8_t *start = r->at;
    value v;

    if (!take_integer(r, &v))
        return false;
    if (v.type == SONDE_MP_UINT && v.number > INT64_MAX)
        return out_of_range(r, start);
    *out = (int64_t)v.number;
    return true;
}

bool sonde_mp_read_i32(sonde_mp_reader *r, int32_t *out)
{
    const uint8_t *start = r->at;
    int64_t v;

    if (!sonde_mp_read_i64(r, &v))
        return false;
    if (v < INT32_MIN || v > INT32_MAX)
        return out_of_range(r, start);
    *out = (int32_t)v;
    return true;
}

bool sonde_mp_read_double_slow(sonde_mp_reader *r, double *out)
{
    sonde_mp_type next = sonde_mp_peek(r);
    value v;

    if (next != SONDE_MP_DOUBLE && next != SONDE_MP_END && next != SONDE_MP_UINT &&
        next != SONDE_MP_INT && next != SONDE_MP_NIL)
        return sonde_mp_fail(r, SONDE_ERR_SYNTAX, "expected a number (float64 or integer)");
    if (next == SONDE_MP_DOUBLE) {
        if (!take_head(r, &v))
            return false;
        memcpy(out, &v.number, sizeof(*out));
        return true;
    }
    if (!take_integer(r, &v))
        return false;
    *out = v.type == SONDE_MP_UINT ? (double)v.number : (double)(int64_t)v.number;
    return true;
}

/* Skips one value without its elements; *out_elements is how many follow. */
static bool skip_flat(sonde_mp_reader *r, uint64_t *out_elements)
{
    value v;

    if (!take_head(r, &v))
        return false;
    *out_elements = 0;
    if (v.type == SONDE_MP_ARRAY)
        *out_elements = v.number;
    else if (v.type == SONDE_MP_MAP)
        *out_elements = v.number * 2;
    else if (v.type == SONDE_MP_STR || v.type == SONDE_MP_BIN)
        r->at += v.number;
    else if (v.type == SONDE_MP_EXT)
        r->at += v.number + 1;
    return true;
}

bool sonde_mp_skip(sonde_mp_reader *r)
{
    uint64_t open[SONDE_MP_DEPTH_MAX]; /* elements still to come, a level each */
    unsigned depth = 0;
    uint64_t elements;

    for (;;) {
        if (!skip_flat(r, &elements))
            return false;
        if (elements) {
            if (depth == SONDE_MP_DEPTH_MAX)
                return sonde_mp_fail(r, SONDE_ERR_TOO_BIG, "nested too deeply");
            open[depth++] = elements;
            continue;
        }
        while (depth && --open[depth - 1] == 0)
            depth--;
        if (!depth)
            return true;
    }
}

bool sonde_mp_read_raw(sonde_mp_reader *r, sonde_str *out)
{
    const uint8_t *start = r->at;

    if (!sonde_mp_skip(r))
        return false;
    *out = (sonde_str){ (const char *)start, (size_t)(r->at - start) };
    return true;
}
