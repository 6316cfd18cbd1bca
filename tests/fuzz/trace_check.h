/* trace_check.h - what must hold for any decoded trace payload, before and after processing. */
#ifndef SONDE_TESTS_FUZZ_TRACE_CHECK_H
#define SONDE_TESTS_FUZZ_TRACE_CHECK_H

#include <stdlib.h>
#include <string.h>

#include "agent/payload/limits.h"
#include "agent/processor/processor.h"
#include "agent/receiver/decode.h"
#include "base/str.h"

#define TRACE_ARENA_MAX_BYTES (4u << 20)

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_text(sonde_str s)
{
    require(sonde_utf8_valid(s));
}

static void check_metas(const span_meta *metas, uint32_t len)
{
    require(len <= SPAN_ENTRIES_MAX);
    for (uint32_t i = 0; i < len; i++) {
        check_text(metas[i].key);
        check_text(metas[i].value);
        for (uint32_t k = 0; k < i && len < 64; k++)
            require(!sonde_str_eq(metas[i].key, metas[k].key));
    }
}

static void check_any(const span_any *any)
{
    require(any->type >= SPAN_ANY_STRING && any->type <= SPAN_ANY_ARRAY);
    check_text(any->str);
    for (uint32_t i = 0; i < any->values_len; i++)
        check_any(&any->values[i]);
}

static void check_span(const payload_span *s)
{
    check_text(s->service);
    check_text(s->name);
    check_text(s->resource);
    check_text(s->type);
    check_metas(s->meta, s->meta_len);
    for (uint32_t i = 0; i < s->metrics_len; i++)
        check_text(s->metrics[i].key);
    for (uint32_t i = 0; i < s->meta_struct_len; i++)
        check_text(s->meta_struct[i].key);
    for (uint32_t i = 0; i < s->links_len; i++) {
        check_text(s->links[i].tracestate);
        check_metas(s->links[i].attributes, s->links[i].attributes_len);
    }
    for (uint32_t i = 0; i < s->events_len; i++) {
        check_text(s->events[i].name);
        for (uint32_t k = 0; k < s->events[i].attributes_len; k++) {
            check_text(s->events[i].attributes[k].key);
            check_any(&s->events[i].attributes[k].value);
        }
    }
}

static uint64_t check_chunks(const payload *p)
{
    uint64_t spans = 0;

    for (uint32_t i = 0; i < p->chunks_len; i++) {
        for (uint32_t k = 0; k < p->chunks[i].spans_len; k++)
            check_span(&p->chunks[i].spans[k]);
        spans += p->chunks[i].spans_len;
    }
    return spans;
}

/* The limits of docs/spec/normalization.md; of v1.0 the low half of a trace id may be 0. */
static void check_processed(const payload *p, bool is_v1)
{
    for (uint32_t i = 0; i < p->chunks_len; i++) {
        const payload_chunk *chunk = &p->chunks[i];

        require(chunk->spans_len > 0 && chunk->root < chunk->spans_len);
        for (uint32_t k = 0; k < chunk->spans_len; k++) {
            const payload_span *s = &chunk->spans[k];

            require((s->trace_id || is_v1) && s->span_id);
            require(s->service.len && s->name.len && s->resource.len);
            require(s->name.len <= 100 && s->type.len <= 100 && s->resource.len <= 5000);
            require(s->duration >= 0 && s->start <= INT64_MAX - s->duration);
        }
    }
}

static int check_decoder(decode_fn decode, const uint8_t *data, size_t size)
{
    const processor_options options = { 0 };
    payload *p = payload_new(TRACE_ARENA_MAX_BYTES);
    processor *stages = NULL;
    decode_tally tally;
    sonde_error error;
    sonde_status status;

    if (!p || processor_open(&options, &stages) != SONDE_OK)
        abort();
    p->body = (sonde_str){ (const char *)data, size };
    p->endpoint_version = decode == decode_v10 ? "v1.0" : "v0.4";
    status = decode(p, &tally, &error);
    require(p->arena.held_bytes <= TRACE_ARENA_MAX_BYTES);
    if (status == SONDE_OK) {
        require(check_chunks(p) == tally.spans);
        processor_run(stages, p);
        check_processed(p, decode == decode_v10);
        require(check_chunks(p) <= tally.spans);
    } else {
        require(p->chunks == NULL && p->chunks_len == 0 && error.message[0]);
    }
    processor_close(stages);
    payload_free(p);
    return 0;
}

#endif /* SONDE_TESTS_FUZZ_TRACE_CHECK_H */
