/* test_telemetry.c - what the agent is told about the library, and when. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "carrier.h"
#include "codec/json_read.h"
#include "libtrace/src/telemetry.h"
#include "libtrace/src/telemetry_libraries.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"

#define PATH    "/telemetry/proxy/api/v2/apmtelemetry"
#define WAIT_MS 60000

static fake_agent *agent;
static sonde_counters before;

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

/* Names and values in turn, up to NULL; all of them are unset afterwards. */
static const char *const variables[] = { "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
                                         "DD_TELEMETRY_HEARTBEAT_INTERVAL",
                                         "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL",
                                         "DD_TELEMETRY_METRICS_INTERVAL_SECONDS",
                                         "DD_TELEMETRY_METRICS_ENABLED",
                                         "DD_TELEMETRY_LOG_COLLECTION_ENABLED",
                                         "DD_TELEMETRY_DEPENDENCY_COLLECTION_ENABLED",
                                         "DD_TELEMETRY_DEBUG",
                                         "DD_INSTRUMENTATION_INSTALL_ID",
                                         "DD_INSTRUMENTATION_INSTALL_TYPE",
                                         "DD_INSTRUMENTATION_INSTALL_TIME",
                                         "DD_EXTERNAL_ENV",
                                         "DD_TRACE_SAMPLE_RATE" };

static int set_up(void **state)
{
    (void)state;
    agent = fake_agent_open(NULL);
    (void)setenv("DD_TRACE_STARTUP_LOGS", "0", 1);
    before = counters();
    return 0;
}

static int tear_down(void **state)
{
    size_t i;

    (void)state;
    sonde_stop();
    fake_agent_close(agent);
    for (i = 0; i < COUNT_OF(variables); i++)
        (void)unsetenv(variables[i]);
    return 0;
}

