/* test_series.c - numbers of the status document as metrics: the table, the lines, the page. */
#include "agent/ops/series.h"

#include <stdio.h>
#include <string.h>

#include "agent/ops/flat.h"
#include "support/test.h"

static void add_path(void *user, sonde_str path, double value)
{
    sonde_buf_printf(user, "%.*s=%g ", SONDE_STR_ARG(path), value);
}

static void test_a_document_becomes_names_with_numbers(void **state)
{
    static const struct {
        const char *label, *json, *want;
        sonde_status status;
    } cases[] = {
        { "nested", "{\"a\":{\"b\":1,\"c\":\"text\"},\"d\":[2,{\"e\":3.5}],\"f\":null}",
          "a.b=1 d.0=2 d.1.e=3.5 ", SONDE_OK },
        { "words", "{\"yes\":true,\"no\":false}", "yes=1 no=0 ", SONDE_OK },
        { "cut off", "{\"a\":1", "a=1 ", SONDE_ERR_SYNTAX },
        { "more behind", "{} 1", "", SONDE_ERR_SYNTAX },
        { "nothing", "", "", SONDE_ERR_SYNTAX },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf got;

        sonde_buf_init(&got, 4096);
        if (flat_walk(sonde_str_from(cases[i].json), add_path, &got) != cases[i].status ||
            strcmp(sonde_buf_cstr(&got), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, sonde_buf_cstr(&got));
        sonde_buf_done(&got);
    }
}

static void test_a_name_that_is_too_long_is_left_out_and_its_neighbours_are_not(void **state)
{
    char json[1024], name[FLAT_PATH_MAX + 1];
    sonde_buf got;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(json, sizeof(json), "{\"a\":1,\"%s\":{\"b\":2},\"c\":3}", name);
    sonde_buf_init(&got, 4096);
    assert_status(flat_walk(sonde_str_from(json), add_path, &got), SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&got), "a=1 c=3 ");
    sonde_buf_done(&got);
}

static void read(series_set *s, const char *json)
{
    assert_status(series_fill(s, sonde_str_from(json)), SONDE_OK);
}

static void add_line(void *user, sonde_str line)
{
    sonde_buf_append_str(user, line);
}

static const char first[] =
    "{\"agent\":{\"uptime_s\":7},\"trace_writer\":{\"chunks_out\":4,\"spans_out\":10},"
    "\"proxies\":{\"evp\":{\"errors_4xx\":1,\"errors_5xx\":2,\"received\":0}},"
    "\"sampler\":{\"signatures_priority\":3,\"signatures_errors\":2},"
    "\"forwarder\":[{\"traces\":{\"dropped\":{\"age\":{\"payloads\":1},\"full\":{\"payloads\":2}}}}"
    ","
    "{\"traces\":{\"dropped\":{\"age\":{\"payloads\":4}}}}]}";

static void test_counts_are_sent_as_what_they_grew_by(void **state)
{
    static series_set none, before, now;
    sonde_buf got;

    (void)state;
    read(&before, first);
    sonde_buf_init(&got, 8192);
    series_to_statsd(&none, &before, false, add_line, &got);
    assert_string_equal(sonde_buf_cstr(&got),
                        "datadog.trace_agent.heartbeat:1|g\n"
                        "datadog.trace_agent.trace_writer.traces:4|c\n"
                        "datadog.trace_agent.trace_writer.spans:10|c\n"
                        "datadog.trace_agent.evp_proxy.request_error:3|c\n"
                        "datadog.trace_agent.sampler.size:3|g|#sampler:priority\n"
                        "datadog.trace_agent.sampler.size:2|g|#sampler:error\n"
                        "datadog.trace_agent.trace_writer.dropped:7|c\n");
    read(&now, "{\"trace_writer\":{\"spans_out\":12}}");
    sonde_buf_reset(&got);
    series_to_statsd(&before, &now, false, add_line, &got);
    assert_string_equal(sonde_buf_cstr(&got), "datadog.trace_agent.trace_writer.spans:2|c\n");
    sonde_buf_reset(&got);
    series_to_statsd(&now, &before, true, add_line, &got); /* set back: from zero */
    assert_non_null(strstr(sonde_buf_cstr(&got), "trace_writer.spans:10|c\n"));
    assert_non_null(strstr(sonde_buf_cstr(&got), "evp_proxy.request:0|c\n"));
    sonde_buf_done(&got);
}

