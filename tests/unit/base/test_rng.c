/* test_rng.c - base/rng.h
 *
 * Source   the first outputs for a known state follow from the published xoshiro256++ 1.0. */
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/thread.h"

static void test_rng_is_xoshiro256plusplus(void **state)
{
    /* From the state 1, 2, 3, 4: rotl(1 + 4, 23) + 1; then by hand through the state change. */
    sonde_rng r = { { 1, 2, 3, 4 } };

    (void)state;
    assert_int_equal(sonde_rng_next(&r), 41943041u);
    assert_int_equal(sonde_rng_next(&r), 58720359u);
    assert_int_equal(sonde_rng_next(&r), 3588806011781223u);
}

static void test_rng_seed_is_repeatable_and_splitmix64(void **state)
{
    sonde_rng a, b;

    (void)state;
    sonde_rng_seed(&a, 0);
    sonde_rng_seed(&b, 0);
    assert_int_equal(a.s[0], 0xe220a8397b1dcdafu); /* first output of splitmix64 from 0 */
    assert_int_equal(sonde_rng_next(&a), sonde_rng_next(&b));
    sonde_rng_seed(&b, 1);
    assert_int_not_equal(sonde_rng_next(&a), sonde_rng_next(&b));
}

static void test_rng_unit_lies_in_zero_to_one(void **state)
{
    sonde_rng r;
    double sum = 0;
    int i;

    (void)state;
    sonde_rng_seed(&r, 7);
    for (i = 0; i < 100000; i++) {
        double v = sonde_rng_unit(&r);

        assert_true(v >= 0 && v < 1);
        sum += v;
    }
    assert_true(sum / 100000 > 0.49 && sum / 100000 < 0.51);
    r = (sonde_rng){ { UINT64_MAX, 0, 0, 0 } };
    assert_true(sonde_rng_unit(&r) < 1);
}

enum { THREADS = 4, NUMBERS = 2000 };

static uint64_t numbers[THREADS * NUMBERS];

static void *draw(void *arg)
{
    uint64_t *to = (uint64_t *)arg;
    int i;

    for (i = 0; i < NUMBERS; i++)
        to[i] = sonde_random_u64();
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void test_threads_draw_different_numbers(void **state)
{
    pthread_t threads[THREADS];
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_status(sonde_thread_start(&threads[i], "test-rng", 0, draw, numbers + i * NUMBERS),
                      SONDE_OK);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(numbers, THREADS * NUMBERS, sizeof(numbers[0]), by_value);
    for (i = 1; i < THREADS * NUMBERS; i++)
        assert_int_not_equal(numbers[i - 1], numbers[i]);
}

static void test_forked_child_draws_different_numbers(void **state)
{
    uint64_t in_child = 0;
    int fds[2];
    pid_t pid;

    (void)state;
    (void)sonde_random_u64(); /* the parent's generator is seeded before it is copied */
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        sonde_rng_postfork_child();
        in_child = sonde_random_u64();
        _exit(write(fds[1], &in_child, sizeof(in_child)) == sizeof(in_child) ? 0 : 1);
    }
    assert_int_equal(read(fds[0], &in_child, sizeof(in_child)), sizeof(in_child));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_not_equal(in_child, sonde_random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng_is_xoshiro256plusplus),
        cmocka_unit_test(test_rng_seed_is_repeatable_and_splitmix64),
        cmocka_unit_test(test_rng_unit_lies_in_zero_to_one),
        cmocka_unit_test(test_threads_draw_different_numbers),
        cmocka_unit_test(test_forked_child_draws_different_numbers),
    };

    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
