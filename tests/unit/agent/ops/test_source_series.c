/* test_source_series.c - metrics with the tags of tracers, and timings, as lines and as a page. */
#include "agent/ops/source_series.h"

#include <string.h>

#include "base/log.h"
#include "support/test.h"

#define P    "datadog.trace_agent."
#define TAGS "lang:go,service:web"

static void add_line(void *user, sonde_str line)
{
    sonde_buf_append_str(user, line);
}

static payload_sources *one_source(payload_source **out)
{
    payload_sources *all = sources_open();

    *out = sources_find(all, &(source_key){ .lang = SONDE_STR("go"), .service = SONDE_STR("web") });
    return all;
}

static void must_hold(sonde_buf *text, const char *line)
{
    if (!strstr(sonde_buf_cstr(text), line))
        fail_msg("no %sin\n%s", line, sonde_buf_cstr(text));
}

static void test_counts_grow_under_the_tags_of_their_tracer(void **state)
{
    payload_source *s;
    payload_sources *all = one_source(&s);
    sonde_buf got;

    (void)state;
    sonde_buf_init(&got, 1 << 16);
    source_add(s, SOURCE_TRACES_RECEIVED, 3);
    source_add(s, SOURCE_DROP_FOREIGN_SPAN, 2);
    source_add(s, SOURCE_FIX_SERVICE_EMPTY, 5);
    source_add_priority(s, -1);
    sources_to_statsd(all, false, add_line, &got);
    must_hold(&got, P "receiver.trace:3|c|#" TAGS "\n");
    must_hold(&got, P "receiver.traces_received:3|c|#" TAGS "\n");
    must_hold(&got, P "receiver.payload_refused:0|c|#" TAGS "\n");
    must_hold(&got, P "receiver.traces_priority:1|c|#" TAGS ",priority:-1\n");
    must_hold(&got, P "normalizer.traces_dropped:2|c|#" TAGS ",reason:foreign_span\n");
    must_hold(&got, P "normalizer.spans_malformed:5|c|#" TAGS ",reason:service_empty\n");
    assert_null(strstr(sonde_buf_cstr(&got), "traces_filtered")); /* nothing to tell */
    sonde_buf_reset(&got);
    source_add(s, SOURCE_TRACES_RECEIVED, 1);
    sources_to_statsd(all, false, add_line, &got);
    must_hold(&got, P "receiver.traces_received:1|c|#" TAGS "\n");
    assert_null(strstr(sonde_buf_cstr(&got), "normalizer"));
    sonde_buf_reset(&got);
    sources_to_statsd(all, true, add_line, &got);
    must_hold(&got, P "receiver.traces_filtered:0|c|#" TAGS "\n");
    must_hold(&got, P "receiver.traces_priority:0|c|#" TAGS ",priority:none\n");
    sonde_buf_done(&got);
    sources_close(all);
}

static void test_a_timing_is_a_count_the_most_and_the_average_in_whole_milliseconds(void **state)
{
    static timings all;
    payload_source *s;
    payload_sources *sources = one_source(&s);
    sonde_buf got;

    (void)state;
    memset(&all, 0, sizeof(all));
    sonde_buf_init(&got, 1 << 16);
    timings_add(&all, TIMING_TRACE_ENCODE, 1400000);
    timings_add(&all, TIMING_TRACE_ENCODE, 7600000);
    timings_to_statsd(&all, false, add_line, &got);
    assert_string_equal(sonde_buf_cstr(&got),
                        P "trace_writer.encode_ms.count:2|c\n" P
                          "trace_writer.encode_ms.max:8|g\n" P "trace_writer.encode_ms.avg:5|g\n");
    sonde_buf_reset(&got);
    timings_to_statsd(&all, false, add_line, &got); /* nothing happened */
    assert_int_equal(got.len, 0);
    timings_add(&all, TIMING_TRACE_ENCODE, 2000000);
    timings_to_statsd(&all, false, add_line, &got);
    must_hold(&got, P "trace_writer.encode_ms.max:2|g\n"); /* of this time only */
    sonde_buf_reset(&got);
    timing_add(&s->served[1], 3000000);
    sources_to_statsd(sources, false, add_line, &got);
    must_hold(&got, P "receiver.serve_traces_ms.count:1|c|#" TAGS ",success:true\n");
    must_hold(&got, P "receiver.serve_traces_ms.avg:3|g|#" TAGS ",success:true\n");
    sonde_buf_done(&got);
    sources_close(sources);
}