static void test_the_page_holds_each_family_once_and_together(void **state)
{
    static series_set now;
    sonde_buf got;

    (void)state;
    read(&now, first);
    sonde_buf_init(&got, 8192);
    series_to_openmetrics(&now, &got);
    assert_non_null(strstr(sonde_buf_cstr(&got),
                           "# TYPE datadog_trace_agent_sampler_size gauge\n"
                           "datadog_trace_agent_sampler_size{sampler=\"priority\"} 3\n"
                           "datadog_trace_agent_sampler_size{sampler=\"error\"} 2\n"));
    assert_non_null(strstr(sonde_buf_cstr(&got), "# TYPE datadog_trace_agent_heartbeat gauge\n"
                                                 "datadog_trace_agent_heartbeat 1\n"));
    sonde_buf_done(&got);
}

static void test_a_payload_that_is_rejected_is_told_with_its_error(void **state)
{
    static const struct {
        const char *reason, *tag;
    } cases[] = {
        { "payload_too_large", "error:payload-too-large" },
        { "decoded_too_big", "error:payload-too-large" },
        { "unexpected_eof", "error:unexpected-eof" },
        { "timeout", "error:timeout" },
        { "decoding_error", "error:decoding-error" },
        { "media_type", "error:format-error" },
    };
    static series_set s;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char json[128];

        (void)snprintf(json, sizeof(json), "{\"receiver\":{\"payloads_dropped\":{\"%s\":3}}}",
                       cases[i].reason);
        read(&s, json);
        if (series_sum(&s, "receiver.error", cases[i].tag) != 3)
            fail_msg("%s is not told as %s", cases[i].reason, cases[i].tag);
    }
}

static void test_sums_look_at_name_and_tag(void **state)
{
    static series_set now;

    (void)state;
    read(&now, first);
    assert_true(series_sum(&now, "sampler.size", "") == 5);
    assert_true(series_sum(&now, "sampler.size", "sampler:error") == 2);
    assert_true(series_sum(&now, "no such", "") == 0);
}

static void test_of_several_queues_the_fullest_is_told(void **state)
{
    static series_set none, now;
    sonde_buf got;

    (void)state;
    read(&now, "{\"forwarder\":[{\"queue_filled\":0.25,\"connections_filled\":0.4},"
               "{\"queue_filled\":0.75,\"connections_filled\":0},{\"queue_filled\":0}]}");
    sonde_buf_init(&got, 8192);
    series_to_statsd(&none, &now, false, add_line, &got);
    assert_string_equal(sonde_buf_cstr(&got),
                        "datadog.trace_agent.trace_writer.queue_fill:0.75|g\n"
                        "datadog.trace_agent.stats_writer.queue_fill:0.75|g\n"
                        "datadog.trace_agent.trace_writer.connection_fill:0.4|g\n"
                        "datadog.trace_agent.stats_writer.connection_fill:0.4|g\n");
    sonde_buf_reset(&got);
    series_to_openmetrics(&now, &got);
    assert_non_null(strstr(sonde_buf_cstr(&got),
                           "# TYPE datadog_trace_agent_trace_writer_queue_fill gauge\n"
                           "datadog_trace_agent_trace_writer_queue_fill 0.75\n"));
    sonde_buf_done(&got);
}

static void test_no_number_is_counted_twice_in_a_metric(void **state)
{
    (void)state;
    for (size_t i = 0; i < series_rows_len; i++)
        for (size_t k = i + 1; k < series_rows_len; k++)
            if (strcmp(series_rows[i].path, series_rows[k].path) == 0 &&
                strcmp(series_rows[i].name, series_rows[k].name) == 0)
                fail_msg("%s is twice in %s", series_rows[i].path, series_rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document_becomes_names_with_numbers),
        cmocka_unit_test(test_a_name_that_is_too_long_is_left_out_and_its_neighbours_are_not),
        cmocka_unit_test(test_counts_are_sent_as_what_they_grew_by),
        cmocka_unit_test(test_the_page_holds_each_family_once_and_together),
        cmocka_unit_test(test_a_payload_that_is_rejected_is_told_with_its_error),
        cmocka_unit_test(test_sums_look_at_name_and_tag),
        cmocka_unit_test(test_of_several_queues_the_fullest_is_told),
        cmocka_unit_test(test_no_number_is_counted_twice_in_a_metric),
    };

    return cmocka_run_group_tests_name("agent/ops/series", tests, NULL, NULL);
}
