/* test_peer_service.c - what is sent of the peers of spans: docs/spec/spans.md, "Peers". */
#include "sent.h"

#include <stdio.h>

typedef struct peer_case {
    const char *label;
    const char *tags[11]; /* key, value, ... */
    const char *peer;     /* "": none */
    const char *source;
    const char *remapped_from;
} peer_case;

static void run(const peer_case *cases, size_t count)
{
    size_t i, j;

    sent_open();
    assert_status(
        sonde_start(&(sonde_options){ .service = "web", .agent_url = fake_agent_url(sent_agent) }),
        SONDE_OK);
    for (i = 0; i < count; i++) {
        sonde_span *span = sonde_span_start(cases[i].label, NULL);

        for (j = 0; cases[i].tags[j]; j += 2)
            sonde_span_set_str(span, cases[i].tags[j], cases[i].tags[j + 1]);
        sonde_span_finish(span);
    }
    sent_read();
    for (i = 0; i < count; i++) {
        const msgpack_object *span = sent_span(cases[i].label);

        if (strcmp(sent_meta(span, "peer.service"), cases[i].peer) != 0 ||
            strcmp(sent_meta(span, "_dd.peer.service.source"), cases[i].source) != 0 ||
            strcmp(sent_meta(span, "_dd.peer.service.remapped_from"), cases[i].remapped_from) != 0)
            fail_msg("%s: %s", cases[i].label, sent_meta(span, "peer.service"));
    }
    sonde_stop();
    sent_close();
}

static void test_the_programs_word_counts_for_every_span(void **state)
{
    static const peer_case cases[] = {
        { "client", { "span.kind", "client", "peer.service", "p" }, "p", "peer.service", "" },
        { "server", { "span.kind", "server", "peer.service", "p" }, "p", "peer.service", "" },
        { "no kind", { "peer.service", "p" }, "p", "peer.service", "" },
        { "empty", { "peer.service", "" }, "", "", "" },
        { "forged", { "_dd.peer.service.source", "x" }, "", "", "" },
        { "off", { "span.kind", "client", "out.host", "h" }, "", "", "" },
    };

    (void)state;
    run(cases, COUNT_OF(cases));
}

static void test_defaults_are_found_in_order(void **state)
{
    static const peer_case cases[] = {
        { "host", { "span.kind", "client", "out.host", "h" }, "h", "out.host", "" },
        { "producer", { "span.kind", "producer", "out.host", "h" }, "h", "out.host", "" },
        { "consumer", { "span.kind", "consumer", "out.host", "h" }, "", "", "" },
        { "no kind", { "out.host", "h" }, "", "", "" },
        { "hosts in order",
          { "span.kind", "client", "out.host", "h", "peer.hostname", "i",
            "network.destination.name", "j" },
          "j",
          "network.destination.name",
          "" },
        { "given",
          { "span.kind", "client", "out.host", "h", "peer.service", "p" },
          "p",
          "peer.service",
          "" },
        { "aws",
          { "span.kind", "client", "aws_service", "s", "tablename", "t", "topicname", "u" },
          "u",
          "topicname",
          "" },
        { "aws.service",
          { "span.kind", "client", "aws.service", "s", "bucketname", "b" },
          "b",
          "bucketname",
          "" },
        { "aws before db",
          { "span.kind", "client", "aws.service", "s", "db.system", "x", "db.name", "d" },
          "",
          "",
          "" },
        { "cassandra",
          { "span.kind", "client", "db.system", "cassandra", "db.cassandra.contact.points", "c",
            "db.name", "d" },
          "c",
          "db.cassandra.contact.points",
          "" },
        { "cassandra alone",
          { "span.kind", "client", "db.system", "cassandra", "out.host", "h", "db.name", "d" },
          "",
          "",
          "" },
        { "db",
          { "span.kind", "client", "db.system", "mysql", "db.instance", "e", "db.name", "d" },
          "d",
          "db.name",
          "" },
        { "db.instance",
          { "span.kind", "client", "db.system", "mysql", "db.instance", "e", "out.host", "h" },
          "e",
          "db.instance",
          "" },
        { "db, host",
          { "span.kind", "client", "db.system", "mysql", "out.host", "h" },
          "h",
          "out.host",
          "" },
        { "kafka",
          { "span.kind", "producer", "messaging.system", "kafka",
            "messaging.kafka.bootstrap.servers", "b" },
          "b",
          "messaging.kafka.bootstrap.servers",
          "" },
        { "rpc",
          { "span.kind", "client", "rpc.system", "grpc", "rpc.service", "r" },
          "r",
          "rpc.service",
          "" },
        { "grpc",
          { "span.kind", "client", "component", "grpc", "rpc.service", "r" },
          "r",
          "rpc.service",
          "" },
        { "no rpc",
          { "span.kind", "client", "component", "curl", "rpc.service", "r" },
          "",
          "",
          "" },
        { "last one counts",
          { "span.kind", "server", "span.kind", "client", "out.host", "g", "out.host", "h" },
          "h",
          "out.host",
          "" },
    };
    static const char *const variables[][2] = { { "DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED",
                                                  "true" },
                                                { "DD_TRACE_SPAN_ATTRIBUTE_SCHEMA", "v1" } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(variables); i++) {
        assert_int_equal(setenv(variables[i][0], variables[i][1], 1), 0);
        run(cases, COUNT_OF(cases));
        assert_int_equal(unsetenv(variables[i][0]), 0);
    }
}

