/* encode_v05.c - a table of texts by hash, and twelve values per span. */
#include "encode_v05.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "codec/json_write.h"
#include "codec/msgpack_write.h"

#include "vocab/tags.h"

#include "chars.h"
#include "counters.h"
#include "wire_span.h"

#define LINKS_MAX_BYTES 25000 /* what an agent takes of a text */

sonde_status sonde__v05_open(sonde__v05 *v, size_t max_bytes)
{
    memset(v, 0, sizeof(*v));
    sonde_buf_init(&v->texts, max_bytes / 2);
    sonde_buf_init(&v->spans, max_bytes / 4);
    sonde_buf_init(&v->json, LINKS_MAX_BYTES + 1);
    if (sonde__text_numbers_open(&v->numbers, max_bytes / 4) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    sonde__v05_reset(v);
    return v->texts.status != SONDE_OK ? v->texts.status : v->spans.status;
}

void sonde__v05_close(sonde__v05 *v)
{
    sonde_buf_done(&v->texts);
    sonde_buf_done(&v->spans);
    sonde_buf_done(&v->json);
    sonde__text_numbers_close(&v->numbers);
}

void sonde__v05_reset(sonde__v05 *v)
{
    sonde__text_numbers_reset(&v->numbers);
    sonde_buf_reset(&v->texts);
    sonde_buf_reset(&v->spans);
    sonde_mp_write_array(&v->texts, 2);
    v->texts_mark = sonde_mp_begin_array32(&v->texts);
    sonde_mp_write_str(&v->texts, SONDE_STR(""));
    v->spans_mark = sonde_mp_begin_array32(&v->spans);
}

static uint32_t add_text(sonde__v05 *v, sonde__text_slot *slot, uint32_t hash, sonde_str text)
{
    if (sonde__text_numbers_full(&v->numbers))
        v->spans.status = SONDE_ERR_TOO_BIG;
    if (v->spans.status != SONDE_OK)
        return 0;
    sonde_mp_write_str(&v->texts, text);
    if (v->texts.status != SONDE_OK)
        return 0;
    return sonde__text_numbers_put(&v->numbers, slot, hash, v->texts.len - text.len, text.len);
}

static uint32_t number_of(sonde__v05 *v, sonde_str text)
{
    sonde__text_slot *slot;
    uint32_t hash;

    if (text.len == 0)
        return 0;
    slot = sonde__text_numbers_find(&v->numbers, v->texts.data, text, &hash);
    return slot->number != 0 ? slot->number : add_text(v, slot, hash, text);
}

static void write_text(sonde__v05 *v, sonde_str text)
{
    sonde_mp_write_u64(&v->spans, number_of(v, text));
}

/* -- links ---------------------------------------------------------------------------------------- */

static void write_link(sonde_json_writer *w, sonde__wire_link *l)
{
    sonde_str key, value;
    char hex[32];

    sonde__put_hex16(l->trace_id_high, hex);
    sonde__put_hex16(l->trace_id, hex + 16);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "trace_id", (sonde_str){ hex, 32 });
    sonde__put_hex16(l->span_id, hex);
    sonde_json_put_str(w, "span_id", (sonde_str){ hex, 16 });
    if (l->attributes.len > 0) {
        sonde_json_key(w, SONDE_STR("attributes"));
        sonde_json_begin_object(w);
        for (; l->attributes.len > 0; l->attributes.len--) {
            (void)sonde_mp_read_str(&l->attributes.at, &key);
            (void)sonde_mp_read_str(&l->attributes.at, &value);
            sonde_json_key(w, key);
            sonde_json_str(w, value);
        }
        sonde_json_end_object(w);
    }
    if (l->tracestate.len > 0)
        sonde_json_put_str(w, "tracestate", l->tracestate);
    if (l->flags != 0)
        sonde_json_put_u64(w, "flags", l->flags & 0x7fffffff);
    sonde_json_end_object(w);
}

