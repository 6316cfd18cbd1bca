/* A fork and a look-up of a name wait for each other, within bounds. */
#include "support/test.h"

#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "net/look_ups.h"
#include "net/socket.h"

static _Atomic bool is_inside, may_return, is_over;
static _Atomic unsigned pauses, release_at;

static void wait_for(const _Atomic bool *what)
{
    while (!atomic_load(what))
        (void)sched_yield();
}

/* libc's, for this program: it takes as long as the test wants. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)name, (void)service, (void)hints, (void)out;
    atomic_store(&is_inside, true);
    wait_for(&may_return);
    return EAI_AGAIN;
}

/* The same: no time passes, and with the pause `release_at` the look-up is over. */
int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time, (void)left;
    if (atomic_fetch_add(&pauses, 1) + 1 == atomic_load(&release_at)) {
        atomic_store(&may_return, true);
        wait_for(&is_over);
    }
    (void)sched_yield();
    return 0;
}

static void *look_up(void *arg)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = 8126 };

    memcpy(url.host, "agent.example", sizeof("agent.example"));
    if (sonde_resolve(&url) == SONDE_OK)
        return arg;
    atomic_store(&is_over, true);
    return NULL;
}

static pthread_t launch(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, look_up, &is_inside), 0);
    return thread;
}

static void end(pthread_t thread)
{
    void *failed;

    atomic_store(&may_return, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static unsigned pauses_of_fork(void)
{
    atomic_store(&pauses, 0);
    sonde_look_ups_prefork();
    sonde_look_ups_postfork_parent();
    return atomic_load(&pauses);
}

static int set_up(void **state)
{
    (void)state;
    atomic_store(&is_inside, false);
    atomic_store(&may_return, false);
    atomic_store(&is_over, false);
    atomic_store(&pauses, 0);
    atomic_store(&release_at, 0);
    return 0;
}

static void test_a_fork_waits_for_a_look_up(void **state)
{
    pthread_t thread = launch();

    (void)state;
    wait_for(&is_inside);
    atomic_store(&release_at, 3);
    assert_int_equal(pauses_of_fork(), 3);
    end(thread);
    assert_int_equal(pauses_of_fork(), 0);
}

static void test_a_look_up_waits_for_a_fork(void **state)
{
    pthread_t thread;

    (void)state;
    sonde_look_ups_prefork();
    thread = launch();
    while (atomic_load(&pauses) < 10)
        (void)sched_yield();
    assert_false(atomic_load(&is_inside));
    sonde_look_ups_postfork_parent();
    wait_for(&is_inside);
    end(thread);
}

static void test_a_long_look_up_is_waited_for_once(void **state)
{
    pthread_t first = launch(), second;

    (void)state;
    wait_for(&is_inside);
    assert_int_equal(pauses_of_fork(), SONDE_LOOK_UP_FORK_MS);
    assert_int_equal(pauses_of_fork(), 0);
    atomic_store(&is_inside, false);
    second = launch();
    wait_for(&is_inside);
    assert_int_equal(pauses_of_fork(), SONDE_LOOK_UP_FORK_MS);
    end(first);
    end(second);
}

static void test_a_long_fork_is_waited_for_a_second(void **state)
{
    pthread_t thread;

    (void)state;
    sonde_look_ups_prefork();
    thread = launch();
    wait_for(&is_inside);
    assert_int_equal(atomic_load(&pauses), SONDE_LOOK_UP_WAIT_MS);
    sonde_look_ups_postfork_parent();
    end(thread);
}

static void test_a_child_has_neither(void **state)
{
    pthread_t thread = launch(), childs;

    (void)state;
    wait_for(&is_inside);
    sonde_look_ups_prefork();
    sonde_look_ups_postfork_child(); /* the thread is not there any more */
    assert_int_equal(pauses_of_fork(), 0);
    atomic_store(&is_inside, false);
    atomic_store(&pauses, 0);
    childs = launch();
    wait_for(&is_inside);
    assert_int_equal(atomic_load(&pauses), 0);
    end(thread);
    end(childs);
    sonde_look_ups_postfork_child(); /* one that is not there has ended twice */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_fork_waits_for_a_look_up, set_up),
        cmocka_unit_test_setup(test_a_look_up_waits_for_a_fork, set_up),
        cmocka_unit_test_setup(test_a_long_look_up_is_waited_for_once, set_up),
        cmocka_unit_test_setup(test_a_long_fork_is_waited_for_a_second, set_up),
        cmocka_unit_test_setup(test_a_child_has_neither, set_up),
    };

    return cmocka_run_group_tests_name("look_ups", tests, NULL, NULL);
}
