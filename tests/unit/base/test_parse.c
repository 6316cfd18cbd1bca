/* test_parse.c - base/parse.h */
#include "support/test.h"

#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

static void test_parse_u64(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
        uint64_t value;
    } cases[] = {
        { "0", SONDE_OK, 0 },
        { "00012", SONDE_OK, 12 },
        { "18446744073709551615", SONDE_OK, UINT64_MAX },
        { "18446744073709551616", SONDE_ERR_TOO_BIG, 0 },
        { "99999999999999999999999", SONDE_ERR_TOO_BIG, 0 },
        { "99999999999999999999999x", SONDE_ERR_SYNTAX, 0 },
        { "", SONDE_ERR_SYNTAX, 0 },
        { "+1", SONDE_ERR_SYNTAX, 0 },
        { "-1", SONDE_ERR_SYNTAX, 0 },
        { " 1", SONDE_ERR_SYNTAX, 0 },
        { "1 ", SONDE_ERR_SYNTAX, 0 },
        { "0x10", SONDE_ERR_SYNTAX, 0 },
        { "1.0", SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t v = 0xeeee;
        sonde_status got = sonde_parse_u64(sonde_str_from(cases[i].in), &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].value : 0xeeee))
            fail_msg("\"%s\": got %s, %llu", cases[i].in, sonde_status_name(got),
                     (unsigned long long)v);
    }
}

static void test_parse_i64(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
        int64_t value;
    } cases[] = {
        { "0", SONDE_OK, 0 },
        { "-0", SONDE_OK, 0 },
        { "-12", SONDE_OK, -12 },
        { "9223372036854775807", SONDE_OK, INT64_MAX },
        { "-9223372036854775808", SONDE_OK, INT64_MIN },
        { "9223372036854775808", SONDE_ERR_TOO_BIG, 0 },
        { "-9223372036854775809", SONDE_ERR_TOO_BIG, 0 },
        { "--1", SONDE_ERR_SYNTAX, 0 },
        { "-", SONDE_ERR_SYNTAX, 0 },
        { "+1", SONDE_ERR_SYNTAX, 0 },
        { "", SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        int64_t v = 0xeeee;
        sonde_status got = sonde_parse_i64(sonde_str_from(cases[i].in), &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].value : 0xeeee))
            fail_msg("\"%s\": got %s, %lld", cases[i].in, sonde_status_name(got), (long long)v);
    }
}

static const struct {
    const char *in;
    sonde_status want;
    double value;
} doubles[] = {
    { "0", SONDE_OK, 0 },
    { "1", SONDE_OK, 1 },
    { "-1.5", SONDE_OK, -1.5 },
    { "+2", SONDE_OK, 2 },
    { "0.05", SONDE_OK, 0.05 },
    { ".5", SONDE_OK, 0.5 },
    { "5.", SONDE_OK, 5 },
    { "1e3", SONDE_OK, 1000 },
    { "1E-3", SONDE_OK, 0.001 },
    { "1e+22", SONDE_OK, 1e22 },
    { "1e23", SONDE_OK, 1e23 },
    { "123456789012345678901234567890", SONDE_OK, 123456789012345678901234567890.0 },
    { "0.1000000000000000055511151231257827021181583404541015625", SONDE_OK, 0.1 },
    { "9007199254740993", SONDE_OK, 9007199254740992.0 },
    { "9007199254740993e1", SONDE_OK, 90071992547409936.0 },
    { "9007199254740993.00000000000000000000000000001", SONDE_OK, 9007199254740994.0 },
    { "1.7976931348623157e308", SONDE_OK, 1.7976931348623157e308 },
    { "5e-324", SONDE_OK, 5e-324 },
    { "1e-400", SONDE_OK, 0 },
    { "0e999999999999", SONDE_OK, 0 },
    { "1e309", SONDE_ERR_TOO_BIG, 0 },
    { "1e99999999999999999999", SONDE_ERR_TOO_BIG, 0 },
    { "", SONDE_ERR_SYNTAX, 0 },
    { ".", SONDE_ERR_SYNTAX, 0 },
    { "-", SONDE_ERR_SYNTAX, 0 },
    { "e5", SONDE_ERR_SYNTAX, 0 },
    { "1e", SONDE_ERR_SYNTAX, 0 },
    { "1e+", SONDE_ERR_SYNTAX, 0 },
    { "1,5", SONDE_ERR_SYNTAX, 0 },
    { " 1", SONDE_ERR_SYNTAX, 0 },
    { "1 ", SONDE_ERR_SYNTAX, 0 },
    { "0x1p3", SONDE_ERR_SYNTAX, 0 },
    { "inf", SONDE_ERR_SYNTAX, 0 },
    { "nan", SONDE_ERR_SYNTAX, 0 },
};

