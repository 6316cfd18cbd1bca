/* test_flare.c - tasks, the log level and its copy, and the request a flare is (docs/spec/tracer-flare.md). */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "libtrace/src/apm_tracing.h"
#include "libtrace/src/flare.h"
#include "libtrace/src/flare_log.h"
#include "libtrace/src/flare_report.h"
#include "libtrace/src/flare_task.h"
#include "libtrace/src/tracer.h"
#include "sonde/sonde.h"
#include "support/alloc_fail.h"
#include "support/fake_agent.h"
#include "support/remote_answer.h"

#define CONFIG_PATH "/v0.7/config"
#define FLARE_PATH  "/tracer_flare/v1"
#define NONE        SONDE__REMOTE_LEVEL_NONE

/* -- reading -------------------------------------------------------------------------------------- */

static void test_a_level_is_read(void **state)
{
    static const struct {
        const char *json;
        sonde_status want;
        int level;
    } cases[] = {
        { "{}", SONDE_OK, NONE },
        { "{\"name\":\"flare-log-level.debug\",\"config\":{\"log_level\":\"debug\"}}", SONDE_OK,
          SONDE_LOG_DEBUG },
        { "{\"config\":{\"log_level\":\"TRACE\"}}", SONDE_OK, SONDE_LOG_TRACE },
        { "{\"config\":{\"log_level\":\"critical\"}}", SONDE_OK, SONDE_LOG_ERROR },
        { "{\"config\":{\"log_level\":\"off\"}}", SONDE_OK, SONDE_LOG_OFF },
        { "{\"config\":{\"log_level\":null}}", SONDE_OK, NONE },
        { "{\"config\":{}}", SONDE_OK, NONE },
        { "{\"config\":[\"log_level\"]}", SONDE_OK, NONE },
        { "{\"log_level\":\"debug\"}", SONDE_OK, NONE },
        { "{\"config\":{\"config\":{\"log_level\":\"debug\"}}}", SONDE_OK, NONE },
        { "{\"internal_order\":[\"flare-log-level.trace\"],\"order\":[]}", SONDE_OK, NONE },
        { "{\"config\":{\"log_level\":\"loud\"}}", SONDE_ERR_SYNTAX, NONE },
        { "{\"config\":{\"log_level\":3}}", SONDE_ERR_SYNTAX, NONE },
        { "[]", SONDE_ERR_SYNTAX, NONE },
        { "{\"config\":", SONDE_ERR_SYNTAX, NONE },
        { "", SONDE_ERR_SYNTAX, NONE },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        int level;
        sonde_status got = sonde__flare_level_read(sonde_str_from(cases[i].json), &level);

        if (got != cases[i].want || level != cases[i].level)
            fail_msg("%s: %s, %d", cases[i].json, sonde_status_name(got), level);
    }
}

static void test_a_task_is_read(void **state)
{
    static const struct {
        const char *json;
        sonde_status want;
        bool wanted;
        const char *fields;
    } cases[] = {
        { "{\"task_type\":\"tracer_flare\",\"uuid\":\"u\",\"args\":{\"case_id\":\"1\",\"hostname\":"
          "\"h\","
          "\"user_handle\":\"a@b\"}}",
          SONDE_OK, true, "u 1 h a@b" },
        { "{\"args\":{\"case_id\":12345},\"task_type\":\"tracer_flare\"}", SONDE_OK, true,
          " 12345  " },
        { "{\"task_type\":\"flare\",\"args\":{\"case_id\":\"1\"}}", SONDE_OK, false, " 1  " },
        { "{\"task_type\":\"tracer_flare\",\"args\":{}}", SONDE_OK, false, "   " },
        { "{\"task_type\":\"tracer_flare\",\"args\":{\"case_id\":\"\"}}", SONDE_OK, false, "   " },
        { "{\"task_type\":\"tracer_flare\",\"case_id\":\"1\"}", SONDE_OK, false, "   " },
        { "{}", SONDE_OK, false, "   " },
        { "[]", SONDE_ERR_SYNTAX, false, "   " },
        { "{\"args\":{\"case_id\":\"1\"}", SONDE_ERR_SYNTAX, false, " 1  " },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__flare_task t;
        char fields[1024];
        bool wanted;
        sonde_status got = sonde__flare_task_read(sonde_str_from(cases[i].json), &t, &wanted);

        (void)snprintf(fields, sizeof(fields), "%s %s %s %s", t.uuid, t.case_id, t.hostname,
                       t.email);
        if (got != cases[i].want || wanted != cases[i].wanted ||
            strcmp(fields, cases[i].fields) != 0)
            fail_msg("%s: %s, %d, \"%s\"", cases[i].json, sonde_status_name(got), wanted, fields);
    }
}