/* The links as JSON; those that an agent would cut off are left out and counted. */
static sonde_str links_json(sonde__v05 *v, sonde_str links)
{
    sonde_mp_reader r;
    uint32_t len = 0;
    sonde__wire_link l;

    sonde_buf_reset(&v->json);
    sonde_buf_append_byte(&v->json, '[');
    sonde_mp_reader_init(&r, links.ptr, links.len);
    (void)sonde_mp_read_array(&r, &len);
    for (; len > 0 && sonde__wire_link_read(&r, &l); len--) {
        size_t before = v->json.len;
        sonde_json_writer w;

        if (before > 1)
            sonde_buf_append_byte(&v->json, ',');
        sonde_json_writer_init(&w, &v->json);
        write_link(&w, &l);
        if (v->json.status == SONDE_OK && v->json.len < LINKS_MAX_BYTES)
            continue;
        v->json.status = SONDE_OK;
        v->json.len = before;
        sonde__count(SONDE__LINKS_DROPPED, 1);
    }
    sonde_buf_append_byte(&v->json, ']');
    return sonde_buf_str(&v->json);
}

/* -- spans ---------------------------------------------------------------------------------------- */

static void write_meta(sonde__v05 *v, sonde__wire_map map, sonde_str links)
{
    sonde_str key, value;

    sonde_mp_write_map(&v->spans, map.len + (links.len > 0));
    if (links.len > 0) {
        write_text(v, SONDE_STR(SONDE_TAG_SPAN_LINKS));
        write_text(v, links_json(v, links));
    }
    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_str(&map.at, &value);
        write_text(v, key);
        write_text(v, value);
    }
}

static void write_metrics(sonde__v05 *v, sonde__wire_map map)
{
    sonde_str key;
    double value;

    sonde_mp_write_map(&v->spans, map.len);
    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &value);
        write_text(v, key);
        sonde_mp_write_double(&v->spans, value);
    }
}

static void write_span(sonde__v05 *v, const sonde__wire_span *s)
{
    sonde_mp_write_array(&v->spans, 12);
    write_text(v, s->service);
    write_text(v, s->name);
    write_text(v, s->resource);
    sonde_mp_write_u64(&v->spans, s->trace_id);
    sonde_mp_write_u64(&v->spans, s->span_id);
    sonde_mp_write_u64(&v->spans, s->parent_id);
    sonde_mp_write_u64(&v->spans, s->start_unix_ns);
    sonde_mp_write_u64(&v->spans, s->duration_ns);
    sonde_mp_write_u64(&v->spans, s->error);
    write_meta(v, s->meta, s->links);
    write_metrics(v, s->metrics);
    write_text(v, s->type);
}

static sonde_status write_chunk(sonde__v05 *v, sonde_str chunk)
{
    sonde__wire_span span;
    sonde_mp_reader r;
    uint32_t len, i;

    sonde_mp_reader_init(&r, chunk.ptr, chunk.len);
    if (!sonde_mp_read_array(&r, &len))
        return r.status;
    sonde_mp_write_array(&v->spans, len);
    for (i = 0; i < len; i++) {
        if (!sonde__wire_span_read(&r, &span))
            return r.status;
        write_span(v, &span);
    }
    if (v->texts.status != SONDE_OK)
        return v->texts.status;
    if (v->spans.status == SONDE_OK && sonde__v05_len(v) > v->texts.max_bytes)
        return SONDE_ERR_TOO_BIG; /* the complete body would not fit */
    return v->spans.status;
}

sonde_status sonde__v05_add(sonde__v05 *v, sonde_str chunk)
{
    uint32_t next = v->numbers.next;
    size_t texts_at = v->texts.len;
    size_t spans_at = v->spans.len;
    sonde_status status = write_chunk(v, chunk);

    if (status == SONDE_OK)
        return SONDE_OK;
    sonde__text_numbers_forget(&v->numbers, next);
    v->texts.status = v->spans.status = SONDE_OK;
    v->texts.len = texts_at;
    v->spans.len = spans_at;
    return status;
}

sonde_str sonde__v05_body(sonde__v05 *v, uint64_t chunks)
{
    sonde_mp_patch32(&v->texts, v->texts_mark, v->numbers.next);
    sonde_mp_patch32(&v->spans, v->spans_mark, (uint32_t)chunks);
    sonde_buf_append_str(&v->texts, sonde_buf_str(&v->spans));
    return v->texts.status == SONDE_OK ? sonde_buf_str(&v->texts) : (sonde_str){ NULL, 0 };
}
