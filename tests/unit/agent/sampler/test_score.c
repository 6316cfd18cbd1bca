/* The score sampler: rare kinds of traces first, within a target, however many kinds there are. */
#include "support/test.h"

#include "agent/sampler/score.h"

static uint64_t id(int i)
{
    return (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* Traces kept of so many of one kind within a bucket. */
static int ask(score_sampler *s, uint32_t signature, int traces, int64_t now_s)
{
    double rate;
    int i, kept = 0;

    for (i = 0; i < traces; i++)
        kept += score_keeps(s, signature, id(i), 1.0, 1.0, now_s, &rate);
    return kept;
}

static void test_a_rare_kind_is_kept_beside_a_busy_one(void **state)
{
    score_sampler s;

    (void)state;
    score_init(&s, 10, 1.0);
    (void)ask(&s, 111, 5000, 1000); /* 1 000 a second */
    (void)ask(&s, 222, 5, 1000);    /* 1 a second */

    assert_in_range(ask(&s, 111, 5000, 1005), 20, 70); /* 9 a second of them */
    assert_int_equal(ask(&s, 222, 5, 1005), 5);
    score_done(&s);
}

static void test_the_rate_of_the_tracer_counts(void **state)
{
    score_sampler s;
    double rate = 0.0;
    int i, kept = 0;

    (void)state;
    score_init(&s, 1e6, 1.0);
    for (i = 0; i < 10000; i++)
        kept += score_keeps(&s, 5, id(i), 4.0, 0.25, 1000, &rate);
    assert_in_range(kept, 2300, 2700);
    assert_true(rate >= 1.0); /* what is written on the root is the rate of its kind alone */
    score_done(&s);
}

static void test_beyond_a_hundred_kinds_the_others_share(void **state)
{
    score_sampler s;
    uint32_t i;

    (void)state;
    score_init(&s, 10, 1.0);
    for (i = 0; i < SCORE_KINDS_MAX; i++)
        (void)ask(&s, 1000000 + i, 1, 1000);
    (void)ask(&s, 1000000, 1, 1005); /* a new bucket: they have rates now */
    for (i = 0; i < 10000; i++)
        (void)ask(&s, 5000000 + i, 1, 1005);
    assert_in_range(s.core.entries_len, SCORE_KINDS_MAX, 2 * SCORE_KINDS_MAX);
    assert_true(s.narrowed);

    for (i = 0; i < 40;
         i++) /* rates rise by a fifth per bucket; at 1 and without traffic they go */
        (void)ask(&s, 1, 1, 2000 + 5 * (int64_t)i);
    assert_false(s.narrowed);
    score_done(&s);
}

static void test_a_target_of_none_keeps_none(void **state)
{
    score_sampler s;

    (void)state;
    score_init(&s, 0, 1.0);
    assert_int_equal(ask(&s, 1, 100, 1000), 0);
    assert_int_equal(s.core.entries_len, 0);
    score_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rare_kind_is_kept_beside_a_busy_one),
        cmocka_unit_test(test_the_rate_of_the_tracer_counts),
        cmocka_unit_test(test_beyond_a_hundred_kinds_the_others_share),
        cmocka_unit_test(test_a_target_of_none_keeps_none),
    };

    return cmocka_run_group_tests_name("score", tests, NULL, NULL);
}
