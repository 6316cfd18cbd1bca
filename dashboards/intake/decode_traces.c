/* decode_traces.c - AgentPayload (protobuf) to frames, without copying.
 *
 * A message's own fields may come after the messages inside it, so each level is read twice: first
 * its scalars, then what it holds.  Attributes are handed on as the bytes of their map entry; the
 * frame builder asks for them decoded only when it has not seen those bytes before. */
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "codec/pb_read.h"
#include "codec/pb_write.h"
#include "decode.h"
#include "decode_idx.h"
#include "vocab/tags.h"

#define PAYLOAD_TAGS_MAX 32 /* of one tracer payload; further ones are left out */

struct traces_decoder {
    frame_builder *builder;
    store_batch *batch;
    traces_counts counts;
    model_source source;
    sonde_str tags[PAYLOAD_TAGS_MAX]; /* map entries of the tracer payload in hand */
    size_t tags_len;
    bool source_given; /* to the builder, for the frame in hand */
    frame_chunk chunk;
    bool chunk_open;    /* has spans in the builder */
    bool chunk_begun;   /* the same, or in a frame that was full before the chunk ended */
    uint32_t continued; /* chunks of the frame in hand that began earlier: not counted again */
    sonde_buf plain;    /* what came with a string table, in the form without */
};

traces_decoder *traces_decoder_new(void)
{
    traces_decoder *d = (traces_decoder *)sonde_calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->builder = frame_builder_new();
    if (!d->builder) {
        sonde_free(d);
        return NULL;
    }
    sonde_buf_init(&d->plain, IDX_PLAIN_MAX_BYTES);
    return d;
}

void traces_decoder_free(traces_decoder *d)
{
    if (!d)
        return;
    frame_builder_free(d->builder);
    sonde_buf_done(&d->plain);
    sonde_free(d);
}

/* Ends the frame in hand and moves it to the batch. */
static sonde_status flush(traces_decoder *d)
{
    frame f = { 0 };
    sonde_status status;

    if (frame_builder_spans(d->builder) == 0)
        return frame_builder_status(d->builder);
    d->source_given = false;
    status = frame_builder_finish(d->builder, &f);
    if (status != SONDE_OK)
        return status;
    f.chunks -= d->continued;
    d->continued = 0;
    d->counts.chunks += f.chunks;
    d->counts.spans += f.spans;
    status = store_batch_add_frame(d->batch, &f);
    frame_done(&f);
    return status;
}

static sonde_status end_chunk(traces_decoder *d)
{
    frame_builder_end_chunk(d->builder, &d->chunk);
    d->chunk_open = false;
    return frame_builder_is_full(d->builder) ? flush(d) : frame_builder_status(d->builder);
}

/* ---- attributes ---- */

static sonde_status read_entry(sonde_str raw, model_attr *attr)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, raw.ptr, raw.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            attr->key = sonde_pb_bytes(&r);
        else if (r.field == 2 && attr->kind == MODEL_ATTR_METRIC)
            attr->number = sonde_pb_f64(&r);
        else if (r.field == 2)
            attr->text = sonde_pb_bytes(&r);
    }
    return r.status;
}

static sonde_status add_attr(traces_decoder *d, model_attr_kind kind, sonde_str raw)
{
    model_attr attr = { .kind = (uint8_t)kind };
    sonde_status status;

    if (frame_builder_known_attr(d->builder, kind, raw))
        return SONDE_OK;
    status = read_entry(raw, &attr);
    if (status == SONDE_OK)
        frame_builder_new_attr(d->builder, raw, &attr);
    return status;
}

/* The high half of the trace id is a tag of the chunk's first span: 16 hex digits, so that its map
 * entry has at least this many bytes. */
#define TID_ENTRY_BYTES (2 + sizeof(SONDE_TAG_TID) - 1 + 2 + 16)

static void look_for_tid(traces_decoder *d, sonde_str raw)
{
    model_attr attr = { .kind = MODEL_ATTR_META };
    uint64_t hi;

    if (raw.len >= TID_ENTRY_BYTES && read_entry(raw, &attr) == SONDE_OK &&
        sonde_str_eq(attr.key, SONDE_STR(SONDE_TAG_TID)) &&
        sonde_hex_parse_u64(attr.text, 1, &hi) == SONDE_OK)
        d->chunk.trace_hi = hi;
}

/* ---- spans ---- */

