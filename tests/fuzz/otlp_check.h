/* otlp_check.h - what must hold for any OTLP request that a reader takes or refuses. */
#ifndef SONDE_TESTS_FUZZ_OTLP_CHECK_H
#define SONDE_TESTS_FUZZ_OTLP_CHECK_H

#include <stdlib.h>

#include "agent/otlp/read.h"

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

/* A span has room for one more tag: who decided. */
static void check_otlp_span(const payload_span *s)
{
    check_text(s->service);
    check_text(s->name);
    check_text(s->resource);
    check_text(s->type);
    check_metas(s->meta, s->meta_len <= SPAN_ENTRIES_MAX ? s->meta_len : s->meta_len - 1);
    for (uint32_t i = 0; i < s->metrics_len; i++)
        check_text(s->metrics[i].key);
}

static int check_otlp(otlp_read how, const uint8_t *data, size_t size)
{
    const otlp_build_options options = { .rate = 0.5, .max_arena_bytes = TRACE_ARENA_MAX_BYTES };
    static otlp_builder b;
    uint64_t spans = 0;
    payload *p;

    otlp_build_init(&b, &options, size);
    if (how(&b, (sonde_str){ (const char *)data, size }) != SONDE_OK) {
        require(b.error != NULL);
        otlp_build_done(&b);
        return 0;
    }
    while ((p = otlp_build_take(&b)) != NULL) {
        require(p->chunks_len > 0 && p->arena.held_bytes <= TRACE_ARENA_MAX_BYTES);
        for (uint32_t i = 0; i < p->chunks_len; i++) {
            require(p->chunks[i].spans_len > 0);
            spans += p->chunks[i].spans_len;
            for (uint32_t k = 0; k < p->chunks[i].spans_len; k++) {
                require(p->chunks[i].spans[k].trace_id == p->chunks[i].spans[0].trace_id);
                check_otlp_span(&p->chunks[i].spans[k]);
            }
        }
        payload_free(p);
    }
    require(spans == b.tally.spans);
    otlp_build_done(&b);
    return 0;
}

#endif /* SONDE_TESTS_FUZZ_OTLP_CHECK_H */