static void start_with(const char *const *env, int enabled)
{
    sonde_options o = { .service = "tele",
                        .env = "test",
                        .version = "1.2",
                        .agent_url = fake_agent_url(agent),
                        .enabled = enabled,
                        .stop_timeout_ms = 3000 };

    for (; env && env[0]; env += 2)
        assert_int_equal(setenv(env[0], env[1], 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
}

#define START(...) start_with((const char *const[]){ __VA_ARGS__, NULL }, 1)

/* The n-th request; it is JSON and its number is right. */
static char *request(uint64_t n, char **out_head)
{
    char *body = fake_agent_other(agent, PATH, n, WAIT_MS, out_head);
    sonde_json_reader r;
    char seq[40];

    assert_non_null(body);
    sonde_json_reader_init(&r, sonde_str_from(body), 1u << 16);
    if (!sonde_json_skip(&r, sonde_json_next(&r)))
        fail_msg("byte %zu: %s: %s", r.error_at, r.error, body);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_END);
    sonde_json_reader_done(&r);
    (void)snprintf(seq, sizeof(seq), ",\"seq_id\":%u,\"debug\"", (unsigned)n + 1);
    if (!strstr(body, seq))
        fail_msg("no %s in %s", seq, body);
    return body;
}

static void expect_in(const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("%s\nis not in\n%s", want, text);
}

static void expect_not_in(const char *text, const char *other)
{
    if (strstr(text, other))
        fail_msg("%s\nis in\n%s", other, text);
}

/* The first request with that in it, from the n-th on. */
static char *request_with(uint64_t n, const char *want)
{
    for (;; n++) {
        char *body = request(n, NULL);

        if (strstr(body, want))
            return body;
        free(body);
    }
}

static bool always(const sonde__config *c)
{
    (void)c;
    return true;
}

/* -- app-started ---------------------------------------------------------------------------------- */

static void test_the_first_request_says_who_and_how_it_is_set_up(void **state)
{
    static const char *const heads[] = {
        "POST " PATH " HTTP/1.1\r\n",
        "Content-Type: application/json\r\n",
        "DD-Telemetry-API-Version: v2\r\n",
        "DD-Telemetry-Request-Type: app-started\r\n",
        "DD-Client-Library-Language: c\r\n",
        "DD-Client-Library-Version: " SONDE_VERSION "\r\n",
        "DD-Session-ID: ",
        "Datadog-External-Env: it-x\r\n",
    };
    static const char *const bodies[] = {
        "{\"api_version\":\"v2\",\"request_type\":\"app-started\",\"tracer_time\":",
        ",\"runtime_id\":\"",
        ",\"seq_id\":1,\"debug\":false,\"application\":{\"service_name\":\"tele\",\"env\":\"test\","
        "\"service_version\":\"1.2\",\"tracer_version\":\"" SONDE_VERSION
        "\",\"language_name\":\"c\",\"language_version\":\"201112\",\"process_tags\":\"entrypoint.",
        "},\"host\":{\"hostname\":\"",
        "\",\"os\":\"GNU/Linux\",\"os_version\":\"",
        "\",\"architecture\":\"",
        "\",\"kernel_name\":\"Linux\",\"kernel_release\":\"",
        "\",\"kernel_version\":\"",
        "\"},\"payload\":{\"products\":{\"appsec\":{\"enabled\":false},\"profiler\":{\"enabled\":"
        "false}},\"configuration\":[{\"name\":\"DD_TRACE_LOG_LEVEL\",",
        "{\"name\":\"DD_SERVICE\",\"value\":\"tele\",\"origin\":\"code\",\"seq_id\":",
        "],\"additional_payload\":[]}}",
    };
    char *head, *body;
    size_t i;

    (void)state;
    START("DD_EXTERNAL_ENV", "it-x");
    body = request(0, &head);
    for (i = 0; i < COUNT_OF(heads); i++)
        expect_in(head, heads[i]);
    for (i = 0; i < COUNT_OF(bodies); i++)
        expect_in(body, bodies[i]);
    expect_not_in(head, "DD-Root-Session-ID");
    expect_not_in(head, "DD-Telemetry-Debug-Enabled");
    expect_not_in(body, "install_signature");
    expect_not_in(body, "\\\"\",\"architecture\"");
    free(head);
    free(body);
}

static void test_what_an_installer_left_is_passed_on(void **state)
{
    char *body;

    (void)state;
    START("DD_INSTRUMENTATION_INSTALL_ID", "68e75c48", "DD_INSTRUMENTATION_INSTALL_TYPE",
          "k8s_single_step", "DD_INSTRUMENTATION_INSTALL_TIME", "1703188212");
    body = request(0, NULL);
    expect_in(body, "],\"install_signature\":{\"install_id\":\"68e75c48\",\"install_type\":\"k8s_"
                    "single_step\",\"install_time\":\"1703188212\"},\"additional_payload\":[]}}");
    free(body);
}

static void test_debug_is_marked(void **state)
{
    char *head, *body;

    (void)state;
    START("DD_TELEMETRY_DEBUG", "1");
    body = request(0, &head);
    expect_in(head, "DD-Telemetry-Debug-Enabled: true\r\n");
    expect_in(body, ",\"debug\":true,");
    free(head);
    free(body);
}

static void test_switched_off_it_says_nothing(void **state)
{
    (void)state;
    START("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false");
    sonde_span_finish(sonde_span_start("s", NULL));
    sonde__telemetry_changed(&(sonde__telemetry_entry){ .origin = "remote_config" });
    sonde_stop();
    assert_int_equal(fake_agent_others(agent, PATH), 0);
}

static void test_it_goes_on_when_tracing_is_switched_off(void **state)
{
    static const char *const env[] = { "DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", NULL };
    char *body;

    (void)state;
    start_with(env, -1);
    body = request(0, NULL);
    expect_in(body, "{\"name\":\"trace_enabled\",\"value\":false,\"origin\":\"code\",");
    free(body);
    free(request_with(1, "\"app-heartbeat\""));
}

/* -- heartbeats ----------------------------------------------------------------------------------- */

static void test_it_says_that_it_lives_and_that_it_ends(void **state)
{
    char *head, *body;
    uint64_t n;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02");
    body = request_with(1, "\"app-heartbeat\"");
    free(body);
    sonde_stop();
    n = fake_agent_others(agent, PATH);
    body = request(n - 1, &head);
    expect_in(body, "\"app-closing\"");
    free(head);
    free(body);
    assert_int_equal(counters().telemetry_sent - before.telemetry_sent, n);
    assert_int_equal(counters().telemetry_failed, before.telemetry_failed);
}

static void test_a_process_that_ends_at_once_says_both(void **state)
{
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60");
    sonde_stop();
    body = request(0, NULL);
    expect_in(body, "\"request_type\":\"app-started\"");
    free(body);
    free(request_with(1, "\"app-closing\""));
}

static void test_now_and_then_it_repeats_its_configuration(void **state)
{
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60", "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL",
          "0.05");
    body = request_with(1, "\"app-extended-heartbeat\"");
    expect_in(body, "{\"configuration\":[{\"name\":\"DD_TRACE_LOG_LEVEL\",");
    expect_in(body, "],\"dependencies\":[");
    expect_in(body, "],\"integrations\":[");
    expect_not_in(body, "\"products\"");
    expect_not_in(body, "\"additional_payload\"");
    free(body);
}

