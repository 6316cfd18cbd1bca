/* Tracer payloads with a string table, written and what they become read by protobuf-c. */
#include <stdlib.h>
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#include "base/alloc.h"
#include "codec/pb_write.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "dashboards/intake/decode.h"
#include "dashboards/intake/decode_idx.h"

typedef Datadog__Trace__TracerPayload plain_payload;
typedef Datadog__Trace__Span plain_span;
typedef Datadog__Trace__Idx__TracerPayload idx_payload;
typedef Datadog__Trace__Idx__TraceChunk idx_chunk;
typedef Datadog__Trace__Idx__Span idx_span;
typedef Datadog__Trace__Idx__AnyValue any_value;

#define VALUE(x)          DATADOG__TRACE__IDX__ANY_VALUE__VALUE_##x
#define PAYLOAD_MAX_BYTES 4096

enum {
    NONE,
    GO,
    PROD,
    WEB,
    NAME,
    RESOURCE,
    PEER,
    RETRIES,
    V2,
    HTTP,
    GIN,
    BLOB,
    LIST,
    ARRAY,
    TEAM,
    RUM,
    STATE,
    EXC,
    TEXTS
};

static const char *const texts[TEXTS] = { "",      "go",   "prod",     "web",   "http.request",
                                          "GET /", "peer", "retries",  "2.0",   "http",
                                          "gin",   "blob", "list",     "array", "team",
                                          "rum",   "s=1",  "exception" };

static any_value *value_of(int value_case)
{
    static any_value pool[32];
    static size_t used;
    any_value *v = &pool[used++ % 32];

    datadog__trace__idx__any_value__init(v);
    v->value_case = (Datadog__Trace__Idx__AnyValue__ValueCase)value_case;
    return v;
}

static any_value *text_value(uint32_t ref)
{
    any_value *v = value_of(VALUE(STRING_VALUE_REF));

    v->stringvalueref = ref;
    return v;
}

static any_value *int_value(int64_t n)
{
    any_value *v = value_of(VALUE(INT_VALUE));

    v->intvalue = n;
    return v;
}

static any_value *double_value(double n)
{
    any_value *v = value_of(VALUE(DOUBLE_VALUE));

    v->doublevalue = n;
    return v;
}

static any_value *bool_value(bool yes)
{
    any_value *v = value_of(VALUE(BOOL_VALUE));

    v->boolvalue = yes;
    return v;
}

static any_value *bytes_value(void)
{
    static uint8_t bytes[] = { 0x81, 0xa1, 'k', 0x01 };
    any_value *v = value_of(VALUE(BYTES_VALUE));

    v->bytesvalue = (ProtobufCBinaryData){ sizeof(bytes), bytes };
    return v;
}

/* [7, "web", <bytes>] */
static any_value *array_value(void)
{
    static Datadog__Trace__Idx__ArrayValue array;
    static any_value *items[3];
    any_value *v = value_of(VALUE(ARRAY_VALUE));

    datadog__trace__idx__array_value__init(&array);
    items[0] = int_value(7);
    items[1] = text_value(WEB);
    items[2] = bytes_value();
    array.n_values = 3, array.values = items;
    v->arrayvalue = &array;
    return v;
}

/* {"retries": true, "peer": [...]} */
static any_value *list_value(void)
{
    static Datadog__Trace__Idx__KeyValueList list;
    static Datadog__Trace__Idx__KeyValue entries[2];
    static Datadog__Trace__Idx__KeyValue *refs[2] = { &entries[0], &entries[1] };
    any_value *v = value_of(VALUE(KEY_VALUE_LIST));

    datadog__trace__idx__key_value_list__init(&list);
    datadog__trace__idx__key_value__init(&entries[0]);
    datadog__trace__idx__key_value__init(&entries[1]);
    entries[0].key = RETRIES, entries[0].value = bool_value(true);
    entries[1].key = PEER, entries[1].value = array_value();
    list.n_keyvalues = 2, list.keyvalues = refs;
    v->keyvaluelist = &list;
    return v;
}

