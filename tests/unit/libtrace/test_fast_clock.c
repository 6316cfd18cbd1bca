/* test_fast_clock.c - time from a counter, with calibrations by hand. */
#include "support/test.h"

#include "libtrace/src/fast_clock.h"

#define MS ((uint64_t)SONDE_NS_PER_MS)

static void test_time_follows_the_line_through_two_calibrations(void **state)
{
    static const struct {
        const char *label;
        uint64_t ticks_per_ms;
    } cases[] = {
        { "0.6 GHz", 600000 }, { "1 GHz", 1000000 }, { "2.3 GHz", 2300001 }, { "6 GHz", 5999999 }
    };
    size_t i, ms;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__fast_clock c = { 0 };
        uint64_t per_ms = cases[i].ticks_per_ms;
        uint64_t start = UINT64_C(1) << 60;

        sonde__fast_clock_enter(&c, start, 7, start + 100 * per_ms, 7 + 100 * MS);
        for (ms = 0; ms < 2999; ms += 7) {
            uint64_t want = 7 + (100 + ms) * MS;
            uint64_t got = 0;

            if (!sonde__fast_clock_at(&c, start + (100 + ms) * per_ms, &got))
                fail_msg("%s: no answer after %zu ms", cases[i].label, ms);
            if (got > want + 10 || want > got + 10)
                fail_msg("%s: after %zu ms off by %lld ns", cases[i].label, ms,
                         (long long)(got - want));
        }
    }
}

static void test_no_answer_outside_the_fresh_time(void **state)
{
    sonde__fast_clock c = { 0 };
    uint64_t got = 1;

    (void)state;
    assert_false(sonde__fast_clock_at(&c, 5, &got)); /* never calibrated */
    sonde__fast_clock_enter(&c, 1000, 0, 1000 + 100 * MS, 100 * MS);
    assert_true(sonde__fast_clock_at(&c, 1000 + 100 * MS, &got));
    assert_int_equal(got, 100 * MS);
    got = 1;
    assert_false(sonde__fast_clock_at(&c, 1000 + 3100 * MS, &got));
    /* another core, slightly behind */
    assert_false(sonde__fast_clock_at(&c, 999 + 100 * MS, &got));
    assert_int_equal(got, 1);
}

static void test_implausible_calibrations_switch_the_line_off(void **state)
{
    static const struct {
        const char *label;
        uint64_t ticks, ns;
    } cases[] = { { "too short", 49 * MS, 49 * MS }, { "too long", 5000 * MS, 5000 * MS },
                  { "too slow", 40 * MS, 100 * MS }, { "too fast", 900 * MS, 100 * MS },
                  { "standing still", 0, 100 * MS }, { "backwards", (uint64_t)-1, 100 * MS } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__fast_clock c = { 0 };
        uint64_t got;

        sonde__fast_clock_enter(&c, 100, 100, 100 + 100 * MS, 100 + 100 * MS);
        sonde__fast_clock_enter(&c, 100, 100, 100 + cases[i].ticks, 100 + cases[i].ns);
        if (sonde__fast_clock_at(&c, 100 + cases[i].ticks, &got) ||
            sonde__fast_clock_at(&c, 100 + 100 * MS, &got))
            fail_msg("%s: an answer", cases[i].label);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_follows_the_line_through_two_calibrations),
        cmocka_unit_test(test_no_answer_outside_the_fresh_time),
        cmocka_unit_test(test_implausible_calibrations_switch_the_line_off),
    };

    return cmocka_run_group_tests_name("fast_clock", tests, NULL, NULL);
}
