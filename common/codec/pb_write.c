/* pb_write.c - protobuf fields into a buffer, one reserve a field.
 *
 * Threads   none: the buffer's owner.
 * Bounds    the buffer's ceiling.
 */
#include "codec/pb_write.h"

#include "codec/bytes.h"

#define TAG_MAX_BYTES    5
#define VARINT_MAX_BYTES 10

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

size_t sonde_pb_varint_len(uint64_t v)
{
    /* Seven bits a byte: the highest set bit, 0 to 63, decides. */
    return ((size_t)(63 - __builtin_clzll(v | 1)) * 9 + 73) / 64;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

static inline uint8_t *put_tag(uint8_t *at, uint32_t field, unsigned wire)
{
    return put_varint(at, (uint64_t)field << 3 | wire);
}

static inline uint8_t *put_fixed64(uint8_t *at, uint64_t v)
{
    sonde_bytes_put64le(at, v);
    return at + 8;
}

static inline uint8_t *put_str(uint8_t *at, uint32_t field, sonde_str s)
{
    at = put_tag(at, field, WIRE_BYTES);
    at = put_varint(at, s.len);
    sonde_bytes_copy(at, s.ptr, s.len);
    return at + s.len;
}

static inline uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline void end_at(sonde_buf *b, const uint8_t *at)
{
    b->len = (size_t)(at - b->data);
}

void sonde_pb_varint(sonde_buf *b, uint32_t field, uint64_t v)
{
    uint8_t *at = v ? sonde_buf_reserve(b, TAG_MAX_BYTES + VARINT_MAX_BYTES) : NULL;

    if (at)
        end_at(b, put_varint(put_tag(at, field, WIRE_VARINT), v));
}

void sonde_pb_packed(sonde_buf *b, uint64_t v)
{
    uint8_t *at = sonde_buf_reserve(b, VARINT_MAX_BYTES);

    if (at)
        end_at(b, put_varint(at, v));
}

void sonde_pb_int64(sonde_buf *b, uint32_t field, int64_t v)
{
    sonde_pb_varint(b, field, (uint64_t)v);
}

void sonde_pb_sint32(sonde_buf *b, uint32_t field, int32_t v)
{
    sonde_pb_varint(b, field, ((uint32_t)v << 1) ^ (v < 0 ? UINT32_MAX : 0));
}

static void write_fixed64(sonde_buf *b, uint32_t field, uint64_t bits)
{
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + 8);

    if (at)
        end_at(b, put_fixed64(put_tag(at, field, WIRE_FIXED64), bits));
}

void sonde_pb_fixed64(sonde_buf *b, uint32_t field, uint64_t v)
{
    if (v)
        write_fixed64(b, field, v);
}

void sonde_pb_double(sonde_buf *b, uint32_t field, double v)
{
    sonde_pb_fixed64(b, field, bits_of(v));
}

void sonde_pb_double_always(sonde_buf *b, uint32_t field, double v)
{
    write_fixed64(b, field, bits_of(v));
}

void sonde_pb_str(sonde_buf *b, uint32_t field, sonde_str s)
{
    if (s.len)
        sonde_pb_str_always(b, field, s);
}

void sonde_pb_str_always(sonde_buf *b, uint32_t field, sonde_str s)
{
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + VARINT_MAX_BYTES + s.len);

    if (at)
        end_at(b, put_str(at, field, s));
}

static inline size_t short_field_bytes(sonde_str s) /* with a tag of one byte */
{
    return 1 + sonde_pb_varint_len(s.len) + s.len;
}

void sonde_pb_map_str_str(sonde_buf *b, uint32_t field, sonde_str key, sonde_str value)
{
    size_t entry = short_field_bytes(key) + short_field_bytes(value);
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + VARINT_MAX_BYTES + entry);

    if (!at)
        return;
    at = put_varint(put_tag(at, field, WIRE_BYTES), entry);
    end_at(b, put_str(put_str(at, 1, key), 2, value));
}

void sonde_pb_map_str_double(sonde_buf *b, uint32_t field, sonde_str key, double value)
{
    size_t entry = short_field_bytes(key) + 1 + 8;
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + VARINT_MAX_BYTES + entry);

    if (!at)
        return;
    at = put_str(put_varint(put_tag(at, field, WIRE_BYTES), entry), 1, key);
    end_at(b, put_fixed64(put_tag(at, 2, WIRE_FIXED64), bits_of(value)));
}

void sonde_pb_len_prefix(sonde_buf *b, uint32_t field, size_t len)
{
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + VARINT_MAX_BYTES);

    if (at)
        end_at(b, put_varint(put_tag(at, field, WIRE_BYTES), len));
}

size_t sonde_pb_begin(sonde_buf *b, uint32_t field)
{
    uint8_t *at = sonde_buf_reserve(b, TAG_MAX_BYTES + 1);

    if (!at)
        return b->len;
    at = put_tag(at, field, WIRE_BYTES);
    *at++ = 0;
    end_at(b, at);
    return b->len;
}

void sonde_pb_end(sonde_buf *b, size_t mark)
{
    size_t body, extra;

    if (b->status != SONDE_OK)
        return;
    body = b->len - mark;
    extra = sonde_pb_varint_len(body) - 1;
    if (extra) {
        if (!sonde_buf_reserve(b, extra))
            return;
        memmove(b->data + mark + extra, b->data + mark, body);
        sonde_buf_commit(b, extra);
    }
    (void)put_varint(b->data + mark - 1, body);
}