/* One chunk of two spans; everything there is occurs in the first of them. */
static size_t write_payload(uint8_t *out)
{
    static uint8_t trace_id[16] = { 0x67, 0x44, 0x90, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2 };
    Datadog__Trace__Idx__Span__AttributesEntry attr[7], *attrs[7];
    Datadog__Trace__Idx__SpanLink link = DATADOG__TRACE__IDX__SPAN_LINK__INIT, *links[] = { &link };
    Datadog__Trace__Idx__SpanLink__AttributesEntry l =
        DATADOG__TRACE__IDX__SPAN_LINK__ATTRIBUTES_ENTRY__INIT;
    Datadog__Trace__Idx__SpanLink__AttributesEntry *link_attrs[] = { &l };
    Datadog__Trace__Idx__SpanEvent event = DATADOG__TRACE__IDX__SPAN_EVENT__INIT,
                                   *events[] = { &event };
    Datadog__Trace__Idx__SpanEvent__AttributesEntry e[4], *event_attrs[4];
    Datadog__Trace__Idx__TraceChunk__AttributesEntry c =
        DATADOG__TRACE__IDX__TRACE_CHUNK__ATTRIBUTES_ENTRY__INIT;
    Datadog__Trace__Idx__TraceChunk__AttributesEntry *chunk_attrs[] = { &c };
    Datadog__Trace__Idx__TracerPayload__AttributesEntry p =
        DATADOG__TRACE__IDX__TRACER_PAYLOAD__ATTRIBUTES_ENTRY__INIT;
    Datadog__Trace__Idx__TracerPayload__AttributesEntry *payload_attrs[] = { &p };
    idx_span a = DATADOG__TRACE__IDX__SPAN__INIT, b = a, *spans[] = { &a, &b };
    idx_chunk chunk = DATADOG__TRACE__IDX__TRACE_CHUNK__INIT, *chunks[] = { &chunk };
    idx_payload t = DATADOG__TRACE__IDX__TRACER_PAYLOAD__INIT;
    any_value *values[7] = { text_value(WEB), int_value(2), double_value(0.5), bool_value(true),
                             bytes_value(),   list_value(), array_value() };
    const uint32_t keys[7] = { PEER, RETRIES, HTTP, GIN, BLOB, LIST, ARRAY };
    any_value *event_values[4] = { int_value(-1), bytes_value(), array_value(), double_value(2) };

    for (int i = 0; i < 7; i++) {
        datadog__trace__idx__span__attributes_entry__init(&attr[i]);
        attr[i].key = keys[i], attr[i].value = values[i];
        attrs[i] = &attr[i];
    }
    for (int i = 0; i < 4; i++) {
        datadog__trace__idx__span_event__attributes_entry__init(&e[i]);
        e[i].key = keys[i], e[i].value = event_values[i];
        event_attrs[i] = &e[i];
    }
    l.key = PEER, l.value = int_value(9);
    link.traceid = (ProtobufCBinaryData){ 16, trace_id };
    link.spanid = 772, link.tracestateref = STATE, link.flags = 1;
    link.n_attributes = 1, link.attributes = link_attrs;
    event.time = 1700000000000000005, event.nameref = EXC;
    event.n_attributes = 4, event.attributes = event_attrs;
    a.serviceref = WEB, a.nameref = NAME, a.resourceref = RESOURCE, a.typeref = HTTP;
    a.spanid = 1, a.parentid = 77, a.start = 1700000000000000000, a.duration = 1500000, a.error = 1;
    a.n_attributes = 7, a.attributes = attrs;
    a.n_links = 1, a.links = links;
    a.n_events = 1, a.events = events;
    a.envref = PROD, a.versionref = V2, a.componentref = GIN;
    a.kind = DATADOG__TRACE__IDX__SPAN_KIND__SPAN_KIND_SERVER;
    b.serviceref = WEB, b.spanid = 2, b.parentid = 1, b.start = 1700000000000000001;
    c.key = TEAM, c.value = int_value(4);
    chunk.priority = -1, chunk.originref = RUM, chunk.droppedtrace = 1, chunk.samplingmechanism = 4;
    chunk.traceid = (ProtobufCBinaryData){ 16, trace_id };
    chunk.n_attributes = 1, chunk.attributes = chunk_attrs;
    chunk.n_spans = 2, chunk.spans = spans;
    p.key = TEAM, p.value = text_value(GIN);
    t.n_strings = TEXTS, t.strings = (char **)(uintptr_t)texts;
    t.containeridref = BLOB, t.languagenameref = GO, t.languageversionref = V2,
    t.tracerversionref = V2;
    t.runtimeidref = LIST, t.envref = PROD, t.hostnameref = PEER, t.appversionref = V2;
    t.n_attributes = 1, t.attributes = payload_attrs;
    t.n_chunks = 1, t.chunks = chunks;
    assert_true(datadog__trace__idx__tracer_payload__get_packed_size(&t) <= PAYLOAD_MAX_BYTES);
    return datadog__trace__idx__tracer_payload__pack(&t, out);
}