/* -- metrics -------------------------------------------------------------------------------------- */

/* Two headers that are in order, one that is not, and what is sent on. */
static void trace_some(void)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_context *context;
    sonde_span *span;

    put(&in, "x-datadog-trace-id", "7");
    put(&in, "x-datadog-parent-id", "8");
    put(&in, "traceparent", "nonsense");
    put(&in, "baggage", "a=b");
    context = extract(&in);
    assert_non_null(context);
    span = sonde_span_start("continued", &(sonde_span_options){ .context = context });
    sonde_context_release(context);
    context = sonde_context_of_span(span);
    inject(context, &out);
    sonde_context_release(context);
    sonde_span_finish(span);
    sonde_span_finish(sonde_span_start("new", NULL));
    assert_status(sonde_flush(WAIT_MS), SONDE_OK);
}

/* Counts go out in the next slot's point, or in two when a slot ends meanwhile: only names are looked for. */
static void test_what_was_done_is_told_with_the_next_sign_of_life(void **state)
{
    static const char *const want[] = {
        "{\"request_type\":\"generate-metrics\",\"payload\":{\"namespace\":\"tracers\",",
        "{\"metric\":\"spans_created\",\"points\":[[",
        ",\"tags\":[\"integration_name:manual\"],\"common\":true}",
        "{\"metric\":\"spans_finished\",",
        "\"tags\":[\"new_continued:new\"]",
        "\"tags\":[\"new_continued:continued\"]",
        "{\"metric\":\"trace_segments_closed\",",
        "{\"metric\":\"trace_chunks_enqueued\",",
        "{\"metric\":\"trace_chunks_sent\",",
        "{\"metric\":\"trace_api.requests\",",
        "{\"metric\":\"trace_api.responses\",",
        "\"tags\":[\"status_code:200\"]",
        "{\"request_type\":\"distributions\",\"payload\":{\"namespace\":\"tracers\",",
        "{\"metric\":\"trace_chunk_size\",\"points\":[1,1],\"tags\":[],\"common\":true}",
        "{\"metric\":\"trace_chunk_serialization.bytes\",",
        "{\"metric\":\"trace_chunk_serialization.ms\",",
        "{\"metric\":\"trace_api.bytes\",",
        "{\"metric\":\"trace_api.ms\",",
        "{\"metric\":\"init_time\",",
    };
    static const struct {
        const char *metric, *style;
    } styles[] = {
        { "injected", "datadog" },  { "injected", "tracecontext" },  { "injected", "baggage" },
        { "extracted", "datadog" }, { "malformed", "tracecontext" }, { "extracted", "baggage" },
    };
    char *body;
    size_t i;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60");
    trace_some();
    sonde_stop();
    body = request_with(1, "\"app-closing\"");
    for (i = 0; i < COUNT_OF(want); i++)
        expect_in(body, want[i]);
    for (i = 0; i < COUNT_OF(styles); i++) {
        char series[200];
        const char *at;

        (void)snprintf(series, sizeof(series),
                       "{\"metric\":\"context_header_style.%s\",\"points\":[[", styles[i].metric);
        at = strstr(body, series);
        assert_non_null(at);
        (void)snprintf(series, sizeof(series), "\"tags\":[\"header_style:%s\"]", styles[i].style);
        expect_in(at, series);
    }
    free(body);
}

