/* test_clock.c - base/clock.h */
#include "support/test.h"

#include <limits.h>

#include "base/clock.h"

static void test_clock_conversions_saturate(void **state)
{
    (void)state;
    assert_int_equal(sonde_ms_to_ns(5), 5000000);
    assert_int_equal(sonde_ms_to_ns(UINT64_MAX / 1000), UINT64_MAX);
    assert_int_equal(sonde_s_to_ns(3), 3000000000u);
    assert_int_equal(sonde_s_to_ns(UINT64_MAX), UINT64_MAX);
    assert_int_equal(sonde_deadline(10, 5), 15);
    assert_int_equal(sonde_deadline(UINT64_MAX - 4, 5), UINT64_MAX);
}

static void test_ms_left_rounds_up_and_never_wraps(void **state)
{
    static const struct {
        const char *label;
        uint64_t deadline, now;
        int want;
    } cases[] = {
        { "passed", 10, 11, 0 },
        { "now", 10, 10, 0 },
        { "a nanosecond", 11, 10, 1 },
        { "exactly two", 2000000, 0, 2 },
        { "a bit more than two", 2000001, 0, 3 },
        { "never", UINT64_MAX, 0, INT_MAX },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        int got = sonde_ms_left(cases[i].deadline, cases[i].now);

        if (got != cases[i].want)
            fail_msg("%s: got %d, want %d", cases[i].label, got, cases[i].want);
    }
}

static void test_ns_to_timespec_splits_seconds(void **state)
{
    struct timespec ts = sonde_ns_to_timespec(12000000034u);

    (void)state;
    assert_int_equal(ts.tv_sec, 12);
    assert_int_equal(ts.tv_nsec, 34);
}

static void test_system_clock_is_the_system_clock(void **state)
{
    uint64_t mono = sonde_mono_ns();
    int64_t unix_ns = sonde_unix_ns();

    (void)state;
    assert_true(sonde_system_clock.mono_ns(sonde_system_clock.user) >= mono);
    assert_true(sonde_mono_ns() >= mono);
    assert_true(unix_ns > 1700000000ll * 1000000000ll);
    assert_true(sonde_system_clock.unix_ns(sonde_system_clock.user) > 1700000000ll * 1000000000ll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_conversions_saturate),
        cmocka_unit_test(test_ms_left_rounds_up_and_never_wraps),
        cmocka_unit_test(test_ns_to_timespec_splits_seconds),
        cmocka_unit_test(test_system_clock_is_the_system_clock),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