static const char *meta_of(const plain_span *s, const char *key)
{
    for (size_t i = 0; i < s->n_meta; i++) {
        if (strcmp(s->meta[i]->key, key) == 0)
            return s->meta[i]->value;
    }
    return "(none)";
}

static void check_first_span(const plain_span *s)
{
    static const struct {
        const char *key, *value;
    } meta[] = { { "_dd.p.tid", "674490a100000000" },
                 { "_dd.p.dm", "-4" },
                 { "peer", "web" },
                 { "gin", "true" },
                 { "list", "{\"retries\":true,\"peer\":[7,\"web\",\"gaFrAQ==\"]}" },
                 { "array", "[7,\"web\",\"gaFrAQ==\"]" },
                 { "env", "prod" },
                 { "version", "2.0" },
                 { "component", "gin" },
                 { "span.kind", "server" } };

    assert_string_equal(s->service, "web");
    assert_string_equal(s->name, "http.request");
    assert_string_equal(s->resource, "GET /");
    assert_string_equal(s->type, "http");
    assert_int_equal(s->traceid, 258);
    assert_int_equal(s->spanid, 1);
    assert_int_equal(s->parentid, 77);
    assert_int_equal(s->start, 1700000000000000000);
    assert_int_equal(s->duration, 1500000);
    assert_int_equal(s->error, 1);
    assert_int_equal(s->n_meta, sizeof(meta) / sizeof(meta[0]));
    for (size_t i = 0; i < s->n_meta; i++)
        assert_string_equal(meta_of(s, meta[i].key), meta[i].value);
    assert_int_equal(s->n_metrics, 2);
    assert_string_equal(s->metrics[0]->key, "retries");
    assert_true(s->metrics[0]->value == 2 && s->metrics[1]->value == 0.5);
    assert_int_equal(s->n_meta_struct, 1);
    assert_string_equal(s->meta_struct[0]->key, "blob");
    assert_int_equal(s->meta_struct[0]->value.len, 4);
}

static void check_link_and_event(const plain_span *s)
{
    const Datadog__Trace__SpanLink *l;
    const Datadog__Trace__SpanEvent *e;

    assert_int_equal(s->n_spanlinks, 1);
    l = s->spanlinks[0];
    assert_true(l->traceid == 258 && l->traceid_high == 0x674490a100000000 && l->spanid == 772);
    assert_string_equal(l->tracestate, "s=1");
    assert_int_equal(l->flags, 1);
    assert_string_equal(l->attributes[0]->value, "9");
    assert_int_equal(s->n_spanevents, 1);
    e = s->spanevents[0];
    assert_string_equal(e->name, "exception");
    assert_true(e->time_unix_nano == 1700000000000000005u);
    assert_int_equal(e->n_attributes, 4);
    assert_int_equal(e->attributes[0]->value->type, 2);
    assert_int_equal(e->attributes[0]->value->int_value, -1);
    assert_string_equal(e->attributes[1]->value->string_value, "gaFrAQ==");
    assert_int_equal(e->attributes[2]->value->type, 4);
    assert_int_equal(e->attributes[2]->value->array_value->n_values, 3);
    assert_int_equal(e->attributes[2]->value->array_value->values[0]->int_value, 7);
    assert_string_equal(e->attributes[2]->value->array_value->values[1]->string_value, "web");
    assert_true(e->attributes[3]->value->type == 3 && e->attributes[3]->value->double_value == 2);
}

static void test_what_a_table_says_is_said_in_the_plain_form(void **state)
{
    uint8_t bytes[PAYLOAD_MAX_BYTES];
    size_t len = write_payload(bytes);
    plain_payload *p;
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 1 << 20);
    assert_status(idx_to_plain((sonde_str){ (const char *)bytes, len }, &out), SONDE_OK);
    p = datadog__trace__tracer_payload__unpack(NULL, out.len, out.data);
    assert_non_null(p);
    assert_string_equal(p->containerid, "blob");
    assert_string_equal(p->languagename, "go");
    assert_string_equal(p->languageversion, "2.0");
    assert_string_equal(p->tracerversion, "2.0");
    assert_string_equal(p->runtimeid, "list");
    assert_string_equal(p->env, "prod");
    assert_string_equal(p->hostname, "peer");
    assert_string_equal(p->appversion, "2.0");
    assert_string_equal(p->tags[0]->value, "gin");
    assert_int_equal(p->n_chunks, 1);
    assert_int_equal(p->chunks[0]->priority, -1);
    assert_string_equal(p->chunks[0]->origin, "rum");
    assert_true(p->chunks[0]->droppedtrace);
    assert_string_equal(p->chunks[0]->tags[0]->key, "team");
    assert_string_equal(p->chunks[0]->tags[0]->value, "4");
    assert_int_equal(p->chunks[0]->n_spans, 2);
    check_first_span(p->chunks[0]->spans[0]);
    check_link_and_event(p->chunks[0]->spans[0]);
    assert_int_equal(p->chunks[0]->spans[1]->traceid, 258);
    assert_int_equal(p->chunks[0]->spans[1]->n_meta, 0);
    datadog__trace__tracer_payload__free_unpacked(p, NULL);
    sonde_buf_done(&out);
}

