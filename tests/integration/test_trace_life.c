/* test_trace_life.c - libtrace and what processes do: threads, fork, exec, exit, dlopen.
 *
 * Programs that end are this one again, started with the name of a part to play. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sonde/sonde.h"
#include "support/fake_agent.h"

extern char **environ;

static char *self; /* argv[0] */

/* -- parts played in other processes -------------------------------------------------------------- */

static void begin(const char *url)
{
    sonde_options o = { .service = "life", .agent_url = url, .stop_timeout_ms = 60000 };

    (void)setenv("DD_TRACE_LOG_LEVEL", "error", 1);
    if (sonde_start(&o) != SONDE_OK)
        _exit(90);
}

static int exit_without_stop(const char *url)
{
    begin(url);
    {
        SONDE_SPAN(a, "a");
        SONDE_SPAN(b, "b");
    }
    exit(0);
}

static int run_other(const char *part, const char *url)
{
    char *argv[] = { self, (char *)(uintptr_t)part, (char *)(uintptr_t)url, NULL };
    int status = -1;
    pid_t pid;

    if (posix_spawn(&pid, self, NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

static int exec_with_spans_open(const char *url)
{
    char part[] = "exit_without_stop";
    char *argv[] = { self, part, (char *)(uintptr_t)url, NULL };

    begin(url);
    {
        SONDE_SPAN(sent, "sent");
    }
    (void)sonde_flush(5000);
    (void)sonde_span_enter("open", NULL);
    (void)execv(self, argv);
    return 91;
}

/* ThreadSanitizer cannot follow threads started after a fork among threads.  AddressSanitizer's allocator
 * stays locked in the child when another thread was in it: the library's own is kept still there. */
static void need_threads_after_fork(void)
{
#if defined(__SANITIZE_THREAD__)
    skip();
#elif defined(__SANITIZE_ADDRESS__)
    assert_int_equal(setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "0", 1), 0);
    assert_int_equal(setenv("DD_REMOTE_CONFIGURATION_ENABLED", "0", 1), 0);
    assert_int_equal(setenv("SONDE_BLACKBOX", "0", 1), 0);
#endif
}

/* The thread has started, and rests. */
static void settle_before_fork(void)
{
#if defined(__SANITIZE_ADDRESS__)
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    assert_status(sonde_flush(60000), SONDE_OK);
#endif
}

static const struct {
    const char *name;
    int (*run)(const char *url);
} parts[] = { { "exit_without_stop", exit_without_stop }, { "exec", exec_with_spans_open } };

/* -- tests ---------------------------------------------------------------------------------------- */

static void test_exit_without_stop_sends_what_is_finished(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);

    (void)state;
    assert_int_equal(run_other("exit_without_stop", fake_agent_url(agent)), 0);
    assert_true(fake_agent_wait_spans(agent, 2, 60000));
    fake_agent_close(agent);
}

static void test_exec_with_open_spans_starts_afresh(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);

    (void)state;
    assert_int_equal(run_other("exec", fake_agent_url(agent)), 0);
    assert_true(fake_agent_wait_spans(agent, 3, 60000));
    fake_agent_close(agent);
}

/* In the child: exit status 0 when all is as it should be, else the number of the step. */
static int child_of_fork(sonde_span *inherited, sonde_context *context, uint64_t trace)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    sonde_span *span;

    sonde_counters_read(&c);
    if (c.spans_started != 0)
        return 1;
    span = sonde_span_start("child.of.active", NULL);
    if (sonde_span_trace_id_low(span) != trace)
        return 2;
    sonde_span_finish(span);
    span = sonde_span_start("child.of.context", &(sonde_span_options){ .context = context });
    if (sonde_span_trace_id_low(span) != trace)
        return 3;
    sonde_span_finish(span);
    span = sonde_span_start("new", &(sonde_span_options){ .new_trace = 1 });
    if (sonde_span_trace_id_low(span) == trace)
        return 4;
    sonde_span_finish(span);
    sonde_span_set_str(inherited, "k", "v");
    sonde_span_finish(inherited); /* the parent's to send */
    if (sonde_flush(60000) != SONDE_OK)
        return 5;
    sonde_counters_read(&c);
    if (c.spans_started != 3 || c.spans_delivered != 3)
        return 6;
    if (c.spans_finished != 3 || c.spans_open != 0 || c.spans_queued != 0)
        return 7; /* the inherited span was counted here */
    sonde_stop();
    return 0;
}

