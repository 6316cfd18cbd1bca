/* test_read.c - the two formats: what they say alike, what is refused, memory.
 *
 * Protobuf is written by protobuf-c from otlp_traces.proto and, once, by hand. */
#include "agent/otlp/read.h"

#include <stdlib.h>
#include <string.h>

#include "codec/proto/otlp_traces.pb-c.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static const otlp_build_options options = { .rate = 1, .max_arena_bytes = 1 << 20 };
static otlp_builder b;

#define S(literal) ((char *)(literal))
#define BYTES(literal)                                                                             \
    {                                                                                              \
        sizeof(literal) - 1, (uint8_t *)(literal)                                                  \
    }

/* One of every field, as protobuf-c's structs. */
static size_t pack_everything(uint8_t out[4096])
{
    Sonde__Otlp__AnyValue any[8];
    Sonde__Otlp__KeyValue kv[10];
    Sonde__Otlp__AnyValue *values[3] = { &any[2], &any[1], &any[6] };
    Sonde__Otlp__ArrayValue array = SONDE__OTLP__ARRAY_VALUE__INIT;
    Sonde__Otlp__KeyValueList list = SONDE__OTLP__KEY_VALUE_LIST__INIT;
    Sonde__Otlp__KeyValue *pairs[1] = { &kv[8] };
    Sonde__Otlp__KeyValue *attrs[6] = { &kv[0], &kv[1], &kv[2], &kv[3], &kv[4], &kv[5] };
    Sonde__Otlp__KeyValue *resource_attrs[1] = { &kv[7] }, *first[1] = { &kv[0] };
    Sonde__Otlp__Resource resource = SONDE__OTLP__RESOURCE__INIT;
    Sonde__Otlp__Scope scope = SONDE__OTLP__SCOPE__INIT;
    Sonde__Otlp__Span span = SONDE__OTLP__SPAN__INIT, other = SONDE__OTLP__SPAN__INIT;
    Sonde__Otlp__Span *spans[2] = { &span, &other };
    Sonde__Otlp__Event event = SONDE__OTLP__EVENT__INIT, *events[1] = { &event };
    Sonde__Otlp__Link link = SONDE__OTLP__LINK__INIT, *links[1] = { &link };
    Sonde__Otlp__Status status = SONDE__OTLP__STATUS__INIT;
    Sonde__Otlp__ScopeSpans ss = SONDE__OTLP__SCOPE_SPANS__INIT, *sss[1] = { &ss };
    Sonde__Otlp__ResourceSpans rs = SONDE__OTLP__RESOURCE_SPANS__INIT, *rss[1] = { &rs };
    Sonde__Otlp__ExportTraceRequest request = SONDE__OTLP__EXPORT_TRACE_REQUEST__INIT;
    static const char *const keys[] = { "text",  "yes", "int",          "double", "list",
                                        "bytes", "map", "service.name", "inner",  "" };

    for (size_t i = 0; i < COUNT_OF(any); i++)
        sonde__otlp__any_value__init(&any[i]);
    for (size_t i = 0; i < COUNT_OF(kv); i++) {
        sonde__otlp__key_value__init(&kv[i]);
        kv[i].key = S(keys[i]);
        kv[i].value = &any[i % COUNT_OF(any)];
    }
    any[0].value_case = SONDE__OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    any[0].string_value = S("gr\xc3\xbc\xc3\x9f");
    any[1].value_case = SONDE__OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
    any[1].bool_value = 1;
    any[2].value_case = SONDE__OTLP__ANY_VALUE__VALUE_INT_VALUE;
    any[2].int_value = -7;
    any[3].value_case = SONDE__OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
    any[3].double_value = 2.5;
    any[4].value_case = SONDE__OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
    any[4].array_value = &array;
    any[5].value_case = SONDE__OTLP__ANY_VALUE__VALUE_BYTES_VALUE;
    any[5].bytes_value = (ProtobufCBinaryData)BYTES("\1\2");
    any[6].value_case = SONDE__OTLP__ANY_VALUE__VALUE_KVLIST_VALUE;
    any[6].kvlist_value = &list;
    any[7].value_case = SONDE__OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    any[7].string_value = S("shop");
    array.n_values = 3;
    array.values = values;
    kv[8].value = &any[3];
    list.n_values = 1;
    list.values = pairs;
    resource.n_attributes = 1;
    resource.attributes = resource_attrs;
    scope.name = S("lib");
    scope.version = S("1.2");
    scope.n_attributes = 1;
    scope.attributes = first;
    span.trace_id = (ProtobufCBinaryData)BYTES("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20");
    span.span_id = (ProtobufCBinaryData)BYTES("\21\22\23\24\25\26\27\30");
    span.parent_span_id = (ProtobufCBinaryData)BYTES("\0\0\0\0\0\0\1\1");
    span.trace_state = S("a=b");
    span.name = S("work");
    span.kind = 4;
    span.start_time_unix_nano = 1700000000000000000;
    span.end_time_unix_nano = 1700000000000000500;
    span.n_attributes = 6;
    span.attributes = attrs;
    span.dropped_attributes_count = 3;
    span.n_events = 1;
    span.events = events;
    span.n_links = 1;
    span.links = links;
    span.status = &status;
    span.flags = 0x301;
    event.time_unix_nano = 17;
    event.name = S("e");
    event.n_attributes = 6;
    event.attributes = attrs;
    link.trace_id = span.trace_id;
    link.span_id = span.span_id;
    link.trace_state = S("c=d");
    link.n_attributes = 1;
    link.attributes = first;
    link.flags = 0x101;
    status.code = 2;
    status.message = S("broken");
    other.trace_id = (ProtobufCBinaryData)BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7");
    other.span_id = (ProtobufCBinaryData)BYTES("\0\0\0\0\0\0\0\10");
    other.name = S("other");
    ss.scope = &scope;
    ss.n_spans = 2;
    ss.spans = spans;
    rs.resource = &resource;
    rs.n_scope_spans = 1;
    rs.scope_spans = sss;
    request.n_resource_spans = 1;
    request.resource_spans = rss;
    assert_true(sonde__otlp__export_trace_request__get_packed_size(&request) <= 4096);
    return sonde__otlp__export_trace_request__pack(&request, out);
}

