/* test_sampler.c - the hash of docs/spec/propagation.md, rates and decisions. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "libtrace/src/sampler.h"

static void test_hash_keeps_what_the_table_keeps(void **state)
{
    static const struct {
        uint64_t id;
        bool at_tenth, at_half;
    } cases[] = {
        { 1, true, true },
        { 2, false, true },
        { 10, false, false },
        { 1234567890123456789u, false, true },
        { 9223372036854775807u, false, true },
        { 11400714819323198485u, false, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        if (sonde__sampler_keeps(cases[i].id, 0.1) != cases[i].at_tenth ||
            sonde__sampler_keeps(cases[i].id, 0.5) != cases[i].at_half)
            fail_msg("id %llu", (unsigned long long)cases[i].id);
        assert_true(sonde__sampler_keeps(cases[i].id, 1));
        assert_true(sonde__sampler_keeps(cases[i].id, 2));
        assert_false(sonde__sampler_keeps(cases[i].id, 0));
        assert_false(sonde__sampler_keeps(cases[i].id, (double)NAN));
    }
}

static void test_the_hash_keeps_its_part_of_all_ids(void **state)
{
    static const double rates[] = { 0.001, 0.1, 0.5, 0.75, 0.99 };
    const int n = 200000;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rates); i++) {
        double variance = n * rates[i] * (1 - rates[i]);
        double off = -n * rates[i];
        sonde_rng rng;
        int k;

        sonde_rng_seed(&rng, 26 + i);
        for (k = 0; k < n; k++)
            off += sonde__sampler_keeps(sonde_rng_next(&rng) >> 1, rates[i]);
        if (off * off > 9 * variance)
            fail_msg("rate %g: off by %g, standard deviation^2 %g", rates[i], off, variance);
    }
}

static void test_rates_are_printed_with_at_most_six_decimals(void **state)
{
    static const struct {
        double rate;
        const char *text;
    } cases[] = { { 0.5, "0.5" }, { 1, "1" },     { 0.3333333, "0.333333" }, { 0.0000001, "0" },
                  { 0, "0" },     { 0.1, "0.1" }, { 0.9999999, "1" } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char out[16];
        size_t len = sonde__format_rate(cases[i].rate, out);

        if (len != strlen(cases[i].text) || memcmp(out, cases[i].text, len) != 0)
            fail_msg("%s: got %.*s", cases[i].text, (int)len, out);
    }
}

static void test_a_decision_keeps_its_parts(void **state)
{
    static const double rates[] = { 0, 0.1, 0.5, 0.123456789, 1 };
    size_t i;
    int priority;

    (void)state;
    for (i = 0; i < COUNT_OF(rates); i++) {
        for (priority = -128; priority <= 127; priority++) {
            sonde__decision d = sonde__decision_make(priority, 3, rates[i], SONDE__DECISION_LOCKED);

            assert_int_equal(sonde__decision_priority(d), priority);
            assert_int_equal(sonde__decision_mechanism(d), 3);
            assert_true(sonde__decision_rate(d) == rates[i]);
            assert_true(d & SONDE__DECISION_LOCKED);
        }
    }
}

/* -- rates of the agent --------------------------------------------------------------------------- */

static double rate_of(sonde__service s)
{
    double rate = -1;

    return sonde__service_rate(s, &rate) ? rate : -1;
}

static void test_rates_are_found_by_service_and_env(void **state)
{
    sonde__service other, late;

    (void)state;
    assert_status(sonde__services_open(SONDE_STR("web"), SONDE_STR("prod")), SONDE_OK);
    other = sonde__service_number(SONDE_STR("other"));
    assert_true(rate_of(0) == -1);
    assert_status(sonde__service_rates_update(
                      SONDE_STR("{\"x\":[1,{}],\"rate_by_service\":{\"service:web,env:prod\":0.25,"
                                "\"service:late,env:prod\":0.75,\"service:other,env:dev\":0.1,"
                                "\"service:,env:\":0.5,\"service:bad,env:prod\":7}}")),
                  SONDE_OK);
    late = sonde__service_number(SONDE_STR("late"));
    assert_true(rate_of(0) == 0.25);
    assert_true(rate_of(other) == 0.5);
    assert_true(rate_of(late) == 0.75);
    assert_true(rate_of(sonde__service_number(SONDE_STR("bad"))) == 0.5);
}

static void test_rates_stay_when_the_answer_is_bad_or_has_none(void **state)
{
    static const struct {
        const char *in;
        sonde_status want;
    } cases[] = { { "{\"rate_by_service\":{\"service:web,env:prod\":0.1}", SONDE_ERR_SYNTAX },
                  { "{\"rate_by_service\":{\"service:web,env:prod\":}}", SONDE_ERR_SYNTAX },
                  { "{\"rate_by_service\":[]}", SONDE_ERR_SYNTAX },
                  { "[]", SONDE_ERR_SYNTAX },
                  { "{} x", SONDE_ERR_SYNTAX },
                  { "{}", SONDE_OK } };
    size_t i;

    (void)state;
    assert_status(sonde__services_open(SONDE_STR("web"), SONDE_STR("prod")), SONDE_OK);
    assert_status(sonde__service_rates_update(
                      SONDE_STR("{\"rate_by_service\":{\"service:web,env:prod\":0.25}}")),
                  SONDE_OK);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str in = { cases[i].in, strlen(cases[i].in) };

        assert_status(sonde__service_rates_update(in), cases[i].want);
        if (rate_of(0) != 0.25)
            fail_msg("%s: rate became %f", cases[i].in, rate_of(0));
    }
    assert_status(sonde__service_rates_update(SONDE_STR("{\"rate_by_service\":{}}")), SONDE_OK);
    assert_true(rate_of(0) == 1);
}

static void test_services_beyond_the_table_become_the_tracers(void **state)
{
    char name[32];
    int i;
    sonde__service last = 0;

    (void)state;
    assert_status(sonde__services_open(SONDE_STR("web"), SONDE_STR("")), SONDE_OK);
    assert_int_equal(sonde__service_number(SONDE_STR("web")), 0);
    for (i = 0; i < SONDE__SERVICES_MAX + 10; i++)
        last = sonde__service_number(
            (sonde_str){ name, (size_t)snprintf(name, sizeof(name), "s%d", i) });
    assert_int_equal(last, 0);
    assert_true(sonde__service_number(SONDE_STR("s1")) > 0);
    assert_true(sonde__service_is_own(sonde__service_number(SONDE_STR("WEB"))) ||
                sonde__service_number(SONDE_STR("WEB")) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_keeps_what_the_table_keeps),
        cmocka_unit_test(test_the_hash_keeps_its_part_of_all_ids),
        cmocka_unit_test(test_rates_are_printed_with_at_most_six_decimals),
        cmocka_unit_test(test_a_decision_keeps_its_parts),
        cmocka_unit_test(test_rates_are_found_by_service_and_env),
        cmocka_unit_test(test_rates_stay_when_the_answer_is_bad_or_has_none),
        cmocka_unit_test(test_services_beyond_the_table_become_the_tracers),
    };

    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