static void test_a_forked_child_traces_on_by_itself(void **state)
{
    fake_agent *agent;
    sonde_span *active, *done;
    sonde_context *context;
    sonde_counters c = { .struct_bytes = sizeof(c) };
    int status, i;
    pid_t pid;

    (void)state;
    need_threads_after_fork();
    agent = fake_agent_open(NULL);
    begin(fake_agent_url(agent));
    settle_before_fork();
    active = sonde_span_enter("active", NULL);
    context = sonde_context_current();
    done = sonde_span_start("done", NULL);
    sonde_span_finish(done);
    for (i = 0; i < 3; i++) { /* the parent's queue and payload are not empty */
        sonde_span *other = sonde_span_start("queued", &(sonde_span_options){ .new_trace = 1 });

        sonde_span_finish(other);
    }
    pid = fork();
    if (pid == 0)
        _exit(child_of_fork(active, context, sonde_span_trace_id_low(active)));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sonde_context_release(context);
    sonde_span_leave(active);
    assert_status(sonde_flush(60000), SONDE_OK);
    sonde_stop();
    sonde_counters_read(&c);
    assert_int_equal(c.spans_delivered, 5);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 5 + 3);
    fake_agent_close(agent);
}

static _Atomic int forks_failed;

static void *fork_often(void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < 20; i++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
            {
                SONDE_SPAN(span, "in.child");
            }
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            atomic_fetch_add(&forks_failed, 1);
    }
    return NULL;
}

static _Atomic int stop_tracing;

static void *trace_on(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop_tracing)) {
        SONDE_SPAN(root, "busy");
        SONDE_SPAN(child, "busy.child");

        sonde_span_set_str(child, "k", "v");
    }
    return NULL;
}

static void test_forking_among_busy_threads_never_hangs(void **state)
{
    fake_agent *agent;
    pthread_t busy[2], forker;

    (void)state;
    need_threads_after_fork();
    agent = fake_agent_open(NULL);
    begin(fake_agent_url(agent));
    assert_int_equal(pthread_create(&busy[0], NULL, trace_on, NULL), 0);
    assert_int_equal(pthread_create(&busy[1], NULL, trace_on, NULL), 0);
    assert_int_equal(pthread_create(&forker, NULL, fork_often, NULL), 0);
    assert_int_equal(pthread_join(forker, NULL), 0);
    atomic_store(&stop_tracing, 1);
    assert_int_equal(pthread_join(busy[0], NULL), 0);
    assert_int_equal(pthread_join(busy[1], NULL), 0);
    assert_int_equal(atomic_load(&forks_failed), 0);
    sonde_stop();
    fake_agent_close(agent);
}

/* -- threads -------------------------------------------------------------------------------------- */

static void *short_life(void *context)
{
    SONDE_ATTACH((sonde_context *)context);
    SONDE_SPAN(outer, "thread");
    SONDE_SPAN(inner, "thread.inner");

    sonde_span_set_int(inner, "n", 1);
    return NULL;
}