static void test_metrics_may_be_told_more_often_than_signs_of_life(void **state)
{
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60", "DD_TELEMETRY_METRICS_INTERVAL_SECONDS", "0.02");
    trace_some();
    body = request_with(1, "\"spans_created\"");
    expect_not_in(body, "\"app-heartbeat\"");
    free(body);
}

static void test_metrics_can_be_switched_off(void **state)
{
    uint64_t n;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", "DD_TELEMETRY_METRICS_ENABLED", "0");
    trace_some();
    free(request_with(1, "\"app-heartbeat\""));
    sonde_stop();
    for (n = fake_agent_others(agent, PATH); n-- > 0;) {
        char *body = request(n, NULL);

        expect_not_in(body, "generate-metrics");
        expect_not_in(body, "distributions");
        free(body);
    }
}

/* -- logs ----------------------------------------------------------------------------------------- */

static void test_own_warnings_are_told_by_their_wording_alone(void **state)
{
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", "DD_TRACE_SAMPLE_RATE", "a secret");
    body = request_with(1, "{\"logs\":[{\"message\":\"");
    expect_in(body,
              "{\"message\":\"variable not used: %s=%s reason=\\\"%s\\\" using=%s\",\"level\":"
              "\"WARN\",\"count\":1,\"tracer_time\":");
    expect_not_in(body, "a secret");
    free(body);
}

static uint64_t warn(uint64_t now)
{
    int i;

    (void)now;
    for (i = 0; i < 5; i++)
        SONDE_LOG(SONDE_LOG_ERROR, "it broke: how=%d", i);
    return SONDE__NEVER;
}

static const sonde__beat warner = { "warner", always, warn, NULL, NULL, NULL };
static const sonde__beat *const with_warner[] = { &warner, &sonde__telemetry_beat };

static void test_the_same_warning_is_told_once_with_its_count(void **state)
{
    char *body;

    (void)state;
    sonde__beats_replace(with_warner, 2);
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02");
    body = request_with(1, "\"it broke: how=%d\"");
    expect_in(body,
              "{\"logs\":[{\"message\":\"it broke: how=%d\",\"level\":\"ERROR\",\"count\":5,");
    free(body);
    sonde_stop();
    sonde__beats_replace(NULL, 0);
}

static void test_logs_can_be_switched_off(void **state)
{
    uint64_t n;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", "DD_TELEMETRY_LOG_COLLECTION_ENABLED", "0",
          "DD_TRACE_SAMPLE_RATE", "a secret");
    free(request_with(1, "\"app-heartbeat\""));
    sonde_stop();
    for (n = fake_agent_others(agent, PATH); n-- > 0;) {
        char *body = request(n, NULL);

        expect_not_in(body, "\"logs\"");
        free(body);
    }
}

/* -- dependencies --------------------------------------------------------------------------------- */

