/* test_limiter.c - base/limiter.h */
#include "support/test.h"

#include <math.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/limiter.h"

#define START_NS (5 * (uint64_t)SONDE_NS_PER_S) /* as soon after boot as that */

/* How many of `asked` questions, `every_ns` apart, pass. */
static uint32_t passes(sonde_limiter *l, uint64_t from_ns, uint64_t every_ns, uint32_t asked)
{
    uint32_t n = 0;
    uint32_t i;

    for (i = 0; i < asked; i++)
        n += sonde_limiter_pass(l, from_ns + i * every_ns);
    return n;
}

static void test_a_full_bucket_gives_what_a_second_brings(void **state)
{
    static const struct {
        double per_second;
        uint32_t at_once;      /* of 1 000 asked at one time */
        uint32_t in_ten_later; /* of 10 000 asked a millisecond apart after that */
    } cases[] = {
        { 100, 100, 1000 }, { 1, 1, 10 }, { 2.5, 2, 25 },        { 0.2, 1, 2 },
        { 0, 0, 0 },        { -1, 0, 0 }, { 1e12, 1000, 10000 }, { 1000, 1000, 10000 },
        { 1e-300, 1, 0 },   { 3, 3, 30 }, { (double)NAN, 0, 0 }, { (double)INFINITY, 1000, 10000 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_limiter l;
        uint32_t at_once, later;

        sonde_limiter_init(&l, cases[i].per_second);
        at_once = passes(&l, START_NS, 0, 1000);
        later = passes(&l, START_NS + SONDE_NS_PER_MS, SONDE_NS_PER_MS, 10000);
        if (at_once != cases[i].at_once || later != cases[i].in_ten_later)
            fail_msg("%g a second: %u at once, %u later", cases[i].per_second, at_once, later);
    }
}

static void test_saved_tokens_end_at_a_second(void **state)
{
    sonde_limiter l;

    (void)state;
    sonde_limiter_init(&l, 10);
    assert_int_equal(passes(&l, START_NS, 0, 100), 10);
    assert_int_equal(passes(&l, 3600 * (uint64_t)SONDE_NS_PER_S, 0, 100), 10);
}

static void test_the_ratio_covers_this_second_and_the_last(void **state)
{
    sonde_limiter l;

    (void)state;
    sonde_limiter_init(&l, 10);
    assert_true(sonde_limiter_ratio(&l) == 1);
    assert_int_equal(passes(&l, START_NS, 0, 20), 10);
    assert_true(sonde_limiter_ratio(&l) == 0.5);
    assert_int_equal(passes(&l, START_NS + SONDE_NS_PER_S, 0, 5), 5);
    assert_true(sonde_limiter_ratio(&l) == 15.0 / 25);
    assert_int_equal(passes(&l, START_NS + 2 * (uint64_t)SONDE_NS_PER_S, 0, 5), 5);
    assert_true(sonde_limiter_ratio(&l) == 1);
    assert_int_equal(passes(&l, START_NS, 0, 1), 0); /* a clock read earlier */
    assert_true(sonde_limiter_ratio(&l) == 10.0 / 11);
    assert_int_equal(passes(&l, START_NS + 60 * (uint64_t)SONDE_NS_PER_S, 0, 1), 1);
    assert_true(sonde_limiter_ratio(&l) == 1);
}

static void test_the_ratio_stops_counting_at_its_ceiling(void **state)
{
    sonde_limiter l;

    (void)state;
    sonde_limiter_init(&l, 1);
    assert_int_equal(passes(&l, START_NS, 0, (1u << 20) + 10), 1);
    assert_true(sonde_limiter_ratio(&l) == 1.0 / ((1u << 20) - 1));
}

static sonde_limiter shared;

static void *ask(void *user)
{
    uint32_t *n = (uint32_t *)user;

    *n = passes(&shared, START_NS, 0, 50000);
    return NULL;
}

static void test_threads_share_the_tokens(void **state)
{
    pthread_t threads[4];
    uint32_t n[4] = { 0 };
    int i;

    (void)state;
    sonde_limiter_init(&shared, 12345);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &n[i]), 0);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_in_range(n[0] + n[1] + n[2] + n[3], 12345,
                    12346); /* the interval is whole nanoseconds */
    assert_true(fabs(sonde_limiter_ratio(&shared) - 12345.0 / 200000) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_bucket_gives_what_a_second_brings),
        cmocka_unit_test(test_saved_tokens_end_at_a_second),
        cmocka_unit_test(test_the_ratio_covers_this_second_and_the_last),
        cmocka_unit_test(test_the_ratio_stops_counting_at_its_ceiling),
        cmocka_unit_test(test_threads_share_the_tokens),
    };

    return cmocka_run_group_tests_name("limiter", tests, NULL, NULL);
}
