/* test_remote.c - from the agent's answer to what spans, log lines and <sonde/config.h> show
 * (docs/spec/remote-config.md). */
#include "sent.h"

#include <pthread.h>
#include <stdio.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "libtrace/src/header_tags.h"
#include "libtrace/src/live.h"
#include "libtrace/src/tracer.h"
#include "sonde/remote.h"
#include "support/alloc_fail.h"
#include "support/remote_answer.h"

#define PATH "/v0.7/config"

/* -- one tracer per case -------------------------------------------------------------------------- */

static char *answers[64];
static size_t answers_len;

static void start(void)
{
    sonde_options o = { .service = "unit", .env = "test", .version = "1.0", .tags = "team:core" };

    o.agent_url = fake_agent_url(sent_agent);
    assert_status(sonde_start(&o), SONDE_OK);
}

static int set_up(void **state)
{
    static const char *const variables[] = { "DD_TRACE_SAMPLE_RATE", "DD_TRACE_SAMPLING_RULES",
                                             "DD_TRACE_ENABLED", "DD_REMOTE_CONFIGURATION_ENABLED",
                                             "DD_LOGS_INJECTION" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    setenv("DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS", "3600", 1);
    sent_open();
    fake_agent_route(sent_agent, PATH, (fake_answer){ .status = 404 });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde_stop();
    sent_close();
    while (answers_len > 0)
        free(answers[--answers_len]);
    return 0;
}

/* What the agent says from now on. */
static void tell(const char *answer)
{
    fake_agent_route(sent_agent, PATH, (fake_answer){ .body = answer });
}

static void tell_files(const remote_content *files)
{
    size_t len = 0;

    while (files[len].path)
        len++;
    answers[answers_len] = remote_answer(answers_len + 1, files, len);
    tell(answers[answers_len++]);
    assert_status(sonde_remote_poll(10000), SONDE_OK);
}

/* One configuration of APM_TRACING, NULL: none. */
static void tell_lib_config(const char *lib_config)
{
    char json[2048];
    remote_content files[2] = { { 0 } };

    (void)snprintf(json, sizeof(json),
                   "{\"service_target\":{\"service\":\"unit\",\"env\":\"test\"},\"lib_config\":%s}",
                   lib_config ? lib_config : "");
    if (lib_config)
        files[0] = (remote_content){ "datadog/2/APM_TRACING/one/config", json, 1 };
    tell_files(files);
}

static void expect_setting(const char *name, const char *value, const char *origin)
{
    sonde_setting s = { 0 };

    assert_status(sonde_setting_find(name, &s), SONDE_OK);
    if (strcmp(s.value, value) != 0 || strcmp(s.origin, origin) != 0)
        fail_msg("%s is %s (%s), want %s (%s)", name, s.value, s.origin, value, origin);
}

static const msgpack_object *send_span(const char *name)
{
    sonde_span_finish(sonde_span_start(name, NULL));
    sent_read();
    return sent_span(name);
}

static void expect_rate(const char *name, double rate, const char *dm)
{
    const msgpack_object *span = send_span(name);

    if (sent_metric(span, "_dd.rule_psr") != rate || strcmp(sent_meta(span, "_dd.p.dm"), dm) != 0)
        fail_msg("%s: rate %g, dm %s; want %g, %s", name, sent_metric(span, "_dd.rule_psr"),
                 sent_meta(span, "_dd.p.dm"), rate, dm);
}

/* -- settings ------------------------------------------------------------------------------------- */

static void test_a_rate_holds_until_it_is_taken_back(void **state)
{
    (void)state;
    setenv("DD_TRACE_SAMPLE_RATE", "1", 1);
    start();
    expect_rate("local", 1, "-3");
    tell_lib_config("{\"tracing_sampling_rate\":0}");
    expect_rate("remote", 0, "");
    expect_setting("DD_TRACE_SAMPLE_RATE", "0", "remote_config");
    tell_lib_config("{\"tracing_sampling_rate\":null}");
    expect_rate("null", 1, "-3");
    expect_setting("DD_TRACE_SAMPLE_RATE", "1", "env_var");
    tell_lib_config("{\"tracing_sampling_rate\":0.0}");
    expect_rate("again", 0, "");
    tell_lib_config(NULL);
    expect_rate("gone", 1, "-3");
}

static void test_rules_come_before_local_ones(void **state)
{
    (void)state;
    setenv("DD_TRACE_SAMPLING_RULES", "[{\"sample_rate\":0,\"service\":\"*\"}]", 1);
    start();
    expect_rate("local", 0, "");
    tell_lib_config("{\"tracing_sampling_rules\":[{\"service\":\"unit\",\"resource\":\"mine\","
                    "\"provenance\":\"customer\",\"sample_rate\":1,\"tags\":[{\"key\":\"team\","
                    "\"value_glob\":\"c*\"}]},{\"service\":\"*\",\"resource\":\"auto*\","
                    "\"provenance\":\"dynamic\",\"sample_rate\":1}]}");
    expect_rate("mine", 1, "-11");
    expect_rate("automatic", 1, "-12");
    expect_rate("other", 0, "");
    tell_lib_config(NULL);
    expect_rate("mine", 0, "");
}

static void test_tags_take_the_place_of_the_configured_ones(void **state)
{
    const msgpack_object *span;

    (void)state;
    start();
    assert_string_equal(sent_meta(send_span("before"), "team"), "core");
    tell_lib_config("{\"tracing_tags\":[\"a:1\",\"b:x:y\",\"env:other\"]}");
    span = send_span("during");
    assert_string_equal(sent_meta(span, "a"), "1");
    assert_string_equal(sent_meta(span, "b"), "x:y");
    assert_string_equal(sent_meta(span, "env"), "test");
    assert_string_equal(sent_meta(span, "team"), "");
    expect_setting("DD_TAGS", "a:1,b:x:y", "remote_config");
    tell_lib_config("{\"tracing_tags\":[]}");
    assert_string_equal(sent_meta(send_span("none"), "a"), "");
    tell_lib_config("{}");
    span = send_span("after");
    assert_string_equal(sent_meta(span, "team"), "core");
    assert_string_equal(sent_meta(span, "a"), "");
    expect_setting("DD_TAGS", "team:core", "code");
}

static void test_rules_know_the_tags_from_afar(void **state)
{
    (void)state;
    setenv("DD_TRACE_SAMPLING_RULES", "[{\"tags\":{\"tier\":\"gold\"},\"sample_rate\":0}]", 1);
    start();
    expect_rate("before", SENT_NONE, "-0");
    tell_lib_config("{\"tracing_tags\":[\"tier:gold\"]}");
    expect_rate("during", 0, "");
    tell_lib_config(NULL);
    expect_rate("after", SENT_NONE, "-0");
}

static void test_tracing_goes_off_and_on_again(void **state)
{
    sonde_span *across;
    uint64_t spans;

    (void)state;
    start();
    (void)send_span("before");
    across = sonde_span_start("across", NULL);
    tell_lib_config("{\"tracing_enabled\":false}");
    assert_int_equal(sonde_enabled(), 0);
    assert_null(sonde_span_start("during", NULL));
    sonde_span_finish(across);
    expect_setting("DD_TRACE_ENABLED", "false", "remote_config");
    tell_lib_config(NULL);
    assert_int_equal(sonde_enabled(), 1);
    spans = fake_agent_counts(sent_agent).spans;
    (void)send_span("after");
    assert_int_equal(fake_agent_counts(sent_agent).spans, spans + 1);
    expect_setting("DD_TRACE_ENABLED", "true", "default");
}

static void test_what_is_off_here_stays_off(void **state)
{
    sonde_remote_config c = { 0 };

    (void)state;
    setenv("DD_TRACE_ENABLED", "false", 1);
    start();
    tell_lib_config("{\"tracing_enabled\":true,\"tracing_sampling_rate\":0.5}");
    assert_int_equal(sonde_enabled(), 0);
    expect_setting("DD_TRACE_ENABLED", "false", "env_var");
    expect_setting("DD_TRACE_SAMPLE_RATE", "0.5", "remote_config");
    assert_status(sonde_remote_config_at(0, &c), SONDE_OK);
}

static void test_log_injection_is_switched(void **state)
{
    sonde_log_ids ids;
    sonde_span *s;

    (void)state;
    setenv("DD_LOGS_INJECTION", "false", 1);
    start();
    s = sonde_span_enter("s", NULL);
    assert_int_equal(sonde_log_ids_current(&ids), 0);
    tell_lib_config("{\"log_injection_enabled\":true}");
    assert_int_equal(sonde_log_ids_current(&ids), 1);
    expect_setting("DD_LOGS_INJECTION", "true", "remote_config");
    tell_lib_config(NULL);
    assert_int_equal(sonde_log_ids_current(&ids), 0);
    sonde_span_leave(s);
}

static void expect_header_tags(const char *want)
{
    char room[SONDE__HEADER_TAGS_ROOM];
    sonde_str list = sonde__header_tags(sonde__settings(), room);

    assert_true(sonde_str_eq(list, sonde_str_from(want)));
}

static void test_header_tags_are_there_for_who_asks(void **state)
{
    (void)state;
    assert_int_equal(setenv("DD_TRACE_HEADER_TAGS", "mine", 1), 0);
    start();
    assert_int_equal(unsetenv("DD_TRACE_HEADER_TAGS"), 0);
    expect_header_tags("mine");
    tell_lib_config("{\"tracing_header_tags\":[{\"header\":\"X-A\",\"tag_name\":\"a\"},"
                    "{\"header\":\"X-B\",\"tag_name\":\"\"}]}");
    expect_header_tags("X-A:a,X-B");
    tell_lib_config("{\"tracing_header_tags\":[]}");
    expect_header_tags("");
    tell_lib_config("{}");
    expect_header_tags("mine");
}

static void test_the_narrower_configuration_wins_field_by_field(void **state)
{
    static const remote_content files[] = {
        { "datadog/2/APM_TRACING/org/config",
          "{\"lib_config\":{\"tracing_sampling_rate\":0.9,\"tracing_tags\":[\"from:org\"]}}", 1 },
        { "datadog/2/APM_TRACING/service/config",
          "{\"service_target\":{\"service\":\"unit\",\"env\":\"*\"},"
          "\"lib_config\":{\"tracing_sampling_rate\":0}}",
          1 },
        { NULL, NULL, 0 },
    };

    (void)state;
    start();
    tell_files(files);
    expect_setting("DD_TRACE_SAMPLE_RATE", "0", "remote_config");
    expect_setting("DD_TAGS", "from:org", "remote_config");
}

/* Waits for a change that telemetry tells and that contains `what`. */
static void expect_told(const char *what)
{
    bool found = false;
    uint64_t n = 0;

    while (!found) {
        char *body = fake_agent_other(sent_agent, "/telemetry/proxy/", n++, 10000, NULL);

        if (!body)
            fail_msg("never told: %s", what);
        found = body && strstr(body, "app-client-configuration-change") && strstr(body, what);
        free(body);
    }
}

static void test_telemetry_is_told_what_changed_and_what_is_back(void **state)
{
    (void)state;
    setenv("DD_TRACE_SAMPLE_RATE", "1", 1);
    start();
    tell_lib_config("{\"tracing_sampling_rate\":0.25}");
    expect_told(
        "\"name\":\"DD_TRACE_SAMPLE_RATE\",\"value\":\"0.25\",\"origin\":\"remote_config\"");
    tell_lib_config(NULL);
    expect_told("\"name\":\"DD_TRACE_SAMPLE_RATE\",\"value\":\"1\",\"origin\":\"env_var\"");
}

/* Whoever waits for the change after a configuration that sets nothing new is not left waiting. */
static void test_a_configuration_that_changes_nothing_is_told_too(void **state)
{
    (void)state;
    start();
    tell_lib_config("{\"tracing_enabled\":null}");
    expect_told("\"name\":\"DD_LOGS_INJECTION\",\"value\":true,\"origin\":\"default\"");
}

/* -- while threads trace -------------------------------------------------------------------------- */

static void *trace_on(void *unused)
{
    sonde_log_ids ids;
    int i;

    for (i = 0; i < 3000; i++) {
        sonde_span *root = sonde_span_enter("root", NULL);
        sonde_span *child = sonde_span_start("child", NULL);

        sonde_span_set_str(child, "a", "b");
        (void)sonde_log_ids_current(&ids);
        sonde_span_finish(child);
        sonde_span_leave(root);
    }
    return unused;
}

static void test_settings_change_while_threads_trace(void **state)
{
    static const char *const configs[] = {
        "{\"tracing_enabled\":false}",
        "{\"tracing_tags\":[\"a:1\",\"b:2\"],\"log_injection_enabled\":false}",
        NULL,
        "{\"tracing_sampling_rate\":0.5,\"tracing_header_tags\":[{\"header\":\"x\"}]}",
        "{\"tracing_sampling_rules\":[{\"service\":\"*\",\"resource\":\"*\",\"provenance\":"
        "\"dynamic\",\"sample_rate\":0.5,\"tags\":[{\"key\":\"a\",\"value_glob\":\"1\"}]}]}",
    };
    sonde_counters c = { .struct_bytes = sizeof(c) };
    uint64_t dropped = 0;
    pthread_t threads[3];
    size_t i;

    (void)state;
    start();
    for (i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trace_on, NULL), 0);
    for (i = 0; i < 40; i++)
        tell_lib_config(configs[i % COUNT_OF(configs)]);
    for (i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_status(sonde_flush(60000), SONDE_OK);
    sonde_stop();
    sonde_counters_read(&c);
    for (i = 0; i < c.drops; i++)
        dropped += c.spans_dropped[i];
    assert_true(c.spans_delivered > 0);
    assert_int_equal(c.spans_started, c.spans_finished);
    assert_int_equal(c.spans_finished, c.spans_delivered + dropped);
}

/* -- memory --------------------------------------------------------------------------------------- */

static sonde_status set_and_take_back(void *unused)
{
    static const sonde__tag tags[] = { { { "k", 1 }, { "v", 1 } } };
    static const sonde__remote_values none = SONDE__REMOTE_VALUES_NONE;
    sonde__remote_values v = SONDE__REMOTE_VALUES_NONE;
    const sonde__config *c = sonde__settings();
    uint32_t version = atomic_load(&sonde__live_version);
    sonde_status status;

    (void)unused;
    v.rules = SONDE_STR("[{\"service\":\"a*\",\"sample_rate\":0.5}]");
    v.header_tags = SONDE_STR("x-a");
    v.tags = tags;
    v.tags_len = 1;
    status = sonde__live_apply(c, &v);
    if (status != SONDE_OK) {
        assert_int_equal(atomic_load(&sonde__live_version), version);
        expect_setting("DD_TAGS", "team:core", "code");
        return status;
    }
    expect_setting("DD_TAGS", "k:v", "remote_config");
    status = sonde__live_apply(c, &none);
    if (status != SONDE_OK)
        assert_status(sonde__live_apply(c, &none), SONDE_OK);
    return status;
}

static void test_without_memory_nothing_changes(void **state)
{
    (void)state;
    setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1);
    setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1);
    setenv("DD_TRACE_ENABLED", "false", 1); /* no thread beside us */
    start();
    unsetenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED");
    alloc_fail_each(set_and_take_back, NULL);
}

