/* test_log.c - base/log.h */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

static struct {
    int count;
    sonde_log_level level;
    char line[4096];
} seen;

static void remember(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user;
    errno = EIO; /* a sink may do anything */
    seen.count++;
    seen.level = level;
    memcpy(seen.line, line, len);
    seen.line[len] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    sonde_log_set_level(SONDE_LOG_INFO);
    sonde_log_set_prefix("sonde test");
    sonde_log_set_json(0);
    sonde_log_set_sink(remember, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde_log_set_sink(NULL, NULL);
    return 0;
}

static const char *after_time(void)
{
    assert_true(strlen(seen.line) > 25);
    return seen.line + 25; /* "2026-11-25T15:04:05.123Z " */
}

static void test_log_line_is_time_level_prefix_message(void **state)
{
    (void)state;
    SONDE_LOG(SONDE_LOG_WARN, "agent unreachable: url=%s next_try_ms=%u", "http://x", 40u);

    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, SONDE_LOG_WARN);
    assert_int_equal(seen.line[10], 'T');
    assert_int_equal(seen.line[23], 'Z');
    assert_string_equal(after_time(),
                        "warn sonde test: agent unreachable: url=http://x next_try_ms=40");
}

static void test_log_json_line_is_escaped(void **state)
{
    (void)state;
    sonde_log_set_json(1);
    SONDE_LOG(SONDE_LOG_INFO, "a \"b\"\\\n\t\x01");

    assert_string_equal(seen.line + 33, "\",\"level\":\"info\",\"logger\":\"sonde test\","
                                        "\"message\":\"a \\\"b\\\"\\\\\\n\\t\\u0001\"}");
}

static void test_log_below_the_level_is_silent(void **state)
{
    (void)state;
    SONDE_LOG(SONDE_LOG_DEBUG, "not now");
    sonde_log_set_level(SONDE_LOG_OFF);
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "not even this");

    assert_int_equal(seen.count, 0);
}

static void warn_from_one_place(void)
{
    SONDE_LOG(SONDE_LOG_WARN, "again");
}

static void test_log_limits_each_call_site_of_a_warning(void **state)
{
    sonde_log_site site = { 0 };
    int i;

    (void)state;
    for (i = 0; i < 10; i++)
        warn_from_one_place();
    assert_int_equal(seen.count, 1);
    for (i = 0; i < 10; i++)
        SONDE_LOG(SONDE_LOG_INFO, "information is not limited");
    assert_int_equal(seen.count, 11);
    for (i = 0; i < 3; i++)
        sonde_log_write(&site, SONDE_LOG_ERROR, "limited");
    assert_int_equal(seen.count, 12);
    atomic_store(&site.next_mono_ns, 0); /* as if the minute had passed */
    sonde_log_write(&site, SONDE_LOG_ERROR, "limited");
    assert_string_equal(after_time(), "error sonde test: limited suppressed=2");
}

static void test_log_cuts_a_message_that_is_too_long(void **state)
{
    char text[8000];

    (void)state;
    memset(text, '"', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    SONDE_LOG(SONDE_LOG_INFO, "%s", text);
    assert_int_equal(strlen(after_time()), strlen("info sonde test: ") + 1023);
    sonde_log_set_json(1);
    SONDE_LOG(SONDE_LOG_INFO, "%s", text); /* doubled by escapes, still whole */
    assert_string_equal(seen.line + strlen(seen.line) - 3, "\"\"}");
}

static void warn_at_one_place(void)
{
    SONDE_LOG(SONDE_LOG_WARN, "again");
}

static void test_log_without_a_pause_prints_every_warning(void **state)
{
    (void)state;
    sonde_log_set_pause(0);
    warn_at_one_place();
    warn_at_one_place();
    assert_int_equal(seen.count, 2);
    sonde_log_set_pause(60ull * 1000000000);
    warn_at_one_place();
    warn_at_one_place();
    assert_int_equal(seen.count, 3);
}

static void test_log_long_lines_are_not_cut(void **state)
{
    char message[3000];

    (void)state;
    memset(message, '"', sizeof(message));
    sonde_log_long(SONDE_LOG_INFO, (sonde_str){ message, sizeof(message) });
    assert_int_equal(strlen(after_time()), strlen("info sonde test: ") + sizeof(message));
    sonde_log_long(SONDE_LOG_DEBUG, (sonde_str){ message, sizeof(message) });
    assert_int_equal(seen.count, 1);
    sonde_log_set_json(1);
    sonde_log_long(SONDE_LOG_INFO, (sonde_str){ message, 1500 });
    assert_true(strlen(seen.line) > 3000);
    assert_string_equal(seen.line + strlen(seen.line) - 3, "\"\"}");
}

static void test_log_keeps_errno(void **state)
{
    (void)state;
    errno = ENOSPC;
    SONDE_LOG(SONDE_LOG_INFO, "x=%d", 1);
    assert_int_equal(errno, ENOSPC);
}

static void test_log_quote_escapes_and_cuts(void **state)
{
    static char long_text[300];
    static const struct {
        const char *label;
        sonde_str in;
        const char *want;
    } cases[] = {
        { "plain", { "GET /x", 6 }, "\"GET /x\"" },
        { "quote and backslash", { "a\"b\\", 4 }, "\"a\\\"b\\\\\"" },
        { "control", { "a\nb\x01\x7f", 5 }, "\"a\\nb\\u0001\\u007f\"" },
        { "nul inside", { "a\0b", 3 }, "\"a\\u0000b\"" },
        { "empty", { NULL, 0 }, "\"\"" },
    };
    char out[272], small[20];
    const char *quoted;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        quoted = sonde_log_quote(cases[i].in, out, sizeof(out));
        if (strcmp(quoted, cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].label, quoted);
    }
    memset(long_text, 'a', sizeof(long_text));
    quoted = SONDE_LOG_QUOTE(((sonde_str){ long_text, sizeof(long_text) }));
    assert_true(strlen(quoted) <= 271);
    assert_string_equal(quoted + strlen(quoted) - 5, "a...\"");
    memset(long_text, '\x01', sizeof(long_text)); /* six characters each */
    quoted = sonde_log_quote((sonde_str){ long_text, sizeof(long_text) }, small, sizeof(small));
    assert_string_equal(quoted, "\"\\u0001\\u0001...\"");
}

