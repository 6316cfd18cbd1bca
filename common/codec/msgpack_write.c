/* msgpack_write.c - packing, done by the templates of msgpack-c.
 *
 * The templates are told to append at a cursor into room already reserved: one check of the buffer per
 * value, and all of it inlined.  This is the only file that includes msgpack-c.  Of it, only static
 * inline functions are used, so that no symbol of the library is needed or left behind.
 *
 * Threads   none: the buffer's owner.
 * Bounds    the buffer's ceiling; one string or binary 4 GiB - 1 (SONDE_ERR_TOO_BIG).
 */
#include "codec/msgpack_write.h"

#include <string.h>

#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>

#define msgpack_pack_inline_func(name)      static inline void pack##name
#define msgpack_pack_inline_func_cint(name) static inline void pack##name
#define msgpack_pack_user                   uint8_t **
#define msgpack_pack_append_buffer(cursor, data, len)                                              \
    (memcpy(*(cursor), data, len), *(cursor) += (len))
#include <msgpack/pack_template.h>

#include "codec/bytes.h"

#define HEAD_MAX_BYTES 9 /* lead byte and the longest number behind it */

static inline uint8_t *begin(sonde_buf *b, size_t body_bytes)
{
    return sonde_buf_reserve(b, HEAD_MAX_BYTES + body_bytes);
}

static inline void end(sonde_buf *b, const uint8_t *cursor)
{
    b->len = (size_t)(cursor - b->data);
}

void sonde_mp_write_nil(sonde_buf *b)
{
    sonde_buf_append_byte(b, 0xc0);
}

void sonde_mp_write_bool(sonde_buf *b, bool v)
{
    sonde_buf_append_byte(b, v ? 0xc3 : 0xc2);
}

void sonde_mp_write_u64(sonde_buf *b, uint64_t v)
{
    uint8_t *cursor = begin(b, 0);

    if (!cursor)
        return;
    pack_uint64(&cursor, v);
    end(b, cursor);
}

void sonde_mp_write_i64(sonde_buf *b, int64_t v)
{
    uint8_t *cursor = begin(b, 0);

    if (!cursor)
        return;
    pack_int64(&cursor, v);
    end(b, cursor);
}

void sonde_mp_write_double(sonde_buf *b, double v)
{
    uint8_t *cursor = begin(b, 0);

    if (!cursor)
        return;
    pack_double(&cursor, v);
    end(b, cursor);
}

/* False, with the buffer's status set, when no msgpack value can hold that many bytes. */
static inline bool fits_value(sonde_buf *b, size_t len)
{
    if (__builtin_expect(len <= UINT32_MAX, 1))
        return true;
    if (b->status == SONDE_OK)
        b->status = SONDE_ERR_TOO_BIG;
    return false;
}

void sonde_mp_write_str(sonde_buf *b, sonde_str s)
{
    uint8_t *cursor = fits_value(b, s.len) ? begin(b, s.len) : NULL;

    if (!cursor)
        return;
    pack_str(&cursor, s.len);
    sonde_bytes_copy(cursor, s.ptr, s.len);
    end(b, cursor + s.len);
}

void sonde_mp_write_bin(sonde_buf *b, const void *data, size_t len)
{
    uint8_t *cursor = fits_value(b, len) ? begin(b, len) : NULL;

    if (!cursor)
        return;
    pack_bin(&cursor, len);
    if (len)
        pack_bin_body(&cursor, data, len);
    end(b, cursor);
}

void sonde_mp_write_array(sonde_buf *b, uint32_t count)
{
    uint8_t *cursor = begin(b, 0);

    if (!cursor)
        return;
    pack_array(&cursor, count);
    end(b, cursor);
}

void sonde_mp_write_map(sonde_buf *b, uint32_t count)
{
    uint8_t *cursor = begin(b, 0);

    if (!cursor)
        return;
    pack_map(&cursor, count);
    end(b, cursor);
}

static size_t begin32(sonde_buf *b, uint8_t lead)
{
    uint8_t *at = sonde_buf_reserve(b, 5);

    if (!at)
        return 0;
    memcpy(at, (const uint8_t[5]){ lead }, 5);
    sonde_buf_commit(b, 5);
    return b->len - 4;
}

size_t sonde_mp_begin_array32(sonde_buf *b)
{
    return begin32(b, 0xdd);
}

size_t sonde_mp_begin_map32(sonde_buf *b)
{
    return begin32(b, 0xdf);
}

void sonde_mp_patch32(sonde_buf *b, size_t mark, uint32_t count)
{
    uint8_t *at;

    if (b->status != SONDE_OK)
        return;
    at = b->data + mark;
    at[0] = (uint8_t)(count >> 24);
    at[1] = (uint8_t)(count >> 16);
    at[2] = (uint8_t)(count >> 8);
    at[3] = (uint8_t)count;
}
