/* filter.c - Bloom filter of a frame; see filter.h.
 *
 * Four bits a token, placed by double hashing of the two halves of its mixed hash. */
#include "dashboards/model/filter.h"

#include "base/digest.h"

#define BITS_PER_TOKEN 10
#define BITS_SET       4

uint64_t filter_token(filter_field field, sonde_str text)
{
    uint8_t tag = (uint8_t)field;

    return sonde_fnv1a64(sonde_fnv1a64(SONDE_FNV1A64_INIT, &tag, 1), text.ptr, text.len);
}

uint64_t filter_attr_token(sonde_str key, sonde_str value)
{
    uint64_t h = filter_token(FILTER_ATTR, key);

    h = sonde_fnv1a64(h, "\0", 1);
    return sonde_fnv1a64(h, value.ptr, value.len);
}

size_t filter_bytes(size_t tokens)
{
    size_t bytes = tokens > FILTER_MAX_BYTES ? FILTER_MAX_BYTES : tokens * BITS_PER_TOKEN / 8;

    bytes = (bytes + 8) & ~(size_t)7;
    return bytes > FILTER_MAX_BYTES ? FILTER_MAX_BYTES : bytes;
}

/* FNV's high bits are weak for short texts: one multiply-xor round spreads them. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

/* Maps the low half of `h` to [0, bits) without a division. */
static uint64_t place(uint64_t h, uint64_t bits)
{
    return ((h & UINT32_MAX) * bits) >> 32;
}

void filter_add(uint8_t *filter, size_t bytes, uint64_t token)
{
    uint64_t h = mix(token), step = (h >> 32) | 1;
    uint64_t bits = (uint64_t)bytes * 8;
    int i;

    for (i = 0; i < BITS_SET; i++, h += step)
        filter[place(h, bits) >> 3] |= (uint8_t)(1u << (place(h, bits) & 7));
}

bool filter_may_hold(const uint8_t *filter, size_t bytes, uint64_t token)
{
    uint64_t h = mix(token), step = (h >> 32) | 1;
    uint64_t bits = (uint64_t)bytes * 8;
    int i;

    if (bytes == 0)
        return true;
    for (i = 0; i < BITS_SET; i++, h += step)
        if (!(filter[place(h, bits) >> 3] & 1u << (place(h, bits) & 7)))
            return false;
    return true;
}
