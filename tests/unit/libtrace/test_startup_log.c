/* test_startup_log.c - the line about the configuration, and the one about an agent that is not there. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/log.h"
#include "codec/json_read.h"
#include "libtrace/src/startup_log.h"
#include "sonde/sonde.h"

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static void test_the_json_holds_the_settings_in_force(void **state)
{
    const char *env[] = { "DD_SERVICE=s\"x",
                          "DD_ENV=e",
                          "DD_VERSION=v",
                          "DD_AGENT_HOST=h",
                          "DD_TAGS=a:b",
                          "DD_SERVICE_MAPPING=a:b",
                          "DD_TRACE_DEBUG=1",
                          "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS=7",
                          "DD_TRACE_PROPAGATION_STYLE=datadog",
                          NULL };
    static const char *const want[] = {
        "{\"date\":\"2026-11-25T00:00:00.000Z\",\"os_name\":\"Linux\",\"os_version\":\"",
        ",\"version\":\"" SONDE_VERSION "\",\"lang\":\"c\",",
        ",\"env\":\"e\",\"enabled\":true,\"service\":\"s\\\"x\",\"dd_version\":\"v\","
        "\"agent_url\":\"http://h:8126\",\"debug\":true,",
        ",\"service_mappings\":\"a:b\",\"tags\":\"a:b\",",
        ",\"partial_flush_enabled\":true,\"partial_flush_min_spans\":7,"
        "\"propagation_style_inject\":\"datadog\",\"propagation_style_extract\":\"datadog\",",
        ",\"data_streams_enabled\":false,",
        ",\"agent_features\":{},\"integrations\":[],",
    };
    sonde__config *c = sonde__config_new(NULL, look_up, env);
    sonde_json_reader r;
    sonde_buf out;
    size_t i;

    (void)state;
    assert_non_null(c);
    sonde_buf_init(&out, 1u << 16);
    sonde__startup_json(c, INT64_C(1795564800) * 1000000000, &out);
    assert_status(out.status, SONDE_OK);
    for (i = 0; i < COUNT_OF(want); i++)
        if (!strstr(sonde_buf_cstr(&out), want[i]))
            fail_msg("%s\nis not in\n%s", want[i], sonde_buf_cstr(&out));
    sonde_json_reader_init(&r, sonde_buf_str(&out), 4096);
    assert_true(sonde_json_skip(&r, sonde_json_next(&r)));
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_END);
    sonde_json_reader_done(&r);
    sonde_buf_done(&out);
    sonde__config_free(c);
}

/* -- lines ---------------------------------------------------------------------------------------- */

static char lines[1u << 16]; /* of the flusher's thread too: it ends before they are read */

static void keep_line(void *user, int32_t severity, const char *line, size_t len)
{
    size_t at = strlen(lines);

    (void)user, (void)severity;
    (void)snprintf(lines + at, sizeof(lines) - at, "%.*s\n", (int)len, line);
}

static int times_logged(const char *text)
{
    const char *at = lines;
    int n = 0;

    for (; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static void run_once(const sonde_options *options)
{
    lines[0] = '\0';
    assert_status(sonde_start(options), SONDE_OK);
    sonde_span_finish(sonde_span_start("a", NULL));
    (void)sonde_flush(10000);
    sonde_span_finish(sonde_span_start("b", NULL));
    sonde_stop();
}

#define NOBODY "http://127.0.0.1:1"

static void test_each_line_is_logged_once(void **state)
{
    char tags[3001] = "t:";
    sonde_options options = { .agent_url = NOBODY, .tags = tags };

    (void)state;
    memset(tags + 2, 'v', 2990);
    run_once(&options);
    assert_int_equal(times_logged("DATADOG TRACER CONFIGURATION - {\"date\":"), 1);
    assert_int_equal(times_logged("\"telemetry_enabled\":"), 1); /* to its end */
    assert_int_equal(times_logged("DATADOG TRACER DIAGNOSTIC - Agent not reachable at " NOBODY
                                  ": Connection refused\n"),
                     1);
    assert_int_equal(times_logged("DIAGNOSTIC"), 1);
}

/* Telemetry goes on while tracing is off, and finds nobody. */
static uint64_t failed_requests(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.telemetry_failed;
}

static void test_lines_can_be_switched_off(void **state)
{
    sonde_options off = { .agent_url = NOBODY, .enabled = -1 };
    uint64_t before = failed_requests();
    unsigned ms = 0;

    (void)state;
    lines[0] = '\0';
    assert_status(sonde_start(&off), SONDE_OK);
    while (failed_requests() == before && ms++ < 10000)
        (void)usleep(1000);
    assert_true(failed_requests() > before);
    sonde_stop();
    assert_int_equal(times_logged("DATADOG TRACER"), 0);
    assert_int_equal(setenv("DD_TRACE_STARTUP_LOGS", "false", 1), 0);
    run_once(&(sonde_options){ .agent_url = NOBODY });
    assert_int_equal(times_logged("DATADOG TRACER"), 0);
    assert_int_equal(unsetenv("DD_TRACE_STARTUP_LOGS"), 0);
}

static void test_debugging_shows_each_request(void **state)
{
    (void)state;
    assert_int_equal(setenv("DD_TRACE_DEBUG", "true", 1), 0);
    run_once(&(sonde_options){ .agent_url = NOBODY });
    assert_true(times_logged("request: agent=" NOBODY " path=/info bytes=0 reason=\"") > 0);
    assert_true(times_logged("request: agent=" NOBODY " path=/v0.4/traces bytes=") > 1);
    assert_int_equal(unsetenv("DD_TRACE_DEBUG"), 0);
}

static int listen(void **state)
{
    (void)state;
    sonde_set_log(keep_line, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_json_holds_the_settings_in_force),
        cmocka_unit_test(test_each_line_is_logged_once),
        cmocka_unit_test(test_lines_can_be_switched_off),
        cmocka_unit_test(test_debugging_shows_each_request),
    };

    return cmocka_run_group_tests_name("startup_log", tests, listen, NULL);
}
