/* p0.c - looks at every span of an unsampled chunk, and moves those that stay together. */
#include "p0.h"

#include <string.h>

#include "codec/msgpack_write.h"
#include "vocab/tags.h"

#include "sampler.h"
#include "wire_span.h"

typedef struct look {
    bool keeps_all;
    bool keeps_itself;
} look;

static look look_at(const sonde__wire_span *span)
{
    look seen = { .keeps_all = span->error != 0 };
    sonde__wire_map map = span->metrics;
    sonde_str key;
    double value;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &value);
        if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_ANALYTICS_RATE)))
            seen.keeps_all |= sonde__sampler_keeps(span->trace_id, value < 1 ? value : 1);
        else if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_SPAN_MECHANISM)))
            seen.keeps_itself = true;
    }
    return seen;
}

static sonde_mp_reader reader_at(const sonde_buf *b, size_t at)
{
    sonde_mp_reader r;

    sonde_mp_reader_init(&r, b->data + at, b->len - at);
    return r;
}

/* The head of a shorter array is not longer, so that spans only move to the front. */
static void keep_single(sonde_buf *b, size_t at, uint32_t len, uint32_t kept)
{
    sonde_mp_reader r = reader_at(b, at);
    sonde__wire_span span;
    uint32_t unused;

    (void)sonde_mp_read_array(&r, &unused);
    b->len = at;
    sonde_mp_write_array(b, kept);
    for (; len > 0; len--) {
        const uint8_t *from = r.at;

        (void)sonde__wire_span_read(&r, &span);
        if (!look_at(&span).keeps_itself)
            continue;
        memmove(b->data + b->len, from, (size_t)(r.at - from));
        b->len += (size_t)(r.at - from);
    }
}

uint32_t sonde__p0_trim(sonde_buf *b, size_t at)
{
    sonde_mp_reader r = reader_at(b, at);
    sonde__wire_span span;
    uint32_t kept = 0;
    uint32_t len = 0;
    uint32_t i;

    (void)sonde_mp_read_array(&r, &len);
    for (i = 0; i < len && sonde__wire_span_read(&r, &span); i++) {
        look seen = look_at(&span);

        if (seen.keeps_all)
            return len;
        kept += seen.keeps_itself;
    }
    if (kept == 0)
        b->len = at;
    else
        keep_single(b, at, len, kept);
    return kept;
}
