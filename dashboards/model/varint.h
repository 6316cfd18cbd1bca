/* dashboards/model/varint.h - the integers of a frame: LEB128, zigzag, little-endian 64 bits.
 *
 * Threads   pure functions. */
#ifndef SONDE_DASHBOARDS_MODEL_VARINT_H
#define SONDE_DASHBOARDS_MODEL_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define VARINT_MAX_BYTES  10
#define FRAME_MAGIC       "SFR\1" /* the last byte is the version */
#define FRAME_MAGIC_BYTES 4

static inline size_t varint_put(uint8_t *to, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        to[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    to[n++] = (uint8_t)v;
    return n;
}

/* Bytes read; 0: cut off or too long. */
static inline size_t varint_get(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    unsigned shift = 0;
    const uint8_t *p = at;

    for (; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return (size_t)(p - at);
        }
    }
    return 0;
}

static inline void varint_append(sonde_buf *out, uint64_t v)
{
    uint8_t *at = sonde_buf_reserve(out, VARINT_MAX_BYTES);

    if (at)
        sonde_buf_commit(out, varint_put(at, v));
}

static inline uint64_t varint_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t varint_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline void varint_put_le64(uint8_t *to, uint64_t v)
{
    int i;

    for (i = 0; i < 8; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static inline void varint_append_le64(sonde_buf *out, uint64_t v)
{
    uint8_t *at = sonde_buf_reserve(out, 8);

    if (!at)
        return;
    varint_put_le64(at, v);
    sonde_buf_commit(out, 8);
}

static inline uint64_t varint_get_le64(const uint8_t *at)
{
    uint64_t v = 0;
    int i;

    for (i = 0; i < 8; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static inline uint64_t varint_of_double(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static inline double varint_to_double(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

#endif /* SONDE_DASHBOARDS_MODEL_VARINT_H */