typedef struct span_head {
    frame_span span;
    sonde_str service, name, resource, type;
    uint64_t trace_lo;
    const uint8_t *extra; /* first byte of links and events */
    const uint8_t *extra_end;
} span_head;

/* Links and events are kept as sent.  Encoders write fields in order, which makes them the end of the
 * span: one piece.  When something else stands between them the piece is that much longer; who
 * reads it skips it. */
static void add_extra(span_head *h, const uint8_t *from, const uint8_t *to)
{
    if (!h->extra)
        h->extra = from;
    h->extra_end = to;
}

static sonde_status read_span_head(sonde_str body, span_head *h)
{
    sonde_pb_reader r;
    const uint8_t *before;

    memset(h, 0, sizeof(*h));
    sonde_pb_reader_init(&r, body.ptr, body.len);
    for (before = r.at; sonde_pb_next(&r); before = r.at)
        switch (r.field) {
        case 1:
            h->service = sonde_pb_bytes(&r);
            break;
        case 2:
            h->name = sonde_pb_bytes(&r);
            break;
        case 3:
            h->resource = sonde_pb_bytes(&r);
            break;
        case 4:
            h->trace_lo = sonde_pb_u64(&r);
            break;
        case 5:
            h->span.span_id = sonde_pb_u64(&r);
            break;
        case 6:
            h->span.parent_id = sonde_pb_u64(&r);
            break;
        case 7:
            h->span.start_unix_ns = sonde_pb_i64(&r);
            break;
        case 8:
            h->span.duration_ns = sonde_pb_i64(&r);
            break;
        case 9:
            h->span.error = sonde_pb_i32(&r);
            break;
        case 12:
            h->type = sonde_pb_bytes(&r);
            break;
        case 14:
        case 15:
            add_extra(h, before, r.at);
            break;
        default:
            break;
        }
    return r.status;
}

static sonde_status add_attrs(traces_decoder *d, sonde_str body, bool first)
{
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field < 10 || r.field > 13 || r.field == 12)
            continue;
        if (r.field == 10) {
            status = add_attr(d, MODEL_ATTR_META, sonde_pb_bytes(&r));
            if (first)
                look_for_tid(d, r.bytes);
        } else {
            status = add_attr(d, r.field == 11 ? MODEL_ATTR_METRIC : MODEL_ATTR_STRUCT,
                              sonde_pb_bytes(&r));
        }
    }
    return status == SONDE_OK ? r.status : status;
}

static sonde_status begin_span(traces_decoder *d, uint64_t trace_lo, bool *out_first)
{
    sonde_status status = SONDE_OK;

    if (d->chunk_open && d->chunk.trace_lo != trace_lo)
        status = end_chunk(d); /* not one trace: never seen, cheap to get right */
    *out_first = !d->chunk_open;
    if (status != SONDE_OK || d->chunk_open)
        return status;
    if (!d->source_given)
        frame_builder_source(d->builder, &d->source);
    d->source_given = true;
    d->continued += d->chunk_begun;
    d->chunk_begun = d->chunk_open = true;
    d->chunk.trace_lo = trace_lo;
    return frame_builder_status(d->builder);
}

static sonde_status add_span(traces_decoder *d, sonde_str body)
{
    frame_builder *b = d->builder;
    span_head h;
    bool first;
    sonde_status status;

    if (body.len > FRAME_SPAN_MAX_BYTES) {
        d->counts.spans_too_big++;
        return SONDE_OK;
    }
    status = read_span_head(body, &h);
    if (status == SONDE_OK)
        status = begin_span(d, h.trace_lo, &first);
    if (status == SONDE_OK)
        status = add_attrs(d, body, first);
    if (status != SONDE_OK)
        return status;
    h.span.service = frame_builder_str(b, h.service);
    h.span.name = frame_builder_str(b, h.name);
    h.span.resource = frame_builder_str(b, h.resource);
    h.span.type = frame_builder_str(b, h.type);
    if (h.extra)
        h.span.extra = (sonde_str){ (const char *)h.extra, (size_t)(h.extra_end - h.extra) };
    frame_builder_end_span(b, &h.span);
    return frame_builder_is_full(b) ? end_chunk(d) : frame_builder_status(b);
}

/* ---- what holds the spans ---- */