static void test_loaded_libraries_are_told_once_and_again_with_all(void **state)
{
    static const char *const want = "{\"name\":\"libc.so.6\",\"version\":\"2.";
    char *body;
    uint64_t n;
    int told_times = 0;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL",
          "0.06");
    body = request(1, NULL);
    expect_in(body, "{\"dependencies\":[{\"name\":\"");
    expect_in(body, want);
    free(body);
    body = request_with(2, "\"app-extended-heartbeat\"");
    expect_in(body, want);
    free(body);
    sonde_stop();
    for (n = fake_agent_others(agent, PATH); n-- > 0;) {
        body = request(n, NULL);
        told_times += strstr(body, "\"app-dependencies-loaded\"") != NULL;
        free(body);
    }
    assert_int_equal(told_times, 1);
}

static void test_a_library_loaded_later_is_told_then(void **state)
{
    void *library;
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02");
    free(request_with(1, "\"app-dependencies-loaded\""));
    library = dlopen("libutil.so.1", RTLD_NOW);
    if (!library)
        skip();
    body = request_with(2, "\"app-dependencies-loaded\"");
    expect_in(body, "{\"dependencies\":[{\"name\":\"libutil.so.1\",\"version\":\"2.");
    expect_not_in(body, "libc.so");
    free(body);
    (void)dlclose(library);
}

static void test_dependencies_can_be_switched_off(void **state)
{
    char *body;

    (void)state;
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60", "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL",
          "0.02", "DD_TELEMETRY_DEPENDENCY_COLLECTION_ENABLED", "0");
    body = request_with(1, "\"app-extended-heartbeat\"");
    expect_in(body, "],\"dependencies\":[],\"integrations\":[]");
    free(body);
}

static void test_versions_are_read_from_names(void **state)
{
    static const char *const cases[][2] = {
        { "libz.so.1.2.13", "1.2.13" }, { "libz.so.1", "1" }, { "libssl-3.0.so", "3.0" },
        { "libplain.so", "" },          { "libx.so.", "" },   { "libx.so.debug", "" },
        { "lib-2-x.so", "" },           { "program", "" },    { "", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str got = sonde__library_version(sonde_str_from(cases[i][0]));

        if (!sonde_str_eq(got, sonde_str_from(cases[i][1])))
            fail_msg("%s: %.*s, want %s", cases[i][0], SONDE_STR_ARG(got), cases[i][1]);
    }
}

/* -- integrations --------------------------------------------------------------------------------- */

static void test_integrations_are_told_as_they_were_reported_last(void **state)
{
    sonde_integration one = {
        .struct_bytes = sizeof(one), .enabled = 1, .name = "libone", .version = "1.2"
    };
    sonde_integration two = {
        .name = "libtwo", .automatic = 1, .incompatible = 1, .error = "too old"
    };
    char *body;

    (void)state;
    assert_status(sonde_integration_report(NULL), SONDE_ERR_INVALID);
    assert_status(sonde_integration_report(&(sonde_integration){ .name = "" }), SONDE_ERR_INVALID);
    assert_status(sonde_integration_report(&one), SONDE_OK);
    assert_status(sonde_integration_report(&one), SONDE_OK); /* the same: nothing new */
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02", "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL",
          "0.3");
    body = request_with(1, "\"app-integrations-change\"");
    expect_in(body,
              "{\"integrations\":[{\"name\":\"libone\",\"enabled\":true,\"version\":\"1.2\",\"auto_"
              "enabled\":false,\"compatible\":true,\"error\":\"\"}]}");
    free(body);
    one.enabled = 0;
    assert_status(sonde_integration_report(&one), SONDE_OK);
    free(request_with(2, "{\"integrations\":[{\"name\":\"libone\",\"enabled\":false,"));
    assert_status(sonde_integration_report(&two), SONDE_OK);
    free(request_with(
        2, "{\"integrations\":[{\"name\":\"libtwo\",\"enabled\":false,\"version\":\"\",\"auto_"
           "enabled\":true,\"compatible\":false,\"error\":\"too old\"}]}"));
    body = request_with(2, "\"app-extended-heartbeat\"");
    expect_in(body, "\"name\":\"libone\",\"enabled\":false,");
    expect_not_in(body, "\"name\":\"libone\",\"enabled\":true,");
    free(body);
}

