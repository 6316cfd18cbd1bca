/* put.h - msgpack written at a cursor, without looking: who calls has made room.
 *
 * For encoders that know how much a span can take before they write it; the others use
 * codec/msgpack_write.h.  Each returns the cursor behind what it wrote: at most nine bytes.
 *
 * Threads   pure. */
#ifndef SONDE_LIBTRACE_PUT_H
#define SONDE_LIBTRACE_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "be.h"

static inline uint8_t *sonde__put_8(uint8_t *p, uint8_t lead, uint8_t v)
{
    p[0] = lead;
    p[1] = v;
    return p + 2;
}

static inline uint8_t *sonde__put_16(uint8_t *p, uint8_t lead, uint16_t v)
{
    p[0] = lead;
    sonde__put_be16(p + 1, v);
    return p + 3;
}

static inline uint8_t *sonde__put_32(uint8_t *p, uint8_t lead, uint32_t v)
{
    p[0] = lead;
    sonde__put_be32(p + 1, v);
    return p + 5;
}

static inline uint8_t *sonde__put_64(uint8_t *p, uint8_t lead, uint64_t v)
{
    p[0] = lead;
    sonde__put_be64(p + 1, v);
    return p + 9;
}

static inline uint8_t *sonde__put_u64(uint8_t *p, uint64_t v)
{
    if (v > UINT32_MAX)
        return sonde__put_64(p, 0xcf, v);
    if (v > UINT16_MAX)
        return sonde__put_32(p, 0xce, (uint32_t)v);
    if (v > UINT8_MAX)
        return sonde__put_16(p, 0xcd, (uint16_t)v);
    if (v > 127)
        return sonde__put_8(p, 0xcc, (uint8_t)v);
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *sonde__put_double(uint8_t *p, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return sonde__put_64(p, 0xcb, bits);
}

static inline uint8_t *sonde__put_str_head(uint8_t *p, size_t len)
{
    if (len < 32) {
        *p++ = (uint8_t)(0xa0 | len);
        return p;
    }
    if (len <= UINT8_MAX)
        return sonde__put_8(p, 0xd9, (uint8_t)len);
    if (len <= UINT16_MAX)
        return sonde__put_16(p, 0xda, (uint16_t)len);
    return sonde__put_32(p, 0xdb, (uint32_t)len);
}

static inline uint8_t *sonde__put_map_head(uint8_t *p, uint32_t count)
{
    if (count < 16) {
        *p++ = (uint8_t)(0x80 | count);
        return p;
    }
    if (count <= UINT16_MAX)
        return sonde__put_16(p, 0xde, (uint16_t)count);
    return sonde__put_32(p, 0xdf, count);
}

static inline uint8_t *sonde__put_array_head(uint8_t *p, uint32_t count)
{
    if (count < 16) {
        *p++ = (uint8_t)(0x90 | count);
        return p;
    }
    if (count <= UINT16_MAX)
        return sonde__put_16(p, 0xdc, (uint16_t)count);
    return sonde__put_32(p, 0xdd, count);
}

#endif /* SONDE_LIBTRACE_PUT_H */