/* An AgentPayload with the tracer payload `times`. */
static void wrap(sonde_buf *out, int times)
{
    uint8_t bytes[PAYLOAD_MAX_BYTES];
    size_t len = write_payload(bytes);

    sonde_buf_init(out, 1 << 20);
    sonde_pb_str(out, 1, SONDE_STR("h1"));
    for (int i = 0; i < times; i++)
        sonde_pb_str(out, 11, (sonde_str){ (const char *)bytes, len });
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

static void test_its_spans_are_stored(void **state)
{
    traces_counts counts = { 0 };
    store_batch *b = NULL;
    frame_view v;
    sonde_buf body;

    (void)state;
    wrap(&body, 3);
    assert_status(decode(sonde_buf_str(&body), &b, &counts), SONDE_OK);
    assert_int_equal(counts.chunks, 3);
    assert_int_equal(counts.spans, 6);
    assert_int_equal(b->frames_len, 1);
    frame_view_init(&v);
    assert_status(frame_view_decode(
                      &v, (sonde_str){ (const char *)b->frames[0].body, b->frames[0].body_len }),
                  SONDE_OK);
    for (int i = 0; i < 6; i += 2) {
        const model_span *s = &v.spans[i];

        assert_true(s->chunk->trace_hi == 0x674490a100000000u && s->chunk->trace_lo == 258);
        assert_true(sonde_str_eq(s->resource, SONDE_STR("GET /")));
        assert_int_equal(s->chunk->attrs_len, 2); /* its own tag and its payload's */
        assert_true(sonde_str_eq(v.attrs[s->chunk->attrs[0]].text, SONDE_STR("4")));
        assert_true(sonde_str_eq(v.attrs[s->chunk->attrs[1]].text, SONDE_STR("gin")));
        assert_true(sonde_str_eq(s->chunk->source->host, SONDE_STR("peer")));
        assert_true(frame_view_attr(&v, s, SONDE_STR("retries"))->number == 2);
        assert_true(s->extra.len > 0);
    }
    frame_view_done(&v);
    store_batch_free(b);
    sonde_buf_done(&body);
}

static void test_a_payload_cut_anywhere_is_refused_or_whole(void **state)
{
    uint8_t bytes[PAYLOAD_MAX_BYTES];
    size_t len = write_payload(bytes);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        uint8_t *exact = sonde_malloc(i + 1); /* its own block: reading past the end shows */
        sonde_buf out;
        sonde_status status;

        memcpy(exact, bytes, i);
        sonde_buf_init(&out, 1 << 20);
        status = idx_to_plain((sonde_str){ (const char *)exact, i }, &out);
        if (status != SONDE_OK && status != SONDE_ERR_EOF && status != SONDE_ERR_SYNTAX)
            fail_msg("cut at %zu: %s", i, sonde_status_str(status));
        sonde_buf_done(&out);
        sonde_free(exact);
    }
}

/* `depth` arrays inside one another, as the value of a tag of the payload. */
static void write_deep(sonde_buf *out, int depth)
{
    size_t marks[2 * (IDX_DEPTH_MAX + 2) + 2];
    int n = 0;

    sonde_buf_init(out, 1 << 16);
    marks[n++] = sonde_pb_begin(out, 10);
    marks[n++] = sonde_pb_begin(out, 2);
    for (int i = 0; i < depth; i++) {
        marks[n++] = sonde_pb_begin(out, 6);
        marks[n++] = sonde_pb_begin(out, 1);
    }
    while (n > 0)
        sonde_pb_end(out, marks[--n]);
}

