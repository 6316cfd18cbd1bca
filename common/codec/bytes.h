/* codec/bytes.h - short text and little-endian numbers, copied without a call.
 *
 * Threads   pure functions. */
#ifndef SONDE_CODEC_BYTES_H
#define SONDE_CODEC_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* memcpy() for what is nearly always short: two copies of a fixed size that overlap in the middle. */
static inline void sonde_bytes_copy(uint8_t *to, const void *from, size_t len)
{
    const uint8_t *p = from;

    if (len > 32) {
        memcpy(to, p, len);
    } else if (len >= 16) {
        memcpy(to, p, 16);
        memcpy(to + len - 16, p + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, p, 8);
        memcpy(to + len - 8, p + len - 8, 8);
    } else if (len >= 4) {
        memcpy(to, p, 4);
        memcpy(to + len - 4, p + len - 4, 4);
    } else if (len) {
        to[0] = p[0];
        to[len / 2] = p[len / 2];
        to[len - 1] = p[len - 1];
    }
}

/* Both become one move where the machine is little-endian. */
static inline uint64_t sonde_bytes_get64le(const void *from)
{
    const uint8_t *p = from;

    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

static inline void sonde_bytes_put64le(uint8_t *to, uint64_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
    to[2] = (uint8_t)(v >> 16);
    to[3] = (uint8_t)(v >> 24);
    to[4] = (uint8_t)(v >> 32);
    to[5] = (uint8_t)(v >> 40);
    to[6] = (uint8_t)(v >> 48);
    to[7] = (uint8_t)(v >> 56);
}

#endif /* SONDE_CODEC_BYTES_H */
