/* test_beats.c - periodic jobs of the background thread: when they run, beside what, and after a fork. */
#include "support/test.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "libtrace/src/beats.h"
#include "libtrace/src/flusher.h"
#include "libtrace/src/tracer.h"
#include "sonde/sonde.h"
#include "sonde/statsd.h"
#include "support/fake_agent.h"

static fake_agent *agent;

/* -- a beat that does as it is told --------------------------------------------------------------- */

static bool want;
static _Atomic int works;
static _Atomic int lasts;
static _Atomic int forgets;
static uint64_t every_ns; /* 0: never again by itself */
static const char *path;  /* NULL: asks nothing */
static _Atomic int answered;

static bool wanted(const sonde__config *c)
{
    (void)c;
    return want;
}

static void ask(void)
{
    sonde__answer answer;

    if (path && sonde__beat_request(&(sonde__request){ .path = path, .body = SONDE_STR("[]") },
                                    &answer) == SONDE_OK)
        atomic_store(&answered, answer.http_status);
}

static uint64_t work(uint64_t now)
{
    ask();
    atomic_fetch_add(&works, 1);
    return every_ns ? sonde_deadline(now, every_ns) : SONDE__NEVER;
}

static void last(uint64_t now)
{
    (void)now;
    ask();
    atomic_fetch_add(&lasts, 1);
}

static void forget(void)
{
    atomic_fetch_add(&forgets, 1);
}

static bool has_nothing;

static bool idle(void)
{
    return has_nothing;
}

static const sonde__beat told = { "told", wanted, work, last, forget, idle };
static const sonde__beat *const only[] = { &told };

static int set_up(void **state)
{
    (void)state;
    agent = fake_agent_open(NULL);
    want = true;
    has_nothing = false;
    path = NULL;
    every_ns = 0;
    atomic_store(&works, 0);
    atomic_store(&lasts, 0);
    atomic_store(&forgets, 0);
    atomic_store(&answered, 0);
    sonde__beats_replace(only, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde_stop();
    sonde__beats_replace(NULL, 0);
    fake_agent_close(agent);
    return 0;
}

static void start(int enabled)
{
    sonde_options o = { .service = "beats",
                        .agent_url = fake_agent_url(agent),
                        .enabled = enabled,
                        .stop_timeout_ms = 3000 };

    assert_status(sonde_start(&o), SONDE_OK);
}

/* Until it has worked that often; the test fails when it never does. */
static void wait_for(_Atomic int *counter, int n)
{
    uint64_t until = sonde_deadline(sonde_mono_ns(), 60 * (uint64_t)SONDE_NS_PER_S);

    while (atomic_load(counter) < n && sonde_mono_ns() < until)
        (void)usleep(1000);
    assert_true(atomic_load(counter) >= n);
}

static unsigned threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        (void)closedir(tasks);
    return n > 2 ? n - 2 : 0; /* without . and .. */
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void test_the_thread_starts_only_when_a_beat_is_wanted(void **state)
{
    static const struct {
        const char *label;
        bool want;
        bool idle;
        int enabled;
        unsigned more_threads;
    } cases[] = {
        { "wanted, tracing", true, false, 1, 1 },
        { "wanted, tracing off", true, false, -1, 1 },
        { "wanted, nothing to do", true, true, 1, 0 },
        { "not wanted, tracing", false, false, 1, 0 },
        { "not wanted, tracing off", false, false, -1, 0 },
    };
    unsigned had = threads();
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        want = cases[i].want;
        has_nothing = cases[i].idle;
        start(cases[i].enabled);
        if (threads() != had + cases[i].more_threads)
            fail_msg("%s: %u threads instead of %u", cases[i].label, threads(),
                     had + cases[i].more_threads);
        sonde_stop();
        assert_int_equal(threads(), had);
    }
}

