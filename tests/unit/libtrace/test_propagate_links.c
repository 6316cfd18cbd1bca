/* test_propagate_links.c - received traces that are not continued, on the wire, against
 * docs/spec/propagation.md, "Styles". */
#include "support/test.h"

#include <stdlib.h>

#include <msgpack.h>

#include "carrier.h"
#include "support/fake_agent.h"

#define DATADOG_1 "x-datadog-trace-id", "1"
#define OTHER_W3C "00-00000000000000070000000000000008-0000000000000009-00"
#define OTHER_B3  "000000000000000a-000000000000000b-1"
#define LINK_W3C                                                                                   \
    "{\"trace_id\"=>8, \"trace_id_high\"=>7, \"span_id\"=>9, \"attributes\"=>{\"reason\"=>"        \
    "\"terminated_context\", \"context_headers\"=>\"tracecontext\"}, \"tracestate\"=>"             \
    "\"foo=1,dd=s:0,bar=2\", \"flags\"=>2147483648}"
#define LINK_B3                                                                                    \
    "{\"trace_id\"=>10, \"span_id\"=>11, \"attributes\"=>{\"reason\"=>\"terminated_context\", "    \
    "\"context_headers\"=>\"b3\"}, \"flags\"=>2147483649}"
#define LINK_RESTART                                                                               \
    "{\"trace_id\"=>1, \"span_id\"=>2, \"attributes\"=>{\"reason\"=>"                              \
    "\"propagation_behavior_extract\", \"context_headers\"=>\"datadog\"}}"

static fake_agent *agent;
static char links[1000]; /* of the last span started from the headers, as text */

static const msgpack_object *find(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; i < map->via.map.size; i++)
        if (map->via.map.ptr[i].key.via.str.size == strlen(key) &&
            memcmp(map->via.map.ptr[i].key.via.str.ptr, key, strlen(key)) == 0)
            return &map->via.map.ptr[i].val;
    return NULL;
}

static void read_links(void)
{
    const msgpack_object *span, *found;
    msgpack_unpacked body;
    uint8_t *bytes;
    size_t len;

    assert_status(sonde_flush(60000), SONDE_OK);
    bytes = fake_agent_last_body(agent, &len);
    msgpack_unpacked_init(&body);
    assert_int_equal(msgpack_unpack_next(&body, (const char *)bytes, len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    span = &body.data.via.array.ptr[0].via.array.ptr[0];
    found = find(span, "span_links");
    memset(links, 0, sizeof(links));
    if (found)
        (void)msgpack_object_print_buffer(links, sizeof(links), *found);
    msgpack_unpacked_destroy(&body);
    free(bytes);
}

/* One variable, these headers: the trace id of the span that is started from them. */
static uint64_t run(const char *variable, const char *value, carrier *in, carrier *out)
{
    sonde_options o = { .service = "unit", .agent_url = fake_agent_url(agent) };
    sonde_context *context;
    sonde_span *span;
    uint64_t id;

    assert_int_equal(setenv(variable, value, 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
    (void)unsetenv(variable);
    context = extract(in);
    span = sonde_span_enter("root", &(sonde_span_options){ .context = context });
    sonde_context_release(context);
    id = sonde_span_trace_id_low(span);
    inject(NULL, out);
    sonde_span_leave(span);
    read_links();
    sonde_stop();
    return id;
}

static void put_all(carrier *in)
{
    put(in, DATADOG_1);
    put(in, "x-datadog-parent-id", "2");
    put(in, "x-datadog-origin", "rum");
    put(in, "traceparent", OTHER_W3C);
    put(in, "tracestate", "foo=1,dd=s:0");
    put(in, "tracestate", " bar=2");
    put(in, "b3", OTHER_B3);
    put(in, "baggage", "k=v");
}

static void test_other_traces_among_the_headers_become_links(void **state)
{
    static const struct {
        const char *label, *variable, *value, *links;
        uint64_t id;
    } cases[] = {
        { "two", "DD_TRACE_PROPAGATION_STYLE", "datadog,tracecontext,b3",
          "[" LINK_W3C ", " LINK_B3 "]", 1 },
        { "order of the list", "DD_TRACE_PROPAGATION_STYLE", "datadog,b3,tracecontext",
          "[" LINK_B3 ", " LINK_W3C "]", 1 },
        { "one style", "DD_TRACE_PROPAGATION_STYLE", "datadog", "", 1 },
        { "default", "DD_ENV", "test", "[" LINK_W3C "]", 1 },
        { "first only", "DD_TRACE_PROPAGATION_EXTRACT_FIRST", "1", "", 1 },
        { "b3 first", "DD_TRACE_PROPAGATION_STYLE", "b3", "", 10 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        carrier out;
        uint64_t id;

        put_all(&in);
        id = run(cases[i].variable, cases[i].value, &in, &out);
        if (id != cases[i].id || strcmp(links, cases[i].links) != 0)
            fail_msg("%s: trace %llu, links %s", cases[i].label, (unsigned long long)id, links);
    }
}

static void test_only_the_first_span_has_the_links(void **state)
{
    sonde_options o = { .service = "unit", .agent_url = fake_agent_url(agent) };
    carrier in = { .len = 0 };
    sonde_context *context;
    sonde_span *first, *second;

    (void)state;
    put_all(&in);
    assert_status(sonde_start(&o), SONDE_OK);
    context = extract(&in);
    first = sonde_span_start("first", &(sonde_span_options){ .context = context });
    sonde_span_finish(first);
    read_links();
    assert_string_equal(links, "[" LINK_W3C "]");
    second = sonde_span_start("second", &(sonde_span_options){ .context = context });
    sonde_context_release(context);
    sonde_span_finish(second);
    read_links();
    assert_string_equal(links, "");
    sonde_stop();
}

static void test_restart_begins_a_trace_that_links_to_the_received_one(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    put_all(&in);
    assert_true(run("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "RESTART", &in, &out) > 2);
    assert_string_equal(links, "[" LINK_RESTART "]");
    assert_header("baggage is kept", &out, "baggage", "k=v");
    assert_header("the rest is not", &out, "x-datadog-origin", NULL);
}

static void test_ignore_does_not_look_at_the_headers(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    put_all(&in);
    assert_true(run("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "ignore", &in, &out) > 2);
    assert_string_equal(links, "");
    assert_header("no baggage", &out, "baggage", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_traces_among_the_headers_become_links),
        cmocka_unit_test(test_only_the_first_span_has_the_links),
        cmocka_unit_test(test_restart_begins_a_trace_that_links_to_the_received_one),
        cmocka_unit_test(test_ignore_does_not_look_at_the_headers),
    };
    int failed;

    agent = fake_agent_open(NULL);
    failed = cmocka_run_group_tests_name("propagate_links", tests, NULL, NULL);
    fake_agent_close(agent);
    return failed;
}
