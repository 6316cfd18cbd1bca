/* test_thread.c - base/thread.h, and the failing system calls of the test support. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/thread.h"
#include "support/sys_fail.h"

typedef struct report {
    sigset_t blocked;
    size_t stack_bytes;
} report;

static void *look_around(void *arg)
{
    report *r = (report *)arg;
    pthread_attr_t attr;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &r->blocked);
    (void)pthread_getattr_np(pthread_self(), &attr);
    (void)pthread_attr_getstacksize(&attr, &r->stack_bytes);
    (void)pthread_attr_destroy(&attr);
    return r;
}

static void test_thread_has_the_hosts_signals_blocked_and_faults_open(void **state)
{
    static const int blocked[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPROF, SIGPIPE, SIGUSR1 };
    static const int open[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    sigset_t before, after;
    report r = { 0 };
    pthread_t thread;
    void *result;
    size_t i;

    (void)state;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_status(sonde_thread_start(&thread, "test-thread", 0, look_around, &r), SONDE_OK);
    assert_int_equal(pthread_join(thread, &result), 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);

    assert_ptr_equal(result, &r);
    for (i = 0; i < COUNT_OF(blocked); i++)
        assert_int_equal(sigismember(&r.blocked, blocked[i]), 1);
    for (i = 0; i < COUNT_OF(open); i++)
        assert_int_equal(sigismember(&r.blocked, open[i]), 0);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    assert_true(r.stack_bytes >= 256 * 1024 && r.stack_bytes < 1024 * 1024);
}

static void *wait_for_go(void *arg)
{
    (void)pthread_mutex_lock((pthread_mutex_t *)arg);
    (void)pthread_mutex_unlock((pthread_mutex_t *)arg);
    return NULL;
}

static void test_thread_carries_its_name(void **state)
{
    pthread_mutex_t go = PTHREAD_MUTEX_INITIALIZER;
    char name[16] = "";
    pthread_t thread;

    (void)state;
    (void)pthread_mutex_lock(&go);
    assert_status(sonde_thread_start(&thread, "sonde-flush", 0, wait_for_go, &go), SONDE_OK);
    assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
    (void)pthread_mutex_unlock(&go);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(name, "sonde-flush");
}

static void test_thread_start_reports_what_fails(void **state)
{
    pthread_t thread;

    (void)state;
    assert_status(sonde_thread_start(&thread, "x", 1, look_around, NULL), SONDE_ERR_INVALID);
    sys_fail_clear();
    sys_fail(SYS_FAIL_PTHREAD_CREATE, 1, EAGAIN);
    assert_status(sonde_thread_start(&thread, "x", 0, look_around, NULL), SONDE_ERR_SYS);
    assert_int_equal(sys_fail_count(SYS_FAIL_PTHREAD_CREATE), 1);
    sys_fail_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_has_the_hosts_signals_blocked_and_faults_open),
        cmocka_unit_test(test_thread_carries_its_name),
        cmocka_unit_test(test_thread_start_reports_what_fails),
    };

    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
