/* AgentPayload as the writer encodes it: the worked example byte for byte, every field against protobuf-c. */
#include "support/test.h"

#include <string.h>

#include "agent/writer/trace_encode.h"
#include "base/str.h"
#include "codec/pb_write.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "support/golden.h"

#define MAX_BYTES ((size_t)1 << 20)

static const agent_facts facts = { .hostname = { "h1", 2 },
                                   .env = { "none", 4 },
                                   .version = { "1.0.0", 5 },
                                   .target_tps = 10,
                                   .errors_tps = 10 };

static void encode_all(sonde_buf *b, const agent_facts *a, const payload *p)
{
    size_t mark;
    uint32_t i;

    encode_agent_head(b, a);
    mark = sonde_pb_begin(b, AGENT_FIELD_TRACER_PAYLOADS);
    encode_tracer_head(b, p);
    for (i = 0; i < p->chunks_len; i++)
        encode_chunk(b, &p->chunks[i]);
    encode_tracer_tail(b, p);
    sonde_pb_end(b, mark);
    encode_agent_tail(b, a);
}

static void test_the_worked_example_is_matched_byte_for_byte(void **state)
{
    span_meta meta[] = { { SONDE_STR("env"), SONDE_STR("prod") } };
    span_metric metrics[] = { { SONDE_STR("_top_level"), 1.0 } };
    payload_span span = { .service = SONDE_STR("web"),
                          .name = SONDE_STR("http.request"),
                          .resource = SONDE_STR("GET /"),
                          .trace_id = 258,
                          .span_id = 772,
                          .start = INT64_C(1700000000000000000),
                          .duration = 1500000,
                          .meta = meta,
                          .meta_len = 1,
                          .metrics = metrics,
                          .metrics_len = 1 };
    payload_chunk chunk = { .priority = 1, .spans = &span, .spans_len = 1 };
    payload p = { .language_name = SONDE_STR("go"),
                  .env = SONDE_STR("prod"),
                  .chunks = &chunk,
                  .chunks_len = 1 };
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, MAX_BYTES);
    encode_all(&b, &facts, &p);

    assert_int_equal(b.len, 135);
    golden_expect("agent_payload/one_span.hex", sonde_buf_str(&b));
    sonde_buf_done(&b);
}

static void assert_text(const char *got, const char *want)
{
    assert_string_equal(got, want);
}

