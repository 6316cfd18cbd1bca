/* test_format.c - base/format.h
 *
 * Source   expected doubles are what ECMAScript's Number.prototype.toString prescribes. */
#include "support/test.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/format.h"
#include "base/parse.h"
#include "base/rng.h"

static void test_format_integers(void **state)
{
    static const struct {
        int64_t in;
        const char *want;
    } cases[] = {
        { 0, "0" },
        { 7, "7" },
        { -7, "-7" },
        { 1234567890, "1234567890" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    char out[SONDE_U64_MAX_LEN + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        out[sonde_format_i64(cases[i].in, out)] = '\0';
        assert_string_equal(out, cases[i].want);
    }
    out[sonde_format_u64(UINT64_MAX, out)] = '\0';
    assert_string_equal(out, "18446744073709551615");
}

static void test_every_number_of_digits_is_written_as_the_libc_does(void **state)
{
    uint64_t power = 1;
    int digits, off;

    (void)state;
    for (digits = 1; digits <= 20; digits++, power *= 10)
        for (off = -2; off <= 2; off++) {
            uint64_t v = power + (uint64_t)off;
            char got[SONDE_U64_MAX_LEN + 1];
            char want[SONDE_U64_MAX_LEN + 1];

            got[sonde_format_u64(v, got)] = '\0';
            (void)snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
            assert_string_equal(got, want);
            v = v / 3 * 2 + UINT64_C(0x123456789) % power;
            got[sonde_format_u64(v, got)] = '\0';
            (void)snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
            assert_string_equal(got, want);
        }
}

static const struct {
    double in;
    const char *want;
} doubles[] = {
    { 0.0, "0" },
    { -0.0, "-0" },
    { 1.0, "1" },
    { -1.5, "-1.5" },
    { 0.1, "0.1" },
    { 0.05, "0.05" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { 1.0 / 3.0, "0.3333333333333333" },
    { 2.0 / 3.0, "0.6666666666666666" },
    { 123456.789, "123456.789" },
    { 100.0, "100" },
    { 999999999999999.0, "999999999999999" },
    { 1e15, "1000000000000000" },
    { 9007199254740991.0, "9007199254740991" },
    { 9007199254740993.0, "9007199254740992" },
    { 123456789012345680.0, "123456789012345680" },
    { 1e20, "100000000000000000000" },
    { 1e21, "1e+21" },
    { 1.5e21, "1.5e+21" },
    { 1e23, "1e+23" },
    { 0.000001, "0.000001" },
    { 0.00000123, "0.00000123" },
    { 0.0000001, "1e-7" },
    { 1.234e-7, "1.234e-7" },
    { 5e-324, "5e-324" },
    { 1.5e-323, "1.5e-323" },
    { 2.2250738585072014e-308, "2.2250738585072014e-308" },
    { 2.225073858507201e-308, "2.225073858507201e-308" },
    { 1.7976931348623157e308, "1.7976931348623157e+308" },
    { 0x1p-44, "5.684341886080802e-14" }, /* the nearest 16 digits, ...801, lie too far below */
    { 0x1p-20, "9.5367431640625e-7" },
    { 4.35, "4.35" },
    { 0.000035689, "0.000035689" },
    { 1.0000000000000002, "1.0000000000000002" },
};

static void assert_doubles_print_as_wanted(void)
{
    char out[SONDE_DOUBLE_MAX_LEN + 1];
    size_t i;

    for (i = 0; i < COUNT_OF(doubles); i++) {
        out[sonde_format_double(doubles[i].in, out)] = '\0';
        if (strcmp(out, doubles[i].want) != 0)
            fail_msg("got %s, want %s", out, doubles[i].want);
    }
}

static void test_format_double_is_the_shortest_that_reads_back(void **state)
{
    (void)state;
    assert_doubles_print_as_wanted();
}

static void test_format_double_has_a_point_in_every_locale(void **state)
{
    static const char *const with_comma[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE",
                                              "ru_RU.UTF-8" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(with_comma) && !setlocale(LC_ALL, with_comma[i]); i++)
        ;
    if (i == COUNT_OF(with_comma))
        skip(); /* none of them is installed here */
    assert_doubles_print_as_wanted();
    (void)setlocale(LC_ALL, "C");
}

static void test_format_double_of_what_json_cannot_say_is_null(void **state)
{
    static const double values[] = { INFINITY, -INFINITY, NAN };
    char out[SONDE_DOUBLE_MAX_LEN];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(values); i++) {
        assert_int_equal(sonde_format_double(values[i], out), 4);
        assert_memory_equal(out, "null", 4);
    }
}

/* All bit patterns: what is printed reads back as the same double and fits the buffer. */
static void test_format_double_reads_back_as_the_same_double(void **state)
{
    sonde_rng rng;
    int i;

    (void)state;
    sonde_rng_seed(&rng, 20261125);
    for (i = 0; i < 100000; i++) {
        uint64_t bits = sonde_rng_next(&rng), again;
        char out[SONDE_DOUBLE_MAX_LEN];
        double v, back = 0;
        size_t len;

        if (i % 4 == 0)
            bits &= ~0xfffffffffffffull; /* powers of two */
        if (i % 4 == 1)
            bits &= 0x800fffffffffffffull; /* subnormals */
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        len = sonde_format_double(v, out);
        assert_true(len <= 25);
        assert_status(sonde_parse_double((sonde_str){ out, len }, &back), SONDE_OK);
        memcpy(&again, &back, sizeof(again));
        if (again != bits)
            fail_msg("%.17g printed as %.*s", v, (int)len, out);
    }
}

static void test_format_rfc3339(void **state)
{
    static const struct {
        int64_t in;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { 951782400ll * 1000000000, "2000-02-29T00:00:00.000Z" },
        { 951868799ll * 1000000000 + 999999999, "2000-02-29T23:59:59.999Z" },
        { 1795619045123ll * 1000000, "2026-11-25T15:04:05.123Z" },
        { INT64_MAX, "2262-04-11T23:47:16.854Z" },
        { INT64_MIN, "1677-09-21T00:12:43.145Z" },
    };
    char out[SONDE_RFC3339_LEN + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        out[sonde_format_rfc3339(cases[i].in, out)] = '\0';
        assert_string_equal(out, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_integers),
        cmocka_unit_test(test_every_number_of_digits_is_written_as_the_libc_does),
        cmocka_unit_test(test_format_double_is_the_shortest_that_reads_back),
        cmocka_unit_test(test_format_double_has_a_point_in_every_locale),
        cmocka_unit_test(test_format_double_of_what_json_cannot_say_is_null),
        cmocka_unit_test(test_format_double_reads_back_as_the_same_double),
        cmocka_unit_test(test_format_rfc3339),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
