/* test_counter.c - base/counter.h */
#include "support/test.h"

#include <pthread.h>

#include "base/counter.h"
#include "base/thread.h"

enum { THREADS = 4, ADDS = 50000 };

static sonde_counter shared;

static void *add_many(void *arg)
{
    int i;

    (void)arg;
    for (i = 0; i < ADDS; i++)
        sonde_counter_add(&shared, 3);
    return NULL;
}

static void test_counter_loses_nothing_between_threads(void **state)
{
    pthread_t threads[THREADS];
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_status(sonde_thread_start(&threads[i], "test-count", 0, add_many, NULL), SONDE_OK);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    assert_int_equal(sonde_counter_read(&shared), (uint64_t)THREADS * ADDS * 3);
}

static void *tell_shard(void *arg)
{
    *(unsigned *)arg = sonde_counter_shard();
    return NULL;
}

static void test_counter_deals_threads_over_all_shards(void **state)
{
    unsigned seen = 0;
    int i;

    (void)state;
    for (i = 0; i < SONDE_COUNTER_SHARDS; i++) {
        pthread_t thread;
        unsigned shard = 99;

        assert_status(sonde_thread_start(&thread, "test-shard", 0, tell_shard, &shard), SONDE_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(shard < SONDE_COUNTER_SHARDS);
        seen |= 1u << shard;
    }

    assert_int_equal(seen, (1u << SONDE_COUNTER_SHARDS) - 1);
    assert_int_equal(sonde_counter_shard(), sonde_counter_shard());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_loses_nothing_between_threads),
        cmocka_unit_test(test_counter_deals_threads_over_all_shards),
    };

    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