/* One payload with every field set, written by us and read by protobuf-c. */
static void test_every_field_is_read_back_by_protobuf_c(void **state)
{
    span_meta meta[] = { { SONDE_STR("k1"), SONDE_STR("v1") },
                         { SONDE_STR("empty"), SONDE_STR("") } };
    span_metric metrics[] = { { SONDE_STR("m"), 0.25 }, { SONDE_STR("zero"), 0.0 } };
    span_meta blobs[] = { { SONDE_STR("appsec"), SONDE_STR("\x81\xa1k\x01") } };
    span_meta attributes[] = { { SONDE_STR("a"), SONDE_STR("b") } };
    span_link links[] = { { .trace_id = 11,
                            .trace_id_high = 12,
                            .span_id = 13,
                            .tracestate = SONDE_STR("dd=s:1"),
                            .flags = 0x80000001u,
                            .attributes = attributes,
                            .attributes_len = 1 } };
    span_any elements[] = { { .type = SPAN_ANY_STRING, .str = SONDE_STR("x") },
                            { .type = SPAN_ANY_INT, .integer = -3 } };
    span_event_attr event_attributes[] = {
        { SONDE_STR("s"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("text") } },
        { SONDE_STR("b"), { .type = SPAN_ANY_BOOL, .integer = 1 } },
        { SONDE_STR("i"), { .type = SPAN_ANY_INT, .integer = -7 } },
        { SONDE_STR("d"), { .type = SPAN_ANY_DOUBLE, .number = 1.5 } },
        { SONDE_STR("l"), { .type = SPAN_ANY_ARRAY, .values = elements, .values_len = 2 } },
    };
    span_event events[] = { { .time_unix_nano = 123,
                              .name = SONDE_STR("exception"),
                              .attributes = event_attributes,
                              .attributes_len = COUNT_OF(event_attributes) } };
    payload_span spans[] = {
        { .service = SONDE_STR("s"),
          .name = SONDE_STR("n"),
          .resource = SONDE_STR("r"),
          .type = SONDE_STR("web"),
          .trace_id = UINT64_MAX,
          .span_id = 2,
          .parent_id = 3,
          .start = 4,
          .duration = -5,
          .error = -1,
          .meta = meta,
          .meta_len = 2,
          .metrics = metrics,
          .metrics_len = 2,
          .meta_struct = blobs,
          .meta_struct_len = 1,
          .links = links,
          .links_len = 1,
          .events = events,
          .events_len = 1 },
        { .service = SONDE_STR("second") },
    };
    span_meta chunk_tags[] = { { SONDE_STR("_dd.p.dm"), SONDE_STR("-1") } };
    payload_chunk chunks[] = { { .priority = -1,
                                 .origin = SONDE_STR("rum"),
                                 .spans = spans,
                                 .spans_len = 2,
                                 .tags = chunk_tags,
                                 .tags_len = 1,
                                 .dropped_trace = true } };
    span_meta payload_tags[] = { { SONDE_STR("_dd.tags.process"), SONDE_STR("a:b") } };
    payload p = { .container_id = SONDE_STR("c"),
                  .language_name = SONDE_STR("l"),
                  .language_version = SONDE_STR("lv"),
                  .tracer_version = SONDE_STR("tv"),
                  .runtime_id = SONDE_STR("rt"),
                  .env = SONDE_STR("e"),
                  .hostname = SONDE_STR("h"),
                  .app_version = SONDE_STR("av"),
                  .tags = payload_tags,
                  .tags_len = 1,
                  .chunks = chunks,
                  .chunks_len = 1 };
    agent_facts rare = facts;
    Datadog__Trace__AgentPayload *got;
    const Datadog__Trace__TracerPayload *tracer;
    const Datadog__Trace__TraceChunk *chunk;
    const Datadog__Trace__Span *span;
    const Datadog__Trace__SpanLink *link;
    const Datadog__Trace__SpanEvent *event;
    sonde_buf b;

    (void)state;
    rare.rare_sampler = true;
    sonde_buf_init(&b, MAX_BYTES);
    encode_all(&b, &rare, &p);
    got = datadog__trace__agent_payload__unpack(NULL, b.len, b.data);

    assert_non_null(got);
    assert_text(got->hostname, "h1");
    assert_text(got->env, "none");
    assert_text(got->agentversion, "1.0.0");
    assert_true(got->targettps >= 10 && got->errortps >= 10 && got->raresamplerenabled);
    assert_int_equal(got->n_tracerpayloads, 1);
    tracer = got->tracerpayloads[0];
    assert_text(tracer->containerid, "c");
    assert_text(tracer->languagename, "l");
    assert_text(tracer->languageversion, "lv");
    assert_text(tracer->tracerversion, "tv");
    assert_text(tracer->runtimeid, "rt");
    assert_text(tracer->env, "e");
    assert_text(tracer->hostname, "h");
    assert_text(tracer->appversion, "av");
    assert_text(tracer->tags[0]->value, "a:b");
    chunk = tracer->chunks[0];
    assert_int_equal(chunk->priority, -1);
    assert_text(chunk->origin, "rum");
    assert_text(chunk->tags[0]->key, "_dd.p.dm");
    assert_true(chunk->droppedtrace);
    assert_int_equal(chunk->n_spans, 2);
    assert_text(chunk->spans[1]->service, "second");
    span = chunk->spans[0];
    assert_text(span->service, "s");
    assert_text(span->name, "n");
    assert_text(span->resource, "r");
    assert_text(span->type, "web");
    assert_true(span->traceid == UINT64_MAX && span->spanid == 2 && span->parentid == 3);
    assert_true(span->start == 4 && span->duration == -5 && span->error == -1);
    assert_int_equal(span->n_meta, 2);
    assert_text(span->meta[1]->key, "empty");
    assert_text(span->meta[1]->value, "");
    assert_int_equal(span->n_metrics, 2);
    assert_text(span->metrics[1]->key, "zero");
    assert_int_equal(span->meta_struct[0]->value.len, 4);
    link = span->spanlinks[0];
    assert_true(link->traceid == 11 && link->traceid_high == 12 && link->spanid == 13);
    assert_int_equal(link->flags, 0x80000001u);
    assert_text(link->tracestate, "dd=s:1");
    assert_text(link->attributes[0]->value, "b");
    event = span->spanevents[0];
    assert_int_equal(event->time_unix_nano, 123);
    assert_text(event->name, "exception");
    assert_int_equal(event->n_attributes, 5);
    assert_text(event->attributes[0]->value->string_value, "text");
    assert_true(event->attributes[1]->value->bool_value);
    assert_true(event->attributes[2]->value->int_value == -7);
    assert_true(event->attributes[3]->value->double_value > 1.4);
    assert_int_equal(event->attributes[4]->value->array_value->n_values, 2);
    assert_true(event->attributes[4]->value->array_value->values[1]->int_value == -3);
    datadog__trace__agent_payload__free_unpacked(got, NULL);
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_worked_example_is_matched_byte_for_byte),
        cmocka_unit_test(test_every_field_is_read_back_by_protobuf_c),
    };

    return cmocka_run_group_tests_name("trace_encode", tests, NULL, NULL);
}
