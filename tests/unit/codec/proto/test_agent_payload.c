/* AgentPayload through codec/pb_write.h and codec/pb_read.h, against protobuf-c and protoc.
 *
 * One payload with every field of the path the agent writes is described once, in `want_*`; it is
 * written field by field with our encoder and read back by the other implementation, and the other way
 * round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "codec/pb_read.h"
#include "codec/pb_write.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "support/golden.h"
#include "support/test.h"

#define MAX_BYTES ((size_t)1 << 20)

typedef Datadog__Trace__AgentPayload agent_payload;
typedef Datadog__Trace__TracerPayload tracer_payload;
typedef Datadog__Trace__TraceChunk trace_chunk;
typedef Datadog__Trace__Span span;

#define TRACE_ID  UINT64_C(0xfedcba9876543210)
#define SPAN_ID   UINT64_C(772)
#define PARENT_ID UINT64_C(258)
#define START     INT64_C(1700000000000000000)
#define DURATION  INT64_C(-5) /* odd, but the wire must carry it: ten bytes */
#define EVENT_NS  UINT64_C(1700000000000000123)

static char long_value[5000]; /* makes every enclosing length two bytes */

static int set_up(void **state)
{
    (void)state;
    memset(long_value, 'v', sizeof(long_value) - 1);
    return 0;
}

/* The payload, written with our primitives. */

static void write_attribute(sonde_buf *b)
{
    size_t entry = sonde_pb_begin(b, 3), value;

    sonde_pb_str_always(b, 1, SONDE_STR("retries"));
    value = sonde_pb_begin(b, 2);
    sonde_pb_varint(b, 1, 2); /* INT_VALUE */
    sonde_pb_int64(b, 4, -7);
    sonde_pb_end(b, value);
    sonde_pb_end(b, entry);
}

static void write_span(sonde_buf *b)
{
    size_t mark = sonde_pb_begin(b, 3), inner;

    sonde_pb_str(b, 1, SONDE_STR("web"));
    sonde_pb_str(b, 2, SONDE_STR("http.request"));
    sonde_pb_str(b, 3, SONDE_STR("GET /"));
    sonde_pb_varint(b, 4, TRACE_ID);
    sonde_pb_varint(b, 5, SPAN_ID);
    sonde_pb_varint(b, 6, PARENT_ID);
    sonde_pb_int64(b, 7, START);
    sonde_pb_int64(b, 8, DURATION);
    sonde_pb_int64(b, 9, 1);
    sonde_pb_map_str_str(b, 10, SONDE_STR("env"), SONDE_STR("prod"));
    sonde_pb_map_str_str(b, 10, SONDE_STR("long"), sonde_str_from(long_value));
    sonde_pb_map_str_double(b, 11, SONDE_STR("zero"), 0);
    sonde_pb_map_str_double(b, 11, SONDE_STR("_top_level"), 1);
    sonde_pb_str(b, 12, SONDE_STR("web"));
    sonde_pb_map_str_str(b, 13, SONDE_STR("blob"), (sonde_str){ "\x81\0\xff", 3 });
    inner = sonde_pb_begin(b, 14);
    sonde_pb_varint(b, 1, TRACE_ID);
    sonde_pb_varint(b, 2, 1);
    sonde_pb_varint(b, 3, SPAN_ID);
    sonde_pb_map_str_str(b, 4, SONDE_STR("k"), SONDE_STR("v"));
    sonde_pb_str(b, 5, SONDE_STR("dd=s:1"));
    sonde_pb_varint(b, 6, UINT32_C(0x80000001));
    sonde_pb_end(b, inner);
    inner = sonde_pb_begin(b, 15);
    sonde_pb_fixed64(b, 1, EVENT_NS);
    sonde_pb_str(b, 2, SONDE_STR("retry"));
    write_attribute(b);
    sonde_pb_end(b, inner);
    sonde_pb_end(b, mark);
}

static void write_payload(sonde_buf *b)
{
    size_t tracer, chunk;

    sonde_pb_str(b, 1, SONDE_STR("h1"));
    sonde_pb_str(b, 2, SONDE_STR("none"));
    tracer = sonde_pb_begin(b, 5);
    sonde_pb_str(b, 1, SONDE_STR("c0ffee"));
    sonde_pb_str(b, 2, SONDE_STR("c"));
    chunk = sonde_pb_begin(b, 6);
    sonde_pb_int64(b, 1, -1);
    sonde_pb_str(b, 2, SONDE_STR("synthetics"));
    write_span(b);
    sonde_pb_map_str_str(b, 4, SONDE_STR("_dd.p.dm"), SONDE_STR("-4"));
    sonde_pb_varint(b, 5, 1);
    sonde_pb_end(b, chunk);
    sonde_pb_map_str_str(b, 7, SONDE_STR("_dd.tags.process"), SONDE_STR("a:b"));
    sonde_pb_str(b, 8, SONDE_STR("prod"));
    sonde_pb_end(b, tracer);
    sonde_pb_str(b, 7, SONDE_STR("1.0.0"));
    sonde_pb_double(b, 8, 10);
    sonde_pb_double(b, 9, 0.5);
    sonde_pb_varint(b, 10, 1);
}

