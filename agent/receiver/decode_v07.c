/* decode_v07.c - v0.7: one map of a tracer's payload; everything about the client is in it, nothing in the head.
 *
 * Bounds   as v0.4, whose spans these are; PAYLOAD_TAGS_MAX-and-more tags are bounded by SPAN_ENTRIES_MAX.
 * Source   docs/spec/receiver.md, "v0.7".
 */
#include "decoder.h"

#define IS(literal) sonde_str_eq(key, SONDE_STR(literal))

static bool read_tags(decoder *d, span_meta **out_tags, uint32_t *out_len, uint32_t *out_cap)
{
    if (!decode_text_map(d, out_tags, out_len))
        return false;
    *out_cap = *out_len;
    return true;
}

static bool read_chunk_field(decoder *d, payload_chunk *chunk, sonde_str key)
{
    if (IS("priority"))
        return sonde_mp_read_i32(&d->r, &chunk->priority);
    if (IS("origin"))
        return decode_text(d, &chunk->origin);
    if (IS("spans"))
        return decode_spans(d, chunk);
    if (IS("tags"))
        return read_tags(d, &chunk->tags, &chunk->tags_len, &chunk->tags_cap);
    if (IS("dropped_trace"))
        return sonde_mp_read_bool(&d->r, &chunk->dropped_trace);
    return sonde_mp_skip(&d->r);
}

/* A priority that is not said is 0 here, not "none": as Datadog's agent has it. */
static bool read_chunk(decoder *d, payload_chunk *chunk)
{
    uint32_t fields;
    sonde_str key;

    *chunk = (payload_chunk){ 0 };
    if (sonde_mp_read_nil(&d->r))
        return true;
    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_str(&d->r, &key) || !read_chunk_field(d, chunk, key))
            return false;
    }
    return true;
}

typedef struct chunk_list {
    payload_chunk *chunks;
    uint32_t len;
} chunk_list;

static bool read_chunks(decoder *d, chunk_list *list)
{
    uint32_t count;

    if (!decode_outer_array(d, &count))
        return false;
    list->chunks = decoder_alloc(d, count, sizeof(*list->chunks));
    if (!list->chunks && count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_chunk(d, &list->chunks[i]))
            return false;
    }
    list->len = count;
    return true;
}

static bool read_field(decoder *d, chunk_list *list, sonde_str key)
{
    payload *p = d->p;

    if (IS("chunks"))
        return read_chunks(d, list);
    if (IS("tags"))
        return read_tags(d, &p->tags, &p->tags_len, &p->tags_cap);
    if (IS("container_id"))
        return decode_text(d, &p->container_id);
    if (IS("language_name"))
        return decode_text(d, &p->language_name);
    if (IS("language_version"))
        return decode_text(d, &p->language_version);
    if (IS("tracer_version"))
        return decode_text(d, &p->tracer_version);
    if (IS("runtime_id"))
        return decode_text(d, &p->runtime_id);
    if (IS("env"))
        return decode_text(d, &p->env);
    if (IS("hostname"))
        return decode_text(d, &p->hostname);
    if (IS("app_version"))
        return decode_text(d, &p->app_version);
    return sonde_mp_skip(&d->r);
}

static bool read_payload(decoder *d, chunk_list *list)
{
    uint32_t fields;
    sonde_str key;

    if (!sonde_mp_read_map(&d->r, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_str(&d->r, &key) || !read_field(d, list, key))
            return false;
    }
    return true;
}

static uint64_t spans_of(const chunk_list *list)
{
    uint64_t spans = 0;

    for (uint32_t i = 0; i < list->len; i++)
        spans += list->chunks[i].spans_len;
    return spans;
}

sonde_status decode_v07(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    chunk_list list = { NULL, 0 };
    decoder d;

    decoder_init(&d, p);
    decoder_forget_head(p);
    p->container_id = (sonde_str){ NULL, 0 };
    if (read_payload(&d, &list)) {
        p->chunks = list.chunks;
        p->chunks_len = list.len;
        d.tally.spans = spans_of(&list); /* what a repeated key replaced was counted too */
    }
    return decoder_finish(&d, out_tally, out_error);
}