/* The last of all: what was reported stays for the life of the process. */
static void test_reports_beyond_the_ceiling_are_refused_and_counted(void **state)
{
    sonde_status status = SONDE_OK;
    char name[32];
    int i;

    (void)state;
    for (i = 0; i < 100 && status == SONDE_OK; i++) {
        (void)snprintf(name, sizeof(name), "lib%d", i);
        status = sonde_integration_report(&(sonde_integration){ .name = name });
    }
    assert_status(status, SONDE_ERR_FULL);
    assert_int_equal(counters().telemetry_dropped - before.telemetry_dropped, 1);
}

/* -- failures ------------------------------------------------------------------------------------- */

static void test_the_start_is_told_again_until_it_is_taken(void **state)
{
    static const fake_answer refusals[] = {
        { .status = 404 }, { .status = 500 }, { .manner = FAKE_CLOSE }, { .manner = FAKE_GARBAGE }
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(refusals); i++) {
        char *body;
        uint64_t n;

        fake_agent_route(agent, PATH, refusals[i]);
        before = counters();
        n = fake_agent_others(agent, PATH);
        START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "0.02");
        body = fake_agent_other(agent, PATH, n + 1, WAIT_MS, NULL);
        expect_in(body, "\"request_type\":\"app-started\"");
        free(body);
        fake_agent_route(agent, PATH, (fake_answer){ .status = 202 });
        body = fake_agent_other(agent, PATH, n + 3, WAIT_MS, NULL);
        assert_non_null(body);
        free(body);
        sonde_stop();
        assert_true(counters().telemetry_failed > before.telemetry_failed);
        assert_true(counters().telemetry_sent > before.telemetry_sent);
    }
}

static void test_without_an_agent_the_end_does_not_wait(void **state)
{
    sonde_options o = { .service = "tele", .agent_url = "unix:///nowhere/at/all" };

    (void)state;
    assert_status(sonde_start(&o), SONDE_OK);
    sonde_stop();
    assert_int_equal(counters().telemetry_sent, before.telemetry_sent);
}

/* -- changes -------------------------------------------------------------------------------------- */

static uint64_t change(uint64_t now)
{
    static sonde__telemetry_entry e;
    size_t i;

    (void)now;
    for (i = 0; i < sonde__rows_len; i++)
        if (strcmp(sonde__rows[i].names[0], "DD_TRACE_SAMPLE_RATE") == 0)
            e = (sonde__telemetry_entry){ .row = i,
                                          .value = SONDE_STR("0.5"),
                                          .origin = "remote_config" };
    sonde__telemetry_changed(&e);
    e.value = SONDE_STR("0.3");
    e.origin = "env_var";
    sonde__telemetry_changed(&e);
    return SONDE__NEVER;
}

static const sonde__beat changer = { "changer", always, change, NULL, NULL, NULL };
static const sonde__beat *const with_changer[] = { &sonde__telemetry_beat, &changer };

static void test_changes_are_told_soon(void **state)
{
    char *body;

    (void)state;
    sonde__beats_replace(with_changer, 2);
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60");
    body = request_with(1, "\"app-client-configuration-change\"");
    expect_in(body, "{\"configuration\":[{\"name\":\"DD_TRACE_SAMPLE_RATE\",\"value\":\"0.5\","
                    "\"origin\":\"remote_config\",\"seq_id\":");
    expect_in(body, "},{\"name\":\"trace_sample_rate\",\"value\":\"0.5\",");
    expect_in(body, "},{\"name\":\"trace_sample_rate\",\"value\":\"0.3\",\"origin\":\"env_var\",");
    free(body);
    sonde_stop();
    sonde__beats_replace(NULL, 0);
}