static void check_span(const span *s)
{
    const Datadog__Trace__AttributeAnyValue *value;

    assert_string_equal(s->service, "web");
    assert_string_equal(s->name, "http.request");
    assert_string_equal(s->resource, "GET /");
    assert_string_equal(s->type, "web");
    assert_true(s->traceid == TRACE_ID && s->spanid == SPAN_ID && s->parentid == PARENT_ID);
    assert_true(s->start == START && s->duration == DURATION && s->error == 1);
    assert_int_equal(s->n_meta, 2);
    assert_string_equal(s->meta[0]->key, "env");
    assert_string_equal(s->meta[0]->value, "prod");
    assert_string_equal(s->meta[1]->value, long_value);
    assert_int_equal(s->n_metrics, 2);
    assert_true(s->metrics[0]->value == 0 && s->metrics[1]->value == 1);
    assert_int_equal(s->n_meta_struct, 1);
    assert_int_equal(s->meta_struct[0]->value.len, 3);
    assert_memory_equal(s->meta_struct[0]->value.data, "\x81\0\xff", 3);
    assert_int_equal(s->n_spanlinks, 1);
    assert_true(s->spanlinks[0]->traceid == TRACE_ID && s->spanlinks[0]->traceid_high == 1);
    assert_true(s->spanlinks[0]->flags == UINT32_C(0x80000001));
    assert_string_equal(s->spanlinks[0]->attributes[0]->value, "v");
    assert_string_equal(s->spanlinks[0]->tracestate, "dd=s:1");
    assert_int_equal(s->n_spanevents, 1);
    assert_true(s->spanevents[0]->time_unix_nano == EVENT_NS);
    value = s->spanevents[0]->attributes[0]->value;
    assert_true(value->type == DATADOG__TRACE__ATTRIBUTE_ANY_VALUE__TYPE__INT_VALUE &&
                value->int_value == -7);
}

static void check_payload(const agent_payload *p)
{
    const tracer_payload *t;
    const trace_chunk *c;

    assert_string_equal(p->hostname, "h1");
    assert_string_equal(p->env, "none");
    assert_string_equal(p->agentversion, "1.0.0");
    assert_true(p->targettps == 10 && p->errortps == 0.5 && p->raresamplerenabled);
    assert_int_equal(p->n_tracerpayloads, 1);
    t = p->tracerpayloads[0];
    assert_string_equal(t->containerid, "c0ffee");
    assert_string_equal(t->languagename, "c");
    assert_string_equal(t->env, "prod");
    assert_string_equal(t->tags[0]->key, "_dd.tags.process");
    assert_int_equal(t->n_chunks, 1);
    c = t->chunks[0];
    assert_int_equal(c->priority, -1);
    assert_string_equal(c->origin, "synthetics");
    assert_string_equal(c->tags[0]->value, "-4");
    assert_true(c->droppedtrace);
    assert_int_equal(c->n_spans, 1);
    check_span(c->spans[0]);
}

static void test_our_bytes_are_read_by_protobuf_c(void **state)
{
    agent_payload *p;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, MAX_BYTES);
    write_payload(&b);
    assert_status(b.status, SONDE_OK);

    p = datadog__trace__agent_payload__unpack(NULL, b.len, b.data);
    assert_non_null(p);
    check_payload(p);

    datadog__trace__agent_payload__free_unpacked(p, NULL);
    sonde_buf_done(&b);
}

/* Fields as one flat list of "path=value" texts, so that two encodings can be compared by content. */
static void list_fields(sonde_str message, const char *path, sonde_buf *out);

static bool is_message(const char *path)
{
    static const char *const messages[] = {
        ".5",        ".5.6",      ".5.6.3",      ".5.6.3.14",   ".5.6.3.15",     ".5.6.3.10",
        ".5.6.3.11", ".5.6.3.13", ".5.6.3.14.4", ".5.6.3.15.3", ".5.6.3.15.3.2", ".5.6.4",
        ".5.7",      ".6"
    };
    size_t i;

    for (i = 0; i < COUNT_OF(messages); i++)
        if (strcmp(path, messages[i]) == 0)
            return true;
    return false;
}

static void list_fields(sonde_str message, const char *path, sonde_buf *out)
{
    sonde_pb_reader r;
    char below[64];

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (sonde_pb_next(&r)) {
        (void)snprintf(below, sizeof(below), "%s.%u", path, r.field);
        if (r.wire == 2 && is_message(below))
            list_fields(sonde_pb_bytes(&r), below, out);
        else if (r.wire == 2)
            sonde_buf_printf(out, "%s=%.*s\n", below, SONDE_STR_ARG(r.bytes));
        else if (r.scalar != 0) /* in a map entry one writes it, the other does not */
            sonde_buf_printf(out, "%s=%llu\n", below, (unsigned long long)r.scalar);
    }
    assert_status(r.status, SONDE_OK);
}

