/* test_telemetry_metrics.c - what the library counts, as series and distributions. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "libtrace/src/counters.h"
#include "libtrace/src/telemetry_libraries.h"
#include "libtrace/src/telemetry_metrics.h"
#include "sonde/sonde.h"
#include "support/alloc_fail.h"

#define S         (INT64_C(1) * SONDE_NS_PER_S)
#define SLOT(n)   (INT64_C(1700000000) + 10 * (n))
#define AT(n, ms) (SLOT(n) * S + (ms) * (int64_t)SONDE_NS_PER_MS)

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static sonde__config *config;
static sonde__telemetry_request told;

static void open_with(const char *const *env)
{
    config = sonde__config_new(NULL, look_up, (void *)(uintptr_t)env);
    assert_non_null(config);
    sonde__telemetry_metrics_open(config, 0);
}

static int set_up(void **state)
{
    (void)state;
    open_with(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde__telemetry_metrics_forget();
    sonde__telemetry_request_done(&told);
    sonde__config_free(config);
    return 0;
}

/* The events that would be sent, one behind the other. */
static const char *tell(void)
{
    sonde_buf_reset(&told.payloads);
    told.events = 0;
    sonde__telemetry_metrics_put(&told, config);
    if (told.events == 0)
        return "";
    assert_status(told.payloads.status, SONDE_OK);
    return sonde_buf_cstr(&told.payloads);
}

static void expect_in(const char *label, const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("%s: %s\nis not in\n%s", label, want, text);
}

static void expect_not_in(const char *label, const char *text, const char *other)
{
    if (strstr(text, other))
        fail_msg("%s: %s\nis in\n%s", label, other, text);
}

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

/* -- counts --------------------------------------------------------------------------------------- */

#define SERIES(name, tags)                                                                         \
    "{\"metric\":\"" name "\",\"points\":[[1700000000,7]],\"interval\":10,\"type\":\"count\","     \
    "\"tags\":[" tags "],\"common\":true}"