/* -- polls ---------------------------------------------------------------------------------------- */

static void expect_in_force(const char *want)
{
    char got[512] = "";
    size_t len = 0;
    sonde_remote_config c = { 0 };
    uint32_t i;

    for (i = 0; sonde_remote_config_at(i, &c) == SONDE_OK; i++)
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%s %s %d", i ? ", " : "",
                                c.product, c.config_id, (int)c.version);
    assert_string_equal(got, want);
}

static void test_what_is_in_force_is_listed(void **state)
{
    static const remote_content files[] = {
        { "datadog/2/APM_TRACING/good/config", "{\"lib_config\":{}}", 7 },
        { "datadog/2/APM_TRACING/bad/config", "{\"lib_config\":{\"tracing_enabled\":3}}", 1 },
        { "employee/AGENT_CONFIG/configuration_order/config", "{\"order\":[]}", 2 },
        { NULL, NULL, 0 },
    };
    char *body;

    (void)state;
    start();
    expect_in_force("");
    tell_files(files);
    expect_in_force("APM_TRACING good 7, AGENT_CONFIG configuration_order 2");
    assert_status(sonde_remote_poll(10000), SONDE_OK);
    expect_in_force("APM_TRACING good 7, AGENT_CONFIG configuration_order 2");
    body = fake_agent_other(sent_agent, PATH, fake_agent_others(sent_agent, PATH) - 1, 1000, NULL);
    assert_non_null(strstr(body, "{\"id\":\"bad\",\"version\":1,\"product\":\"APM_TRACING\","
                                 "\"apply_state\":3,\"apply_error\":\"tracing_enabled: not a "
                                 "boolean\"}"));
    assert_non_null(strstr(body, "{\"id\":\"good\",\"version\":7,\"product\":\"APM_TRACING\","
                                 "\"apply_state\":2,\"apply_error\":\"\"}"));
    free(body);
    tell_files(files + 3);
    expect_in_force("");
}

