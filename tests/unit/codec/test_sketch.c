/* Adding, merging, quantiles and the wire form of the latency sketch. */
#include "codec/sketch.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/test.h"

#define GAMMA (1.01 / 0.99)

static void add(sonde_sketch *s, double value)
{
    assert_status(sonde_sketch_add(s, value, 1), SONDE_OK);
}

static int32_t index_of(double value)
{
    sonde_sketch s;
    int32_t index;

    sonde_sketch_init(&s);
    add(&s, value);
    assert_int_equal(s.len, 1);
    index = s.offset;
    sonde_sketch_done(&s);
    return index;
}

static double total_of(const sonde_sketch *s)
{
    double sum = s->zero_count;
    uint32_t i;

    for (i = 0; i < s->len; i++)
        sum += s->bins[i];
    return sum;
}

static bool same_bins(const sonde_sketch *a, const sonde_sketch *b)
{
    return a->count == b->count && a->zero_count == b->zero_count && a->len == b->len &&
           (a->len == 0 ||
            (a->offset == b->offset && memcmp(a->bins, b->bins, a->len * sizeof(double)) == 0));
}

/* Values */

static void test_sketch_cuts_nanoseconds_to_ten_bits(void **state)
{
    static const struct {
        int64_t ns;
        double value;
        int32_t index;
    } cases[] = {
        { 1, 1, 0 },
        { 1000, 1000, 345 },
        { 1000000, 999424, 690 },
        { 1500000000, 1499463680, 1056 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        double value = sonde_sketch_value_of_ns(cases[i].ns);

        if (value != cases[i].value || index_of(value) != cases[i].index)
            fail_msg("%lld ns: value %.17g, index %d", (long long)cases[i].ns, value,
                     index_of(value));
    }
}

static void test_sketch_index_is_the_floor_of_the_logarithm_for_every_duration(void **state)
{
    sonde_sketch s;
    int exponent, mantissa;

    (void)state;
    sonde_sketch_init(&s);
    for (exponent = 0; exponent < 63; exponent++)
        for (mantissa = 512; mantissa < 1024; mantissa++) {
            double value = ldexp(mantissa, exponent - 9);
            long double exact = logl((long double)value) / logl((long double)GAMMA);

            sonde_sketch_clear(&s);
            add(&s, value);
            if (s.offset != (int32_t)floorl(exact))
                fail_msg("%.17g: index %d, want %.20Lg", value, s.offset, exact);
        }
    sonde_sketch_done(&s);
}

/* Within 2^-40 of a border the double itself cannot tell; just outside, the index must be right. */
static void test_sketch_index_is_right_on_both_sides_of_every_border(void **state)
{
    long double ln_gamma = logl((long double)GAMMA);
    int index;

    (void)state;
    for (index = -35400; index <= 35400; index++) {
        long double border = expl(index * ln_gamma);
        double below = (double)(border * (1 - 0x1p-40L)), above = (double)(border * (1 + 0x1p-40L));

        if (index_of(below) != index - 1 || index_of(above) != index)
            fail_msg("border %d: %d below, %d above", index, index_of(below), index_of(above));
    }
}

static void test_sketch_counts_zero_negative_and_tiny_values_apart(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    add(&s, 0.0);
    add(&s, -5.0);
    add(&s, DBL_MIN / 4);
    add(&s, 8.0);

    assert_true(s.zero_count == 3 && s.count == 4);
    assert_int_equal(s.len, 1);
    sonde_sketch_done(&s);
}

static void test_sketch_takes_the_smallest_and_the_largest_double(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    add(&s, DBL_MAX);
    add(&s, DBL_MIN * 1.03);

    assert_true(s.count == 2 && total_of(&s) == 2);
    assert_true(sonde_sketch_quantile(&s, 1) <= DBL_MAX);
    sonde_sketch_done(&s);
}

static void test_sketch_refuses_what_is_not_a_value_or_a_count(void **state)
{
    static const struct {
        const char *label;
        double value, count;
    } cases[] = {
        { "value NaN", NAN, 1 },
        { "value infinite", INFINITY, 1 },
        { "value -infinite", -INFINITY, 1 },
        { "count zero", 1, 0 },
        { "count negative", 1, -1 },
        { "count NaN", 1, NAN },
        { "count infinite", 1, INFINITY },
    };
    sonde_sketch s;
    size_t i;

    (void)state;
    sonde_sketch_init(&s);
    for (i = 0; i < COUNT_OF(cases); i++)
        if (sonde_sketch_add(&s, cases[i].value, cases[i].count) != SONDE_ERR_INVALID ||
            s.count != 0)
            fail_msg("%s: taken", cases[i].label);
    sonde_sketch_done(&s);
}

/* Quantiles */

static double uniform(sonde_rng *rng)
{
    return 1 - sonde_rng_unit(rng); /* (0, 1] */
}

static double draw_uniform(sonde_rng *rng)
{
    return 1 + 1e6 * uniform(rng);
}

static double draw_exponential(sonde_rng *rng)
{
    return -2e7 * log(uniform(rng)) + 1;
}

static double draw_lognormal(sonde_rng *rng)
{
    return exp(13 + 2 * sqrt(-2 * log(uniform(rng))) * cos(6.283185307179586 * uniform(rng)));
}

static double draw_pareto(sonde_rng *rng)
{
    return 1000 / pow(uniform(rng), 1.5);
}

static double draw_two_peaks(sonde_rng *rng)
{
    return uniform(rng) < 0.9 ? 1e6 + 1e5 * uniform(rng) : 3e9 + 1e9 * uniform(rng);
}

static double draw_constant(sonde_rng *rng)
{
    (void)rng;
    return 1234567;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void test_sketch_quantiles_are_within_one_percent(void **state)
{
    static const struct {
        const char *label;
        double (*draw)(sonde_rng *);
    } cases[] = {
        { "uniform", draw_uniform },     { "exponential", draw_exponential },
        { "lognormal", draw_lognormal }, { "pareto", draw_pareto },
        { "two peaks", draw_two_peaks }, { "constant", draw_constant },
    };
    static const double quantiles[] = { 0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1 };
    static double values[20000];
    sonde_sketch s;
    sonde_rng rng;
    size_t c, i;

    (void)state;
    sonde_rng_seed(&rng, 42);
    sonde_sketch_init(&s);
    for (c = 0; c < COUNT_OF(cases); c++) {
        sonde_sketch_clear(&s);
        for (i = 0; i < COUNT_OF(values); i++) {
            values[i] = cases[c].draw(&rng);
            add(&s, values[i]);
        }
        qsort(values, COUNT_OF(values), sizeof(values[0]), compare_doubles);
        for (i = 0; i < COUNT_OF(quantiles); i++) {
            double exact = values[(size_t)(quantiles[i] * (COUNT_OF(values) - 1))];
            double got = sonde_sketch_quantile(&s, quantiles[i]);

            if (fabs(got - exact) > exact * 0.0100001)
                fail_msg("%s, q %g: got %g, exact %g", cases[c].label, quantiles[i], got, exact);
        }
    }
    sonde_sketch_done(&s);
}

static void test_sketch_quantile_copes_with_odd_questions(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_true(sonde_sketch_quantile(&s, 0.5) == 0);

    add(&s, 0);
    add(&s, 100);

    assert_true(sonde_sketch_quantile(&s, 0) == 0);
    assert_true(sonde_sketch_quantile(&s, -3) == 0);
    assert_true(sonde_sketch_quantile(&s, NAN) == 0);
    assert_true(fabs(sonde_sketch_quantile(&s, 7) - 100) <= 1);
    sonde_sketch_done(&s);
}

static void test_sketch_quantile_of_less_than_one_value_is_that_value(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_status(sonde_sketch_add(&s, 100, 0.25), SONDE_OK);

    assert_true(fabs(sonde_sketch_quantile(&s, 0.1) - 100) <= 1);
    assert_true(fabs(sonde_sketch_quantile(&s, 1) - 100) <= 1);
    sonde_sketch_done(&s);
}

/* Merging and collapsing */

static void fill(sonde_sketch *s, uint64_t seed, double low_exp, double high_exp)
{
    sonde_rng rng;
    int i;

    sonde_sketch_init(s);
    sonde_rng_seed(&rng, seed);
    for (i = 0; i < 500; i++)
        add(s, exp(low_exp + (high_exp - low_exp) * uniform(&rng)));
    add(s, 0);
}

static void merge(sonde_sketch *into, const sonde_sketch *from)
{
    assert_status(sonde_sketch_merge(into, from), SONDE_OK);
}

static void test_sketch_merge_is_associative_also_when_bins_collapse(void **state)
{
    static const struct {
        const char *label;
        double low, high;
    } cases[] = { { "no collapse", 5, 25 }, { "collapse", -60, 60 } };
    sonde_sketch a, b, c, left, right;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        fill(&a, 1, cases[i].low, cases[i].high - 20);
        fill(&b, 2, cases[i].low + 10, cases[i].high);
        fill(&c, 3, cases[i].low, cases[i].high);
        sonde_sketch_init(&left);
        sonde_sketch_init(&right);

        merge(&left, &a);
        merge(&left, &b);
        merge(&left, &c); /* (a + b) + c */
        merge(&b, &c);
        merge(&right, &a);
        merge(&right, &b); /* a + (b + c) */

        if (!same_bins(&left, &right) || left.count != 1503 || total_of(&left) != 1503)
            fail_msg("%s: counts %g and %g", cases[i].label, left.count, right.count);
        sonde_sketch_done(&a);
        sonde_sketch_done(&b);
        sonde_sketch_done(&c);
        sonde_sketch_done(&left);
        sonde_sketch_done(&right);
    }
}

static void test_sketch_keeps_the_total_and_the_top_when_bins_collapse(void **state)
{
    sonde_sketch s;
    int i;

    (void)state;
    sonde_sketch_init(&s);
    for (i = -3000; i < 3000; i++)
        add(&s, exp((i + 0.5) * log(GAMMA)));

    assert_int_equal(s.len, SONDE_SKETCH_BINS_MAX);
    assert_int_equal(s.offset, 3000 - SONDE_SKETCH_BINS_MAX);
    assert_true(s.bins[0] == 6000 - (SONDE_SKETCH_BINS_MAX - 1));
    assert_true(s.count == 6000 && total_of(&s) == 6000);

    add(&s, 1e-20); /* below the lowest bin: joins it */
    assert_true(s.bins[0] == 6001 - (SONDE_SKETCH_BINS_MAX - 1));
    add(&s, 1e300); /* above everything: all others collapse */
    assert_int_equal(s.len, SONDE_SKETCH_BINS_MAX);
    assert_true(s.bins[0] == 6001 && total_of(&s) == 6002);
    sonde_sketch_done(&s);
}

static void test_sketch_merged_with_itself_counts_twice(void **state)
{
    sonde_sketch s;

    (void)state;
    fill(&s, 9, 1, 10);
    merge(&s, &s);

    assert_true(s.count == 1002 && total_of(&s) == 1002 && s.zero_count == 2);
    sonde_sketch_done(&s);
}

/* Wire form */

static void test_sketch_encodes_the_bytes_of_datadogs_agent(void **state)
{
    static const struct {
        const char *file;
        double value; /* 0: none */
    } cases[] = {
        { "sketch/empty.hex", 0 },
        { "sketch/one_ms.hex", 999424 },
        { "sketch/one_us_exact.hex", 1000 },
    };
    sonde_sketch s;
    sonde_buf out;
    size_t i;

    (void)state;
    sonde_buf_init(&out, 4096);
    sonde_sketch_init(&s);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf_reset(&out);
        sonde_sketch_clear(&s);
        if (cases[i].value > 0)
            add(&s, cases[i].value);
        sonde_sketch_encode(&s, &out);
        assert_status(out.status, SONDE_OK);
        golden_expect(cases[i].file, sonde_buf_str(&out));
    }
    sonde_sketch_done(&s);
    sonde_buf_done(&out);
}

