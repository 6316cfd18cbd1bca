/* Gaps and weights against libm, and the estimator they make against the truth. */
#include "support/test.h"

#include <math.h>

#include "profiler/src/poisson.h"

#define MEAN 524288u

static void test_weights_are_those_of_libm(void **state)
{
    static const uint64_t lengths[] = { 1,        2,        16,       64,
                                        100,      4096,     100000,   363408,
                                        363409,   524288,   1u << 20, 5000000,
                                        1u << 24, 23592960, 23592961, UINT64_C(1) << 40 };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        double x = (double)lengths[i] / MEAN, want = -1 / expm1(-x);

        assert_true(fabs(sonde_prof__poisson_weight(lengths[i], MEAN) / want - 1) < 1e-14);
    }
    assert_true(sonde_prof__poisson_weight(0, MEAN) == sonde_prof__poisson_weight(1, MEAN));
}

static void test_gaps_are_those_of_libm(void **state)
{
    uint64_t mine = 88172645463325252u, theirs = mine;
    int i;

    (void)state;
    for (i = 0; i < 100000; i++) {
        double u = (double)((sonde_prof__random(&theirs) >> 11) + 1) * 0x1p-53;
        double want = ceil(-(double)MEAN * log(u));
        int64_t gap = sonde_prof__poisson_gap(&mine, MEAN);

        assert_true(gap >= 1);
        assert_true(fabs((double)gap - fmax(want, 1)) <= 1); /* the last bit, at a whole number */
    }
}

static void test_the_largest_gap_does_not_overflow(void **state)
{
    uint64_t s = 1;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        int64_t gap = sonde_prof__poisson_gap(&s, UINT64_MAX);

        assert_true(gap >= 1 && gap <= INT64_C(1) << 62);
    }
}

/* 400 000 blocks of 64 bytes and 400 of a million: the sums by samples against the sums that are.  The seeds are fixed;
 * the bound is five standard deviations of the mean over them. */
static void test_sums_are_unbiased_for_a_mixture_of_sizes(void **state)
{
    enum { SEEDS = 30, SMALL = 400000, LARGE = 400 };
    const double objects = SMALL + LARGE, bytes = 64.0 * SMALL + 1e6 * LARGE;
    double sum_objects = 0, sum_bytes = 0, var_objects = 0, var_bytes = 0, x;
    uint64_t seed, s;
    int64_t credit;
    int i;

    (void)state;
    for (seed = 1; seed <= SEEDS; seed++) {
        s = seed * UINT64_C(0x9E3779B97F4A7C15);
        credit = sonde_prof__poisson_gap(&s, MEAN);
        for (i = 0; i < SMALL + LARGE; i++) {
            uint64_t size = i % 1001 == 0 ? 1000000 : 64;
            double w;

            credit -= (int64_t)size;
            if (credit > 0)
                continue;
            w = sonde_prof__poisson_weight(size, MEAN);
            sum_objects += w;
            sum_bytes += w * (double)size;
            credit = sonde_prof__poisson_gap(&s, MEAN);
        }
    }
    for (i = 0; i < 2; i++) {
        double size = i ? 1e6 : 64, n = i ? LARGE : SMALL;

        x = exp(-size / MEAN) / -expm1(-size / MEAN);
        var_objects += n * x;
        var_bytes += n * x * size * size;
    }
    assert_true(fabs(sum_objects / SEEDS - objects) < 5 * sqrt(var_objects / SEEDS));
    assert_true(fabs(sum_bytes / SEEDS - bytes) < 5 * sqrt(var_bytes / SEEDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_those_of_libm),
        cmocka_unit_test(test_gaps_are_those_of_libm),
        cmocka_unit_test(test_the_largest_gap_does_not_overflow),
        cmocka_unit_test(test_sums_are_unbiased_for_a_mixture_of_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