static void test_a_poll_says_how_it_went(void **state)
{
    static const struct {
        const char *label;
        fake_answer answer;
        sonde_status want;
    } cases[] = {
        { "nothing new", { .body = "{}" }, SONDE_OK },
        { "no such endpoint", { .status = 404 }, SONDE_ERR_NOT_FOUND },
        { "broken agent", { .status = 500 }, SONDE_ERR_REFUSED },
        { "not JSON", { .body = "nonsense" }, SONDE_ERR_SYNTAX },
        { "closed", { .manner = FAKE_CLOSE }, SONDE_ERR_EOF },
        { "not HTTP", { .manner = FAKE_GARBAGE }, SONDE_ERR_SYNTAX },
        { "fine again", { .body = "{}" }, SONDE_OK },
    };
    size_t i;

    (void)state;
    assert_status(sonde_remote_poll(1000), SONDE_ERR_STATE);
    start();
    tell_lib_config("{\"tracing_sampling_rate\":0.25}");
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_status got;

        fake_agent_route(sent_agent, PATH, cases[i].answer);
        got = sonde_remote_poll(10000);
        if (got != cases[i].want)
            fail_msg("%s: got %s", cases[i].label, sonde_status_name(got));
        expect_setting("DD_TRACE_SAMPLE_RATE", "0.25", "remote_config");
    }
    sonde_stop();
    assert_status(sonde_remote_poll(1000), SONDE_ERR_STATE);
    setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1);
    start();
    assert_status(sonde_remote_poll(1000), SONDE_ERR_STATE);
    expect_setting("DD_TRACE_SAMPLE_RATE", "", "default");
}