static sonde_status decode_hex(sonde_sketch *s, const char *hex)
{
    sonde_status status;
    sonde_buf bytes;

    golden_bytes(hex, &bytes);
    status = sonde_sketch_decode_merge(s, sonde_buf_str(&bytes));
    sonde_buf_done(&bytes);
    return status;
}

static void test_sketch_decodes_what_it_encoded(void **state)
{
    sonde_sketch s, back;
    sonde_buf out;

    (void)state;
    fill(&s, 4, -100, 100);
    sonde_buf_init(&out, 1 << 20);
    sonde_sketch_encode(&s, &out);

    sonde_sketch_init(&back);
    assert_status(sonde_sketch_decode_merge(&back, sonde_buf_str(&out)), SONDE_OK);

    assert_true(same_bins(&s, &back));
    sonde_sketch_done(&s);
    sonde_sketch_done(&back);
    sonde_buf_done(&out);
}

static void test_sketch_decodes_other_writers(void **state)
{
    static const struct {
        const char *file;
        double count, value; /* of the median */
    } cases[] = {
        { "sketch/js_empty.hex", 0, 0 },
        { "sketch/lib_one_us.hex", 1, 1000 },
        { "sketch/one_ms.hex", 1, 1e6 },
    };
    sonde_sketch s;
    sonde_buf bytes;
    size_t i;

    (void)state;
    sonde_sketch_init(&s);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_sketch_clear(&s);
        golden_load(cases[i].file, &bytes);
        assert_status(sonde_sketch_decode_merge(&s, sonde_buf_str(&bytes)), SONDE_OK);
        if (s.count != cases[i].count ||
            fabs(sonde_sketch_quantile(&s, 0.5) - cases[i].value) > 0.0178 * cases[i].value)
            fail_msg("%s: count %g, median %g", cases[i].file, s.count,
                     sonde_sketch_quantile(&s, 0.5));
        sonde_buf_done(&bytes);
    }
    sonde_sketch_done(&s);
}

