/* Rates of the samplers: fair share, rise and fall, forgetting, the ceiling. */
#include "support/test.h"

#include <math.h>

#include "agent/sampler/rate_core.h"
#include "base/rng.h"
#include "support/alloc_fail.h"

#define NEAR 1e-9

static void assert_near(double got, double want)
{
    if (fabs(got - want) > NEAR)
        fail_msg("got %.12f, want %.12f", got, want);
}

static void count_per_s(rate_core *c, int64_t bucket_start_s, uint32_t signature, int per_s)
{
    int i;

    for (i = 0; i < per_s * RATE_BUCKET_S; i++)
        (void)rate_core_count(c, bucket_start_s + i % RATE_BUCKET_S, signature, 1.0);
}

static void test_fair_share_gives_what_the_quiet_ones_leave(void **state)
{
    static const struct {
        const char *label;
        double target;
        double seen[4];
        size_t len;
        double share;
    } cases[] = {
        { "two quiet, one busy", 10, { 1, 4, 100 }, 3, 5 },
        { "all busy", 10, { 50, 60 }, 2, 5 },
        { "one alone", 10, { 3 }, 1, 10 },
        { "none", 10, { 0 }, 0, 10 },
        { "nothing to give", 0, { 1, 2 }, 2, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        double got = rate_fair_share(cases[i].target, cases[i].seen, cases[i].len);

        if (fabs(got - cases[i].share) > NEAR)
            fail_msg("%s: got %f, want %f", cases[i].label, got, cases[i].share);
    }
}

static void test_rates_follow_the_worked_example(void **state)
{
    rate_core c;

    (void)state;
    rate_core_init(&c, 10, 1.0, 100);
    count_per_s(&c, 1000, 1, 100);
    count_per_s(&c, 1000, 2, 4);
    count_per_s(&c, 1000, 3, 1);

    assert_true(rate_core_count(&c, 1005, 1, 1.0));

    assert_near(rate_core_rate(&c, 1), 0.05);
    assert_near(rate_core_rate(&c, 2), 1.0);
    assert_near(rate_core_rate(&c, 3), 1.0);
    assert_near(rate_core_default_rate(&c), 0.05);
    rate_core_done(&c);
}

static void
test_a_rate_rises_by_a_fifth_per_bucket_and_needs_17_updates_from_a_twentieth(void **state)
{
    rate_core c;
    double before;
    int updates = 0;
    int64_t now = 1000;

    (void)state;
    rate_core_init(&c, 10, 1.0, 100);
    count_per_s(&c, now, 1, 200);
    (void)rate_core_count(&c, now += 5, 1, 1.0);
    before = rate_core_rate(&c, 1);
    assert_near(before, 0.05);

    /* The busy bucket counts until it leaves the window, six buckets later. */
    for (now += 5; now < 1000 + 5 * RATE_BUCKETS; now += 5)
        (void)rate_core_count(&c, now, 1, 1.0);
    assert_near(rate_core_rate(&c, 1), 0.05);
    (void)rate_core_count(&c, now, 1, 1.0); /* still considered while its slot is taken over */
    assert_near(rate_core_rate(&c, 1), 0.05);
    while (rate_core_rate(&c, 1) < 1.0) {
        now += 5;
        (void)rate_core_count(&c, now, 1, 1.0);
        updates++;
        assert_true(rate_core_rate(&c, 1) <= before * RATE_MAX_INCREASE + NEAR);
        before = rate_core_rate(&c, 1);
    }

    assert_int_equal(updates, 17);
    rate_core_done(&c);
}

static void test_a_signature_without_traffic_is_forgotten(void **state)
{
    rate_core c;
    double rate;

    (void)state;
    rate_core_init(&c, 10, 1.0, 100);
    (void)rate_core_count(&c, 1000, 1, 1.0);
    (void)rate_core_count(&c, 1005, 2, 1.0);
    assert_true(rate_core_find(&c, 1, &rate));

    (void)rate_core_count(&c, 1100, 2, 1.0);

    assert_false(rate_core_find(&c, 1, &rate));
    assert_int_equal(c.entries_len, 1);
    rate_core_done(&c);
}

static void test_the_extra_rate_multiplies_known_rates_only(void **state)
{
    rate_core c;

    (void)state;
    rate_core_init(&c, 10, 0.5, 100);
    count_per_s(&c, 1000, 1, 4);
    (void)rate_core_count(&c, 1005, 1, 1.0);
    assert_near(rate_core_rate(&c, 1), 0.5);
    assert_near(rate_core_rate(&c, 2), 1.0);
    rate_core_done(&c);
}

static void test_target_zero_keeps_nothing(void **state)
{
    rate_core c;

    (void)state;
    rate_core_init(&c, 0, 1.0, 100);
    count_per_s(&c, 1000, 1, 1);
    (void)rate_core_count(&c, 1005, 1, 1.0);

    assert_near(rate_core_rate(&c, 1), 0.0);
    assert_near(rate_core_rate(&c, 77), 0.0);
    rate_core_done(&c);
}

static void test_signatures_beyond_the_ceiling_are_counted_together(void **state)
{
    rate_core c;
    double rate;
    uint32_t i;

    (void)state;
    rate_core_init(&c, 10, 1.0, 8);
    for (i = 1; i <= 20; i++)
        (void)rate_core_count(&c, 1000, i, 1.0);

    assert_int_equal(c.collapsed, 12);
    assert_int_equal(c.entries_len, 9); /* the eight and "other" */
    (void)rate_core_count(&c, 1005, 1, 1.0);
    assert_true(rate_core_find(&c, RATE_SIGNATURE_OTHER, &rate));
    rate_core_done(&c);
}

static void test_a_clock_that_goes_back_does_no_harm(void **state)
{
    rate_core c;

    (void)state;
    rate_core_init(&c, 10, 1.0, 8);
    (void)rate_core_count(&c, 1000, 1, 1.0);
    (void)rate_core_count(&c, 900, 1, 1.0);
    (void)rate_core_count(&c, 1005, 1, 1.0);

    assert_true(rate_core_rate(&c, 1) <= 1.0);
    rate_core_done(&c);
}

static void test_the_decision_by_id_matches_the_check_values(void **state)
{
    (void)state;
    assert_true(rate_keeps(1, 0.5));
    assert_false(rate_keeps(9, 0.1));
    assert_true(rate_keeps(9, 1.0));
    assert_false(rate_keeps(1, 0.0));
    assert_false(rate_keeps(1, (double)NAN));
}

static void test_kept_traffic_comes_near_the_target_for_any_mix(void **state)
{
    sonde_rng rng;
    int round;

    (void)state;
    sonde_rng_seed(&rng, 42);
    for (round = 0; round < 50; round++) {
        double kept = 0.0, all = 0.0, target = 1.0 + sonde_rng_unit(&rng) * 50.0;
        uint32_t n = 1 + (uint32_t)(sonde_rng_next(&rng) % 40), i;
        int per_s[40];
        rate_core c;

        rate_core_init(&c, target, 1.0, 100);
        for (i = 0; i < n; i++) {
            per_s[i] = 1 + (int)(sonde_rng_next(&rng) % 50);
            all += per_s[i];
            count_per_s(&c, 5000, i + 1, per_s[i]);
        }
        (void)rate_core_count(&c, 5005, 1, 0.0);
        for (i = 0; i < n; i++)
            kept += per_s[i] * rate_core_rate(&c, i + 1);

        if (fabs(kept - (all < target ? all : target)) > 1e-6)
            fail_msg("round %d: %u signatures, %.1f/s, target %.2f: kept %.6f", round, n, all,
                     target, kept);
        rate_core_done(&c);
    }
}

static sonde_status count_many(void *user)
{
    rate_core c;
    uint32_t i;

    (void)user;
    rate_core_init(&c, 10, 1.0, 1000);
    for (i = 1; i < 200; i++)
        (void)rate_core_count(&c, 1000 + i / 50 * 5, i, 1.0);
    (void)rate_core_rate(&c, 1);
    rate_core_done(&c);
    return SONDE_OK;
}

static void test_counting_survives_every_failing_allocation(void **state)
{
    size_t n;

    (void)state;
    alloc_fail_begin();
    for (n = 1; n < 20; n++) {
        alloc_fail_at(n);
        assert_status(count_many(NULL), SONDE_OK);
        assert_int_equal(alloc_fail_live_blocks(), 0);
    }
    alloc_fail_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fair_share_gives_what_the_quiet_ones_leave),
        cmocka_unit_test(test_rates_follow_the_worked_example),
        cmocka_unit_test(
            test_a_rate_rises_by_a_fifth_per_bucket_and_needs_17_updates_from_a_twentieth),
        cmocka_unit_test(test_a_signature_without_traffic_is_forgotten),
        cmocka_unit_test(test_the_extra_rate_multiplies_known_rates_only),
        cmocka_unit_test(test_target_zero_keeps_nothing),
        cmocka_unit_test(test_signatures_beyond_the_ceiling_are_counted_together),
        cmocka_unit_test(test_a_clock_that_goes_back_does_no_harm),
        cmocka_unit_test(test_the_decision_by_id_matches_the_check_values),
        cmocka_unit_test(test_kept_traffic_comes_near_the_target_for_any_mix),
        cmocka_unit_test(test_counting_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("rate_core", tests, NULL, NULL);
}
