/* Configuration keys to the sampler's options. */
#include "support/test.h"

#include <string.h>

#include "agent/main/sampling.h"
#include "base/log.h"

static int lines;

static void count_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
    lines++;
}

static void test_rates_of_events_are_read_strictly(void **state)
{
    static const struct {
        const char *item;
        bool ok;
        double rate;
    } cases[] = {
        { "web|http.request=0.5", true, 0.5 },
        { " web | http.request = 1 ", true, 1.0 },
        { "web|a|b=0", true, 0.0 },
        { "web|http.request:0.5", true, 0.5 }, /* of a map in the file */
        { "web|a:b=1", true, 1.0 },
        { "web|http.request=1.5", false, 0 },
        { "web|http.request=-1", false, 0 },
        { "web|http.request=", false, 0 },
        { "web|http.request", false, 0 },
        { "web=1", false, 0 },
        { "|x=1", false, 0 },
        { "web|=1", false, 0 },
        { "", false, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        event_rate r = { .rate = -1 };
        bool ok = sampling_parse_event_rate(sonde_str_from(cases[i].item), &r);

        if (ok != cases[i].ok || (ok && (r.rate > cases[i].rate || r.rate < cases[i].rate)))
            fail_msg("%s: %d, %g", cases[i].item, ok, r.rate);
    }
}

static void test_keys_become_options(void **state)
{
    static char *environment[] = { (char *)"DD_APM_ANALYZED_SPANS=web|get=0.5,nonsense,db|q=1",
                                   (char *)"DD_APM_FEATURES=probabilistic_sampler_full_trace_id",
                                   (char *)"DD_APM_PROBABILISTIC_SAMPLER_ENABLED=true",
                                   (char *)"DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE=12.5",
                                   (char *)"DD_APM_PROBABILISTIC_SAMPLER_HASH_SEED=4294967295",
                                   (char *)"DD_APM_ENABLE_RARE_SAMPLER=true",
                                   (char *)"DD_APM_ERROR_TPS=3",
                                   (char *)"DD_APM_MAX_EPS=7",
                                   NULL };
    static sampling_rates rates;
    agent_config *c = NULL;
    sampler_options o;

    (void)state;
    sonde_log_set_sink(count_line, NULL);
    assert_status(
        config_load_text(
            &(config_options){ .environment = environment, .os_hostname = "h", .cpus = 2 },
            SONDE_STR("api_key: k\napm_config:\n  rare_sampler:\n    cooldown: 60\n"
                      "  max_catalog_entries: 7\n"
                      "  analyzed_rate_by_service:\n    web: 0.25\n    bad: 2\n"),
            "test", &c, NULL),
        SONDE_OK);
    sampling_options(c, &rates, &o);

    assert_int_equal(lines, 2); /* nonsense, bad */
    assert_int_equal(o.catalog_max, 7);
    assert_int_equal(o.events.by_service_len, 1);
    assert_true(sonde_str_eq(o.events.by_service[0].service, SONDE_STR("web")));
    assert_true(o.events.by_service[0].rate > 0.24 && o.events.by_service[0].rate < 0.26);
    assert_int_equal(o.events.by_operation_len, 2);
    assert_true(sonde_str_eq(o.events.by_operation[1].service, SONDE_STR("db")));
    assert_true(o.probabilistic.enabled && o.probabilistic.full_id);
    assert_true(o.probabilistic.percentage > 12.4 && o.probabilistic.percentage < 12.6);
    assert_true(o.probabilistic.seed == 4294967295u);
    assert_true(o.rare.enabled);
    assert_true(o.rare.cooldown_ns == UINT64_C(60000000000));
    assert_int_equal(o.rare.cardinality, 200);
    assert_int_equal((int)o.errors_per_s, 3);
    assert_int_equal((int)o.events.max_per_s, 7);
    assert_false(o.errors_only || o.ask_after_tracer_drop);
    config_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_of_events_are_read_strictly),
        cmocka_unit_test(test_keys_become_options),
    };

    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