/* Gamma 2: bin 10 holds 1024 to 2048, and its middle, with equal relative errors, is 1365.3. */
static void test_sketch_moves_a_foreign_bin_to_where_its_middle_is(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_status(decode_hex(&s, "0a09 09 0000000000000040 12 0c 1208 0000000000001440 1814"),
                  SONDE_OK);

    assert_true(s.count == 5);
    assert_true(fabs(sonde_sketch_quantile(&s, 0.5) - 1024 * 4.0 / 3) < 0.01 * 1024 * 4.0 / 3);
    sonde_sketch_done(&s);
}

#define OURS   "0a09 09fd4a815abf52f03f"
#define ONE    "000000000000f03f"
#define TWO    "0000000000000040"
#define NAN_   "000000000000f87f"
#define MINUS1 "000000000000f0bf"

static void test_sketch_sums_both_bin_encodings(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);

    /* a map entry {3: 1}, contiguous {3: 2, 4: 1} with the offset behind them, one bin unpacked */
    assert_status(decode_hex(&s, OURS "12 2a 0a0b 0806 11" ONE " 1210" TWO ONE " 11" ONE " 1806"),
                  SONDE_OK);

    assert_int_equal(s.offset, 3);
    assert_int_equal(s.len, 3);
    assert_true(s.bins[0] == 3 && s.bins[1] == 1 && s.bins[2] == 1 && s.count == 5);
    sonde_sketch_done(&s);
}

