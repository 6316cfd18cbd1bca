/* decoder.h - what the decoders share: memory, text as UTF-8, maps whose last value wins.
 *
 * Bounds   a map's entries and an array's elements are allocated by their announced count only after
 *          the reader found that many bytes to remain, and within the arena's ceiling.
 */
#ifndef SONDE_AGENT_RECEIVER_DECODER_H
#define SONDE_AGENT_RECEIVER_DECODER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "agent/payload/limits.h"
#include "agent/payload/payload.h"
#include "agent/receiver/decode.h"
#include "codec/msgpack_read.h"

#define DECODE_SLOTS         (2 * SPAN_ENTRIES_MAX)
#define DECODE_METRICS_SPARE 2  /* numbers the processor and the sampler add to a span */
#define DECODE_LINEAR_MAX    32 /* entries up to which a map is searched one by one */

typedef struct decoder {
    sonde_mp_reader r;
    payload *p;
    decode_tally tally;
    bool over_memory;             /* the arena's ceiling stopped it */
    uint64_t seed;                /* of the slots' hash */
    uint16_t slots[DECODE_SLOTS]; /* index + 1 of the entry with that hash; large maps only */
} decoder;

void decoder_init(decoder *d, payload *p);

/* Writes the outputs: the tally on success, the text for the client on failure. */
sonde_status decoder_finish(const decoder *d, decode_tally *out_tally, sonde_error *out_error);

/* True: a body that was cut ends behind `whole` chunks, and that is no failure. */
bool decoder_ends_early(decoder *d, uint32_t whole);

/* count * bytes from the arena, or a failure of the reader; count 0 gives NULL and no failure. */
void *decoder_alloc(decoder *d, uint32_t count, size_t bytes);

bool decoder_over_memory(decoder *d); /* fails the reader for that reason; returns false */

bool decoder_skip(decoder *d, uint32_t values); /* passes over so many values */

/* How many of `count` entries are kept; the rest is counted as cut and the caller passes over it. */
uint32_t decoder_bounded(decoder *d, uint32_t count);

/* Replaces what is not UTF-8 by U+FFFD, a byte at a time. */
bool decoder_repair(decoder *d, sonde_str *text);

static inline uint64_t decode_load64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t decode_load32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline bool decode_is_ascii(const char *p, size_t len)
{
    uint64_t seen = 0;
    size_t i;

    if (len >= 8) {
        for (i = 0; i + 8 < len; i += 8)
            seen |= decode_load64(p + i);
        seen |= decode_load64(p + len - 8);
    } else if (len >= 4) {
        seen = decode_load32(p) | decode_load32(p + len - 4);
    } else {
        for (i = 0; i < len; i++)
            seen |= (uint8_t)p[i];
    }
    return (seen & 0x8080808080808080u) == 0;
}

/* A text, as UTF-8; what is ASCII, nearly everything, costs one look at eight bytes a time. */
static inline bool decode_text(decoder *d, sonde_str *out)
{
    if (!sonde_mp_read_str(&d->r, out))
        return false;
    if (__builtin_expect(decode_is_ascii(out->ptr, out->len), 1))
        return true;
    return decoder_repair(d, out);
}

/* Attributes of events: a type of a later version is left out, as keys of one are. */
typedef enum any_depth { ANY_IN_EVENT, ANY_IN_ARRAY } any_depth;
static inline bool decode_any_is_known(const span_any *any, any_depth depth)
{
    return any->type >= SPAN_ANY_STRING &&
           any->type <= (depth == ANY_IN_ARRAY ? SPAN_ANY_DOUBLE : SPAN_ANY_ARRAY);
}

/* decode_v04.c: what v0.7 shares with it. */
bool decode_outer_array(decoder *d, uint32_t *out_count); /* at most PAYLOAD_ARRAY_MAX */
bool decode_spans(decoder *d, payload_chunk *chunk);      /* an array of span maps */
bool decode_text_map(decoder *d, span_meta **out_entries, uint32_t *out_len);

void decoder_forget_head(payload *p); /* formats that name the client in the body */

/* A map of at most SPAN_ENTRIES_MAX different keys being filled.  Entries start with their key. */
typedef struct decode_map {
    const char *entries;
    size_t entry_bytes;
    uint32_t len;
    uint32_t slots_mask; /* 0: searched one by one */
    uint64_t seen;       /* a bit per key hash: no bit, no such key */
} decode_map;

void decode_map_init(decoder *d, decode_map *m, const void *entries, size_t entry_bytes,
                     uint32_t count);
void decode_map_index(decoder *d, decode_map *m); /* a map that grew beyond DECODE_LINEAR_MAX */
uint32_t decode_map_slot_large(decoder *d, decode_map *m, sonde_str key);
uint32_t decode_map_search(const decode_map *m, sonde_str key);

static inline unsigned decode_key_bit(sonde_str key)
{
    uint64_t h = key.len;

    if (key.len >= 8)
        h += decode_load64(key.ptr) ^ (decode_load64(key.ptr + key.len - 8) << 1);
    else if (key.len >= 4)
        h += decode_load32(key.ptr) ^ ((uint64_t)decode_load32(key.ptr + key.len - 4) << 17);
    else if (key.len)
        h += (uint8_t)key.ptr[0];
    return (unsigned)((h * 0x9e3779b97f4a7c15u) >> 58);
}

/* Where the entry of `key` belongs: its index when the key was there already (the last value wins),
 * else m->len, which grows by one; the caller writes the entry. */
static inline uint32_t decode_map_slot(decoder *d, decode_map *m, sonde_str key)
{
    uint64_t bit;

    if (m->slots_mask)
        return decode_map_slot_large(d, m, key);
    bit = (uint64_t)1 << decode_key_bit(key);
    if (m->seen & bit) {
        uint32_t at = decode_map_search(m, key);

        if (at < m->len)
            return at;
    }
    m->seen |= bit;
    return m->len++;
}

#endif /* SONDE_AGENT_RECEIVER_DECODER_H */