static void assert_doubles_read_as_wanted(void)
{
    size_t i;

    for (i = 0; i < COUNT_OF(doubles); i++) {
        double v = 0.25;
        sonde_status got = sonde_parse_double(sonde_str_from(doubles[i].in), &v);
        double want = got == SONDE_OK ? doubles[i].value : 0.25;

        if (got != doubles[i].want || memcmp(&v, &want, sizeof(v)) != 0)
            fail_msg("\"%s\": got %s, %.17g", doubles[i].in, sonde_status_name(got), v);
    }
}

static void test_parse_double(void **state)
{
    double v = 1;

    (void)state;
    assert_doubles_read_as_wanted();
    assert_status(sonde_parse_double(SONDE_STR("-0"), &v), SONDE_OK);
    assert_true(v == 0 && signbit(v));
}

static void test_parse_double_wants_a_point_in_every_locale(void **state)
{
    static const char *const with_comma[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE",
                                              "ru_RU.UTF-8" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(with_comma) && !setlocale(LC_ALL, with_comma[i]); i++)
        ;
    if (i == COUNT_OF(with_comma))
        skip(); /* none of them is installed here */
    assert_doubles_read_as_wanted();
    (void)setlocale(LC_ALL, "C");
}

static void test_parse_double_refuses_endless_text(void **state)
{
    char text[2000];
    double v = 0.25;

    (void)state;
    memset(text, '7', sizeof(text));
    assert_status(sonde_parse_double((sonde_str){ text, sizeof(text) }, &v), SONDE_ERR_TOO_BIG);
    assert_true(v == 0.25);
}

static void test_parse_bool(void **state)
{
    static const char *const yes[] = { "1", "t", "true", "TRUE", "yes", "On" };
    static const char *const no[] = { "0", "F", "false", "no", "OFF" };
    static const char *const neither[] = { "", "2", "tru", "truex", " true", "y" };
    bool v;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(yes); i++) {
        v = false;
        assert_status(sonde_parse_bool(sonde_str_from(yes[i]), &v), SONDE_OK);
        assert_true(v);
    }
    for (i = 0; i < COUNT_OF(no); i++) {
        v = true;
        assert_status(sonde_parse_bool(sonde_str_from(no[i]), &v), SONDE_OK);
        assert_false(v);
    }
    for (i = 0; i < COUNT_OF(neither); i++)
        assert_status(sonde_parse_bool(sonde_str_from(neither[i]), &v), SONDE_ERR_SYNTAX);
}

static void test_parse_duration(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
        uint64_t ns;
    } cases[] = {
        { "10ns", SONDE_OK, 10 },
        { "250us", SONDE_OK, 250000 },
        { "150ms", SONDE_OK, 150000000 },
        { "5s", SONDE_OK, 5000000000u },
        { "2m", SONDE_OK, 120000000000u },
        { "1H", SONDE_OK, 3600000000000u },
        { "3d", SONDE_OK, 259200000000000u },
        { "7", SONDE_OK, 7000000 }, /* in the unit asked for: ms */
        { "999999999d", SONDE_ERR_TOO_BIG, 0 },
        { "1.5s", SONDE_ERR_SYNTAX, 0 },
        { "5 s", SONDE_ERR_SYNTAX, 0 },
        { "s", SONDE_ERR_SYNTAX, 0 },
        { "-5s", SONDE_ERR_SYNTAX, 0 },
        { "5w", SONDE_ERR_SYNTAX, 0 },
        { "", SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t v = 0xeeee;
        sonde_status got =
            sonde_parse_duration_ns(sonde_str_from(cases[i].in), SONDE_NS_PER_MS, &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].ns : 0xeeee))
            fail_msg("\"%s\": got %s, %llu", cases[i].in, sonde_status_name(got),
                     (unsigned long long)v);
    }
}

