/* gzip_write.c - one block of fixed codes; a hash of four bytes finds the last place they stood at. */
#include "codec/gzip_write.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#define HASH_BITS   16
#define WINDOW      32768u
#define MATCH_MIN   4u
#define MATCH_MAX   258u
#define STORED_MAX  65535u
#define END_OF_DATA 256u

typedef struct writer {
    sonde_buf *b;
    uint64_t bits; /* not written yet, the first one lowest */
    unsigned bits_len;
} writer;

static void put_bits(writer *w, uint32_t bits, unsigned len)
{
    uint8_t bytes[4];

    w->bits |= (uint64_t)bits << w->bits_len;
    w->bits_len += len;
    if (w->bits_len < 32)
        return;
    bytes[0] = (uint8_t)w->bits;
    bytes[1] = (uint8_t)(w->bits >> 8);
    bytes[2] = (uint8_t)(w->bits >> 16);
    bytes[3] = (uint8_t)(w->bits >> 24);
    sonde_buf_append(w->b, bytes, sizeof(bytes));
    w->bits >>= 32;
    w->bits_len -= 32;
}

static void flush_bits(writer *w)
{
    while (w->bits_len > 0) {
        sonde_buf_append_byte(w->b, (uint8_t)w->bits);
        w->bits >>= 8;
        w->bits_len = w->bits_len > 8 ? w->bits_len - 8 : 0;
    }
}

static uint32_t reversed(uint32_t v, unsigned len)
{
    uint32_t r = 0;
    unsigned i;

    for (i = 0; i < len; i++)
        r |= (v >> i & 1) << (len - 1 - i);
    return r;
}

/* Codes stand with their highest bit first, everything else with its lowest. */
static void put_symbol(writer *w, uint32_t symbol)
{
    if (symbol < 144)
        put_bits(w, reversed(0x30 + symbol, 8), 8);
    else if (symbol < 256)
        put_bits(w, reversed(0x190 + symbol - 144, 9), 9);
    else if (symbol < 280)
        put_bits(w, reversed(symbol - 256, 7), 7);
    else
        put_bits(w, reversed(0xc0 + symbol - 280, 8), 8);
}

/* Lengths 3 to 258: after the first eight, four codes for each power of two. */
static void put_length(writer *w, uint32_t length)
{
    uint32_t v = length - 3, extra;

    if (length == MATCH_MAX) {
        put_symbol(w, 285);
        return;
    }
    if (v < 8) {
        put_symbol(w, 257 + v);
        return;
    }
    extra = 29 - (uint32_t)__builtin_clz(v); /* bits below the highest three */
    put_symbol(w, 257 + 4 * extra + (v >> extra));
    put_bits(w, v & ((1u << extra) - 1), extra);
}

/* Distances 1 to 32768: after the first four, two codes for each power of two. */
static void put_distance(writer *w, uint32_t distance)
{
    uint32_t v = distance - 1, extra;

    if (v < 4) {
        put_bits(w, reversed(v, 5), 5);
        return;
    }
    extra = 30 - (uint32_t)__builtin_clz(v); /* bits below the highest two */
    put_bits(w, reversed(2 * extra + (v >> extra), 5), 5);
    put_bits(w, v & ((1u << extra) - 1), extra);
}

static uint32_t load32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

static uint32_t match_len(const uint8_t *a, const uint8_t *b, size_t max)
{
    uint32_t len = 0;

    if (max > MATCH_MAX)
        max = MATCH_MAX;
    while (len < max && a[len] == b[len])
        len++;
    return len;
}

/* `last`: by hash, place + 1 of the four bytes. */
static void put_content(writer *w, const uint8_t *data, size_t len, uint32_t *last)
{
    size_t at = 0;

    while (at < len) {
        uint32_t *slot, length = 0;
        size_t before;

        if (len - at < MATCH_MIN) {
            put_symbol(w, data[at++]);
            continue;
        }
        slot = &last[load32(data + at) * 2654435761u >> (32 - HASH_BITS)];
        before = *slot;
        *slot = (uint32_t)at + 1;
        if (before > 0 && at - (before - 1) <= WINDOW)
            length = match_len(data + before - 1, data + at, len - at);
        if (length < MATCH_MIN) {
            put_symbol(w, data[at++]);
            continue;
        }
        put_length(w, length);
        put_distance(w, (uint32_t)(at - (before - 1)));
        at += length;
    }
}

static void put_compressed(sonde_buf *b, sonde_str content)
{
    writer w = { .b = b };
    uint32_t *last = (uint32_t *)sonde_calloc((size_t)1 << HASH_BITS, sizeof(*last));

    if (!last) {
        b->status = SONDE_ERR_NOMEM;
        return;
    }
    put_bits(&w, 1 | 1 << 1, 3); /* the last block, fixed codes */
    put_content(&w, (const uint8_t *)content.ptr, content.len, last);
    put_symbol(&w, END_OF_DATA);
    flush_bits(&w);
    sonde_free(last);
}

static void put_stored(sonde_buf *b, sonde_str content)
{
    do {
        sonde_str part = sonde_str_sub(content, 0, STORED_MAX);
        uint8_t head[5];

        content = sonde_str_sub(content, part.len, content.len);
        head[0] = content.len == 0; /* the last block */
        head[1] = (uint8_t)part.len;
        head[2] = (uint8_t)(part.len >> 8);
        head[3] = (uint8_t)~head[1];
        head[4] = (uint8_t)~head[2];
        sonde_buf_append(b, head, sizeof(head));
        sonde_buf_append_str(b, part);
    } while (content.len > 0);
}

static void put_u32(sonde_buf *b, uint32_t v)
{
    const uint8_t bytes[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                               (uint8_t)(v >> 24) };

    sonde_buf_append(b, bytes, sizeof(bytes));
}

void sonde_gzip_write(sonde_buf *b, sonde_str content)
{
    static const uint8_t head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff };
    size_t from;

    sonde_buf_append(b, head, sizeof(head));
    from = b->len;
    put_compressed(b, content);
    if (b->status == SONDE_OK && b->len - from > content.len + content.len / 8192 + 5) {
        b->len = from;
        put_stored(b, content);
    }
    put_u32(b, sonde_crc32(0, content.ptr, content.len));
    put_u32(b, (uint32_t)content.len);
}