static void test_sketch_skips_the_zero_bins_writers_pad_with(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_status(decode_hex(&s, OURS "12 1c 1218"
                                      "0000000000000000" ONE "0000000000000000"
                                      " 1814"),
                  SONDE_OK);

    assert_int_equal(s.offset, 11);
    assert_int_equal(s.len, 1);
    sonde_sketch_done(&s);
}

static void test_sketch_counts_negative_bins_and_the_zero_count_as_zero(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    assert_status(decode_hex(&s, OURS "1a 0c 1208" ONE " 1806 21" TWO), SONDE_OK);

    assert_true(s.zero_count == 3 && s.count == 3 && s.len == 0);
    sonde_sketch_done(&s);
}

static void test_sketch_refuses_hostile_encodings_and_stays_as_it_was(void **state)
{
    static const struct {
        const char *label, *hex;
        sonde_status want;
    } cases[] = {
        { "cut off in the mapping", "0a09 09fd4a", SONDE_ERR_EOF },
        { "cut off in the bins", OURS "12 0d 1208 0000", SONDE_ERR_EOF },
        { "bins without a mapping", "12 0a 1208" ONE, SONDE_ERR_SYNTAX },
        { "gamma 1", "0a09 09" ONE, SONDE_ERR_SYNTAX },
        { "gamma NaN", "0a09 09" NAN_, SONDE_ERR_SYNTAX },
        { "gamma absent", "0a00 12 0a 1208" ONE, SONDE_ERR_SYNTAX },
        { "gamma infinite", "0a09 09 000000000000f07f", SONDE_ERR_SYNTAX },
        { "offset infinite", "0a12 09fd4a815abf52f03f 11 000000000000f07f", SONDE_ERR_SYNTAX },
        { "interpolated", "0a0b 09fd4a815abf52f03f 1803", SONDE_ERR_SYNTAX },
        { "negative count", OURS "12 0a 1208" MINUS1, SONDE_ERR_SYNTAX },
        { "count NaN", OURS "12 0a 1208" NAN_, SONDE_ERR_SYNTAX },
        { "count infinite", OURS "12 0a 1208 000000000000f07f", SONDE_ERR_SYNTAX },
        { "count above 2^63", OURS "12 0a 1208 010000000000e043", SONDE_ERR_SYNTAX },
        { "zero count negative", OURS "21" MINUS1, SONDE_ERR_SYNTAX },
        { "sum above 2^63", OURS "12 12 1210 000000000000e043 000000000000e043", SONDE_ERR_SYNTAX },
        { "index beyond double", OURS "12 0d 1208" ONE " 1880f904", SONDE_ERR_SYNTAX },
        { "contiguous bins beyond int32", OURS "12 18 1210" ONE ONE " 18feffffff0f",
          SONDE_ERR_SYNTAX },
        { "foreign index beyond double", "0a09 09 0000000000002440 12 0d 1208" ONE " 18f82b",
          SONDE_ERR_SYNTAX },
        { "bins of a tiny gamma beyond int32",
          "0a09 09 30b844000000f03f 12 18 1210" ONE ONE " 18feffffff0f", SONDE_ERR_SYNTAX },
        { "half a double", OURS "12 06 1204 00000000", SONDE_ERR_SYNTAX },
        { "a good bin, then a bad one", OURS "12 12 1210" ONE MINUS1, SONDE_ERR_SYNTAX },
        { "mapping is a number", "0801", SONDE_ERR_SYNTAX },
    };
    sonde_sketch s, before;
    size_t i;

    (void)state;
    fill(&s, 1, 1, 5);
    fill(&before, 1, 1, 5);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_status got = decode_hex(&s, cases[i].hex);

        if (got != cases[i].want || !same_bins(&s, &before))
            fail_msg("%s: %s, count %g", cases[i].label, sonde_status_name(got), s.count);
    }
    sonde_sketch_done(&s);
    sonde_sketch_done(&before);
}