static void test_the_first_poll_goes_out_at_the_start_and_fractions_count(void **state)
{
    char *body;

    (void)state;
    setenv("DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS", "0.02", 1);
    setenv("DD_TRACE_ENABLED", "false", 1);
    start();
    body = fake_agent_other(sent_agent, PATH, 3, 10000, NULL);
    assert_non_null(body);
    free(body);
}

static void test_a_forked_child_asks_for_itself(void **state)
{
    pid_t child;
    int status;

    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* TSan ends a child of threads that starts one */
#endif
    start();
    tell_lib_config("{\"tracing_sampling_rate\":0}");
    child = fork();
    if (child == 0) {
        sonde_remote_config c = { 0 };
        bool ok = sonde_remote_config_at(0, &c) == SONDE_ERR_NOT_FOUND;

        ok = ok && sonde_remote_poll(10000) == SONDE_OK;
        ok = ok && sonde_remote_config_at(0, &c) == SONDE_OK && strcmp(c.config_id, "one") == 0;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_status(sonde_remote_poll(10000), SONDE_OK);
}

static void test_a_child_of_a_process_that_was_switched_off_asks_too(void **state)
{
    pid_t child;
    int status;

    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* as above */
#endif
    start();
    tell_lib_config("{\"tracing_enabled\":false}");
    child = fork();
    if (child == 0) {
        bool ok = sonde_enabled() == 1;

        ok = ok && sonde_remote_poll(10000) == SONDE_OK && sonde_enabled() == 0;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(sonde_enabled(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_rate_holds_until_it_is_taken_back),
        TEST(test_rules_come_before_local_ones),
        TEST(test_tags_take_the_place_of_the_configured_ones),
        TEST(test_rules_know_the_tags_from_afar),
        TEST(test_tracing_goes_off_and_on_again),
        TEST(test_what_is_off_here_stays_off),
        TEST(test_log_injection_is_switched),
        TEST(test_header_tags_are_there_for_who_asks),
        TEST(test_the_narrower_configuration_wins_field_by_field),
        TEST(test_telemetry_is_told_what_changed_and_what_is_back),
        TEST(test_a_configuration_that_changes_nothing_is_told_too),
        TEST(test_settings_change_while_threads_trace),
        TEST(test_without_memory_nothing_changes),
        TEST(test_what_is_in_force_is_listed),
        TEST(test_a_poll_says_how_it_went),
        TEST(test_the_first_poll_goes_out_at_the_start_and_fractions_count),
        TEST(test_a_forked_child_asks_for_itself),
        TEST(test_a_child_of_a_process_that_was_switched_off_asks_too),
    };

    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
