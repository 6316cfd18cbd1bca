/* A fork and a look-up of a name wait for each other, within bounds. */
#include "support/test.h"

#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "net/socket.h"
#include "profiler/src/resolver.h"

#define LONG_MS 600000

static _Atomic bool is_inside, may_return, has_returned;

/* libc's, for this program: it takes as long as the test wants. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)name, (void)service, (void)hints, (void)out;
    atomic_store(&is_inside, true);
    while (!atomic_load(&may_return))
        (void)sched_yield();
    atomic_store(&has_returned, true);
    return EAI_AGAIN;
}

static void *look_up(void *arg)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = 8126 };

    memcpy(url.host, "agent.example", sizeof("agent.example"));
    if (sonde_resolve(&url) == SONDE_OK)
        return arg;
    return NULL;
}

static pthread_t launch(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, look_up, &is_inside), 0);
    return thread;
}

static void wait_for(const _Atomic bool *what)
{
    while (!atomic_load(what))
        (void)sched_yield();
}

static int set_up(void **state)
{
    (void)state;
    sonde_prof__resolver_prepare();
    atomic_store(&is_inside, false);
    atomic_store(&may_return, false);
    atomic_store(&has_returned, false);
    return 0;
}

static void *let_it_return(void *arg)
{
    int i;

    for (i = 0; i < 1000; i++)
        (void)sched_yield();
    atomic_store(&may_return, true);
    return arg;
}

static void test_a_fork_waits_for_a_look_up(void **state)
{
    pthread_t thread = launch(), other;

    (void)state;
    wait_for(&is_inside);
    assert_int_equal(pthread_create(&other, NULL, let_it_return, NULL), 0);
    sonde_prof__resolver_prefork(LONG_MS);
    assert_true(atomic_load(&has_returned));
    sonde_prof__resolver_postfork_parent();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
}

static void test_a_look_up_waits_for_a_fork(void **state)
{
    pthread_t thread;
    int i;

    (void)state;
    atomic_store(&may_return, true);
    sonde_prof__resolver_prefork(LONG_MS);
    thread = launch();
    for (i = 0; i < 1000; i++)
        (void)sched_yield();
    assert_false(atomic_load(&is_inside));
    sonde_prof__resolver_postfork_parent();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&has_returned));
}

static void test_a_long_look_up_is_waited_for_once(void **state)
{
    pthread_t thread = launch(), second;
    int i;

    (void)state;
    wait_for(&is_inside);
    sonde_prof__resolver_prefork(1);
    sonde_prof__resolver_postfork_parent(); /* what it did not get it does not give */
    sonde_prof__resolver_prefork(UINT32_MAX);
    sonde_prof__resolver_postfork_parent();
    atomic_store(&is_inside, false);
    second = launch();
    for (i = 0; i < 1000; i++)
        (void)sched_yield();
    assert_false(atomic_load(&is_inside));
    assert_false(atomic_load(&has_returned));
    atomic_store(&may_return, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_join(second, NULL), 0);
    sonde_prof__resolver_prefork(0);
    sonde_prof__resolver_postfork_child();
    atomic_store(&is_inside, false);
    thread = launch(); /* a child's first */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&is_inside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_fork_waits_for_a_look_up, set_up),
        cmocka_unit_test_setup(test_a_look_up_waits_for_a_fork, set_up),
        cmocka_unit_test_setup(test_a_long_look_up_is_waited_for_once, set_up),
    };

    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
