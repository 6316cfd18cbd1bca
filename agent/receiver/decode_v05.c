/* decode_v05.c - v0.5: a dictionary of texts, spans as arrays of twelve.
 *
 * The dictionary becomes an array of views, each checked for UTF-8 once; spans point into it.
 *
 * Bounds   DICT_MAX texts, PAYLOAD_ARRAY_MAX chunks and spans a chunk, SPAN_ENTRIES_MAX tags a map.
 * Source   docs/spec/receiver.md, "v0.5".
 */
#include "decoder.h"

#include "base/error.h"

#define DICT_MAX    25000000u /* Datadog's bound of every header */
#define SPAN_FIELDS 12

typedef struct dictionary {
    sonde_str *texts;
    uint32_t len;
    uint64_t bad_index; /* the one that was out of range, for the message */
    bool is_bad;
} dictionary;

static bool read_header(decoder *d, uint32_t max, uint32_t *out_count)
{
    if (!sonde_mp_read_array(&d->r, out_count))
        return false;
    if (*out_count > max)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "too long payload");
    return true;
}

static bool read_dict(decoder *d, dictionary *words)
{
    if (!read_header(d, DICT_MAX, &words->len))
        return false;
    words->texts = decoder_alloc(d, words->len, sizeof(*words->texts));
    if (!words->texts && words->len)
        return false;
    for (uint32_t i = 0; i < words->len; i++) {
        if (!decode_text(d, &words->texts[i]))
            return false;
    }
    return true;
}

static bool read_ref_slow(decoder *d, dictionary *words, sonde_str *out)
{
    uint64_t index;

    if (!sonde_mp_read_u64(&d->r, &index))
        return false;
    if (index >= words->len) {
        words->bad_index = index;
        words->is_bad = true;
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "dictionary index out of range");
    }
    *out = words->texts[index];
    return true;
}

static inline bool read_ref(decoder *d, dictionary *words, sonde_str *out)
{
    const uint8_t *at = d->r.at;
    size_t left = (size_t)(d->r.end - at);
    uint32_t index, head;

    if (left < 3)
        return read_ref_slow(d, words, out);
    if (at[0] < 0x80) {
        head = 1;
        index = at[0];
    } else if (at[0] == 0xcc) {
        head = 2;
        index = at[1];
    } else if (at[0] == 0xcd) {
        head = 3;
        index = (uint32_t)at[1] << 8 | at[2];
    } else {
        return read_ref_slow(d, words, out);
    }
    if (index >= words->len)
        return read_ref_slow(d, words, out);
    *out = words->texts[index];
    d->r.at = at + head;
    return true;
}

static bool read_map_header(decoder *d, uint32_t *out_count, uint32_t *out_kept)
{
    *out_count = 0;
    if (!sonde_mp_read_nil(&d->r) && !sonde_mp_read_map(&d->r, out_count))
        return false;
    *out_kept = decoder_bounded(d, *out_count);
    return true;
}

static bool read_meta(decoder *d, dictionary *words, payload_span *s)
{
    uint32_t count, kept;
    decode_map map;

    if (!read_map_header(d, &count, &kept))
        return false;
    s->meta = decoder_alloc(d, kept, sizeof(*s->meta));
    if (!s->meta && kept)
        return false;
    decode_map_init(d, &map, s->meta, sizeof(*s->meta), kept);
    for (uint32_t i = 0; i < kept; i++) {
        sonde_str key, value;

        if (!read_ref(d, words, &key) || !read_ref(d, words, &value))
            return false;
        s->meta[decode_map_slot(d, &map, key)] = (span_meta){ key, value };
    }
    s->meta_len = map.len;
    s->meta_cap = kept;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_metrics(decoder *d, dictionary *words, payload_span *s)
{
    uint32_t count, kept;
    decode_map map;

    if (!read_map_header(d, &count, &kept))
        return false;
    s->metrics = decoder_alloc(d, kept + DECODE_METRICS_SPARE, sizeof(*s->metrics));
    if (!s->metrics)
        return false;
    decode_map_init(d, &map, s->metrics, sizeof(*s->metrics), kept);
    for (uint32_t i = 0; i < kept; i++) {
        sonde_str key;
        double value;

        if (!read_ref(d, words, &key) || !sonde_mp_read_double(&d->r, &value))
            return false;
        s->metrics[decode_map_slot(d, &map, key)] = (span_metric){ key, value };
    }
    s->metrics_len = map.len;
    s->metrics_cap = kept + DECODE_METRICS_SPARE;
    return decoder_skip(d, 2 * (count - kept));
}

static bool read_span(decoder *d, dictionary *words, payload_span *s)
{
    uint32_t fields;

    memset(s, 0, sizeof(*s));
    if (!sonde_mp_read_array(&d->r, &fields))
        return false;
    if (fields != SPAN_FIELDS)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX,
                             "encoded span needs exactly 12 elements in array");
    return read_ref(d, words, &s->service) && read_ref(d, words, &s->name) &&
           read_ref(d, words, &s->resource) && sonde_mp_read_u64(&d->r, &s->trace_id) &&
           sonde_mp_read_u64(&d->r, &s->span_id) && sonde_mp_read_u64(&d->r, &s->parent_id) &&
           sonde_mp_read_i64(&d->r, &s->start) && sonde_mp_read_i64(&d->r, &s->duration) &&
           sonde_mp_read_i32(&d->r, &s->error) && read_meta(d, words, s) &&
           read_metrics(d, words, s) && read_ref(d, words, &s->type);
}

static bool read_chunk(decoder *d, dictionary *words, payload_chunk *chunk)
{
    uint32_t count;

    *chunk = (payload_chunk){ .priority = PRIORITY_NONE };
    if (!read_header(d, PAYLOAD_ARRAY_MAX, &count))
        return false;
    chunk->spans = decoder_alloc(d, count, sizeof(*chunk->spans));
    if (!chunk->spans && count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_span(d, words, &chunk->spans[i]))
            return false;
    }
    chunk->spans_len = count;
    d->tally.spans += count;
    return true;
}

/* Also on failure `out_count` says how many chunks are whole. */
static bool read_payload(decoder *d, dictionary *words, payload_chunk **out_chunks,
                         uint32_t *out_count)
{
    uint32_t parts, count;

    *out_count = 0;
    if (!sonde_mp_read_array(&d->r, &parts))
        return false;
    if (parts != 2)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "payload needs exactly 2 elements in array");
    if (!read_dict(d, words) || !read_header(d, PAYLOAD_ARRAY_MAX, &count))
        return false;
    *out_chunks = decoder_alloc(d, count, sizeof(**out_chunks));
    if (!*out_chunks && count)
        return false;
    while (*out_count < count) {
        if (!read_chunk(d, words, &(*out_chunks)[*out_count]))
            return false;
        (*out_count)++;
    }
    return true;
}

sonde_status decode_v05(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    payload_chunk *chunks = NULL;
    uint32_t count = 0;
    dictionary words = { 0 };
    decoder d;

    decoder_init(&d, p);
    if (read_payload(&d, &words, &chunks, &count) || decoder_ends_early(&d, count)) {
        p->chunks = chunks;
        p->chunks_len = count;
    } else if (words.is_bad) {
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "dictionary index %llu out of range",
                          (unsigned long long)words.bad_index);
    }
    return decoder_finish(&d, out_tally, out_error);
}