static uint64_t change_much(uint64_t now)
{
    static char value[10000];
    sonde__telemetry_entry e = { .row = 0, .value = { value, sizeof(value) }, .origin = "code" };
    int i;

    (void)now;
    memset(value, 'v', sizeof(value));
    for (i = 0; i < 40; i++)
        sonde__telemetry_changed(&e);
    return SONDE__NEVER;
}

static const sonde__beat much = { "much", always, change_much, NULL, NULL, NULL };
static const sonde__beat *const with_much[] = { &much, &sonde__telemetry_beat };

static void test_changes_beyond_the_ceiling_are_counted(void **state)
{
    char *body;

    (void)state;
    sonde__beats_replace(with_much, 2);
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60");
    body = request_with(1, "\"app-client-configuration-change\"");
    assert_true(strlen(body) < SONDE__TELEMETRY_CHANGES_MAX + 4096);
    assert_int_equal(counters().telemetry_dropped - before.telemetry_dropped,
                     40 - SONDE__TELEMETRY_CHANGES_MAX / 10070);
    free(body);
    sonde_stop();
    sonde__beats_replace(NULL, 0);
}

/* -- fork ----------------------------------------------------------------------------------------- */

static void test_a_child_speaks_for_itself(void **state)
{
    char *head, *body;
    char session[80];
    int status = -1;
    pid_t child;

    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it cannot follow threads started after a fork among threads */
#endif
    START("DD_TELEMETRY_HEARTBEAT_INTERVAL", "60");
    body = request(0, &head);
    (void)snprintf(session, sizeof(session), "DD-Root-Session-ID: %.36s\r\n",
                   strstr(head, "DD-Session-ID: ") + 15);
    free(head);
    free(body);
    free(request_with(0, "app-started"));
    child = fork();
    if (child == 0) {
        sonde_span_finish(sonde_span_start("child", NULL));
        sonde_stop();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    {
        uint64_t n = fake_agent_others(agent, PATH);
        bool found = false;

        while (n-- > 1 && !found) {
            body = fake_agent_other(agent, PATH, n, WAIT_MS, &head);
            found = strstr(head, session) && strstr(body, "\"app-started\"") &&
                    strstr(body, "\"seq_id\":1,\"debug\"");
            free(head);
            free(body);
        }
        assert_true(found);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_request_says_who_and_how_it_is_set_up),
        TEST(test_what_an_installer_left_is_passed_on),
        TEST(test_debug_is_marked),
        TEST(test_switched_off_it_says_nothing),
        TEST(test_it_goes_on_when_tracing_is_switched_off),
        TEST(test_it_says_that_it_lives_and_that_it_ends),
        TEST(test_a_process_that_ends_at_once_says_both),
        TEST(test_now_and_then_it_repeats_its_configuration),
        TEST(test_what_was_done_is_told_with_the_next_sign_of_life),
        TEST(test_metrics_may_be_told_more_often_than_signs_of_life),
        TEST(test_metrics_can_be_switched_off),
        TEST(test_own_warnings_are_told_by_their_wording_alone),
        TEST(test_the_same_warning_is_told_once_with_its_count),
        TEST(test_logs_can_be_switched_off),
        TEST(test_loaded_libraries_are_told_once_and_again_with_all),
        TEST(test_a_library_loaded_later_is_told_then),
        TEST(test_dependencies_can_be_switched_off),
        cmocka_unit_test(test_versions_are_read_from_names),
        TEST(test_the_start_is_told_again_until_it_is_taken),
        TEST(test_without_an_agent_the_end_does_not_wait),
        TEST(test_changes_are_told_soon),
        TEST(test_changes_beyond_the_ceiling_are_counted),
        TEST(test_a_child_speaks_for_itself),
        TEST(test_integrations_are_told_as_they_were_reported_last),
        TEST(test_reports_beyond_the_ceiling_are_refused_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