/* As <sonde/tracer.h> says: with nobody to tell and nobody to ask. */
static void
test_a_quiet_tracer_has_no_thread_until_there_is_a_trace_or_a_statsd_client(void **state)
{
    unsigned had = threads();
    sonde_statsd *client;

    (void)state;
    sonde__beats_replace(NULL, 0);
    assert_int_equal(setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1), 0);
    assert_int_equal(setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1), 0);
    start(1);
    assert_int_equal(threads(), had);
    sonde_span_finish(sonde_span_start("first", NULL));
    assert_int_equal(threads(), had + 1);
    sonde_stop();
    start(1);
    assert_int_equal(threads(), had);
    client = sonde_statsd_new(&(sonde_statsd_options){ .address = "udp://127.0.0.1:9" });
    assert_int_equal(threads(), had + 1);
    sonde_stop();
    start(1); /* it is there already */
    assert_int_equal(threads(), had + 1);
    sonde_statsd_free(client);
    sonde_stop();
    assert_int_equal(unsetenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED"), 0);
    assert_int_equal(unsetenv("DD_REMOTE_CONFIGURATION_ENABLED"), 0);
}

static void test_a_beat_works_at_once_and_then_when_due(void **state)
{
    (void)state;
    every_ns = 5 * (uint64_t)SONDE_NS_PER_MS;
    start(1);
    wait_for(&works, 5);
    sonde_stop();
    assert_int_equal(atomic_load(&lasts), 1);
    assert_true(atomic_load(&forgets) >= 1);
}

static void test_a_beat_that_hurries_is_done_now(void **state)
{
    (void)state;
    start(1);
    wait_for(&works, 1);
    sonde__beat_hurry(&told);
    wait_for(&works, 2);
}

static void test_a_request_carries_headers_and_body_and_brings_the_answer(void **state)
{
    char *head = NULL;
    char *body;

    (void)state;
    path = "/other";
    fake_agent_route(agent, "/other", (fake_answer){ .status = 418 });
    start(-1);
    wait_for(&works, 1);
    assert_int_equal(atomic_load(&answered), 418);
    body = fake_agent_other(agent, "/other", 0, 5000, &head);
    assert_string_equal(body, "[]");
    assert_non_null(strstr(head, "POST /other HTTP/1.1\r\n"));
    assert_int_equal(fake_agent_counts(agent).requests, 0);
    free(head);
    free(body);
}

/* Every request of the beat hangs for its second; traces go out in between. */
static void test_an_agent_that_hangs_in_a_beat_does_not_stop_traces(void **state)
{
    int i;

    (void)state;
    path = "/other";
    every_ns = 1;
    fake_agent_route(agent, "/other", (fake_answer){ .manner = FAKE_HANG });
    start(1);
    for (i = 0; i < 2; i++) {
        sonde_span_finish(sonde_span_start("s", NULL));
        assert_status(sonde_flush(60000), SONDE_OK);
    }
    assert_int_equal(fake_agent_counts(agent).taken_spans, 2);
    assert_int_equal(atomic_load(&answered), 0);
}

/* The parent's thread hangs in a request of the beat while it forks. */
static void test_a_child_begins_anew_with_its_first_trace(void **state)
{
    int status = -1;
    pid_t child;

    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it cannot follow threads started after a fork among threads */
#endif
    path = "/other";
    fake_agent_route(agent, "/other", (fake_answer){ .manner = FAKE_HANG });
    start(1);
    free(fake_agent_other(agent, "/other", 0, 5000, NULL));
    fake_agent_route(agent, "/other", (fake_answer){ .status = 202 });
    child = fork();
    if (child == 0) {
        int before = atomic_load(&works);
        uint64_t until = sonde_deadline(sonde_mono_ns(), 60 * (uint64_t)SONDE_NS_PER_S);

        if (atomic_load(&forgets) == 0 || threads() != 1)
            _exit(1);
        sonde_span_finish(sonde_span_start("child", NULL));
        while (atomic_load(&works) == before && sonde_mono_ns() < until)
            (void)usleep(1000);
        sonde_stop();
        _exit(atomic_load(&works) == before || atomic_load(&answered) != 202 ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_thread_starts_only_when_a_beat_is_wanted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_quiet_tracer_has_no_thread_until_there_is_a_trace_or_a_statsd_client, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_a_beat_works_at_once_and_then_when_due, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_beat_that_hurries_is_done_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_request_carries_headers_and_body_and_brings_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_agent_that_hangs_in_a_beat_does_not_stop_traces,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_child_begins_anew_with_its_first_trace, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