static void test_protobuf_cs_bytes_are_read_by_us(void **state)
{
    sonde_buf ours, theirs, want, got;
    agent_payload *p;
    uint8_t *to;

    (void)state;
    sonde_buf_init(&ours, MAX_BYTES);
    sonde_buf_init(&theirs, MAX_BYTES);
    sonde_buf_init(&want, MAX_BYTES);
    sonde_buf_init(&got, MAX_BYTES);
    write_payload(&ours);
    p = datadog__trace__agent_payload__unpack(NULL, ours.len, ours.data);
    assert_non_null(p);
    to = sonde_buf_reserve(&theirs, datadog__trace__agent_payload__get_packed_size(p));
    assert_non_null(to);
    sonde_buf_commit(&theirs, datadog__trace__agent_payload__pack(p, to));

    list_fields(sonde_buf_str(&ours), "", &want);
    list_fields(sonde_buf_str(&theirs), "", &got);

    assert_true(want.len > 5000);
    assert_string_equal(sonde_buf_cstr(&got), sonde_buf_cstr(&want));

    datadog__trace__agent_payload__free_unpacked(p, NULL);
    sonde_buf_done(&ours);
    sonde_buf_done(&theirs);
    sonde_buf_done(&want);
    sonde_buf_done(&got);
}

static void test_worked_payload_is_written_byte_for_byte(void **state)
{
    size_t tracer, chunk, one;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, MAX_BYTES);
    sonde_pb_str(&b, 1, SONDE_STR("h1"));
    sonde_pb_str(&b, 2, SONDE_STR("none"));
    tracer = sonde_pb_begin(&b, 5);
    sonde_pb_str(&b, 2, SONDE_STR("go"));
    chunk = sonde_pb_begin(&b, 6);
    sonde_pb_int64(&b, 1, 1);
    one = sonde_pb_begin(&b, 3);
    sonde_pb_str(&b, 1, SONDE_STR("web"));
    sonde_pb_str(&b, 2, SONDE_STR("http.request"));
    sonde_pb_str(&b, 3, SONDE_STR("GET /"));
    sonde_pb_varint(&b, 4, 258);
    sonde_pb_varint(&b, 5, 772);
    sonde_pb_int64(&b, 7, START);
    sonde_pb_int64(&b, 8, 1500000);
    sonde_pb_map_str_str(&b, 10, SONDE_STR("env"), SONDE_STR("prod"));
    sonde_pb_map_str_double(&b, 11, SONDE_STR("_top_level"), 1);
    sonde_pb_end(&b, one);
    sonde_pb_end(&b, chunk);
    sonde_pb_str(&b, 8, SONDE_STR("prod"));
    sonde_pb_end(&b, tracer);
    sonde_pb_str(&b, 7, SONDE_STR("1.0.0"));
    sonde_pb_double(&b, 8, 10);
    sonde_pb_double(&b, 9, 10);

    assert_int_equal(b.len, 135);
    golden_expect("agent_payload/one_span.hex", sonde_buf_str(&b));
    sonde_buf_done(&b);
}

/* protoc, where it is installed, decodes with the C++ library. */
static void test_our_bytes_are_read_by_protoc(void **state)
{
    char path[] = "/tmp/sonde-payload-XXXXXX", command[1024], text[16384];
    sonde_buf b;
    FILE *out;
    size_t len;
    int fd;

    (void)state;
    if (PROTOC[0] == '\0')
        skip();
    sonde_buf_init(&b, MAX_BYTES);
    write_payload(&b);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.len), b.len);
    assert_int_equal(close(fd), 0);
    (void)snprintf(command, sizeof(command),
                   "%s -I %s --decode=datadog.trace.AgentPayload agent_payload.proto < %s", PROTOC,
                   PROTO_DIR, path);
    out = popen(command, "r");
    assert_non_null(out);
    len = fread(text, 1, sizeof(text) - 1, out);
    text[len] = '\0';
    assert_int_equal(pclose(out), 0);
    assert_int_equal(unlink(path), 0);

    assert_non_null(strstr(text, "traceID: 18364758544493064720\n"));
    assert_non_null(strstr(text, "duration: -5\n"));
    assert_non_null(strstr(text, "time_unix_nano: 1700000000000000123\n"));
    assert_non_null(strstr(text, "flags: 2147483649\n"));
    assert_non_null(strstr(text, "errorTPS: 0.5\n"));
    assert_null(strstr(text, "\n1: ")); /* a field the schema does not know */
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_bytes_are_read_by_protobuf_c),
        cmocka_unit_test(test_protobuf_cs_bytes_are_read_by_us),
        cmocka_unit_test(test_worked_payload_is_written_byte_for_byte),
        cmocka_unit_test(test_our_bytes_are_read_by_protoc),
    };

    return cmocka_run_group_tests_name("agent_payload", tests, set_up, NULL);
}
