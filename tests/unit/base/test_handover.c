/* test_handover.c - base/handover.h */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>

#include "base/handover.h"
#include "base/thread.h"

enum { PRODUCERS = 4, ITEMS = 20000 };

typedef struct item {
    sonde_handover_link link;
    int producer;
    int number;
} item;

static sonde_handover shared;
static item items[PRODUCERS][ITEMS];
static _Atomic int producers_left = PRODUCERS;
static _Atomic unsigned wakeups;

static void *produce(void *arg)
{
    item *mine = (item *)arg;
    int i;

    for (i = 0; i < ITEMS; i++) {
        mine[i].number = i;
        if (sonde_handover_push(&shared, &mine[i].link))
            atomic_fetch_add_explicit(&wakeups, 1, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&producers_left, 1,
                              memory_order_release); /* pairs with the consumer */
    return NULL;
}

static void test_handover_keeps_every_item_in_its_producers_order(void **state)
{
    pthread_t threads[PRODUCERS];
    int next[PRODUCERS] = { 0 };
    unsigned batches = 0;
    bool last;
    int p;

    (void)state;
    for (p = 0; p < PRODUCERS; p++) {
        int i;

        for (i = 0; i < ITEMS; i++)
            items[p][i].producer = p;
        assert_status(sonde_thread_start(&threads[p], "test-push", 0, produce, items[p]), SONDE_OK);
    }
    do {
        sonde_handover_link *list;

        /* pairs with produce() */
        last = atomic_load_explicit(&producers_left, memory_order_acquire) == 0;
        list = sonde_handover_reverse(sonde_handover_take_all(&shared));
        batches += list != NULL;
        for (; list; list = list->next) {
            item *it = (item *)list; /* the link is the first member */

            if (it->number != next[it->producer]++)
                fail_msg("producer %d: item %d out of order", it->producer, it->number);
        }
        (void)sched_yield();
    } while (!last);
    for (p = 0; p < PRODUCERS; p++) {
        assert_int_equal(pthread_join(threads[p], NULL), 0);
        assert_int_equal(next[p], ITEMS);
    }
    assert_int_equal(atomic_load(&wakeups), batches); /* one push per batch found the list empty */
}

static void test_handover_tells_when_the_list_was_empty(void **state)
{
    sonde_handover h = { 0 };
    sonde_handover_link a, b;

    (void)state;
    assert_null(sonde_handover_take_all(&h));
    assert_true(sonde_handover_push(&h, &a));
    assert_false(sonde_handover_push(&h, &b));
    assert_ptr_equal(sonde_handover_take_all(&h), &b); /* newest first */
    assert_true(sonde_handover_push(&h, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handover_keeps_every_item_in_its_producers_order),
        cmocka_unit_test(test_handover_tells_when_the_list_was_empty),
    };

    return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
