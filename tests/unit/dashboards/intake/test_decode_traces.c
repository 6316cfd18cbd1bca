/* AgentPayload to frames, with protobuf-c as the writer. */
#include <stdlib.h>
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#include "base/alloc.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "dashboards/intake/decode.h"

typedef Datadog__Trace__AgentPayload agent_payload;
typedef Datadog__Trace__TracerPayload tracer_payload;
typedef Datadog__Trace__TraceChunk trace_chunk;
typedef Datadog__Trace__Span pb_span;
typedef Datadog__Trace__Span__MetaEntry meta_entry;
typedef Datadog__Trace__Span__MetricsEntry metrics_entry;
typedef Datadog__Trace__SpanLink span_link;

/* Two tracers; the second has two chunks, whose spans share tags. */
static size_t write_payload(uint8_t *out)
{
    meta_entry tid = DATADOG__TRACE__SPAN__META_ENTRY__INIT;
    meta_entry k = DATADOG__TRACE__SPAN__META_ENTRY__INIT;
    metrics_entry m = DATADOG__TRACE__SPAN__METRICS_ENTRY__INIT;
    span_link link = DATADOG__TRACE__SPAN_LINK__INIT;
    pb_span a = DATADOG__TRACE__SPAN__INIT, b = a, c = a;
    trace_chunk chunk1 = DATADOG__TRACE__TRACE_CHUNK__INIT, chunk2 = chunk1;
    tracer_payload t1 = DATADOG__TRACE__TRACER_PAYLOAD__INIT, t2 = t1;
    agent_payload p = DATADOG__TRACE__AGENT_PAYLOAD__INIT;
    meta_entry *a_meta[] = { &tid, &k }, *b_meta[] = { &k };
    metrics_entry *a_metrics[] = { &m };
    span_link *a_links[] = { &link };
    pb_span *spans1[] = { &a, &b }, *spans2[] = { &c };
    trace_chunk *chunks1[] = { &chunk1 }, *chunks2[] = { &chunk2 };
    tracer_payload *tracers[] = { &t1, &t2 };

    tid.key = (char *)(uintptr_t) "_dd.p.tid";
    tid.value = (char *)(uintptr_t) "674490a100000000";
    k.key = (char *)(uintptr_t) "http.status_code";
    k.value = (char *)(uintptr_t) "404";
    m.key = (char *)(uintptr_t) "_top_level";
    m.value = 1;
    link.traceid = 11;
    link.spanid = 12;
    a.service = (char *)(uintptr_t) "web";
    a.name = (char *)(uintptr_t) "http.request";
    a.resource = (char *)(uintptr_t) "GET /";
    a.type = (char *)(uintptr_t) "web";
    a.traceid = UINT64_MAX;
    a.spanid = 1;
    a.start = 1700000000000000000;
    a.duration = 1000;
    a.n_meta = 2, a.meta = a_meta;
    a.n_metrics = 1, a.metrics = a_metrics;
    a.n_spanlinks = 1, a.spanlinks = a_links;
    b.service = (char *)(uintptr_t) "web";
    b.traceid = UINT64_MAX;
    b.spanid = 2;
    b.parentid = 1;
    b.start = 1700000000000000100;
    b.duration = -5;
    b.error = 1;
    b.n_meta = 1, b.meta = b_meta;
    c.service = (char *)(uintptr_t) "mail";
    c.traceid = 9;
    c.spanid = 3;
    chunk1.priority = -1;
    chunk1.origin = (char *)(uintptr_t) "rum";
    chunk1.n_spans = 2, chunk1.spans = spans1;
    chunk2.n_spans = 1, chunk2.spans = spans2;
    t1.env = (char *)(uintptr_t) "prod";
    t1.appversion = (char *)(uintptr_t) "1.2";
    t1.n_chunks = 1, t1.chunks = chunks1;
    t2.hostname = (char *)(uintptr_t) "pod-7";
    t2.n_chunks = 1, t2.chunks = chunks2;
    p.hostname = (char *)(uintptr_t) "h1";
    p.env = (char *)(uintptr_t) "none";
    p.n_tracerpayloads = 2, p.tracerpayloads = tracers;
    return datadog__trace__agent_payload__pack(&p, out);
}

static sonde_status decode(sonde_str body, store_batch **out_batch, traces_counts *counts)
{
    traces_decoder *d = traces_decoder_new();
    store_batch *b = store_batch_new();
    sonde_status status = d && b ? traces_decode(d, body, b, counts) : SONDE_ERR_NOMEM;

    traces_decoder_free(d);
    if (status != SONDE_OK) {
        store_batch_free(b);
        return status;
    }
    *out_batch = b;
    return SONDE_OK;
}