static void test_sizes_are_told_in_bytes(void **state)
{
    static timings all;
    sonde_buf got;

    (void)state;
    memset(&all, 0, sizeof(all));
    sonde_buf_init(&got, 1 << 16);
    timings_add(&all, TIMING_RATE_RESPONSE, 2);
    timings_add(&all, TIMING_RATE_RESPONSE, 61);
    timings_to_statsd(&all, false, add_line, &got);
    assert_string_equal(sonde_buf_cstr(&got), P "receiver.rate_response_bytes.count:2|c\n" P
                                                "receiver.rate_response_bytes.max:61|g\n" P
                                                "receiver.rate_response_bytes.avg:31|g\n");
    sonde_buf_reset(&got);
    timings_to_openmetrics(&all, &got);
    must_hold(&got, "datadog_trace_agent_receiver_rate_response_bytes_sum 63\n");
    sonde_buf_done(&got);
}

static void test_the_page_has_each_family_once_with_labels(void **state)
{
    static timings all;
    payload_source *s;
    payload_sources *sources = one_source(&s);
    const char *first;
    sonde_buf got;

    (void)state;
    memset(&all, 0, sizeof(all));
    sonde_buf_init(&got, 1 << 16);
    source_add(s, SOURCE_SPANS_RECEIVED, 4);
    source_add_priority(s, 1);
    source_add_priority(s, 2);
    timing_add(&s->served[0], 1500000);
    timings_add(&all, TIMING_STATS_FLUSH, 500000);
    sources_to_openmetrics(sources, &got);
    timings_to_openmetrics(&all, &got);
    must_hold(&got, "# TYPE datadog_trace_agent_receiver_spans_received counter\n");
    must_hold(&got,
              "datadog_trace_agent_receiver_spans_received_total{lang=\"go\",service=\"web\"} 4\n");
    must_hold(&got, "{lang=\"go\",service=\"web\",priority=\"2\"} 1\n");
    must_hold(&got, "datadog_trace_agent_receiver_serve_traces_ms_sum{lang=\"go\",service=\"web\","
                    "success=\"false\"} 1.5\n");
    must_hold(&got, "# TYPE datadog_trace_agent_stats_writer_flush_duration summary\n"
                    "datadog_trace_agent_stats_writer_flush_duration_count 1\n"
                    "datadog_trace_agent_stats_writer_flush_duration_sum 0.5\n");
    first = strstr(sonde_buf_cstr(&got), "# TYPE datadog_trace_agent_receiver_traces_priority ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "# TYPE datadog_trace_agent_receiver_traces_priority "));
    sonde_buf_done(&got);
    sources_close(sources);
}

static void test_the_last_minute_is_the_last_whole_one(void **state)
{
    payload_source *s;
    payload_sources *all = one_source(&s);

    (void)state;
    source_add(s, SOURCE_BYTES, 5);
    assert_int_equal(source_in_last_minute(s, SOURCE_BYTES), 0); /* not over yet */
    sources_turn_minute(all);
    source_add(s, SOURCE_BYTES, 2);
    assert_int_equal(source_in_last_minute(s, SOURCE_BYTES), 5);
    sources_turn_minute(all);
    assert_int_equal(source_in_last_minute(s, SOURCE_BYTES), 2);
    sources_turn_minute(all);
    assert_int_equal(source_in_last_minute(s, SOURCE_BYTES), 0);
    sources_close(all);
}

static sonde_buf logged;

static void keep_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level;
    sonde_buf_append(&logged, line, len);
    sonde_buf_append_byte(&logged, '\n');
}

