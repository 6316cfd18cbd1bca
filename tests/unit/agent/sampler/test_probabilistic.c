/* The probabilistic sampler: the numbers of the specification, and its edges. */
#include "support/test.h"

#include "agent/sampler/probabilistic.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void test_buckets_are_those_of_the_specification(void **state)
{
    static const struct {
        uint64_t id;
        uint32_t seed, bucket;
    } cases[] = {
        { 1, 22, 11728 },
        { UINT64_C(0x0123456789abcdef), 22, 371 },
        { UINT64_C(0x0123456789abcdef), 0, 11829 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint8_t id[16] = { 0 };
        int k;

        for (k = 0; k < 8; k++)
            id[k] = (uint8_t)(cases[i].id >> (56 - 8 * k));
        if (probabilistic_bucket(id, cases[i].seed) != cases[i].bucket)
            fail_msg("row %zu: bucket %u", i, probabilistic_bucket(id, cases[i].seed));
    }
}

static bool keeps(uint64_t trace_id, double percentage, uint32_t seed, const char *tid, bool full)
{
    span_meta meta[1] = { { TEXT("_dd.p.tid"), { tid, tid ? 16 : 0 } } };
    payload_span root = { .trace_id = trace_id, .meta = meta, .meta_len = tid ? 1 : 0 };
    payload_chunk c = { .spans = &root, .spans_len = 1 };

    return probabilistic_keeps(&c, percentage, seed, full);
}

static void test_the_threshold_is_exact(void **state)
{
    (void)state;
    assert_true(keeps(UINT64_C(0x0123456789abcdef), 15, 22, NULL, false));
    assert_true(keeps(UINT64_C(0x0123456789abcdef), 2.271, 22, NULL, false));   /* 372 */
    assert_false(keeps(UINT64_C(0x0123456789abcdef), 2.2643, 22, NULL, false)); /* 370 */
    assert_false(keeps(1, 50, 22, NULL, false));
    assert_true(keeps(1, 100, 22, NULL, false));
    assert_false(keeps(UINT64_C(0x0123456789abcdef), 0, 22, NULL, false));
}

static void test_the_high_half_counts_only_when_asked_for(void **state)
{
    int differ = 0;
    uint64_t id;

    (void)state;
    for (id = 1; id < 200; id++) {
        assert_int_equal(keeps(id, 50, 22, "0123456789abcdef", false),
                         keeps(id, 50, 22, NULL, false));
        differ += keeps(id, 50, 22, "0123456789abcdef", true) !=
                  keeps(id, 50, 22, "00000000000000ff", true);
    }
    assert_in_range(differ, 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_are_those_of_the_specification),
        cmocka_unit_test(test_the_threshold_is_exact),
        cmocka_unit_test(test_the_high_half_counts_only_when_asked_for),
    };

    return cmocka_run_group_tests_name("probabilistic", tests, NULL, NULL);
}