#define ATTRS                                                                                      \
    "[{\"key\":\"text\",\"value\":{\"stringValue\":\"gr\\u00fc\xc3\x9f\"}},"                       \
    "{\"key\":\"yes\",\"value\":{\"boolValue\":true}},"                                            \
    "{\"key\":\"int\",\"value\":{\"intValue\":\"-7\"}},"                                           \
    "{\"key\":\"double\",\"value\":{\"doubleValue\":2.5}},"                                        \
    "{\"key\":\"list\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":-7},"                  \
    "{\"boolValue\":true},{\"kvlistValue\":{\"values\":[{\"key\":\"inner\",\"value\":"             \
    "{\"doubleValue\":2.5}}]}}]}}},{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"AQI=\"}}]"
#define TEXT_ATTR "[{\"key\":\"text\",\"value\":{\"stringValue\":\"gr\xc3\xbc\xc3\x9f\"}}]"
#define IDS       "\"traceId\":\"0102030405060708090A0B0C0D0E0F10\",\"spanId\":\"1112131415161718\""

/* The same, the heads behind what needs them. */
static const char everything[] =
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" IDS
    ",\"parentSpanId\":\"0000000000000101\",\"traceState\":\"a=b\",\"name\":\"work\","
    "\"kind\":\"SPAN_KIND_PRODUCER\",\"start_time_unix_nano\":1700000000000000000,"
    "\"endTimeUnixNano\":\"1700000000000000500\",\"attributes\":" ATTRS
    ",\"droppedAttributesCount\":3,\"events\":[{\"timeUnixNano\":17,\"name\":\"e\","
    "\"attributes\":" ATTRS "}],\"links\":[{" IDS
    ",\"traceState\":\"c=d\",\"attributes\":" TEXT_ATTR
    ",\"flags\":257}],\"status\":{\"code\":2,\"message\":\"broken\"},\"flags\":769},"
    "{\"traceId\":\"00000000000000000000000000000007\",\"spanId\":\"0000000000000008\","
    "\"name\":\"other\",\"unknown\":[{\"x\":null}],\"attributes\":null}],"
    "\"scope\":{\"name\":\"lib\",\"version\":\"1.2\",\"attributes\":" TEXT_ATTR
    "}}],\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
    "\"shop\"}}]}}]}";

static payload *read(otlp_read how, sonde_str body)
{
    payload *p;

    otlp_build_init(&b, &options, body.len);
    if (how(&b, body) != SONDE_OK)
        fail_msg("%s", b.error);
    p = otlp_build_take(&b);
    assert_non_null(p);
    assert_null(otlp_build_take(&b));
    otlp_build_done(&b);
    return p;
}

static void same_text(const char *what, sonde_str a, sonde_str z)
{
    if (!sonde_str_eq(a, z))
        fail_msg("%s: \"%.*s\" and \"%.*s\"", what, (int)a.len, a.ptr, (int)z.len, z.ptr);
}

static void same_span(const payload_span *a, const payload_span *z)
{
    same_text("service", a->service, z->service);
    same_text("name", a->name, z->name);
    same_text("resource", a->resource, z->resource);
    same_text("type", a->type, z->type);
    assert_true(a->trace_id == z->trace_id && a->span_id == z->span_id);
    assert_true(a->parent_id == z->parent_id && a->start == z->start);
    assert_true(a->duration == z->duration && a->error == z->error);
    assert_int_equal(a->meta_len, z->meta_len);
    for (uint32_t i = 0; i < a->meta_len; i++) {
        same_text("key", a->meta[i].key, z->meta[i].key);
        same_text("value", a->meta[i].value, z->meta[i].value);
    }
    assert_int_equal(a->metrics_len, z->metrics_len);
    for (uint32_t i = 0; i < a->metrics_len; i++) {
        same_text("key", a->metrics[i].key, z->metrics[i].key);
        assert_true(a->metrics[i].value == z->metrics[i].value);
    }
}

static void protobuf_and_json_say_the_same(void **state)
{
    uint8_t packed[4096];
    size_t len = pack_everything(packed);
    payload *a = read(otlp_read_pb, (sonde_str){ (const char *)packed, len });
    payload *z = read(otlp_read_json, SONDE_STR(everything));
    const payload_span *s = &a->chunks[0].spans[0];

    (void)state;
    assert_int_equal(a->chunks_len, 2);
    assert_int_equal(z->chunks_len, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(a->chunks[i].spans_len, 1);
        same_span(&a->chunks[i].spans[0], &z->chunks[i].spans[0]);
    }
    same_text("list", *span_meta_get(s, SONDE_STR("list")), SONDE_STR("[-7,true,{\"inner\":2.5}]"));
    same_text("bytes", *span_meta_get(s, SONDE_STR("bytes")), SONDE_STR("AQI="));
    same_text("text", *span_meta_get(s, SONDE_STR("text")), SONDE_STR("gr\xc3\xbc\xc3\x9f"));
    same_text("lib", *span_meta_get(s, SONDE_STR("otel.library.name")), SONDE_STR("lib"));
    same_text("events", *span_meta_get(s, SONDE_STR("events")),
              SONDE_STR("[{\"name\":\"e\",\"time_unix_nano\":17,\"attributes\":{\"text\":"
                        "\"gr\xc3\xbc\xc3\x9f\",\"yes\":true,\"int\":-7,\"double\":2.5,\"list\":"
                        "[-7,true,{\"inner\":2.5}],\"bytes\":\"AQI=\"}}]"));
    assert_true(*span_metric_get(s, SONDE_STR("int")) == -7);
    assert_int_equal(s->duration, 500);
    assert_int_equal(s->parent_id, 0x101);
    payload_free(a);
    payload_free(z);
}

/* resource_spans{ scope_spans{ span{ trace_id 16 bytes, span_id 8, name "n", end 1 } } } */
#define BY_HAND                                                                                    \
    "\x0a\x2c\x12\x2a\x12\x28\x0a\x10\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\x12\x08"            \
    "\0\0\0\0\0\0\0\5\x2a\1n\x41\1\0\0\0\0\0\0\0"

static void bytes_by_hand_are_a_span(void **state)
{
    payload *p = read(otlp_read_pb, SONDE_STR(BY_HAND));
    const payload_span *s = &p->chunks[0].spans[0];

    (void)state;
    assert_true(s->trace_id == UINT64_C(0x090a0b0c0d0e0f10));
    assert_int_equal(s->span_id, 5);
    assert_int_equal(s->duration, 1);
    same_text("resource", s->resource, SONDE_STR("n"));
    payload_free(p);
}

#define SPANS(x) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" x "}]}]}]}"
#define VALUE(x) SPANS("\"attributes\":[{\"key\":\"k\",\"value\":" x "}]")

#define T(l)                                                                                       \
    {                                                                                              \
        (l), sizeof(l) - 1                                                                         \
    }

static void what_is_not_a_request_is_refused(void **state)
{
    static const struct {
        const char *label;
        otlp_read how;
        sonde_str body;
        sonde_status want;
    } rows[] = {
        { "no JSON", otlp_read_json, T(""), SONDE_ERR_EOF },
        { "cut off", otlp_read_json, T("{\"resourceSpans\":["), SONDE_ERR_EOF },
        { "array", otlp_read_json, T("[]"), SONDE_ERR_SYNTAX },
        { "twice", otlp_read_json, T("{}{}"), SONDE_ERR_SYNTAX },
        { "spans no array", otlp_read_json, T("{\"resourceSpans\":{}}"), SONDE_ERR_SYNTAX },
        { "short id", otlp_read_json, T(SPANS("\"traceId\":\"01\"")), SONDE_ERR_SYNTAX },
        { "no hex", otlp_read_json, T(SPANS("\"spanId\":\"xx12131415161718\"")), SONDE_ERR_SYNTAX },
        { "id a number", otlp_read_json, T(SPANS("\"spanId\":1")), SONDE_ERR_SYNTAX },
        { "negative time", otlp_read_json, T(SPANS("\"startTimeUnixNano\":-1")), SONDE_ERR_SYNTAX },
        { "text for bool", otlp_read_json, T(VALUE("{\"boolValue\":\"x\"}")), SONDE_ERR_SYNTAX },
        { "fraction for int", otlp_read_json, T(VALUE("{\"intValue\":1.5}")), SONDE_ERR_SYNTAX },
        { "name a number", otlp_read_json, T(SPANS("\"name\":1")), SONDE_ERR_SYNTAX },
        { "cut off", otlp_read_pb, T("\x0a"), SONDE_ERR_EOF },
        { "too short", otlp_read_pb, T("\x0a\5\x12"), SONDE_ERR_EOF },
        { "group", otlp_read_pb, T("\x0b"), SONDE_ERR_SYNTAX },
        { "number for message", otlp_read_pb, T("\x08\1"), SONDE_ERR_SYNTAX },
        { "short id", otlp_read_pb, T("\x0a\7\x12\5\x12\3\x0a\1x"), SONDE_ERR_SYNTAX },
        { "inner cut off", otlp_read_pb, T("\x0a\6\x12\4\x12\2\x2a\2"), SONDE_ERR_EOF },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_status got;

        otlp_build_init(&b, &options, rows[i].body.len);
        got = rows[i].how(&b, rows[i].body);
        if (got != rows[i].want || !b.error || otlp_build_take(&b))
            fail_msg("%zu %s: %s", i, rows[i].label, sonde_status_name(got));
        otlp_build_done(&b);
    }
}

static void empty_requests_are_taken(void **state)
{
    static const struct {
        otlp_read how;
        sonde_str body;
    } rows[] = {
        { otlp_read_pb, T("") },
        { otlp_read_pb, T("\x0a\0") },
        { otlp_read_json, T(" {} ") },
        { otlp_read_json, T("{\"resourceSpans\":null,\"more\":{\"a\":[1]}}") },
        { otlp_read_json, T("{\"resourceSpans\":[{},{\"scopeSpans\":[]}]}") },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        otlp_build_init(&b, &options, 0);
        assert_status(rows[i].how(&b, rows[i].body), SONDE_OK);
        assert_null(otlp_build_take(&b));
        otlp_build_done(&b);
    }
}

static void spans_are_grouped_by_trace_in_their_order(void **state)
{
    sonde_buf body;
    payload *p;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    sonde_buf_printf(&body, "{\"resourceSpans\":[{\"scopeSpans\":[");
    for (int i = 0; i < 60; i++)
        sonde_buf_printf(&body, "%s{\"spans\":[{\"traceId\":\"%016x%016x\",\"spanId\":\"%016x\"}]}",
                         i ? "," : "", i, i % 3 + 1, i + 1); /* the high half does not count */
    sonde_buf_printf(&body, "]}]}");
    p = read(otlp_read_json, sonde_buf_str(&body));
    assert_int_equal(p->chunks_len, 3);
    for (uint32_t c = 0; c < 3; c++) {
        assert_int_equal(p->chunks[c].spans_len, 20);
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(p->chunks[c].spans[i].span_id, 3 * i + c + 1);
    }
    payload_free(p);
    sonde_buf_done(&body);
}

static void each_resource_is_a_payload(void **state)
{
    /* one without spans between them */
    static const char body[] = BY_HAND "\x0a\x02\x12\x00" BY_HAND;

    (void)state;
    otlp_build_init(&b, &options, sizeof(body));
    assert_status(otlp_read_pb(&b, (sonde_str){ body, sizeof(body) - 1 }), SONDE_OK);
    for (int i = 0; i < 2; i++) {
        payload *p = otlp_build_take(&b);

        assert_non_null(p);
        assert_int_equal(p->chunks_len, 1);
        payload_free(p);
    }
    assert_null(otlp_build_take(&b));
    otlp_build_done(&b);
}

static void too_much_is_refused(void **state)
{
    static char body[46 * 2049];

    (void)state;
    for (size_t i = 0; i < 2049; i++)
        memcpy(body + 46 * i, BY_HAND, 46);
    otlp_build_init(&b, &(otlp_build_options){ .rate = 1, .max_arena_bytes = 1 << 30 }, 1 << 28);
    assert_status(otlp_read_pb(&b, (sonde_str){ body, sizeof(body) }), SONDE_ERR_TOO_BIG);
    assert_string_equal(b.error, "too many resources");
    otlp_build_done(&b);
    otlp_build_init(&b, &(otlp_build_options){ .rate = 1, .max_arena_bytes = 100000 }, 1 << 28);
    assert_status(otlp_read_pb(&b, (sonde_str){ body, sizeof(body) }), SONDE_ERR_TOO_BIG);
    otlp_build_done(&b);
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    static const char body[] = "\x0a\x0a\x12\x08\x12\x06\x2a\x04"
                               "a\xff\xc3z";
    payload *p = read(otlp_read_pb, (sonde_str){ body, sizeof(body) - 1 });

    (void)state;
    same_text("name", p->chunks[0].spans[0].resource, SONDE_STR("a\xef\xbf\xbd\xef\xbf\xbdz"));
    payload_free(p);
}

static void deep_values_come_out_empty(void **state)
{
    sonde_buf body;
    payload *p;

    (void)state;
    for (int depth = 8; depth <= 20; depth += 12) {
        sonde_buf_init(&body, 1 << 20);
        sonde_buf_printf(&body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":"
                                "[{\"key\":\"k\",\"value\":");
        for (int i = 0; i < depth; i++)
            sonde_buf_printf(&body, "{\"arrayValue\":{\"values\":[");
        for (int i = 0; i < depth; i++)
            sonde_buf_printf(&body, "]}}");
        sonde_buf_printf(&body, "}]}]}]}]}");
        otlp_build_init(&b, &options, body.len);
        if (depth == 8) {
            assert_status(otlp_read_json(&b, sonde_buf_str(&body)), SONDE_OK);
            p = otlp_build_take(&b);
            same_text("nested", *span_meta_get(&p->chunks[0].spans[0], SONDE_STR("k")),
                      SONDE_STR("[[[[[[[[]]]]]]]]"));
            payload_free(p);
        } else { /* beyond what the reader of JSON nests */
            assert_status(otlp_read_json(&b, sonde_buf_str(&body)), SONDE_ERR_SYNTAX);
        }
        otlp_build_done(&b);
        sonde_buf_done(&body);
    }
}

typedef struct scenario {
    otlp_read how;
    sonde_str body;
} scenario;

static sonde_status without_memory(void *user)
{
    const scenario *s = user;
    sonde_status status;
    payload *p;

    otlp_build_init(&b, &options, s->body.len);
    status = s->how(&b, s->body);
    while ((p = otlp_build_take(&b)) != NULL)
        payload_free(p);
    otlp_build_done(&b);
    return status;
}

static void both_cope_without_memory(void **state)
{
    uint8_t packed[4096];
    scenario pb = { otlp_read_pb, { (const char *)packed, pack_everything(packed) } };
    scenario json = { otlp_read_json, SONDE_STR(everything) };

    (void)state;
    alloc_fail_each(without_memory, &pb);
    alloc_fail_each(without_memory, &json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf_and_json_say_the_same),
        cmocka_unit_test(bytes_by_hand_are_a_span),
        cmocka_unit_test(what_is_not_a_request_is_refused),
        cmocka_unit_test(empty_requests_are_taken),
        cmocka_unit_test(spans_are_grouped_by_trace_in_their_order),
        cmocka_unit_test(each_resource_is_a_payload),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(text_that_is_not_utf8_is_repaired),
        cmocka_unit_test(deep_values_come_out_empty),
        cmocka_unit_test(both_cope_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
