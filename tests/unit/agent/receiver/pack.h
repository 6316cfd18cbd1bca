/* pack.h - msgpack bytes by hand: the codec's writer packs tightly, these pack as loosely as allowed.
 *
 * Nothing here knows the decoders under test. */
#ifndef SONDE_TESTS_UNIT_AGENT_RECEIVER_PACK_H
#define SONDE_TESTS_UNIT_AGENT_RECEIVER_PACK_H

#include "base/buf.h"

static inline void pack_be(sonde_buf *b, uint8_t lead, uint64_t value, unsigned bytes)
{
    sonde_buf_append_byte(b, lead);
    while (bytes-- > 0)
        sonde_buf_append_byte(b, (uint8_t)(value >> (8 * bytes)));
}

static inline void pack_array32(sonde_buf *b, uint32_t count)
{
    pack_be(b, 0xdd, count, 4);
}

static inline void pack_map32(sonde_buf *b, uint32_t count)
{
    pack_be(b, 0xdf, count, 4);
}

static inline void pack_u64(sonde_buf *b, uint64_t v)
{
    pack_be(b, 0xcf, v, 8);
}

static inline void pack_str32(sonde_buf *b, const char *text)
{
    pack_be(b, 0xdb, strlen(text), 4);
    sonde_buf_append(b, text, strlen(text));
}

static inline void pack_str(sonde_buf *b, const char *text) /* at most 31 bytes */
{
    sonde_buf_append_byte(b, (uint8_t)(0xa0 | strlen(text)));
    sonde_buf_append(b, text, strlen(text));
}

static inline void pack_bin8(sonde_buf *b, const char *text)
{
    pack_be(b, 0xc4, strlen(text), 1);
    sonde_buf_append(b, text, strlen(text));
}

static inline void pack_nil(sonde_buf *b)
{
    sonde_buf_append_byte(b, 0xc0);
}

static inline void pack_double(sonde_buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    pack_be(b, 0xcb, bits, 8);
}

#endif /* SONDE_TESTS_UNIT_AGENT_RECEIVER_PACK_H */
