/* decode_fixture.h - a payload around a body, for the decoders' tests. */
#ifndef SONDE_TESTS_UNIT_AGENT_RECEIVER_DECODE_FIXTURE_H
#define SONDE_TESTS_UNIT_AGENT_RECEIVER_DECODE_FIXTURE_H

#include "agent/payload/limits.h"
#include "agent/receiver/decode.h"
#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/test.h"

typedef struct decoded {
    payload *p;
    decode_tally tally;
    sonde_error error;
    sonde_status status;
} decoded;

static inline decoded decode_bytes(decode_fn decode, const void *data, size_t len)
{
    decoded d = { .p = payload_new(64u << 20) };

    assert_non_null(d.p);
    d.p->body = (sonde_str){ data, len };
    d.status = decode(d.p, &d.tally, &d.error);
    return d;
}

static inline decoded decode_buf(decode_fn decode, const sonde_buf *b)
{
    return decode_bytes(decode, b->data, b->len);
}

/* Commented hexadecimal text, as in tests/golden. */
static inline decoded decode_hex(decode_fn decode, const char *hex, sonde_buf *bytes)
{
    golden_bytes(hex, bytes);
    return decode_buf(decode, bytes);
}

/* The body of a golden file whose one chunk begins at `chunk_at`, with that chunk three times, cut at every byte: the
 * chunks that are whole are kept. */
static inline void decode_cut_everywhere(decode_fn decode, const char *golden, size_t chunk_at)
{
    sonde_buf one, body;
    size_t chunk_len;

    sonde_buf_init(&body, 1 << 16);
    golden_load(golden, &one);
    chunk_len = one.len - chunk_at;
    sonde_buf_append(&body, one.data, chunk_at - 1);
    sonde_buf_append_byte(&body, 0x93); /* in place of 0x91 */
    for (int i = 0; i < 3; i++)
        sonde_buf_append(&body, one.data + chunk_at, chunk_len);
    for (size_t len = 0; len < body.len; len++) {
        size_t whole = len < chunk_at ? 0 : (len - chunk_at) / chunk_len;
        uint8_t *copy = test_malloc(len + 1); /* so that a sanitizer sees reading on */
        payload *p = payload_new(64u << 20);
        decode_tally tally = { 0 };
        sonde_status status;

        memcpy(copy, body.data, len);
        p->body = (sonde_str){ (const char *)copy, len };
        p->is_cut = true;
        status = decode(p, &tally, NULL);
        if (status != (whole ? SONDE_OK : SONDE_ERR_SYNTAX) || p->chunks_len != whole ||
            tally.spans != whole)
            fail_msg("%s, %zu bytes: %s, %u chunks, not %zu", golden, len,
                     sonde_status_name(status), p->chunks_len, whole);
        payload_free(p);
        test_free(copy);
    }
    sonde_buf_done(&one);
    sonde_buf_done(&body);
}

typedef struct decode_attempt {
    decode_fn decode;
    const sonde_buf *body;
} decode_attempt;

static inline sonde_status attempt_decode(void *user)
{
    const decode_attempt *attempt = (const decode_attempt *)user;
    payload *p = payload_new(1 << 20);
    decode_tally tally;
    sonde_status status;

    if (!p)
        return SONDE_ERR_NOMEM;
    p->body = sonde_buf_str(attempt->body);
    status = attempt->decode(p, &tally, NULL);
    payload_free(p);
    return status;
}

/* Decodes `body` with each of its allocations failing once. */
static inline void decode_without_memory(decode_fn decode, const sonde_buf *body)
{
    alloc_fail_each(attempt_decode, &(decode_attempt){ decode, body });
}

#define assert_text(got, want)                                                                     \
    do {                                                                                           \
        sonde_str text_got_ = (got);                                                               \
        if (!sonde_str_eq(text_got_, sonde_str_from(want)))                                        \
            fail_msg("%s: got \"%.*s\", want \"%s\"", #got, SONDE_STR_ARG(text_got_), (want));     \
    } while (0)

/* The span of golden v04_one_span and v05_one_span. */
static inline void assert_is_the_golden_span(const decoded *d)
{
    const payload_span *s;

    assert_status(d->status, SONDE_OK);
    assert_int_equal(d->p->chunks_len, 1);
    assert_int_equal(d->p->chunks[0].spans_len, 1);
    assert_int_equal(d->p->chunks[0].priority, PRIORITY_NONE);
    s = &d->p->chunks[0].spans[0];
    assert_text(s->service, "web");
    assert_text(s->name, "http.request");
    assert_text(s->resource, "GET /");
    assert_text(s->type, "");
    assert_int_equal(s->trace_id, 0x0102);
    assert_int_equal(s->span_id, 0x0304);
    assert_int_equal(s->parent_id, 0);
    assert_true(s->start == 1700000000000000000);
    assert_int_equal(s->duration, 1500000);
    assert_int_equal(s->error, 0);
    assert_int_equal(s->meta_len, 1);
    assert_text(*span_meta_get(s, SONDE_STR("env")), "prod");
    assert_int_equal(s->metrics_len, 1);
    assert_true(*span_metric_get(s, SONDE_STR("_sampling_priority_v1")) == 1);
    assert_int_equal(d->tally.spans, 1);
}

#endif /* SONDE_TESTS_UNIT_AGENT_RECEIVER_DECODE_FIXTURE_H */
