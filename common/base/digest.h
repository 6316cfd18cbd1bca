/* base/digest.h - FNV-1a, CRC-32, CRC-32C, SHA-256.
 *
 * FNV-1a and CRC can be continued: pass the previous result.  Threads: pure functions. */
#ifndef SONDE_BASE_DIGEST_H
#define SONDE_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SONDE_FNV1A32_INIT 2166136261u
#define SONDE_FNV1A64_INIT 14695981039346656037u

static inline uint32_t sonde_fnv1a32(uint32_t h, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i;

    for (i = 0; i < len; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

static inline uint64_t sonde_fnv1a64(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i;

    for (i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* A fast 64-bit hash for tables in memory: 8 bytes a step, not a format, may change between builds. */
uint64_t sonde_hash(uint64_t seed, const void *data, size_t len);

/* The same of a text that is one of several: an empty one counts, too. */
static inline uint64_t sonde_hash_text(uint64_t seed, sonde_str text)
{
    return text.len ? sonde_hash(seed, text.ptr, text.len) : seed * 0x9e3779b97f4a7c15u + 1;
}

uint32_t sonde_crc32(uint32_t crc, const void *data, size_t len);  /* IEEE; start with 0 */
uint32_t sonde_crc32c(uint32_t crc, const void *data, size_t len); /* Castagnoli; start with 0 */
void sonde_sha256(const void *data, size_t len, uint8_t out[32]);

#endif /* SONDE_BASE_DIGEST_H */
