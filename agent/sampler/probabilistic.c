/* probabilistic.c - FNV-1a of seed and trace id against a threshold. */
#include "probabilistic.h"

#include <string.h>

#include "base/digest.h"
#include "base/hex.h"
#include "vocab/tags.h"

#define BUCKETS            0x4000u
#define BUCKETS_PER_CENT   163.84f
#define OTEL_TRACE_ID_TEXT 32

static void put_be64(uint8_t out[8], uint64_t v)
{
    int i;

    for (i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint32_t probabilistic_bucket(const uint8_t id[16], uint32_t seed)
{
    const uint8_t little[4] = { (uint8_t)seed, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16),
                                (uint8_t)(seed >> 24) };

    return sonde_fnv1a32(sonde_fnv1a32(SONDE_FNV1A32_INIT, little, sizeof(little)), id, 16) &
           (BUCKETS - 1);
}

static uint64_t parse_high(sonde_str hex)
{
    uint64_t high;

    return sonde_hex_parse_u64(hex, 1, &high) == SONDE_OK ? high : 0;
}

static uint64_t high_half(const payload_chunk *c)
{
    const payload_span *root = &c->spans[c->root];
    const sonde_str *otel = span_meta_get(root, SONDE_STR("otel.trace_id")), *tid;
    uint32_t i;

    if (otel && otel->len == OTEL_TRACE_ID_TEXT)
        return parse_high(sonde_str_sub(*otel, 0, 16));
    tid = span_meta_get(root, SONDE_STR(SONDE_TAG_TID));
    for (i = 0; !tid && i < c->spans_len; i++)
        tid = span_meta_get(&c->spans[i], SONDE_STR(SONDE_TAG_TID));
    return tid ? parse_high(*tid) : 0;
}

bool probabilistic_keeps(const payload_chunk *c, double percentage, uint32_t seed, bool full_id)
{
    uint64_t low = c->spans[c->root].trace_id;
    uint8_t id[16] = { 0 };

    if (full_id) {
        put_be64(id, high_half(c));
        put_be64(id + 8, low);
    } else {
        put_be64(id, low);
    }
    return probabilistic_bucket(id, seed) < (uint32_t)((float)percentage * BUCKETS_PER_CENT);
}
