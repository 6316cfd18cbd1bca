/* test_setting.c - base/setting.h */
#include "support/test.h"

#include <string.h>

#include "base/clock.h"
#include "base/setting.h"

#define UNTOUCHED 4242
#define MIB       (1024.0 * 1024)

static const sonde_bounds any = { 0, 0, false };
static const sonde_bounds ten = { 1, 10, false };
static const sonde_bounds to_ten = { 1, 10, true };

typedef struct row {
    const char *in;
    sonde_bounds bounds;
    const char *why; /* NULL: taken */
    double value;
} row;

static void check(const row *r, const char *why, double value)
{
    double want = r->why ? UNTOUCHED : r->value;

    if ((why != NULL) != (r->why != NULL) || (why && strcmp(why, r->why) != 0) || value != want)
        fail_msg("\"%s\": %s, %.17g", r->in, why ? why : "taken", value);
}

static void test_a_whole_number_is_within_its_bounds_and_32_bits(void **state)
{
    const row rows[] = {
        { "0", any, NULL, 0 },
        { "4294967295", any, NULL, 4294967295.0 },
        { "4294967296", any, "out of range", 0 },
        { "99999999999999999999999", any, "out of range", 0 },
        { "1", ten, NULL, 1 },
        { "10", ten, NULL, 10 },
        { "0", ten, "out of range", 0 },
        { "11", ten, "out of range", 0 },
        { "0", to_ten, NULL, 1 },
        { "11", to_ten, NULL, 10 },
        { "99999999999999999999999", to_ten, NULL, 10 },
        { "-1", to_ten, "not a whole number", 0 },
        { "1.5", ten, "not a whole number", 0 },
        { "", ten, "not a whole number", 0 },
        { "3", { 5, 0, false }, "out of range", 0 },
        { "70000", { 5, 0, false }, NULL, 70000 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        uint32_t got = UNTOUCHED;
        const char *why = sonde_setting_u32(sonde_str_from(rows[i].in), rows[i].bounds, &got);
        check(&rows[i], why, got);
    }
}

static void test_a_number_is_within_its_bounds(void **state)
{
    const row rows[] = {
        { "0.25", any, NULL, 0.25 },        { "-1", any, "out of range", 0 },
        { "0.5", ten, "out of range", 0 },  { "10.5", to_ten, NULL, 10 },
        { "1e1", ten, NULL, 10 },           { "nan", ten, "not a number", 0 },
        { "much", ten, "not a number", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        double got = UNTOUCHED;
        const char *why = sonde_setting_double(sonde_str_from(rows[i].in), rows[i].bounds, &got);
        check(&rows[i], why, got);
    }
}

static void test_a_bare_number_counts_units_of_time(void **state)
{
    const row rows[] = {
        { "2", ten, NULL, 2e9 },
        { "2s", ten, NULL, 2e9 },
        { "1500ms", ten, NULL, 1.5e9 },
        { "1.5", ten, NULL, 1.5e9 },
        { "0.5", ten, "out of range", 0 },
        { "0.5", to_ten, NULL, 1e9 },
        { "1m", ten, "out of range", 0 },
        { "1m", to_ten, NULL, 10e9 },
        { "1e300", any, "not a duration", 0 },
        { "-1", any, "not a duration", 0 },
        { "soon", any, "not a duration", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        uint64_t got = UNTOUCHED;
        const char *why = sonde_setting_duration(sonde_str_from(rows[i].in), rows[i].bounds,
                                                 SONDE_NS_PER_S, &got);
        check(&rows[i], why, (double)got);
    }
}

static void test_a_bare_number_counts_units_of_size(void **state)
{
    const row rows[] = {
        { "2", ten, NULL, 2 * MIB },
        { "2MiB", ten, NULL, 2 * MIB },
        { "512k", ten, "out of range", 0 },
        { "512k", to_ten, NULL, MIB },
        { "11", to_ten, NULL, 10 * MIB },
        { "18446744073709551615", ten, "out of range", 0 },
        { "18446744073709551615", to_ten, NULL, 10 * MIB },
        { "large", ten, "not a size", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        uint64_t got = UNTOUCHED;
        const char *why =
            sonde_setting_bytes(sonde_str_from(rows[i].in), rows[i].bounds, 1u << 20, &got);
        check(&rows[i], why, (double)got);
    }
}

static void test_a_size_is_exact_beyond_what_a_double_holds(void **state)
{
    uint64_t got = 0;

    (void)state;
    assert_null(sonde_setting_bytes(SONDE_STR("9007199254740993"), any, 1, &got));
    assert_int_equal(got, UINT64_C(9007199254740993));
}

static void test_a_choice_is_found_by_each_spelling_in_any_case(void **state)
{
    static const struct {
        const char *in;
        int place; /* -1: none */
    } rows[] = {
        { "false", 0 }, { "OFF", 0 },        { "true", 1 }, { "On", 1 }, { "auto", 2 },
        { "a", -1 },    { "false=off", -1 }, { "", -1 },    { ",", -1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        uint32_t got = UNTOUCHED;
        const char *why =
            sonde_setting_choice(sonde_str_from(rows[i].in), "false=off,true=on,auto", &got);

        if ((why == NULL) != (rows[i].place >= 0) ||
            got != (why ? UNTOUCHED : (uint32_t)rows[i].place))
            fail_msg("\"%s\": %s, %u", rows[i].in, why ? why : "taken", (unsigned)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_number_is_within_its_bounds_and_32_bits),
        cmocka_unit_test(test_a_number_is_within_its_bounds),
        cmocka_unit_test(test_a_bare_number_counts_units_of_time),
        cmocka_unit_test(test_a_bare_number_counts_units_of_size),
        cmocka_unit_test(test_a_size_is_exact_beyond_what_a_double_holds),
        cmocka_unit_test(test_a_choice_is_found_by_each_spelling_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