static void test_a_mapping_renames_and_says_from_what(void **state)
{
    static char long_name[2000];
    const peer_case cases[] = {
        { "given", { "peer.service", "old" }, "new", "peer.service", "old" },
        { "default", { "span.kind", "client", "out.host", "old" }, "new", "out.host", "old" },
        { "other", { "peer.service", "older" }, "older", "peer.service", "" },
        { "blanks", { "peer.service", "b" }, "c", "peer.service", "b" },
        { "bad pairs", { "peer.service", "nothing" }, "nothing", "peer.service", "" },
    };

    (void)state;
    memset(long_name, 'x', 200); /* longer than a cell's rest */
    assert_int_equal(setenv("DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED", "1", 1), 0);
    assert_int_equal(
        setenv("DD_TRACE_PEER_SERVICE_MAPPING", "nothing:,x, b : c ,old:new,old:newer", 1), 0);
    run(cases, COUNT_OF(cases));
    memcpy(long_name + 200, ":short", 7);
    assert_int_equal(setenv("DD_TRACE_PEER_SERVICE_MAPPING", long_name, 1), 0);
    long_name[200] = '\0';
    {
        const peer_case long_case = {
            "long", { "peer.service", long_name }, "short", "peer.service", long_name
        };

        run(&long_case, 1);
    }
    assert_int_equal(unsetenv("DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED"), 0);
    assert_int_equal(unsetenv("DD_TRACE_PEER_SERVICE_MAPPING"), 0);
}

static void test_the_schema_stands_on_top_level_spans(void **state)
{
    (void)state;
    assert_int_equal(setenv("DD_TRACE_SPAN_ATTRIBUTE_SCHEMA", "v1", 1), 0);
    sent_open();
    assert_status(
        sonde_start(&(sonde_options){ .service = "web", .agent_url = fake_agent_url(sent_agent) }),
        SONDE_OK);
    {
        SONDE_SPAN(root, "root");
        SONDE_SPAN(child, "child");

        (void)child;
        sonde_span_set_double(root, "_dd.trace_span_attribute_schema", 7);
    }
    sent_read();
    assert_true(sent_metric(sent_span("root"), "_dd.trace_span_attribute_schema") == 1);
    assert_true(sent_metric(sent_span("child"), "_dd.trace_span_attribute_schema") == SENT_NONE);
    sonde_stop();
    sent_close();
    assert_int_equal(unsetenv("DD_TRACE_SPAN_ATTRIBUTE_SCHEMA"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_programs_word_counts_for_every_span),
        cmocka_unit_test(test_defaults_are_found_in_order),
        cmocka_unit_test(test_a_mapping_renames_and_says_from_what),
        cmocka_unit_test(test_the_schema_stands_on_top_level_spans),
    };

    return cmocka_run_group_tests_name("peer_service", tests, NULL, NULL);
}