static sonde_status read_both(void *unused)
{
    sonde__flare_task t;
    sonde_status status;
    bool wanted;
    int level;

    (void)unused;
    status = sonde__flare_task_read(SONDE_STR("{\"task_type\":\"\\u0061\"}"), &t, &wanted);
    if (status == SONDE_OK)
        status = sonde__flare_level_read(SONDE_STR("{\"config\":{\"log_level\":\"\\u006fff\"}}"),
                                         &level);
    return status;
}

static void test_without_memory_reading_says_so(void **state)
{
    (void)state;
    alloc_fail_each(read_both, NULL);
}

/* -- the copy of the log -------------------------------------------------------------------------- */

static size_t seen_lines;

static void count_line(void *unused, sonde_log_level level, const char *line, size_t len)
{
    (void)unused, (void)level, (void)line, (void)len;
    seen_lines++;
}

static void test_lines_are_copied_while_wanted(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, SONDE__FLARE_LOG_MAX_BYTES + 100);
    sonde_log_set_sink(count_line, NULL);
    seen_lines = 0;
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "before");
    assert_status(sonde__flare_log_begin(), SONDE_OK);
    assert_status(sonde__flare_log_begin(), SONDE_OK);
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "one");
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "two");
    sonde__flare_log_read(&b);
    assert_null(strstr(sonde_buf_cstr(&b), "before"));
    assert_non_null(strstr(sonde_buf_cstr(&b), "error sonde: one\n"));
    assert_non_null(strstr(sonde_buf_cstr(&b), "error sonde: two\n"));
    assert_int_equal(seen_lines, 3);
    sonde__flare_log_end();
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "after");
    sonde_buf_reset(&b);
    sonde__flare_log_read(&b);
    assert_int_equal(b.len, 0);
    sonde_log_set_sink(NULL, NULL);
    sonde_buf_done(&b);
}

static void test_a_full_copy_loses_its_older_half(void **state)
{
    uint64_t lost = 0;
    uint64_t first = 0;
    sonde_str rest;
    const int n = 20000;
    sonde_buf b;
    int i;

    (void)state;
    sonde_buf_init(&b, SONDE__FLARE_LOG_MAX_BYTES + 100);
    sonde_log_set_sink(count_line, NULL);
    assert_status(sonde__flare_log_begin(), SONDE_OK);
    for (i = 0; i < n; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "line %d.", i);
    sonde__flare_log_read(&b);
    assert_true(b.len > SONDE__FLARE_LOG_MAX_BYTES / 3 &&
                b.len <= SONDE__FLARE_LOG_MAX_BYTES + 100);
    rest = sonde_str_from(sonde_buf_cstr(&b));
    assert_status(sonde_parse_u64(sonde_str_cut(&rest, ' '), &lost), SONDE_OK);
    assert_true(sonde_str_starts(rest, SONDE_STR("lines before these are missing\n")));
    rest = sonde_str_from(strstr(rest.ptr, ": line ") + 7);
    assert_status(sonde_parse_u64(sonde_str_cut(&rest, '.'), &first), SONDE_OK);
    assert_int_equal(lost, first);
    assert_non_null(strstr(sonde_buf_cstr(&b), "line 19999.\n"));
    sonde__flare_log_end();
    sonde_log_set_sink(NULL, NULL);
    sonde_buf_done(&b);
}

