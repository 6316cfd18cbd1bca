/* test_waiting.c - the line of payloads that wait, with a queue that takes them when the test says so. */
#include "agent/receiver/waiting.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define GUESTS_MAX 8

static struct {
    _Atomic int status; /* what the queue says */
    _Atomic size_t settled;
    uint64_t spans[GUESTS_MAX]; /* who was settled, in order */
    sonde_status statuses[GUESTS_MAX];
} f;

static sonde_status offer(const arrival *a)
{
    (void)a;
    return (sonde_status)atomic_load(&f.status);
}

static void settle(arrival *a, sonde_status status)
{
    size_t n = atomic_load(&f.settled);

    f.spans[n] = a->tally.spans;
    f.statuses[n] = status;
    atomic_store(&f.settled, n + 1);
}

static int setup(void **state)
{
    (void)state;
    atomic_store(&f.status, SONDE_ERR_FULL);
    atomic_store(&f.settled, 0);
    return 0;
}

static waiting_room *open_with(size_t max_bytes)
{
    waiting_room *w = NULL;

    assert_status(
        waiting_open(&(waiting_options){ .offer = offer, .settle = settle, .max_bytes = max_bytes },
                     &w),
        SONDE_OK);
    return w;
}

/* Told apart by its spans. */
static bool enter(waiting_room *w, uint64_t spans, size_t bytes, uint64_t deadline_mono_ns)
{
    const arrival a = { .said = { .charged_bytes = bytes }, .tally = { .spans = spans } };

    return waiting_enter(w, &a, deadline_mono_ns);
}

static void await_settled(size_t count)
{
    while (atomic_load(&f.settled) < count)
        (void)usleep(1000);
}

static void they_are_taken_in_the_order_they_came(void **state)
{
    waiting_room *w = open_with(100);

    (void)state;
    assert_false(waiting_has_line(w));
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(enter(w, i, 10, UINT64_MAX));
    assert_true(waiting_has_line(w));
    assert_int_equal(waiting_count(w), 3);
    assert_int_equal(atomic_load(&f.settled), 0);
    atomic_store(&f.status, SONDE_OK);
    await_settled(3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(f.spans[i], i + 1);
        assert_int_equal(f.statuses[i], SONDE_OK);
    }
    waiting_close(w);
}

static void who_is_late_is_told_that_it_was_full(void **state)
{
    waiting_room *w = open_with(100);

    (void)state;
    assert_true(enter(w, 1, 10, sonde_mono_ns()));
    await_settled(1);
    assert_int_equal(f.statuses[0], SONDE_ERR_FULL);
    while (waiting_has_line(w))
        (void)usleep(1000);
    assert_true(enter(w, 2, 10, UINT64_MAX)); /* the room is as good as new */
    atomic_store(&f.status, SONDE_OK);
    await_settled(2);
    waiting_close(w);
}

static void the_room_is_bounded_in_bytes(void **state)
{
    waiting_room *w = open_with(100);

    (void)state;
    assert_true(enter(w, 1, 60, UINT64_MAX));
    assert_false(enter(w, 2, 41, UINT64_MAX));
    assert_true(enter(w, 3, 40, UINT64_MAX));
    assert_false(enter(w, 4, 1, UINT64_MAX));
    atomic_store(&f.status, SONDE_OK);
    await_settled(2);
    waiting_close(w);
    assert_int_equal(atomic_load(&f.settled), 2);
}

static void a_large_one_waits_when_it_is_alone(void **state)
{
    waiting_room *w = open_with(100);

    (void)state;
    assert_true(enter(w, 1, 1000, UINT64_MAX));
    assert_false(enter(w, 2, 1, UINT64_MAX));
    atomic_store(&f.status, SONDE_OK);
    await_settled(1);
    waiting_close(w);
}

static void closing_settles_everybody(void **state)
{
    waiting_room *w = open_with(100);

    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(enter(w, i, 10, UINT64_MAX));
    waiting_close(w);
    assert_int_equal(atomic_load(&f.settled), 3);
    assert_int_equal(f.statuses[2], SONDE_ERR_FULL);
}

static void without_a_room_nobody_waits(void **state)
{
    (void)state;
    assert_false(waiting_has_line(NULL));
    assert_int_equal(waiting_count(NULL), 0);
    assert_false(enter(NULL, 1, 1, UINT64_MAX));
    waiting_close(NULL);
}

static sonde_status open_enter_close(void *user)
{
    waiting_room *w = NULL;
    sonde_status status =
        waiting_open(&(waiting_options){ .offer = offer, .settle = settle, .max_bytes = 10 }, &w);

    (void)user;
    if (status == SONDE_OK && !enter(w, 1, 1, UINT64_MAX))
        status = SONDE_ERR_NOMEM;
    waiting_close(w);
    atomic_store(&f.settled, 0);
    return status;
}

static void it_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(open_enter_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(they_are_taken_in_the_order_they_came, setup),
        cmocka_unit_test_setup(who_is_late_is_told_that_it_was_full, setup),
        cmocka_unit_test_setup(the_room_is_bounded_in_bytes, setup),
        cmocka_unit_test_setup(a_large_one_waits_when_it_is_alone, setup),
        cmocka_unit_test_setup(closing_settles_everybody, setup),
        cmocka_unit_test_setup(without_a_room_nobody_waits, setup),
        cmocka_unit_test_setup(it_copes_without_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