static void test_a_payload_of_protobuf_c_becomes_one_frame(void **state)
{
    uint8_t bytes[4096];
    sonde_str body = { (const char *)bytes, write_payload(bytes) };
    traces_counts counts;
    store_batch *b;
    frame_view v;
    const model_span *s;

    (void)state;
    assert_status(decode(body, &b, &counts), SONDE_OK);
    memset(bytes, 0xee, sizeof(bytes)); /* nothing may refer to the body */
    assert_int_equal(counts.chunks, 2);
    assert_int_equal(counts.spans, 3);
    assert_int_equal(b->frames_len, 1);
    frame_view_init(&v);
    assert_status(frame_view_decode(
                      &v, (sonde_str){ (const char *)b->frames[0].body, b->frames[0].body_len }),
                  SONDE_OK);

    s = &v.spans[0];
    assert_true(s->chunk->trace_hi == 0x674490a100000000u && s->chunk->trace_lo == UINT64_MAX);
    assert_int_equal(s->chunk->priority, -1);
    assert_true(sonde_str_eq(s->chunk->origin, SONDE_STR("rum")));
    assert_true(sonde_str_eq(s->chunk->source->env, SONDE_STR("prod")));
    assert_true(sonde_str_eq(s->chunk->source->host, SONDE_STR("h1"))); /* the agent's */
    assert_true(sonde_str_eq(s->chunk->source->version, SONDE_STR("1.2")));
    assert_true(sonde_str_eq(s->resource, SONDE_STR("GET /")));
    assert_int_equal(s->start_unix_ns, 1700000000000000000);
    assert_int_equal(s->attrs_len, 3);
    assert_true(frame_view_attr(&v, s, SONDE_STR("_top_level"))->number == 1);
    assert_true(s->extra.len > 0);
    assert_int_equal(v.spans[1].parent_id, 1);
    assert_int_equal(v.spans[1].duration_ns, -5);
    assert_int_equal(v.spans[1].error, 1);
    assert_int_equal(v.spans[1].chunk->trace_hi, v.spans[0].chunk->trace_hi);
    assert_int_equal(v.spans[2].chunk->trace_hi, 0);
    assert_true(sonde_str_eq(v.spans[2].chunk->source->host, SONDE_STR("pod-7")));
    assert_true(sonde_str_eq(v.spans[2].chunk->source->env, SONDE_STR("none"))); /* the agent's */
    assert_int_equal(v.attrs_len, 3); /* the status both spans have is there once */
    frame_view_done(&v);
    store_batch_free(b);
}

static void test_a_payload_cut_anywhere_is_refused_or_whole(void **state)
{
    uint8_t bytes[4096];
    size_t len = write_payload(bytes), i;

    (void)state;
    for (i = 0; i < len; i++) {
        traces_counts counts = { .spans = 77 };
        store_batch *b = NULL;
        uint8_t *exact = sonde_malloc(i);
        sonde_status status;

        memcpy(exact, bytes, i); /* its own block: reading past the end shows */
        status = decode((sonde_str){ (const char *)exact, i }, &b, &counts);
        if (status != SONDE_OK && counts.spans != 77)
            fail_msg("cut at %zu: output touched", i);
        if (status == SONDE_OK)
            store_batch_free(b);
        sonde_free(exact);
    }
}

/* 5 000 spans in one chunk: 2048, 2048 and the rest. */
static void test_a_long_chunk_is_split_into_frames(void **state)
{
    enum { SPANS = 5000 };
    pb_span *spans = calloc(SPANS, sizeof(*spans));
    pb_span **list = calloc(SPANS, sizeof(pb_span *));
    uint8_t *bytes = malloc(SPANS * 64);
    trace_chunk chunk = DATADOG__TRACE__TRACE_CHUNK__INIT;
    tracer_payload t = DATADOG__TRACE__TRACER_PAYLOAD__INIT;
    agent_payload p = DATADOG__TRACE__AGENT_PAYLOAD__INIT;
    trace_chunk *chunks[] = { &chunk };
    tracer_payload *tracers[] = { &t };
    traces_counts counts;
    store_batch *b;
    size_t i;

    (void)state;
    for (i = 0; i < SPANS; i++) {
        datadog__trace__span__init(&spans[i]);
        spans[i].traceid = 7;
        spans[i].spanid = i + 1;
        list[i] = &spans[i];
    }
    chunk.n_spans = SPANS, chunk.spans = list;
    t.n_chunks = 1, t.chunks = chunks;
    p.n_tracerpayloads = 1, p.tracerpayloads = tracers;
    assert_status(
        decode((sonde_str){ (const char *)bytes, datadog__trace__agent_payload__pack(&p, bytes) },
               &b, &counts),
        SONDE_OK);

    assert_int_equal(counts.spans, SPANS);
    assert_int_equal(b->frames_len, 3);
    assert_int_equal(b->frames[0].spans, 2048);
    assert_int_equal(b->frames[2].spans, SPANS - 2 * 2048);
    assert_int_equal(b->frames[2].traces[0].lo, 7);
    store_batch_free(b);
    free(bytes);
    free(list);
    free(spans);
}

static sonde_status decode_scenario(void *user)
{
    uint8_t bytes[4096];
    traces_counts counts;
    store_batch *b = NULL;
    sonde_status status =
        decode((sonde_str){ (const char *)bytes, write_payload(bytes) }, &b, &counts);

    (void)user;
    store_batch_free(b);
    return status;
}

static void test_decoding_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(decode_scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_payload_of_protobuf_c_becomes_one_frame),
        cmocka_unit_test(test_a_payload_cut_anywhere_is_refused_or_whole),
        cmocka_unit_test(test_a_long_chunk_is_split_into_frames),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("decode traces", tests, NULL, NULL);
}
