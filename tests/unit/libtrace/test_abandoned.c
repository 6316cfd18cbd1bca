/* test_abandoned.c - spans that stay open are logged, each once; and the first span of a trace marked for
 * analytics, which uses the same word. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include "libtrace/src/abandoned.h"
#include "libtrace/src/watch.h"
#include "sonde/sonde.h"
#include "sonde/test.h"

#define S(n) ((n) * (uint64_t)SONDE_NS_PER_S)

static char logged[65536];
static size_t logged_len;

static void note(void *user, int32_t level, const char *line, size_t len)
{
    (void)user;
    (void)level;
    if (len < sizeof(logged) - logged_len - 1) {
        memcpy(logged + logged_len, line, len);
        logged_len += len;
        logged[logged_len++] = '\n';
    }
    logged[logged_len] = '\0';
}

static size_t times(const char *what)
{
    const char *at = logged;
    size_t n = 0;

    while ((at = strstr(at, what)) != NULL) {
        n++;
        at++;
    }
    return n;
}

static int start(void **state)
{
    (void)state;
    logged_len = 0;
    logged[0] = '\0';
    sonde_set_log(note, NULL);
    return sonde_start(NULL) == SONDE_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    sonde_set_log(NULL, NULL);
    return 0;
}

/* As if so many seconds had passed. */
static bool look_after(uint64_t seconds)
{
    return sonde__abandoned_look(sonde_mono_ns() + S(seconds), S(600));
}

static uint64_t abandoned(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.spans_abandoned;
}

static void test_a_span_open_too_long_is_logged_once(void **state)
{
    sonde_span *old = sonde_span_start("stays", NULL);
    sonde_span *done = sonde_span_start("goes", NULL);
    uint64_t before = abandoned();
    char id[64];

    (void)state;
    sonde_span_finish(done);
    assert_false(look_after(599));
    assert_int_equal(times("still open"), 0);
    assert_false(look_after(601));
    assert_false(look_after(9999));
    assert_int_equal(times("still open"), 1);
    assert_int_equal(times("name=\"stays\" service=\"test_libtrace_abandoned\""), 1);
    assert_int_equal(times("open_s=601"), 1);
    (void)snprintf(id, sizeof(id), "span_id=%llu", (unsigned long long)sonde_span_id(old));
    assert_int_equal(times(id), 1);
    assert_int_equal(abandoned() - before, 1);
    sonde_span_finish(old);
}

static void test_many_are_logged_some_at_a_time(void **state)
{
    sonde_span *spans[40];
    int i;

    (void)state;
    for (i = 0; i < 40; i++)
        spans[i] = sonde_span_start("stays", NULL);
    assert_true(look_after(601));
    assert_int_equal(times("still open"), 16);
    assert_true(look_after(601));
    assert_false(look_after(601));
    assert_int_equal(times("still open"), 40);
    for (i = 0; i < 40; i++)
        sonde_span_finish(spans[i]);
}

static void test_beyond_what_is_watched_the_log_says_so(void **state)
{
    static sonde_span *spans[SONDE__OPEN_SPANS_MAX + 3];
    uint32_t i;

    (void)state;
    for (i = 0; i < SONDE__OPEN_SPANS_MAX + 3; i++)
        spans[i] = sonde_span_start("stays", NULL);
    assert_false(look_after(0));
    assert_int_equal(times("more open spans than are watched: spans=3"), 1);
    for (i = 0; i < SONDE__OPEN_SPANS_MAX + 3; i++)
        sonde_span_finish(spans[i]);
    assert_false(look_after(601)); /* all places are free again */
    spans[0] = sonde_span_start("stays", NULL);
    assert_false(look_after(601));
    assert_int_equal(times("still open"), 1);
    sonde_span_finish(spans[0]);
}

static int in_child(void)
{
    sonde_span *own = sonde_span_start("child", NULL);

    logged_len = 0;
    logged[0] = '\0';
    (void)look_after(601);
    sonde_span_finish(own);
    return times("still open") == 1 && times("name=\"child\"") == 1 ? 0 : 1;
}

static void test_a_forked_child_watches_its_own(void **state)
{
    sonde_span *span;
    int status = -1;
    pid_t pid;

    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* TSan ends a child of threads that starts one */
#endif
    span = sonde_span_start("parent", NULL);
    pid = fork();
    if (pid == 0)
        _exit(in_child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_false(look_after(601));
    assert_int_equal(times("name=\"parent\""), 1);
    sonde_span_finish(span);
}

static void test_a_new_life_begins_without_the_spans_of_the_last(void **state)
{
    sonde_span *span = sonde_span_start("former", NULL);

    (void)state;
    sonde_stop();
    assert_status(sonde_start(NULL), SONDE_OK);
    assert_false(look_after(601));
    assert_int_equal(times("still open"), 0);
    sonde_span_finish(span);
}

static void test_nothing_is_watched_unless_asked_for(void **state)
{
    (void)state;
    assert_int_equal(setenv("DD_TRACE_DEBUG_ABANDONED_SPANS", "false", 1), 0);
    sonde_stop();
    assert_status(sonde_start(NULL), SONDE_OK);
    assert_int_equal(sonde__watched() & (SONDE__WATCH_ABANDONED | SONDE__WATCH_ANALYTICS), 0);
    assert_int_equal(setenv("DD_TRACE_DEBUG_ABANDONED_SPANS", "true", 1), 0);
}

static void test_the_first_span_is_marked_for_analytics(void **state)
{
    const sonde_test_span *span;

    (void)state;
    assert_int_equal(setenv("DD_TRACE_ANALYTICS_ENABLED", "true", 1), 0);
    assert_status(sonde_test_start(NULL), SONDE_OK);
    {
        SONDE_SPAN(root, "root");
        SONDE_SPAN(child, "child");
    }
    span = sonde_test_find("root");
    assert_null(sonde_test_expect_tag(span, "_dd1.sr.eausr", "1"));
    assert_null(sonde_test_tag(sonde_test_find("child"), "_dd1.sr.eausr"));
    sonde_test_stop();
    assert_int_equal(unsetenv("DD_TRACE_ANALYTICS_ENABLED"), 0);
}

static int prepare(void **state)
{
    (void)state;
    return setenv("DD_TRACE_DEBUG_ABANDONED_SPANS", "true", 1) |
           setenv("DD_TRACE_AGENT_URL", "unix:///nowhere", 1) |
           setenv("DD_TRACE_SEND_RETRIES", "0", 1) | setenv("DD_TRACE_STARTUP_LOGS", "false", 1) |
           setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1) |
           setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_span_open_too_long_is_logged_once),
        T(test_many_are_logged_some_at_a_time),
        T(test_beyond_what_is_watched_the_log_says_so),
        T(test_a_forked_child_watches_its_own),
        T(test_a_new_life_begins_without_the_spans_of_the_last),
        T(test_nothing_is_watched_unless_asked_for),
        cmocka_unit_test(test_the_first_span_is_marked_for_analytics),
    };

    return cmocka_run_group_tests_name("abandoned", tests, prepare, NULL);
}