static void test_a_level_holds_for_twenty_minutes(void **state)
{
    const uint64_t minute = 60 * (uint64_t)SONDE_NS_PER_S;

    (void)state;
    assert_int_equal(sonde__flare_level(NONE, 0), NONE);
    assert_int_equal(sonde__flare_level(SONDE_LOG_DEBUG, minute), SONDE_LOG_DEBUG);
    assert_int_equal(sonde__flare_level(SONDE_LOG_DEBUG, 15 * minute), SONDE_LOG_DEBUG);
    assert_false(sonde__flare_level_is_over(21 * minute - 1));
    assert_true(sonde__flare_level_is_over(21 * minute));
    assert_int_equal(sonde__flare_level(SONDE_LOG_DEBUG, 21 * minute), NONE);
    assert_false(sonde__flare_level_is_over(22 * minute));
    assert_int_equal(sonde__flare_level(SONDE_LOG_DEBUG, 22 * minute), NONE);
    assert_int_equal(sonde__flare_level(SONDE_LOG_TRACE, 23 * minute), SONDE_LOG_TRACE);
    assert_int_equal(sonde__flare_level(NONE, 24 * minute), NONE);
    assert_int_equal(sonde__flare_level(SONDE_LOG_DEBUG, 25 * minute), SONDE_LOG_DEBUG);
    sonde__flare_beat.forget();
}

/* -- from the agent and back ---------------------------------------------------------------------- */

static fake_agent *agent;
static char *answers[64];
static size_t answers_len;