static void test_sketch_holds_bounded_memory_whatever_the_indices(void **state)
{
    sonde_sketch s;

    (void)state;
    sonde_sketch_init(&s);
    /* map entries at -34000 and 35000 */
    assert_status(decode_hex(&s, OURS "12 1e 0a0d 089f9304 11" ONE " 0a0d 08f0a204 11" ONE),
                  SONDE_OK);

    assert_int_equal(s.len, SONDE_SKETCH_BINS_MAX);
    assert_int_equal(s.cap, SONDE_SKETCH_BINS_MAX);
    assert_true(s.count == 2 && total_of(&s) == 2);
    sonde_sketch_done(&s);
}

static sonde_status build_merge_and_decode(void *user)
{
    sonde_sketch a, b;
    sonde_status status;
    sonde_buf out;

    (void)user;
    sonde_sketch_init(&a);
    sonde_sketch_init(&b);
    sonde_buf_init(&out, 1 << 20);
    status = sonde_sketch_add(&a, 1e6, 1);
    if (status == SONDE_OK)
        status = sonde_sketch_add(&a, 1e9, 1);
    if (status == SONDE_OK)
        status = sonde_sketch_merge(&b, &a);
    if (status == SONDE_OK) {
        sonde_sketch_encode(&b, &out);
        status = out.status;
    }
    if (status == SONDE_OK)
        status = sonde_sketch_decode_merge(&a, sonde_buf_str(&out));
    if (a.count != 0 && a.count != 1 && a.count != 2 && a.count != 4)
        status = SONDE_ERR_STATE; /* half a change */
    sonde_buf_done(&out);
    sonde_sketch_done(&a);
    sonde_sketch_done(&b);
    return status;
}

