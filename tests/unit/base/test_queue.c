/* test_queue.c - base/queue.h
 *
 * Property   accepted == popped + len, refusals counted by reason, order kept per producer. */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "support/alloc_fail.h"

#define FOREVER UINT64_MAX

static void drain(sonde_queue *q)
{
    size_t bytes;
    void *item;

    while (sonde_queue_pop(q, 0, &item, &bytes) == SONDE_OK)
        ;
}

static void test_queue_is_first_in_first_out(void **state)
{
    int items[5], i;
    sonde_queue q;

    (void)state;
    assert_status(sonde_queue_init(&q, 3, 100), SONDE_OK);
    for (i = 0; i < 5; i++) { /* wraps round the ring */
        void *item = NULL;
        size_t bytes = 0;

        assert_status(sonde_queue_push(&q, &items[i], (size_t)i), SONDE_OK);
        if (i < 2)
            continue;
        assert_status(sonde_queue_pop(&q, 0, &item, &bytes), SONDE_OK);
        assert_ptr_equal(item, &items[i - 2]);
        assert_int_equal(bytes, i - 2);
    }
    drain(&q);
    sonde_queue_done(&q);
}

static void test_queue_refuses_by_reason_and_counts_it(void **state)
{
    sonde_queue_stats stats;
    sonde_queue q;
    int item;

    (void)state;
    assert_status(sonde_queue_init(&q, 3, 10), SONDE_OK);
    assert_status(sonde_queue_push(&q, &item, 11), SONDE_ERR_TOO_BIG);
    assert_status(sonde_queue_push(&q, &item, 6), SONDE_OK);
    assert_status(sonde_queue_push(&q, &item, 5), SONDE_ERR_FULL); /* bytes */
    assert_status(sonde_queue_push(&q, &item, 4), SONDE_OK);
    assert_status(sonde_queue_push(&q, &item, 0), SONDE_OK);
    assert_status(sonde_queue_push(&q, &item, 0), SONDE_ERR_FULL); /* items */
    assert_status(sonde_queue_push_wait(&q, &item, 0, 0), SONDE_ERR_TIMEOUT);
    sonde_queue_close(&q);
    assert_status(sonde_queue_push(&q, &item, 0), SONDE_ERR_CLOSED);

    stats = sonde_queue_read_stats(&q);
    assert_int_equal(stats.accepted, 3);
    assert_int_equal(stats.popped, 0);
    assert_int_equal(stats.len, 3);
    assert_int_equal(stats.bytes, 10);
    assert_int_equal(stats.refused_full, 3);
    assert_int_equal(stats.refused_too_big, 1);
    assert_int_equal(stats.refused_closed, 1);
    drain(&q);
    sonde_queue_done(&q);
}

static void test_queue_pop_says_whether_more_can_come(void **state)
{
    sonde_queue q;
    int item;
    void *out = &q;
    size_t bytes = 77;

    (void)state;
    assert_status(sonde_queue_init(&q, 2, 10), SONDE_OK);
    assert_status(sonde_queue_pop(&q, 0, &out, &bytes), SONDE_ERR_TIMEOUT);
    assert_ptr_equal(out, &q);
    assert_int_equal(bytes, 77);
    assert_status(sonde_queue_push(&q, &item, 1), SONDE_OK);
    sonde_queue_close(&q);
    assert_status(sonde_queue_pop(&q, FOREVER, &out, &bytes), SONDE_OK); /* what is queued stays */
    assert_status(sonde_queue_pop(&q, FOREVER, &out, &bytes), SONDE_ERR_CLOSED);
    sonde_queue_done(&q);
}

static void test_queue_refuses_a_size_of_nothing(void **state)
{
    sonde_queue q;

    (void)state;
    assert_status(sonde_queue_init(&q, 0, 10), SONDE_ERR_INVALID);
    assert_status(sonde_queue_init(&q, SIZE_MAX / 2, 10), SONDE_ERR_NOMEM);
}

static sonde_status open_and_close(void *user)
{
    sonde_queue q = { 0 };
    sonde_status status = sonde_queue_init(&q, 8, 8);

    (void)user;
    sonde_queue_done(&q); /* copes with a queue that was not initialised */
    return status;
}

static void test_queue_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(open_and_close, NULL);
}

enum { PRODUCERS = 4, CONSUMERS = 2, ITEMS = 5000 };

typedef struct parcel {
    int producer;
    int number;
} parcel;

static sonde_queue shared;
static parcel parcels[PRODUCERS][ITEMS];
static _Atomic int taken[PRODUCERS][ITEMS];
static _Atomic int pushed, refused, disorder, popped;

