/* test_backoff.c - base/backoff.h */
#include "support/test.h"

#include "base/backoff.h"
#include "base/clock.h"

static void test_backoff_doubles_its_ceiling_up_to_the_maximum(void **state)
{
    static const struct {
        uint32_t failures_before;
        uint64_t ceiling_ms; /* min(max, base * 2^k) */
    } cases[] = {
        { 0, 200 },   { 1, 400 },    { 2, 800 },    { 5, 6400 },
        { 6, 10000 }, { 63, 10000 }, { 64, 10000 }, { UINT32_MAX, 10000 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_backoff b = { .base_ns = 100u * SONDE_NS_PER_MS,
                            .max_ns = 10000ull * SONDE_NS_PER_MS,
                            .failures = cases[i].failures_before };
        uint64_t ceiling = cases[i].ceiling_ms * SONDE_NS_PER_MS;
        uint64_t pause = sonde_backoff_next_ns(&b, ceiling - 1);

        if (pause != ceiling - 1)
            fail_msg("after %u: got %llu", cases[i].failures_before, (unsigned long long)pause);
        b.failures = cases[i].failures_before;
        pause = sonde_backoff_next_ns(&b, ceiling);
        if (pause != 0)
            fail_msg("after %u: the ceiling itself is excluded", cases[i].failures_before);
    }
}

static void test_backoff_starts_over_after_a_success(void **state)
{
    sonde_backoff b = { .base_ns = 100, .max_ns = 1000 };

    (void)state;
    (void)sonde_backoff_next_ns(&b, 1);
    (void)sonde_backoff_next_ns(&b, 1);
    sonde_backoff_reset(&b);

    assert_int_equal(b.failures, 0);
    assert_int_equal(sonde_backoff_next_ns(&b, 199), 199);
    assert_int_equal(b.failures, 1);
}

static void test_backoff_of_zero_does_not_divide(void **state)
{
    sonde_backoff b = { 0 };

    (void)state;
    assert_int_equal(sonde_backoff_next_ns(&b, 12345), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff_doubles_its_ceiling_up_to_the_maximum),
        cmocka_unit_test(test_backoff_starts_over_after_a_success),
        cmocka_unit_test(test_backoff_of_zero_does_not_divide),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