static void test_sketch_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(build_merge_and_decode, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sketch_cuts_nanoseconds_to_ten_bits),
        cmocka_unit_test(test_sketch_index_is_the_floor_of_the_logarithm_for_every_duration),
        cmocka_unit_test(test_sketch_index_is_right_on_both_sides_of_every_border),
        cmocka_unit_test(test_sketch_counts_zero_negative_and_tiny_values_apart),
        cmocka_unit_test(test_sketch_takes_the_smallest_and_the_largest_double),
        cmocka_unit_test(test_sketch_refuses_what_is_not_a_value_or_a_count),
        cmocka_unit_test(test_sketch_quantiles_are_within_one_percent),
        cmocka_unit_test(test_sketch_quantile_copes_with_odd_questions),
        cmocka_unit_test(test_sketch_quantile_of_less_than_one_value_is_that_value),
        cmocka_unit_test(test_sketch_merge_is_associative_also_when_bins_collapse),
        cmocka_unit_test(test_sketch_keeps_the_total_and_the_top_when_bins_collapse),
        cmocka_unit_test(test_sketch_merged_with_itself_counts_twice),
        cmocka_unit_test(test_sketch_encodes_the_bytes_of_datadogs_agent),
        cmocka_unit_test(test_sketch_decodes_what_it_encoded),
        cmocka_unit_test(test_sketch_decodes_other_writers),
        cmocka_unit_test(test_sketch_moves_a_foreign_bin_to_where_its_middle_is),
        cmocka_unit_test(test_sketch_sums_both_bin_encodings),
        cmocka_unit_test(test_sketch_skips_the_zero_bins_writers_pad_with),
        cmocka_unit_test(test_sketch_counts_negative_bins_and_the_zero_count_as_zero),
        cmocka_unit_test(test_sketch_refuses_hostile_encodings_and_stays_as_it_was),
        cmocka_unit_test(test_sketch_holds_bounded_memory_whatever_the_indices),
        cmocka_unit_test(test_sketch_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("sketch", tests, NULL, NULL);
}