static void test_log_parses_datadogs_level_names(void **state)
{
    static const struct {
        sonde_str in;
        sonde_log_level want;
    } cases[] = {
        { { "WARN", 4 }, SONDE_LOG_WARN },      { { "warning", 7 }, SONDE_LOG_WARN },
        { { "critical", 8 }, SONDE_LOG_ERROR }, { { "off", 3 }, SONDE_LOG_OFF },
        { { "Trace", 5 }, SONDE_LOG_TRACE },
    };
    sonde_log_level level;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        assert_status(sonde_log_parse_level(cases[i].in, &level), SONDE_OK);
        assert_int_equal(level, cases[i].want);
    }
    level = SONDE_LOG_DEBUG;
    assert_status(sonde_log_parse_level(SONDE_STR("loud"), &level), SONDE_ERR_SYNTAX);
    assert_int_equal(level, SONDE_LOG_DEBUG);
}

enum { THREADS = 4, LINES = 200 };

static void *log_many(void *arg)
{
    int i;

    for (i = 0; i < LINES; i++)
        SONDE_LOG(SONDE_LOG_INFO, "thread=%s line=%d", (const char *)arg, i);
    return NULL;
}

/* As a file sees it: whole lines, none lost. */
static void test_log_lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[THREADS];
    int saved = dup(STDERR_FILENO), i, lines = 0;
    static char text[THREADS * LINES * 80];
    char name[] = "abcdefghijkl";
    size_t len = 0;
    char *line, *rest;
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    sonde_log_set_sink(NULL, NULL);
    assert_int_not_equal(dup2(fileno(file), STDERR_FILENO), -1);
    for (i = 0; i < THREADS; i++)
        assert_status(sonde_thread_start(&threads[i], "test-log", 0, log_many, name), SONDE_OK);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_not_equal(dup2(saved, STDERR_FILENO), -1);
    (void)close(saved);
    rewind(file);
    len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);

    for (line = text; line < text + len; line = rest + 1, lines++) {
        rest = strchr(line, '\n');
        assert_non_null(rest);
        assert_true(strncmp(line + 24, " info sonde test: thread=abcdefghijkl line=", 43) == 0);
    }
    assert_int_equal(lines, THREADS * LINES);
}

static int heard;
static const char *heard_last;

static void hear(sonde_log_level level, const char *fmt)
{
    assert_true(level <= SONDE_LOG_WARN);
    heard_last = fmt;
    heard++;
}

static void test_log_watch_hears_formats_also_beyond_the_limit(void **state)
{
    static const char fmt[] = "trouble: with=%s";
    int i;

    (void)state;
    sonde_log_set_watch(hear);
    for (i = 0; i < 3; i++)
        SONDE_LOG(SONDE_LOG_WARN, fmt, "something private");
    SONDE_LOG(SONDE_LOG_INFO, "all is well");
    sonde_log_set_watch(NULL);
    SONDE_LOG(SONDE_LOG_WARN, "unheard");
    assert_int_equal(heard, 3);
    assert_ptr_equal(heard_last, fmt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_line_is_time_level_prefix_message, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log_json_line_is_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_below_the_level_is_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_limits_each_call_site_of_a_warning, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log_cuts_a_message_that_is_too_long, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log_without_a_pause_prints_every_warning, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_log_long_lines_are_not_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_keeps_errno, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_watch_hears_formats_also_beyond_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test(test_log_quote_escapes_and_cuts),
        cmocka_unit_test(test_log_parses_datadogs_level_names),
        cmocka_unit_test_setup_teardown(test_log_lines_of_threads_do_not_mix, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