static sonde_status add_chunk(traces_decoder *d, sonde_str body)
{
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;
    size_t i;

    d->chunk = (frame_chunk){ 0 };
    d->chunk_begun = false;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r))
        if (r.field == 1)
            d->chunk.priority = sonde_pb_i32(&r);
        else if (r.field == 2)
            d->chunk.origin = sonde_pb_bytes(&r);
    if (r.status != SONDE_OK)
        return r.status;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == 3)
            status = add_span(d, sonde_pb_bytes(&r));
    if (status == SONDE_OK)
        status = r.status;
    if (status != SONDE_OK || !d->chunk_open)
        return status;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == 4)
            status = add_attr(d, MODEL_ATTR_META, sonde_pb_bytes(&r));
    for (i = 0; i < d->tags_len && status == SONDE_OK;
         i++) /* those of its payload are its own, too */
        status = add_attr(d, MODEL_ATTR_META, d->tags[i]);
    return status == SONDE_OK ? end_chunk(d) : status;
}

static sonde_status add_tracer_payload(traces_decoder *d, sonde_str body, sonde_str agent_host,
                                       sonde_str agent_env)
{
    model_source *s = &d->source;
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    *s = (model_source){ .env = agent_env, .host = agent_host };
    d->source_given = false;
    d->tags_len = 0;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r))
        switch (r.field) {
        case 1:
            s->container_id = sonde_pb_bytes(&r);
            break;
        case 2:
            s->language = sonde_pb_bytes(&r);
            break;
        case 3:
            s->language_version = sonde_pb_bytes(&r);
            break;
        case 4:
            s->tracer_version = sonde_pb_bytes(&r);
            break;
        case 5:
            s->runtime_id = sonde_pb_bytes(&r);
            break;
        case 7:
            if (d->tags_len < PAYLOAD_TAGS_MAX)
                d->tags[d->tags_len++] = sonde_pb_bytes(&r);
            break;
        case 8:
            s->env = sonde_pb_bytes(&r).len ? r.bytes : s->env;
            break;
        case 9:
            s->host = sonde_pb_bytes(&r).len ? r.bytes : s->host;
            break;
        case 10:
            s->version = sonde_pb_bytes(&r);
            break;
        default:
            break;
        }
    if (r.status != SONDE_OK)
        return r.status;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == 6)
            status = add_chunk(d, sonde_pb_bytes(&r));
    return status == SONDE_OK ? r.status : status;
}

/* A tracer payload with a string table; it is read with the others of its kind, when all are there. */
static sonde_status add_idx_payload(traces_decoder *d, sonde_str body)
{
    size_t mark = sonde_pb_begin(&d->plain, 5);
    sonde_status status = idx_to_plain(body, &d->plain);

    sonde_pb_end(&d->plain, mark);
    return status == SONDE_OK ? d->plain.status : status;
}

static sonde_status read_tracer_payloads(traces_decoder *d, sonde_str body, sonde_str host,
                                         sonde_str env)
{
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == 5)
            status = add_tracer_payload(d, sonde_pb_bytes(&r), host, env);
    return status == SONDE_OK ? r.status : status;
}

static sonde_status read_payload(traces_decoder *d, sonde_str body)
{
    sonde_str host = { NULL, 0 }, env = { NULL, 0 };
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == 1)
            host = sonde_pb_bytes(&r);
        else if (r.field == 2)
            env = sonde_pb_bytes(&r);
        else if (r.field == 11)
            status = add_idx_payload(d, sonde_pb_bytes(&r));
    if (status == SONDE_OK)
        status = r.status;
    if (status == SONDE_OK)
        status = read_tracer_payloads(d, body, host, env);
    if (status == SONDE_OK)
        status = read_tracer_payloads(d, sonde_buf_str(&d->plain), host, env);
    return status == SONDE_OK ? flush(d) : status;
}

sonde_status traces_decode(traces_decoder *d, sonde_str body, store_batch *batch,
                           traces_counts *out_counts)
{
    sonde_status status;

    frame_builder_reset(d->builder);
    d->batch = batch;
    d->counts = (traces_counts){ 0 };
    d->source_given = d->chunk_open = false;
    d->continued = 0;
    status = read_payload(d, body);
    d->batch = NULL;
    frame_builder_reset(d->builder); /* it must not refer to the body any longer */
    sonde_buf_done(&d->plain);
    if (status == SONDE_OK)
        *out_counts = d->counts;
    return status;
}
