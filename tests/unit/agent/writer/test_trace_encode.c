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
    span_meta tags[] = { { SONDE_STR("env"), SONDE_STR("prod") } };
    span_metric numbers[] = { { SONDE_STR("_top_level"), 1.0 } };
    payload_span span = { .service = SONDE_STR("web"),
                          .name = SONDE_STR("http.request"),
                          .resource = SONDE_STR("GET /"),
                          .trace_id = 258,
                          .span_id = 772,
                          .start = INT64_C(1700000000000000000),
                          .duration = 1500000,
                          .meta = tags,
                          .meta_len = 1,
                          .metrics = numbers,
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

/* One payload with every field set, written by us and read by protobuf-c. */

static span_meta meta[] = { { { "k1", 2 }, { "v1", 2 } }, { { "empty", 5 }, { "", 0 } } };
static span_metric metrics[] = { { { "m", 1 }, 0.25 }, { { "zero", 4 }, 0.0 } };
static span_meta blobs[] = { { { "appsec", 6 }, { "\x81\xa1k\x01", 4 } } };
static span_meta link_attributes[] = { { { "a", 1 }, { "b", 1 } } };
static span_link links[] = { { .trace_id = 11,
                               .trace_id_high = 12,
                               .span_id = 13,
                               .tracestate = { "dd=s:1", 6 },
                               .flags = 0x80000001u,
                               .attributes = link_attributes,
                               .attributes_len = 1 } };
static span_any elements[] = { { .type = SPAN_ANY_STRING, .str = { "x", 1 } },
                               { .type = SPAN_ANY_INT, .integer = -3 } };
static span_event_attr event_attributes[] = {
    { { "s", 1 }, { .type = SPAN_ANY_STRING, .str = { "text", 4 } } },
    { { "b", 1 }, { .type = SPAN_ANY_BOOL, .integer = 1 } },
    { { "i", 1 }, { .type = SPAN_ANY_INT, .integer = -7 } },
    { { "d", 1 }, { .type = SPAN_ANY_DOUBLE, .number = 1.5 } },
    { { "l", 1 }, { .type = SPAN_ANY_ARRAY, .values = elements, .values_len = 2 } },
};
static span_event events[] = { { .time_unix_nano = 123,
                                 .name = { "exception", 9 },
                                 .attributes = event_attributes,
                                 .attributes_len = COUNT_OF(event_attributes) } };
static payload_span spans[] = {
    { .service = { "s", 1 },
      .name = { "n", 1 },
      .resource = { "r", 1 },
      .type = { "web", 3 },
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
    { .service = { "second", 6 } },
};
static span_meta chunk_tags[] = { { { "_dd.p.dm", 8 }, { "-1", 2 } } };
static payload_chunk chunks[] = { { .priority = -1,
                                    .origin = { "rum", 3 },
                                    .spans = spans,
                                    .spans_len = 2,
                                    .tags = chunk_tags,
                                    .tags_len = 1,
                                    .dropped_trace = true } };
static span_meta payload_tags[] = { { { "_dd.tags.process", 16 }, { "a:b", 3 } } };
static payload full = { .container_id = { "c", 1 },
                        .language_name = { "l", 1 },
                        .language_version = { "lv", 2 },
                        .tracer_version = { "tv", 2 },
                        .runtime_id = { "rt", 2 },
                        .env = { "e", 1 },
                        .hostname = { "h", 1 },
                        .app_version = { "av", 2 },
                        .tags = payload_tags,
                        .tags_len = 1,
                        .chunks = chunks,
                        .chunks_len = 1 };

static void assert_payload_fields(const Datadog__Trace__AgentPayload *got)
{
    const Datadog__Trace__TracerPayload *tracer = got->tracerpayloads[0];

    assert_string_equal(got->hostname, "h1");
    assert_string_equal(got->env, "none");
    assert_string_equal(got->agentversion, "1.0.0");
    assert_true(got->targettps >= 10 && got->errortps >= 10 && got->raresamplerenabled);
    assert_string_equal(tracer->containerid, "c");
    assert_string_equal(tracer->languagename, "l");
    assert_string_equal(tracer->languageversion, "lv");
    assert_string_equal(tracer->tracerversion, "tv");
    assert_string_equal(tracer->runtimeid, "rt");
    assert_string_equal(tracer->env, "e");
    assert_string_equal(tracer->hostname, "h");
    assert_string_equal(tracer->appversion, "av");
    assert_string_equal(tracer->tags[0]->value, "a:b");
}

static void assert_chunk_fields(const Datadog__Trace__TraceChunk *chunk)
{
    assert_int_equal(chunk->priority, -1);
    assert_string_equal(chunk->origin, "rum");
    assert_string_equal(chunk->tags[0]->key, "_dd.p.dm");
    assert_true(chunk->droppedtrace);
    assert_int_equal(chunk->n_spans, 2);
    assert_string_equal(chunk->spans[1]->service, "second");
}

static void assert_span_fields(const Datadog__Trace__Span *span)
{
    assert_string_equal(span->service, "s");
    assert_string_equal(span->name, "n");
    assert_string_equal(span->resource, "r");
    assert_string_equal(span->type, "web");
    assert_true(span->traceid == UINT64_MAX && span->spanid == 2 && span->parentid == 3);
    assert_true(span->start == 4 && span->duration == -5 && span->error == -1);
    assert_int_equal(span->n_meta, 2);
    assert_string_equal(span->meta[1]->key, "empty");
    assert_string_equal(span->meta[1]->value, "");
    assert_int_equal(span->n_metrics, 2);
    assert_string_equal(span->metrics[1]->key, "zero");
    assert_int_equal(span->meta_struct[0]->value.len, 4);
}

static void assert_link_and_event_fields(const Datadog__Trace__Span *span)
{
    const Datadog__Trace__SpanLink *link = span->spanlinks[0];
    const Datadog__Trace__SpanEvent *event = span->spanevents[0];

    assert_true(link->traceid == 11 && link->traceid_high == 12 && link->spanid == 13);
    assert_int_equal(link->flags, 0x80000001u);
    assert_string_equal(link->tracestate, "dd=s:1");
    assert_string_equal(link->attributes[0]->value, "b");
    assert_int_equal(event->time_unix_nano, 123);
    assert_string_equal(event->name, "exception");
    assert_int_equal(event->n_attributes, 5);
    assert_string_equal(event->attributes[0]->value->string_value, "text");
    assert_true(event->attributes[1]->value->bool_value);
    assert_true(event->attributes[2]->value->int_value == -7);
    assert_true(event->attributes[3]->value->double_value > 1.4);
    assert_int_equal(event->attributes[4]->value->array_value->n_values, 2);
    assert_true(event->attributes[4]->value->array_value->values[1]->int_value == -3);
}

static void test_every_field_is_read_back_by_protobuf_c(void **state)
{
    agent_facts rare = facts;
    Datadog__Trace__AgentPayload *got;
    sonde_buf b;

    (void)state;
    rare.rare_sampler = true;
    rare.apm_mode = SONDE_STR("edge");
    sonde_buf_init(&b, MAX_BYTES);
    encode_all(&b, &rare, &full);
    got = datadog__trace__agent_payload__unpack(NULL, b.len, b.data);

    assert_non_null(got);
    assert_int_equal(got->n_tracerpayloads, 1);
    assert_int_equal(got->n_tags, 1);
    assert_string_equal(got->tags[0]->key, "_dd.apm_mode");
    assert_string_equal(got->tags[0]->value, "edge");
    assert_payload_fields(got);
    assert_chunk_fields(got->tracerpayloads[0]->chunks[0]);
    assert_span_fields(got->tracerpayloads[0]->chunks[0]->spans[0]);
    assert_link_and_event_fields(got->tracerpayloads[0]->chunks[0]->spans[0]);
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
