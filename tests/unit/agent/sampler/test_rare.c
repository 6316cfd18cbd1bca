/* The rare sampler: a kind is rare once, until it was not seen for the cooldown; tokens; ceilings. */
#include "support/test.h"

#include <stdio.h>

#include "agent/sampler/rare.h"
#include "support/alloc_fail.h"

#define S       INT64_C(1000000000)
#define NOW     (1000 * S)
#define MINUTES (60 * S)

typedef struct fixture {
    rare_sampler r;
    sonde_arena arena;
} fixture;

static void start(fixture *f, double tokens_per_s, uint32_t cardinality)
{
    rare_init(&f->r, &(rare_options){ true, tokens_per_s, 5 * MINUTES, cardinality });
    sonde_arena_init(&f->arena, 8 << 20);
}

static void stop(fixture *f)
{
    rare_done(&f->r);
    sonde_arena_done(&f->arena);
}

static bool ask(fixture *f, const char *service, const char *resource, int64_t now)
{
    span_metric top[4] = { { SONDE_STR("_top_level"), 1.0 } };
    payload_span s = { .service = sonde_str_from(service),
                       .resource = sonde_str_from(resource),
                       .metrics = top,
                       .metrics_len = 1,
                       .metrics_cap = 4 };
    payload_chunk c = { .spans = &s, .spans_len = 1 };
    bool keep = rare_keeps(&f->r, &c, &f->arena, SONDE_STR("prod"), now);
    const double *mark = span_metric_get(&s, SONDE_STR("_dd.rare"));

    assert_int_equal(keep, mark && *mark >= 1.0);
    return keep;
}

static void test_a_kind_is_rare_until_it_was_seen(void **state)
{
    fixture f;

    (void)state;
    start(&f, 5, 200);
    assert_true(ask(&f, "web", "GET /", NOW));
    assert_false(ask(&f, "web", "GET /", NOW + 4 * MINUTES));
    assert_true(ask(&f, "web", "GET /other", NOW + 4 * MINUTES));
    assert_true(ask(&f, "api", "GET /", NOW + 4 * MINUTES));
    assert_true(ask(&f, "web", "GET /", NOW + 5 * MINUTES + 1)); /* since it was kept */
    stop(&f);
}

static void test_spans_inside_a_service_are_never_rare(void **state)
{
    payload_span s = { .service = SONDE_STR("web"), .resource = SONDE_STR("inner") };
    payload_chunk c = { .spans = &s, .spans_len = 1 };
    fixture f;

    (void)state;
    start(&f, 5, 200);
    assert_false(rare_keeps(&f.r, &c, &f.arena, SONDE_STR("prod"), NOW));
    stop(&f);
}

static void test_one_rare_span_makes_the_others_of_its_trace_seen(void **state)
{
    span_metric top[2][4] = { { { SONDE_STR("_top_level"), 1.0 } },
                              { { SONDE_STR("_dd.measured"), 1.0 } } };
    payload_span s[2] = {
        { .service = SONDE_STR("a"), .metrics = top[0], .metrics_len = 1, .metrics_cap = 4 },
        { .service = SONDE_STR("b"), .metrics = top[1], .metrics_len = 1, .metrics_cap = 4 },
    };
    payload_chunk c = { .spans = s, .spans_len = 2 };
    fixture f;

    (void)state;
    start(&f, 5, 200);
    assert_true(rare_keeps(&f.r, &c, &f.arena, SONDE_STR("prod"), NOW));
    /* only the one that was asked first */
    assert_null(span_metric_get(&s[1], SONDE_STR("_dd.rare")));
    assert_false(ask(&f, "b", "", NOW + S));
    stop(&f);
}

static void test_tokens_limit_how_many_are_kept(void **state)
{
    char resource[32];
    fixture f;
    int i, kept = 0;

    (void)state;
    start(&f, 5, 4000);
    for (i = 0; i < 100; i++) {
        (void)snprintf(resource, sizeof(resource), "GET /%d", i);
        kept += ask(&f, "web", resource, NOW);
    }
    assert_int_equal(kept, 50);
    assert_int_equal(f.r.misses, 50);
    for (kept = 0, i = 0; i < 100; i++) {
        (void)snprintf(resource, sizeof(resource), "GET /late/%d", i);
        kept += ask(&f, "web", resource, NOW + 2 * S);
    }
    assert_int_equal(kept, 10);
    assert_int_equal(f.r.hits + f.r.misses, 200);
    stop(&f);
}

static void test_too_many_kinds_of_a_service_share_places(void **state)
{
    char resource[32];
    fixture f;
    int i;

    (void)state;
    start(&f, 1e9, 200);
    for (i = 0; i < 5000; i++) {
        (void)snprintf(resource, sizeof(resource), "GET /%d", i);
        (void)ask(&f, "web", resource, NOW + i * S / 100);
    }
    assert_int_equal(f.r.shrinks, 1);
    assert_false(ask(&f, "web", "GET /7777", NOW + 50 * S)); /* its place was seen by others */
    stop(&f);
}

static void test_services_beyond_the_ceiling_are_counted(void **state)
{
    char service[32];
    fixture f;
    int i, kept = 0;

    (void)state;
    start(&f, 1e9, 200);
    for (i = 0; i < RARE_SERVICES_MAX + 10; i++) {
        (void)snprintf(service, sizeof(service), "service-%d", i);
        kept += ask(&f, service, "r", NOW + i * S);
    }
    assert_in_range(kept, RARE_SERVICES_MAX - 5, RARE_SERVICES_MAX); /* a few hashes may agree */
    assert_true(f.r.services_full >= 10 && f.r.services_full <= 15);
    stop(&f);
}

static sonde_status survive(void *user)
{
    fixture f;

    (void)user;
    start(&f, 5, 200);
    (void)ask(&f, "web", "GET /", NOW);
    (void)ask(&f, "web", "GET /other", NOW);
    stop(&f);
    return f.r.services_full ? SONDE_ERR_NOMEM : SONDE_OK;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    alloc_fail_each(survive, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kind_is_rare_until_it_was_seen),
        cmocka_unit_test(test_spans_inside_a_service_are_never_rare),
        cmocka_unit_test(test_one_rare_span_makes_the_others_of_its_trace_seen),
        cmocka_unit_test(test_tokens_limit_how_many_are_kept),
        cmocka_unit_test(test_too_many_kinds_of_a_service_share_places),
        cmocka_unit_test(test_services_beyond_the_ceiling_are_counted),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("rare", tests, NULL, NULL);
}