static void test_parse_bytes(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
        uint64_t bytes;
    } cases[] = {
        { "512", SONDE_OK, 512 },
        { "10kb", SONDE_OK, 10240 },
        { "64MiB", SONDE_OK, 67108864 },
        { "2G", SONDE_OK, 2147483648u },
        { "1b", SONDE_OK, 1 },
        { "18446744073709551615", SONDE_OK, UINT64_MAX },
        { "17179869184G", SONDE_ERR_TOO_BIG, 0 },
        { "1T", SONDE_ERR_SYNTAX, 0 },
        { "1 k", SONDE_ERR_SYNTAX, 0 },
        { "k", SONDE_ERR_SYNTAX, 0 },
        { "", SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t v = 0xeeee;
        sonde_status got = sonde_parse_bytes(sonde_str_from(cases[i].in), &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].bytes : 0xeeee))
            fail_msg("\"%s\": got %s, %llu", cases[i].in, sonde_status_name(got),
                     (unsigned long long)v);
    }
}

static void test_parse_rfc3339(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
        int64_t unix_ns;
    } cases[] = {
        { "1970-01-01T00:00:00Z", SONDE_OK, 0 },
        { "2026-01-01T00:00:00.000000000Z", SONDE_OK, 1767225600000000000 },
        { "2026-01-01T01:30:00.25+01:30", SONDE_OK, 1767225600250000000 },
        { "2025-12-31T23:00:00-01:00", SONDE_OK, 1767225600000000000 },
        { "2024-02-29T00:00:00.123456789z", SONDE_OK, 1709164800123456789 },
        { "2024-02-29T00:00:00.1234567899Z", SONDE_OK, 1709164800123456789 },
        { "2261-12-31T23:59:59Z", SONDE_OK, 9214646399000000000 },
        { "9999-01-01T00:00:00Z", SONDE_ERR_TOO_BIG, 0 },
        { "1969-12-31T23:59:59Z", SONDE_ERR_SYNTAX, 0 },
        { "2026-01-01T00:00:00", SONDE_ERR_SYNTAX, 0 },
        { "2026-01-01T00:00:00Zx", SONDE_ERR_SYNTAX, 0 },
        { "2026-01-01T00:00:00+0100", SONDE_ERR_SYNTAX, 0 },
        { "2026-13-01T00:00:00Z", SONDE_ERR_SYNTAX, 0 },
        { "2026-01-01T24:00:00Z", SONDE_ERR_SYNTAX, 0 },
        { "2026-01-01 00:00:00Z", SONDE_ERR_SYNTAX, 0 },
        { "2026-01", SONDE_ERR_SYNTAX, 0 },
        { "", SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        int64_t v = -1;
        sonde_status got = sonde_parse_rfc3339(sonde_str_from(cases[i].in), &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].unix_ns : -1))
            fail_msg("\"%s\": got %s, %lld", cases[i].in, sonde_status_name(got), (long long)v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_u64),
        cmocka_unit_test(test_parse_i64),
        cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_parse_double_wants_a_point_in_every_locale),
        cmocka_unit_test(test_parse_double_refuses_endless_text),
        cmocka_unit_test(test_parse_bool),
        cmocka_unit_test(test_parse_duration),
        cmocka_unit_test(test_parse_bytes),
        cmocka_unit_test(test_parse_rfc3339),
    };

    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