static void test_ten_thousand_threads_leave_nothing_behind(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_counters start_at = { .struct_bytes = sizeof(start_at) };
    sonde_counters c = { .struct_bytes = sizeof(c) };
    sonde_context *context;
    sonde_span *root;
    pthread_t thread[100];
    int round, i;

    (void)state;
    sonde_counters_read(&start_at);
    begin(fake_agent_url(agent));
    root = sonde_span_start("storm", NULL);
    context = sonde_context_of_span(root);
    for (round = 0; round < 100; round++) {
        for (i = 0; i < 100; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, short_life, context), 0);
        for (i = 0; i < 100; i++)
            assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    sonde_context_release(context);
    sonde_span_finish(root);
    assert_status(sonde_flush(60000), SONDE_OK);
    sonde_stop();
    sonde_counters_read(&c);
    assert_int_equal(c.spans_started - start_at.spans_started, 20001);
    assert_int_equal(c.spans_open, start_at.spans_open);
    assert_int_equal(c.threads_refused, start_at.threads_refused);
    assert_int_equal(c.spans_delivered - start_at.spans_delivered, 20001);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 20001);
    fake_agent_close(agent);
}

/* One trace worked on by several threads at once: parents finish while children start elsewhere. */
static void *grow(void *context)
{
    int i;

    for (i = 0; i < 2000; i++) {
        sonde_span *span = sonde_span_start("grown", &(sonde_span_options){ .context = context });
        sonde_context *deeper = sonde_context_of_span(span);
        sonde_span *below;

        sonde_span_finish(span);
        below = sonde_span_start("below", &(sonde_span_options){ .context = deeper });
        sonde_context_release(deeper);
        sonde_span_finish(below);
    }
    return NULL;
}

static void test_threads_that_share_a_trace_lose_nothing(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_counters start_at = { .struct_bytes = sizeof(start_at) };
    sonde_counters c = { .struct_bytes = sizeof(c) };
    sonde_context *context;
    sonde_span *root;
    pthread_t thread[4];
    uint64_t lost = 0;
    uint32_t i;

    (void)state;
    sonde_counters_read(&start_at);
    begin(fake_agent_url(agent));
    root = sonde_span_start("shared", NULL);
    context = sonde_context_of_span(root);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, grow, context), 0);
    sonde_span_finish(root);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    sonde_context_release(context);
    assert_status(sonde_flush(60000), SONDE_OK);
    sonde_stop();
    sonde_counters_read(&c);
    for (i = 0; i < c.drops; i++)
        lost += c.spans_dropped[i] - start_at.spans_dropped[i];
    assert_int_equal(c.spans_started - start_at.spans_started, 16001);
    assert_int_equal(c.spans_queued, 0);
    assert_int_equal(c.spans_delivered - start_at.spans_delivered + lost, 16001);
    assert_int_equal(fake_agent_counts(agent).taken_spans,
                     c.spans_delivered - start_at.spans_delivered);
    fake_agent_close(agent);
}

static void test_the_shared_object_can_be_opened_later_and_stays(void **state)
{
    void *library = dlopen(SONDE_TRACE_SO, RTLD_NOW | RTLD_LOCAL);
    const char *(*version)(void);

    (void)state;
    if (!library)
        fail_msg("%s", dlerror());
    *(void **)&version = dlsym(library, "sonde_version");
    assert_non_null(version);
    assert_string_equal(version(), sonde_version());
    assert_int_equal(dlclose(library), 0);
    assert_string_equal(version(), sonde_version()); /* it was not unmapped */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forked_child_traces_on_by_itself),
        cmocka_unit_test(test_exit_without_stop_sends_what_is_finished),
        cmocka_unit_test(test_exec_with_open_spans_starts_afresh),
        cmocka_unit_test(test_ten_thousand_threads_leave_nothing_behind),
        cmocka_unit_test(test_threads_that_share_a_trace_lose_nothing),
        cmocka_unit_test(test_forking_among_busy_threads_never_hangs),
        cmocka_unit_test(test_the_shared_object_can_be_opened_later_and_stays),
    };
    size_t i;

    self = argv[0];
    for (i = 0; i < COUNT_OF(parts) && argc == 3; i++)
        if (strcmp(argv[1], parts[i].name) == 0)
            return parts[i].run(argv[2]);
    return cmocka_run_group_tests_name("trace_life", tests, NULL, NULL);
}
