/* test_mutex.c - base/mutex.h */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread.h"

enum { THREADS = 4, ROUNDS = 20000 };

static sonde_mutex room = SONDE_MUTEX_INIT(SONDE_RANK_ROOM);
static sonde_mutex queue = SONDE_MUTEX_INIT(SONDE_RANK_QUEUE);
static long total; /* guarded by room */

static void *add_under_lock(void *arg)
{
    int i;

    (void)arg;
    for (i = 0; i < ROUNDS; i++) {
        sonde_mutex_lock(&room);
        total++;
        sonde_mutex_unlock(&room);
    }
    return NULL;
}

static void test_mutex_excludes(void **state)
{
    pthread_t threads[THREADS];
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_status(sonde_thread_start(&threads[i], "test-mutex", 0, add_under_lock, NULL),
                      SONDE_OK);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(total, (long)THREADS * ROUNDS);
}

static void test_mutexes_of_rising_rank_nest_and_leave_in_any_order(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        sonde_mutex_lock(&room);
        sonde_mutex_lock(&queue);
        sonde_mutex_unlock(&room);
        sonde_mutex_unlock(&queue);
    }
}

#ifndef NDEBUG
/* The signal that ended a child running `run`, 0 when it returned. */
static int signal_of(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(quiet, STDERR_FILENO);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

SONDE_NO_TSA static void lock_downwards(void)
{
    sonde_mutex_lock(&queue);
    sonde_mutex_lock(&room);
}

SONDE_NO_TSA static void lock_twice(void)
{
    sonde_mutex_lock(&room);
    sonde_mutex_lock(&room);
}

static void test_debug_builds_abort_when_ranks_do_not_rise(void **state)
{
    (void)state;
    assert_int_equal(signal_of(lock_downwards), SIGABRT);
    assert_int_equal(signal_of(lock_twice), SIGABRT);
}
#endif

static void test_mutex_held_over_a_fork_is_free_after_init_in_the_child(void **state)
{
    int status = -1;
    pid_t pid;

    (void)state;
    sonde_mutex_lock(&room);
    pid = fork();
    if (pid == 0) {
        sonde_mutex_init(&room, SONDE_RANK_ROOM);
        sonde_mutex_lock(&room); /* neither hangs nor counts as held */
        sonde_mutex_unlock(&room);
        _exit(0);
    }
    sonde_mutex_unlock(&room);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_cond_wait_returns_at_a_deadline_that_has_passed(void **state)
{
    pthread_cond_t cond;

    (void)state;
    sonde_cond_init(&cond);
    sonde_mutex_lock(&room);
    sonde_cond_wait_until(&cond, &room, 0);
    sonde_cond_wait_until(&cond, &room, sonde_mono_ns() + 1);
    sonde_mutex_unlock(&room);
    (void)pthread_cond_destroy(&cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutex_excludes),
        cmocka_unit_test(test_mutexes_of_rising_rank_nest_and_leave_in_any_order),
#ifndef NDEBUG
        cmocka_unit_test(test_debug_builds_abort_when_ranks_do_not_rise),
#endif
        cmocka_unit_test(test_mutex_held_over_a_fork_is_free_after_init_in_the_child),
        cmocka_unit_test(test_cond_wait_returns_at_a_deadline_that_has_passed),
    };

    return cmocka_run_group_tests_name("mutex", tests, NULL, NULL);
}