static int set_up(void **state)
{
    sonde_options o = { .service = "unit", .tags = "secret:hidden" };

    (void)state;
    setenv("DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS", "3600", 1);
    agent = fake_agent_open(NULL);
    fake_agent_route(agent, CONFIG_PATH, (fake_answer){ .status = 404 });
    o.agent_url = fake_agent_url(agent);
    assert_status(sonde_start(&o), SONDE_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde_stop();
    fake_agent_close(agent);
    while (answers_len > 0)
        free(answers[--answers_len]);
    return 0;
}

static void tell(const remote_content *files)
{
    size_t len = 0;

    while (files[len].path)
        len++;
    answers[answers_len] = remote_answer(answers_len + 1, files, len);
    fake_agent_route(agent, CONFIG_PATH, (fake_answer){ .body = answers[answers_len++] });
    assert_status(sonde_remote_poll(10000), SONDE_OK);
}

#define LEVEL_FILE(level)                                                                          \
    {                                                                                              \
        "datadog/2/AGENT_CONFIG/flare-log-level." level "/config",                                 \
            "{\"name\":\"x\",\"config\":{\"log_level\":\"" level "\"}}", 1                         \
    }
#define TASK(type, uuid, args)                                                                     \
    {                                                                                              \
        "datadog/2/AGENT_TASK/" uuid "/config",                                                    \
            "{\"task_type\":\"" type "\",\"uuid\":\"" uuid "\",\"args\":{" args "}}", 1            \
    }
#define ARGS "\"case_id\":\"12/3\",\"hostname\":\"my.host\",\"user_handle\":\"a@b.c\""

/* Of the body, which has NULs. */
static size_t length_of(const char *head)
{
    sonde_str text = sonde_str_from(strstr(head, "Content-Length:"));
    uint64_t len = 0;

    (void)sonde_str_cut(&text, ':');
    assert_status(sonde_parse_u64(sonde_str_trim(sonde_str_cut(&text, '\r')), &len), SONDE_OK);
    return (size_t)len;
}

static bool contains(const char *bytes, size_t len, const char *what)
{
    return memmem(bytes, len, what, strlen(what)) != NULL;
}

static void test_a_flare_is_sent_once_with_everything_in_it(void **state)
{
    static const remote_content files[] = { LEVEL_FILE("debug"),
                                            TASK("tracer_flare", "u-1", ARGS),
                                            { NULL, NULL, 0 } };
    static const char *const wanted[] = {
        "name=\"source\"\r\n\r\ntracer_c\r\n",
        "name=\"case_id\"\r\n\r\n12/3\r\n",
        "name=\"hostname\"\r\n\r\nmy.host\r\n",
        "name=\"email\"\r\n\r\na@b.c\r\n",
        "name=\"uuid\"\r\n\r\nu-1\r\n",
        "name=\"flare_file\"; filename=\"tracer-c-12_3-",
        "-debug.zip\"\r\nContent-Type: application/octet-stream\r\n\r\nPK",
        "tracer.log",
        "configuration.json",
        "\"name\": \"DD_SERVICE\"",
        "\"value\": \"***\"",
        "runtime.json",
        "\"language\": \"c\"",
        "counters.json",
        "\"spans_started\": 0",
    };
    size_t len;
    sonde_setting s = { 0 };
    char *head, *body;
    size_t i;

    (void)state;
    tell(files);
    body = fake_agent_other(agent, FLARE_PATH, 0, 10000, &head);
    assert_non_null(body);
    assert_non_null(strstr(head, "Content-Type: multipart/form-data; boundary="));
    len = length_of(head);
    for (i = 0; i < COUNT_OF(wanted); i++)
        if (!contains(body, len, wanted[i]))
            fail_msg("not in it: %s", wanted[i]);
    assert_false(contains(body, len, "hidden"));
    free(body);
    free(head);
    assert_status(sonde_setting_find("DD_TRACE_LOG_LEVEL", &s), SONDE_OK);
    assert_string_equal(s.value, "debug");
    assert_string_equal(s.origin, "remote_config");
    tell(files);
    tell(files + 1);
    assert_int_equal(sonde_log_get_level(), SONDE_LOG_INFO);
    tell(files + 2);
    assert_int_equal(fake_agent_others(agent, FLARE_PATH), 1);
}

static void test_the_log_of_the_level_is_in_the_flare(void **state)
{
    static const remote_content level[] = { LEVEL_FILE("debug"), { NULL, NULL, 0 } };
    static const remote_content both[] = { TASK("tracer_flare", "u-2", ARGS), { NULL, NULL, 0 } };
    size_t len;
    char *head, *body;

    (void)state;
    tell(level);
    SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "something of the library's");
    tell(both); /* the level goes with the same answer */
    body = fake_agent_other(agent, FLARE_PATH, 0, 10000, &head);
    assert_non_null(body);
    len = length_of(head);
    assert_true(contains(body, len, "debug sonde: something of the library's\n"));
    free(body);
    free(head);
}

static sonde_status write_a_flare(void *unused)
{
    static const sonde__flare_task task = { .case_id = "1" };
    sonde_status status;
    sonde_buf zip, form;

    (void)unused;
    sonde_buf_init(&zip, SONDE__FLARE_MAX_BYTES);
    sonde_buf_init(&form, SONDE__FLARE_MAX_BYTES);
    sonde__flare_write_archive(sonde__settings(), &zip);
    sonde__flare_write_form(sonde__settings(), &task, sonde_buf_str(&zip), "b", 0, &form);
    status = zip.status != SONDE_OK ? zip.status : form.status;
    sonde_buf_done(&zip);
    sonde_buf_done(&form);
    return status;
}