static void test_every_counter_is_told_as_its_series(void **state)
{
    static const struct {
        unsigned counter;
        const char *want;
    } cases[] = {
        { SONDE__SPANS_STARTED, SERIES("spans_created", "\"integration_name:manual\"") },
        { SONDE__SPANS_FINISHED, SERIES("spans_finished", "\"integration_name:manual\"") },
        { SONDE__SPANS_DROPPED + SONDE_DROP_STOPPED,
          SERIES("spans_dropped", "\"reason:stopped\"") },
        { SONDE__SEGMENTS_NEW, SERIES("trace_segments_created", "\"new_continued:new\"") },
        { SONDE__SEGMENTS_CONTINUED,
          SERIES("trace_segments_created", "\"new_continued:continued\"") },
        { SONDE__CHUNKS_QUEUED, SERIES("trace_segments_closed", "") },
        { SONDE__CHUNKS_QUEUED, SERIES("trace_chunks_enqueued", "") },
        { SONDE__PARTIAL_FLUSHES, SERIES("trace_partial_flush.count", "\"reason:large_trace\"") },
        { SONDE__CHUNKS_DELIVERED, SERIES("trace_chunks_sent", "") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_NOT_SAMPLED,
          SERIES("trace_chunks_dropped", "\"reason:p0_drop\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_FILTERED,
          SERIES("trace_chunks_dropped", "\"reason:trace_filters\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_NO_MEMORY,
          SERIES("trace_chunks_dropped", "\"reason:queue_full\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_TRACE_TOO_BIG,
          SERIES("trace_chunks_dropped", "\"reason:queue_full\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_PAYLOAD_TOO_BIG,
          SERIES("trace_chunks_dropped", "\"reason:serialization_error\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_AGENT_UNREACHABLE,
          SERIES("trace_chunks_dropped", "\"reason:send_failure\"") },
        { SONDE__CHUNKS_DROPPED + SONDE_DROP_AGENT_BUSY,
          SERIES("trace_chunks_dropped", "\"reason:send_failure\"") },
        { SONDE__LOGS_ERROR, SERIES("logs_created", "\"level:error\"") },
        { SONDE__LOGS_WARN, SERIES("logs_created", "\"level:warn\"") },
        { SONDE__STATS_SPANS_COLLAPSED, SERIES("stats_collapsed_spans", "") },
        { SONDE__CONTEXTS_INJECTED + SONDE__STYLE_TRACECONTEXT,
          SERIES("context_header_style.injected", "\"header_style:tracecontext\"") },
        { SONDE__CONTEXTS_EXTRACTED + SONDE__STYLE_B3MULTI,
          SERIES("context_header_style.extracted", "\"header_style:b3multi\"") },
        { SONDE__CONTEXTS_MALFORMED + SONDE__STYLE_BAGGAGE,
          SERIES("context_header_style.malformed", "\"header_style:baggage\"") },
        { SONDE__BAGGAGE_CUT_ITEMS,
          SERIES("context_header.truncated", "\"truncation_reason:baggage_item_count_exceeded\"") },
        { SONDE__BAGGAGE_CUT_BYTES,
          SERIES("context_header.truncated", "\"truncation_reason:baggage_byte_count_exceeded\"") },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *text;

        sonde__telemetry_metrics_open(config, 0);
        sonde__count(cases[i].counter, 7);
        sonde__telemetry_metrics_sample(AT(0, 5));
        text = tell();
        expect_in("series", text, "{\"namespace\":\"tracers\",\"series\":[{\"metric\":");
        expect_in("series", text, cases[i].want);
    }
}

static void test_what_was_counted_before_the_start_is_not_told(void **state)
{
    (void)state;
    sonde__count(SONDE__SPANS_STARTED, 5);
    sonde__telemetry_metrics_open(config, 0);
    sonde__telemetry_metrics_sample(AT(0, 0));
    expect_not_in("before", tell(), "spans_created");
}

static void test_counts_go_into_the_ten_seconds_they_are_of(void **state)
{
    (void)state;
    sonde__telemetry_metrics_sample(AT(0, 1000));
    sonde__count(SONDE__SPANS_STARTED, 1);
    sonde__telemetry_metrics_sample(AT(0, 9000));
    sonde__count(SONDE__SPANS_STARTED, 2);
    sonde__telemetry_metrics_sample(AT(1, 3)); /* soon after the end: of the former */
    sonde__telemetry_metrics_sample(AT(2, 2)); /* nothing: no point */
    sonde__count(SONDE__SPANS_STARTED, 4);
    sonde__telemetry_metrics_sample(AT(2, 8000));
    expect_in("slots", tell(),
              "\"spans_created\",\"points\":[[1700000000,3],[1700000020,4]],\"interval\":10,");
}

static void test_what_was_not_taken_is_told_again(void **state)
{
    (void)state;
    sonde__count(SONDE__SPANS_STARTED, 3);
    sonde__telemetry_metrics_sample(AT(0, 0));
    expect_in("first", tell(), "\"spans_created\",\"points\":[[1700000000,3]]");
    sonde__count(SONDE__SPANS_STARTED, 1);
    sonde__telemetry_metrics_sample(AT(0, 500));
    expect_in("again", tell(), "\"spans_created\",\"points\":[[1700000000,4]]");
    sonde__telemetry_metrics_told();
    assert_string_equal(tell(), "");
    sonde__count(SONDE__SPANS_STARTED, 2);
    sonde__telemetry_metrics_sample(AT(0, 900));
    expect_in("then", tell(), "\"spans_created\",\"points\":[[1700000000,2]]");
}

static void test_the_oldest_slots_make_room(void **state)
{
    uint64_t dropped = counters().telemetry_dropped;
    char want[60];
    int i;

    (void)state;
    for (i = 0; i <= SONDE__TELEMETRY_SLOTS + 2; i++) {
        sonde__count(SONDE__SPANS_STARTED, 1);
        sonde__telemetry_metrics_sample(AT(i, 0));
    }
    (void)snprintf(want, sizeof(want), "\"spans_created\",\"points\":[[%lld,1],",
                   (long long)SLOT(2));
    expect_in("oldest", tell(), want);
    assert_int_equal(counters().telemetry_dropped - dropped, 2);
}

/* -- requests ------------------------------------------------------------------------------------- */

#define API(name, tags)                                                                            \
    "{\"metric\":\"" name "\",\"points\":[[1700000000,1]],\"interval\":10,\"type\":\"count\","     \
    "\"tags\":[" tags "],\"common\":true}"

static void test_requests_are_counted_by_what_came_of_them(void **state)
{
    static const struct {
        const char *label;
        sonde__call api;
        sonde_status status;
        int http_status;
        const char *want[3];
    } cases[] = {
        { "taken",
          SONDE__CALL_TRACE,
          SONDE_OK,
          200,
          { API("trace_api.requests", ""), API("trace_api.responses", "\"status_code:200\"") } },
        { "refused",
          SONDE__CALL_STATS,
          SONDE_OK,
          413,
          { API("stats_api.requests", ""), API("stats_api.responses", "\"status_code:413\""),
            API("stats_api.errors", "\"type:status_code\"") } },
        { "late",
          SONDE__CALL_TRACE,
          SONDE_ERR_TIMEOUT,
          0,
          { API("trace_api.requests", ""), API("trace_api.errors", "\"type:timeout\"") } },
        { "not there",
          SONDE__CALL_TELEMETRY,
          SONDE_ERR_CONNECT,
          0,
          { "{\"namespace\":\"telemetry\",\"series\":[", API("telemetry_api.requests", ""),
            API("telemetry_api.errors", "\"type:network\"") } },
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *text;

        sonde__telemetry_metrics_open(config, 0);
        sonde__telemetry_note_request(cases[i].api, cases[i].status, cases[i].http_status, 100,
                                      1500000);
        sonde__telemetry_metrics_sample(AT(0, 0));
        text = tell();
        for (k = 0; k < 3 && cases[i].want[k]; k++)
            expect_in(cases[i].label, text, cases[i].want[k]);
        expect_in(cases[i].label, text, "_api.bytes\",\"points\":[100],\"tags\":[],");
        expect_in(cases[i].label, text, "_api.ms\",\"points\":[1.5],\"tags\":[],");
    }
}

static void test_more_statuses_than_there_is_room_for_count_as_the_last(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < SONDE__TELEMETRY_STATUSES + 3; i++)
        sonde__telemetry_note_request(SONDE__CALL_TRACE, SONDE_OK, 400 + i, 0, 0);
    sonde__telemetry_metrics_sample(AT(0, 0));
    expect_in("first", tell(),
              "[[1700000000,1]],\"interval\":10,\"type\":\"count\",\"tags\":["
              "\"status_code:400\"]");
    expect_in("last", tell(),
              "[[1700000000,4]],\"interval\":10,\"type\":\"count\",\"tags\":["
              "\"status_code:407\"]");
}

/* -- values --------------------------------------------------------------------------------------- */

static void test_of_many_values_a_sample_is_kept(void **state)
{
    static const char start[] = "{\"metric\":\"trace_chunk_size\",\"points\":[";
    uint64_t left_out = counters().telemetry_left_out;
    int high = 0;
    const char *at;
    int i, n = 0;

    (void)state;
    for (i = 0; i < 10000; i++)
        sonde__telemetry_note(SONDE__VALUE_CHUNK_SPANS, i < 5000 ? 1 : 2);
    at = strstr(tell(), start);
    assert_non_null(at);
    for (at += strlen(start); *at != ']'; at += at[1] == ',' ? 2 : 1) {
        high += *at == '2';
        n++;
    }
    assert_int_equal(n, SONDE__TELEMETRY_VALUES);
    assert_in_range(high, SONDE__TELEMETRY_VALUES / 4, SONDE__TELEMETRY_VALUES * 3 / 4);
    assert_int_equal(counters().telemetry_left_out - left_out, 10000 - SONDE__TELEMETRY_VALUES);
    sonde__telemetry_metrics_told();
    assert_string_equal(tell(), "");
}

static void test_the_time_of_the_start_is_told_once(void **state)
{
    (void)state;
    sonde__telemetry_metrics_open(config, 2500000);
    expect_in("init", tell(),
              "{\"namespace\":\"general\",\"series\":[{\"metric\":\"init_time\",\"points\":[2.5],"
              "\"tags\":[\"component:total\"],\"common\":true}]}");
    sonde__telemetry_metrics_told();
    assert_string_equal(tell(), "");
}

/* -- OpenTelemetry variables ---------------------------------------------------------------------- */

static void test_variables_that_are_hidden_invalid_or_unknown_are_told_once(void **state)
{
    static const struct {
        const char *env[2];
        const char *metric; /* NULL: nothing */
        const char *tags;
    } cases[] = {
        { { "DD_SERVICE=s", "OTEL_SERVICE_NAME=o" },
          "otel.env.hiding",
          "\"config_datadog:dd_service\",\"config_opentelemetry:otel_service_name\"" },
        { { "DD_LOG_LEVEL=error", "OTEL_LOG_LEVEL=debug" },
          "otel.env.hiding",
          "\"config_datadog:dd_log_level\",\"config_opentelemetry:otel_log_level\"" },
        { { "DD_TRACE_SAMPLE_RATE=1", "OTEL_TRACES_SAMPLER_ARG=x" },
          "otel.env.hiding",
          "\"config_datadog:dd_trace_sample_rate\",\"config_opentelemetry:otel_traces_sampler_"
          "arg\"" },
        { { "DD_TRACE_OTEL_ENABLED=1", "OTEL_SDK_DISABLED=false" },
          "otel.env.hiding",
          "\"config_datadog:dd_trace_otel_enabled\",\"config_opentelemetry:otel_sdk_disabled\"" },
        { { "OTEL_TRACES_SAMPLER=foo", NULL },
          "otel.env.invalid",
          "\"config_datadog:dd_trace_sample_rate\",\"config_opentelemetry:otel_traces_sampler\"" },
        { { "OTEL_RESOURCE_ATTRIBUTES=foo", NULL },
          "otel.env.invalid",
          "\"config_datadog:dd_tags\",\"config_opentelemetry:otel_resource_attributes\"" },
        { { "OTEL_LOGS_EXPORTER=foo", NULL },
          "otel.env.invalid",
          "\"config_opentelemetry:otel_logs_exporter\"" },
        { { "OTEL_BSP_MAX_QUEUE_SIZE=1", NULL },
          "otel.env.unsupported",
          "\"config_opentelemetry:otel_bsp_max_queue_size\"" },
        { { "OTEL_SERVICE_NAME=o", NULL }, NULL, NULL },
        { { "OTEL_LOGS_EXPORTER=none", NULL }, NULL, NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *env[] = { cases[i].env[0], cases[i].env[1], NULL };
        char want[300];
        const char *text;

        sonde__config_free(config);
        open_with(env);
        text = tell();
        if (!cases[i].metric) {
            expect_not_in(env[0], text, "otel.env");
            continue;
        }
        (void)snprintf(want, sizeof(want), "{\"metric\":\"%s\",\"points\":[[", cases[i].metric);
        expect_in(env[0], text, want);
        (void)snprintf(want, sizeof(want),
                       ",1]],\"interval\":10,\"type\":\"count\",\"tags\":[%s],\"common\":true}",
                       cases[i].tags);
        expect_in(env[0], text, want);
        sonde__telemetry_metrics_told();
        assert_string_equal(tell(), "");
    }
}

/* -- no memory ------------------------------------------------------------------------------------ */

static sonde_status tell_everything(void *unused)
{
    sonde__telemetry_request r = { .events = 0 };
    sonde_status status;

    (void)unused;
    sonde__telemetry_metrics_put(&r, config);
    sonde__telemetry_libraries_put(&r);
    status = r.payloads.status;
    sonde__telemetry_request_done(&r);
    sonde__telemetry_libraries_forget();
    return status;
}

static void test_without_memory_nothing_is_told_and_nothing_lost(void **state)
{
    (void)state;
    sonde__count(SONDE__SPANS_STARTED, 7);
    sonde__telemetry_metrics_sample(AT(0, 0));
    alloc_fail_each(tell_everything, NULL);
    expect_in("afterwards", tell(), "\"spans_created\",\"points\":[[1700000000,7]]");
}

/* -- off ------------------------------------------------------------------------------------------ */

static void test_switched_off_nothing_is_told(void **state)
{
    static const char *const off[] = { "DD_TELEMETRY_METRICS_ENABLED=0",
                                       "DD_INSTRUMENTATION_TELEMETRY_ENABLED=0" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(off); i++) {
        const char *env[] = { off[i], NULL };

        sonde__config_free(config);
        open_with(env);
        assert_false(sonde__telemetry_measures());
        sonde__count(SONDE__SPANS_STARTED, 1);
        sonde__telemetry_note(SONDE__VALUE_CHUNK_MS, 1);
        sonde__telemetry_note_request(SONDE__CALL_TRACE, SONDE_OK, 200, 1, 1);
        sonde__telemetry_metrics_sample(AT(0, 0));
        assert_string_equal(tell(), "");
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_counter_is_told_as_its_series),
        TEST(test_what_was_counted_before_the_start_is_not_told),
        TEST(test_counts_go_into_the_ten_seconds_they_are_of),
        TEST(test_what_was_not_taken_is_told_again),
        TEST(test_the_oldest_slots_make_room),
        TEST(test_requests_are_counted_by_what_came_of_them),
        TEST(test_more_statuses_than_there_is_room_for_count_as_the_last),
        TEST(test_of_many_values_a_sample_is_kept),
        TEST(test_the_time_of_the_start_is_told_once),
        TEST(test_variables_that_are_hidden_invalid_or_unknown_are_told_once),
        TEST(test_without_memory_nothing_is_told_and_nothing_lost),
        TEST(test_switched_off_nothing_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