static void test_each_minute_is_summed_up_in_the_log(void **state)
{
    payload_source *s;
    payload_sources *all = one_source(&s);

    (void)state;
    sonde_buf_init(&logged, 8192);
    sonde_log_set_sink(keep_line, NULL);
    sonde_log_set_level(SONDE_LOG_DEBUG);
    sources_log_minute(all);
    must_hold(&logged, "No data received\n");
    sonde_buf_reset(&logged);
    source_add(s, SOURCE_SPANS_RECEIVED, 7);
    source_add(s, SOURCE_DROP_EMPTY_TRACE, 2);
    source_add(s, SOURCE_FIX_SERVICE_EMPTY, 3);
    source_add(s, SOURCE_FIX_TYPE_TRUNCATE, 1);
    sources_turn_minute(all);
    sources_log_minute(all);
    must_hold(&logged, "[" TAGS "] payloads=0 traces=0 spans=7");
    must_hold(&logged, "[" TAGS "] traces_dropped(empty_trace:2), "
                       "spans_malformed(service_empty:3, type_truncate:1)\n");
    assert_null(strstr(sonde_buf_cstr(&logged), "No data"));
    sonde_buf_done(&logged);
    sonde_log_set_sink(NULL, NULL);
    sonde_log_set_level(SONDE_LOG_INFO);
    sources_close(all);
}

static decision_count two[] = { { .tags = "sampler:priority", .seen = 9, .kept = 4 },
                                { .tags = "sampler:error", .seen = 1, .kept = 1 } };

static void each_of_two(void *sampler, void (*tell)(void *user, decision_count *d), void *user)
{
    (void)sampler;
    tell(user, &two[0]);
    tell(user, &two[1]);
}

static void test_decisions_are_seen_and_kept_by_their_tags(void **state)
{
    sonde_buf got;

    (void)state;
    sonde_buf_init(&got, 4096);
    each_of_two(NULL, decision_to_statsd, &(decision_lines){ add_line, &got });
    two[0].seen += 2;
    each_of_two(NULL, decision_to_statsd, &(decision_lines){ add_line, &got });
    assert_string_equal(
        sonde_buf_cstr(&got),
        P "sampler.seen:9|c|#sampler:priority\n" P "sampler.kept:4|c|#sampler:priority\n" P
          "sampler.seen:1|c|#sampler:error\n" P "sampler.kept:1|c|#sampler:error\n" P
          "sampler.seen:2|c|#sampler:priority\n" P "sampler.kept:0|c|#sampler:priority\n" P
          "sampler.seen:0|c|#sampler:error\n" P "sampler.kept:0|c|#sampler:error\n");
    sonde_buf_reset(&got);
    decisions_to_openmetrics(each_of_two, NULL, &got);
    assert_string_equal(sonde_buf_cstr(&got),
                        "# TYPE datadog_trace_agent_sampler_seen counter\n"
                        "datadog_trace_agent_sampler_seen_total{sampler=\"priority\"} 11\n"
                        "datadog_trace_agent_sampler_seen_total{sampler=\"error\"} 1\n"
                        "# TYPE datadog_trace_agent_sampler_kept counter\n"
                        "datadog_trace_agent_sampler_kept_total{sampler=\"priority\"} 4\n"
                        "datadog_trace_agent_sampler_kept_total{sampler=\"error\"} 1\n");
    sonde_buf_done(&got);
}

static void test_without_sources_and_timings_there_is_nothing(void **state)
{
    sonde_buf got;

    (void)state;
    sonde_buf_init(&got, 4096);
    sources_to_statsd(NULL, true, add_line, &got);
    timings_to_statsd(NULL, true, add_line, &got);
    sources_to_openmetrics(NULL, &got);
    timings_to_openmetrics(NULL, &got);
    sources_turn_minute(NULL);
    assert_int_equal(got.len, 0);
    sonde_buf_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_grow_under_the_tags_of_their_tracer),
        cmocka_unit_test(test_a_timing_is_a_count_the_most_and_the_average_in_whole_milliseconds),
        cmocka_unit_test(test_sizes_are_told_in_bytes),
        cmocka_unit_test(test_the_page_has_each_family_once_with_labels),
        cmocka_unit_test(test_the_last_minute_is_the_last_whole_one),
        cmocka_unit_test(test_each_minute_is_summed_up_in_the_log),
        cmocka_unit_test(test_decisions_are_seen_and_kept_by_their_tags),
        cmocka_unit_test(test_without_sources_and_timings_there_is_nothing),
    };

    return cmocka_run_group_tests_name("agent/ops/source_series", tests, NULL, NULL);
}