static void test_without_memory_there_is_no_half_flare(void **state)
{
    static const char *const off[] = { "DD_REMOTE_CONFIGURATION_ENABLED",
                                       "DD_INSTRUMENTATION_TELEMETRY_ENABLED", "DD_TRACE_ENABLED" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(off); i++)
        setenv(off[i], "false", 1); /* no thread beside us */
    assert_status(sonde_start(NULL), SONDE_OK);
    for (i = 0; i < COUNT_OF(off); i++)
        unsetenv(off[i]);
    alloc_fail_each(write_a_flare, NULL);
    sonde_stop();
}

static void test_other_tasks_are_left_alone(void **state)
{
    static const remote_content files[] = { TASK("flare", "u-1", ARGS),
                                            TASK("tracer_flare", "u-2", "\"hostname\":\"h\""),
                                            { "employee/AGENT_TASK/empty/config", "{}", 1 },
                                            { NULL, NULL, 0 } };
    sonde_remote_config c = { 0 };

    (void)state;
    tell(files);
    assert_status(sonde_remote_config_at(2, &c), SONDE_OK);
    tell(files + 3);
    assert_int_equal(fake_agent_others(agent, FLARE_PATH), 0);
}

static void test_a_refused_flare_is_not_tried_again(void **state)
{
    static const remote_content files[] = { TASK("tracer_flare", "u-1", ARGS),
                                            TASK("tracer_flare", "u-2", ARGS),
                                            { NULL, NULL, 0 } };

    (void)state;
    fake_agent_route(agent, FLARE_PATH, (fake_answer){ .status = 400 });
    tell(files);
    free(fake_agent_other(agent, FLARE_PATH, 1, 10000, NULL));
    tell(files + 2);
    assert_int_equal(fake_agent_others(agent, FLARE_PATH), 2);
}

static void test_more_tasks_than_wait_are_an_error(void **state)
{
    static const remote_content files[] = {
        TASK("tracer_flare", "u-1", ARGS), TASK("tracer_flare", "u-2", ARGS),
        TASK("tracer_flare", "u-3", ARGS), TASK("tracer_flare", "u-4", ARGS),
        TASK("tracer_flare", "u-5", ARGS), { NULL, NULL, 0 },
    };
    sonde_remote_config c = { 0 };
    sonde_counters before = { 0 };
    sonde_counters after = { 0 };

    (void)state;
    sonde_counters_read(&before);
    assert_int_equal(SONDE__FLARE_TASKS_MAX, 4);
    tell(files);
    assert_status(sonde_remote_config_at(3, &c), SONDE_OK);
    assert_status(sonde_remote_config_at(4, &c), SONDE_ERR_NOT_FOUND);
    free(fake_agent_other(agent, FLARE_PATH, 3, 10000, NULL));
    sonde_stop();
    sonde_counters_read(&after);
    assert_int_equal(after.flares_sent - before.flares_sent, 4);
    assert_int_equal(after.flares_failed - before.flares_failed, 1);
    assert_int_equal(after.remote_rejected - before.remote_rejected, 1);
    assert_int_equal(after.remote_updates - before.remote_updates, 1);
}

int main(void)
{
#define WITH_AGENT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_level_is_read),
        cmocka_unit_test(test_a_task_is_read),
        cmocka_unit_test(test_without_memory_reading_says_so),
        cmocka_unit_test(test_lines_are_copied_while_wanted),
        cmocka_unit_test(test_a_full_copy_loses_its_older_half),
        cmocka_unit_test(test_a_level_holds_for_twenty_minutes),
        cmocka_unit_test(test_without_memory_there_is_no_half_flare),
        WITH_AGENT(test_a_flare_is_sent_once_with_everything_in_it),
        WITH_AGENT(test_the_log_of_the_level_is_in_the_flare),
        WITH_AGENT(test_other_tasks_are_left_alone),
        WITH_AGENT(test_a_refused_flare_is_not_tried_again),
        WITH_AGENT(test_more_tasks_than_wait_are_an_error),
    };

    return cmocka_run_group_tests_name("flare", tests, NULL, NULL);
}
