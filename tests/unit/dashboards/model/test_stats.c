/* Packed latency sketches. */
#include "support/alloc_fail.h"
#include "support/test.h"

#include "dashboards/model/stats.h"

/* By hand from docs/spec/store.md: whole counts, two at zero, bins 100 (3) and 102 (300). */
static const char packed[] = "\x01\x02\xc8\x01\x03\x04\xac\x02";
static const sonde_str packed_bytes = { packed, sizeof(packed) - 1 };

static void test_sketch_unpacks_bins_and_counts(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_status(stats_sketch_unpack(packed_bytes, &s), SONDE_OK);

    assert_int_equal(s.offset, 100);
    assert_int_equal(s.len, 3);
    assert_true(s.bins[0] == 3 && s.bins[1] == 0 && s.bins[2] == 300);
    assert_true(s.zero_count == 2 && s.count == 305);
    sonde_sketch_done(&s);
}

static void test_sketch_packs_to_the_documented_bytes(void **state)
{
    sonde_sketch s;
    sonde_buf b;

    (void)state;
    sonde_sketch_init(&s);
    sonde_buf_init(&b, 1024);
    assert_status(stats_sketch_unpack(packed_bytes, &s), SONDE_OK);
    stats_sketch_pack(&s, &b);

    assert_int_equal(b.len, packed_bytes.len);
    assert_memory_equal(b.data, packed, b.len);
    sonde_sketch_done(&s);
    sonde_buf_done(&b);
}

static void test_sketch_keeps_fractions_of_counts(void **state)
{
    sonde_sketch s, back;
    sonde_buf b;

    (void)state;
    sonde_sketch_init(&s);
    sonde_sketch_init(&back);
    sonde_buf_init(&b, 1024);
    assert_status(sonde_sketch_add(&s, 1e6, 2.5), SONDE_OK);
    stats_sketch_pack(&s, &b);
    assert_status(stats_sketch_unpack(sonde_buf_str(&b), &back), SONDE_OK);

    assert_true(back.count == 2.5);
    assert_true(sonde_sketch_quantile(&back, 0.5) == sonde_sketch_quantile(&s, 0.5));
    sonde_sketch_done(&s);
    sonde_sketch_done(&back);
    sonde_buf_done(&b);
}

static void test_an_empty_sketch_is_no_bytes(void **state)
{
    sonde_sketch s;
    sonde_buf b;

    (void)state;
    sonde_sketch_init(&s);
    sonde_buf_init(&b, 16);
    stats_sketch_pack(&s, &b);
    assert_int_equal(b.len, 0);
    assert_status(stats_sketch_unpack((sonde_str){ NULL, 0 }, &s), SONDE_OK);
    assert_true(s.count == 0);
    sonde_sketch_done(&s);
}

static void test_merging_adds_counts(void **state)
{
    sonde_sketch sum, scratch;

    (void)state;
    sonde_sketch_init(&sum);
    sonde_sketch_init(&scratch);
    assert_status(stats_sketch_merge(&sum, packed_bytes, &scratch), SONDE_OK);
    assert_status(stats_sketch_merge(&sum, packed_bytes, &scratch), SONDE_OK);
    assert_true(sum.count == 610 && sum.zero_count == 4);
    sonde_sketch_done(&sum);
    sonde_sketch_done(&scratch);
}

static void test_damaged_sketches_are_refused(void **state)
{
    static const struct {
        const char *label;
        sonde_str bytes;
    } cases[] = {
        { "unknown form", { "\x07\x01", 2 } },
        { "no zero count", { "\x01", 1 } },
        { "bin without count", { "\x01\x00\xc8\x01", 4 } },
        { "bins not rising", { "\x01\x00\x04\x01\x00\x01", 6 } },
        { "bins too far apart", { "\x01\x00\x04\x01\x80\x80\x04\x01", 8 } },
        { "double cut off", { "\x02\x00\x00", 3 } },
        { "varint without end", { "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13 } },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_sketch s;

        sonde_sketch_init(&s);
        if (stats_sketch_unpack(cases[i].bytes, &s) != SONDE_ERR_SYNTAX)
            fail_msg("%s", cases[i].label);
        sonde_sketch_done(&s);
    }
}

static sonde_status merge_scenario(void *user)
{
    sonde_sketch sum, scratch;
    sonde_status status;

    (void)user;
    sonde_sketch_init(&sum);
    sonde_sketch_init(&scratch);
    status = stats_sketch_merge(&sum, packed_bytes, &scratch);
    sonde_sketch_done(&sum);
    sonde_sketch_done(&scratch);
    return status;
}

static void test_merging_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(merge_scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sketch_unpacks_bins_and_counts),
        cmocka_unit_test(test_sketch_packs_to_the_documented_bytes),
        cmocka_unit_test(test_sketch_keeps_fractions_of_counts),
        cmocka_unit_test(test_an_empty_sketch_is_no_bytes),
        cmocka_unit_test(test_merging_adds_counts),
        cmocka_unit_test(test_damaged_sketches_are_refused),
        cmocka_unit_test(test_merging_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
