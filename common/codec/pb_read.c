/* pb_read.c - one field of a protobuf message after the other.
 *
 * Threads   none.
 * Bounds    a varint has at most ten bytes; a length is checked against the bytes that remain.
 */
#include "codec/pb_read.h"

#include "codec/bytes.h"

#define FIELD_MAX ((UINT32_C(1) << 29) - 1)

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

void sonde_pb_reader_init(sonde_pb_reader *r, const void *data, size_t len)
{
    static const uint8_t nothing;

    *r = (sonde_pb_reader){ .status = SONDE_OK };
    r->at = len ? data : &nothing;
    r->end = r->at + len;
}

static bool fail(sonde_pb_reader *r, sonde_status status)
{
    if (r->status == SONDE_OK)
        r->status = status;
    r->at = r->end;
    return false;
}

static bool take_long_varint(sonde_pb_reader *r, uint64_t *out)
{
    const uint8_t *p = r->at;
    uint64_t v = 0;
    unsigned shift;

    for (shift = 0; shift < 64; shift += 7) {
        if (p == r->end)
            return fail(r, SONDE_ERR_EOF);
        if (shift == 63 && *p > 1) /* beyond 64 bits */
            break;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *out = v;
            r->at = p;
            return true;
        }
    }
    return fail(r, SONDE_ERR_SYNTAX);
}

static inline bool take_varint(sonde_pb_reader *r, uint64_t *out)
{
    if (r->at == r->end || *r->at >= 0x80)
        return take_long_varint(r, out);
    *out = *r->at++;
    return true;
}

static inline bool take_fixed64(sonde_pb_reader *r)
{
    if (r->end - r->at < 8)
        return fail(r, SONDE_ERR_EOF);
    r->scalar = sonde_bytes_get64le(r->at);
    r->at += 8;
    return true;
}

static inline bool take_fixed32(sonde_pb_reader *r)
{
    const uint8_t *p = r->at;

    if (r->end - p < 4)
        return fail(r, SONDE_ERR_EOF);
    r->scalar = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
    r->at = p + 4;
    return true;
}

static inline bool take_bytes(sonde_pb_reader *r, sonde_str *out)
{
    uint64_t len;

    if (!take_varint(r, &len))
        return false;
    if (len > (size_t)(r->end - r->at))
        return fail(r, SONDE_ERR_EOF);
    *out = (sonde_str){ (const char *)r->at, (size_t)len };
    r->at += len;
    return true;
}

bool sonde_pb_next(sonde_pb_reader *r)
{
    uint64_t tag;

    if (r->at == r->end || !take_varint(r, &tag))
        return false;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return fail(r, SONDE_ERR_SYNTAX);
    r->field = (uint32_t)(tag >> 3);
    r->wire = (uint32_t)(tag & 7);
    switch (r->wire) {
    case WIRE_VARINT:
        return take_varint(r, &r->scalar);
    case WIRE_FIXED64:
        return take_fixed64(r);
    case WIRE_BYTES:
        return take_bytes(r, &r->bytes);
    case WIRE_FIXED32:
        return take_fixed32(r);
    default: /* groups and what does not exist */
        return fail(r, SONDE_ERR_SYNTAX);
    }
}

bool sonde_pb_next_packed(sonde_pb_reader *r)
{
    r->wire = WIRE_VARINT;
    return r->at != r->end && take_varint(r, &r->scalar);
}

uint64_t sonde_pb_u64(sonde_pb_reader *r)
{
    if (r->wire == WIRE_BYTES)
        return fail(r, SONDE_ERR_SYNTAX);
    return r->scalar;
}

int64_t sonde_pb_i64(sonde_pb_reader *r)
{
    return (int64_t)sonde_pb_u64(r);
}

int32_t sonde_pb_i32(sonde_pb_reader *r)
{
    return (int32_t)(uint32_t)sonde_pb_u64(r);
}

int32_t sonde_pb_s32(sonde_pb_reader *r)
{
    uint32_t v = (uint32_t)sonde_pb_u64(r);

    return (int32_t)(v >> 1 ^ (0 - (v & 1)));
}

double sonde_pb_f64(sonde_pb_reader *r)
{
    double v = 0;

    if (r->wire != WIRE_FIXED64)
        (void)fail(r, SONDE_ERR_SYNTAX);
    else
        memcpy(&v, &r->scalar, sizeof(v));
    return v;
}

sonde_str sonde_pb_bytes(sonde_pb_reader *r)
{
    if (r->wire == WIRE_BYTES)
        return r->bytes;
    (void)fail(r, SONDE_ERR_SYNTAX);
    return (sonde_str){ NULL, 0 };
}