static void test_values_nest_up_to_a_limit(void **state)
{
    (void)state;
    for (int depth = IDX_DEPTH_MAX; depth <= IDX_DEPTH_MAX + 1; depth++) {
        sonde_buf body, out;

        write_deep(&body, depth);
        sonde_buf_init(&out, 1 << 16);
        assert_status(idx_to_plain(sonde_buf_str(&body), &out),
                      depth > IDX_DEPTH_MAX ? SONDE_ERR_TOO_BIG : SONDE_OK);
        sonde_buf_done(&body);
        sonde_buf_done(&out);
    }
}

static void test_what_lies_is_refused(void **state)
{
    static const struct {
        const char *label;
        const char *bytes;
        size_t len;
        sonde_status status;
    } rows[] = {
        { "nothing", "", 0, SONDE_OK },
        { "text 0 without a table", "\x10\x00", 2, SONDE_OK },
        { "a text behind the table", "\x0a\x00\x10\x01", 4, SONDE_ERR_SYNTAX },
        { "the table behind its use", "\x10\x01\x0a\x00\x0a\x01x", 7, SONDE_OK },
        { "a trace id of 3 bytes", "\x5a\x05\x32\x03xyz", 7, SONDE_ERR_SYNTAX },
        { "a chunk that is a number", "\x58\x01", 2, SONDE_ERR_SYNTAX },
        { "fields nobody knows", "\xc2\x0c\x03new\xc8\x0c\x07\x5a\x06\xc2\x0c\x03new", 17,
          SONDE_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_status status;
        sonde_buf out;

        sonde_buf_init(&out, 1024);
        status = idx_to_plain((sonde_str){ rows[i].bytes, rows[i].len }, &out);
        if (status != rows[i].status)
            fail_msg("%s: %s", rows[i].label, sonde_status_str(status));
        sonde_buf_done(&out);
    }
}

/* One text of a MiB that a hundred spans name. */
static void test_a_text_that_is_named_often_may_not_grow_beyond_a_body(void **state)
{
    char *megabyte = malloc(1 << 20);
    traces_counts counts;
    store_batch *b = NULL;
    sonde_buf idx, body;
    size_t chunk;

    (void)state;
    memset(megabyte, 'x', 1 << 20);
    sonde_buf_init(&idx, 4 << 20);
    sonde_buf_init(&body, 4 << 20);
    sonde_pb_str(&idx, 1, (sonde_str){ megabyte, 1 << 20 });
    chunk = sonde_pb_begin(&idx, 11);
    for (int i = 0; i < 100; i++)
        sonde_pb_str(&idx, 4, (sonde_str){ "\x08\x00", 2 });
    sonde_pb_end(&idx, chunk);
    sonde_pb_str(&body, 11, sonde_buf_str(&idx));
    assert_status(decode(sonde_buf_str(&body), &b, &counts), SONDE_ERR_TOO_BIG);
    sonde_buf_done(&idx);
    sonde_buf_done(&body);
    free(megabyte);
}

static void test_a_table_has_a_limit(void **state)
{
    size_t len = 2 * (IDX_STRINGS_MAX + 1);
    char *table = malloc(len);
    sonde_buf out;

    (void)state;
    for (size_t i = 0; i < len; i += 2)
        table[i] = 0x0a, table[i + 1] = 0;
    sonde_buf_init(&out, 1024);
    assert_status(idx_to_plain((sonde_str){ table, len - 2 }, &out), SONDE_OK);
    assert_status(idx_to_plain((sonde_str){ table, len }, &out), SONDE_ERR_TOO_BIG);
    sonde_buf_done(&out);
    free(table);
}

static sonde_status decode_scenario(void *user)
{
    traces_counts counts;
    store_batch *b = NULL;
    sonde_status status = decode(sonde_buf_str(user), &b, &counts);

    store_batch_free(b);
    return status;
}

static void test_decoding_copes_with_failing_allocations(void **state)
{
    sonde_buf body;

    (void)state;
    wrap(&body, 1);
    alloc_fail_each(decode_scenario, &body);
    sonde_buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_table_says_is_said_in_the_plain_form),
        cmocka_unit_test(test_its_spans_are_stored),
        cmocka_unit_test(test_a_payload_cut_anywhere_is_refused_or_whole),
        cmocka_unit_test(test_values_nest_up_to_a_limit),
        cmocka_unit_test(test_what_lies_is_refused),
        cmocka_unit_test(test_a_text_that_is_named_often_may_not_grow_beyond_a_body),
        cmocka_unit_test(test_a_table_has_a_limit),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("decode idx", tests, NULL, NULL);
}