static void *produce(void *arg)
{
    parcel *mine = (parcel *)arg;
    int i;

    for (i = 0; i < ITEMS; i++) {
        /* every other one may be refused */
        sonde_status status = i % 2 ? sonde_queue_push(&shared, &mine[i], 3)
                                    : sonde_queue_push_wait(&shared, &mine[i], 3, FOREVER);

        atomic_fetch_add(status == SONDE_OK ? &pushed : &refused, 1);
    }
    return NULL;
}

static void *consume(void *arg)
{
    int last[PRODUCERS] = { -1, -1, -1, -1 };
    size_t bytes;
    void *item;

    (void)arg;
    while (sonde_queue_pop(&shared, FOREVER, &item, &bytes) == SONDE_OK) {
        parcel *p = (parcel *)item;

        atomic_fetch_add(&popped, 1);
        atomic_fetch_add(&taken[p->producer][p->number], 1);
        if (bytes != 3 || p->number <= last[p->producer])
            atomic_fetch_add(&disorder, 1);
        last[p->producer] = p->number;
    }
    return NULL;
}

static void test_queue_conserves_items_between_threads(void **state)
{
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];
    sonde_queue_stats stats;
    int p, i, twice = 0;

    (void)state;
    assert_status(sonde_queue_init(&shared, 7, 12), SONDE_OK);
    for (i = 0; i < CONSUMERS; i++)
        assert_status(sonde_thread_start(&consumers[i], "test-pop", 0, consume, NULL), SONDE_OK);
    for (p = 0; p < PRODUCERS; p++) {
        for (i = 0; i < ITEMS; i++)
            parcels[p][i] = (parcel){ p, i };
        assert_status(sonde_thread_start(&producers[p], "test-push", 0, produce, parcels[p]),
                      SONDE_OK);
    }
    for (p = 0; p < PRODUCERS; p++)
        assert_int_equal(pthread_join(producers[p], NULL), 0);
    sonde_queue_close(&shared);
    for (i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(consumers[i], NULL), 0);

    stats = sonde_queue_read_stats(&shared);
    assert_int_equal(pushed + refused, PRODUCERS * ITEMS);
    assert_int_equal(stats.accepted, pushed);
    assert_int_equal(stats.refused_full, refused);
    assert_int_equal(stats.popped, popped);
    assert_int_equal(stats.accepted, stats.popped + stats.len);
    assert_int_equal(stats.len + stats.bytes, 0);
    assert_int_equal(disorder, 0);
    for (p = 0; p < PRODUCERS; p++) {
        for (i = 0; i < ITEMS; i++)
            twice += taken[p][i] > 1;
    }
    assert_int_equal(twice, 0);
    sonde_queue_done(&shared);
}

static void *pop_until_closed(void *arg)
{
    size_t bytes;
    void *item;

    *(sonde_status *)arg = sonde_queue_pop(&shared, FOREVER, &item, &bytes);
    return NULL;
}

static void *push_until_closed(void *arg)
{
    *(sonde_status *)arg = sonde_queue_push_wait(&shared, arg, 2, FOREVER);
    return NULL;
}

static void test_queue_close_wakes_whoever_waits(void **state)
{
    enum { ROUNDS = 20 };
    void *(*const waiters[])(void *) = { pop_until_closed, push_until_closed };
    size_t i;

    (void)state;
    for (i = 0; i < ROUNDS * COUNT_OF(waiters); i++) {
        void *(*const waiter)(void *) = waiters[i % COUNT_OF(waiters)];
        sonde_status result = SONDE_OK;
        pthread_t thread;
        int yields;

        assert_status(sonde_queue_init(&shared, 4, 2), SONDE_OK);
        if (waiter == push_until_closed)
            assert_status(sonde_queue_push(&shared, &thread, 1), SONDE_OK);
        assert_status(sonde_thread_start(&thread, "test-wait", 0, waiter, &result), SONDE_OK);
        for (yields = 0; yields < 20; yields++)
            (void)sched_yield(); /* in most rounds the waiter waits by now */
        sonde_queue_close(&shared);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_status(result, SONDE_ERR_CLOSED);
        drain(&shared);
        sonde_queue_done(&shared);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_is_first_in_first_out),
        cmocka_unit_test(test_queue_refuses_by_reason_and_counts_it),
        cmocka_unit_test(test_queue_pop_says_whether_more_can_come),
        cmocka_unit_test(test_queue_refuses_a_size_of_nothing),
        cmocka_unit_test(test_queue_copes_with_failing_allocations),
        cmocka_unit_test(test_queue_conserves_items_between_threads),
        cmocka_unit_test(test_queue_close_wakes_whoever_waits),
    };

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
