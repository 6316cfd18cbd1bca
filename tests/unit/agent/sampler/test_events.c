/* APM events: whose rate counts, the limit, the marks. */
#include "support/test.h"

#include "agent/sampler/events.h"

#define NOW_S 1000

typedef struct row {
    const char *label;
    double own; /* _dd1.sr.eausr; negative: none */
    const char *service, *name;
    bool top_level;
    int32_t priority;
    bool by_operation, by_service; /* which maps are configured */
    bool picked;
} row;

static const event_rate operations[] = { { { "Web", 3 }, { "http.Request", 12 }, 1.0 },
                                         { { "web", 3 }, { "never", 5 }, 0.0 } };
static const event_rate services[] = { { { "DB", 2 }, { NULL, 0 }, 1.0 } };

static void test_the_first_source_that_knows_the_span_decides(void **state)
{
    static const row rows[] = {
        { "nothing asks for it", -1, "web", "x", true, 1, false, false, false },
        { "the tracer's rate of 1", 1, "web", "x", false, 1, false, false, true },
        { "the tracer's rate of 0", 0, "web", "x", false, 1, false, false, false },
        { "0 stays 0 for the user's traces", 0, "web", "x", false, 2, false, false, false },
        { "a small rate", 1e-18, "web", "x", false, 1, false, false, false },
        { "is lifted for the user's traces", 1e-18, "web", "x", false, 2, false, false, true },
        { "the operation, in any case", -1, "WEB", "HTTP.request", false, 1, true, false, true },
        { "another operation", -1, "web", "x", true, 1, true, false, false },
        { "an operation at 0", -1, "web", "never", true, 2, true, false, false },
        { "the tracer before the operation", 0, "web", "http.request", false, 1, true, false,
          false },
        { "the service", -1, "db", "x", true, 1, false, true, true },
        { "but only at its top", -1, "db", "x", false, 1, false, true, false },
        { "and not beside operations", -1, "db", "x", true, 1, true, true, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        const row *r = &rows[i];
        span_metric metrics[2] = { { SONDE_STR("_top_level"), r->top_level },
                                   { SONDE_STR("_dd1.sr.eausr"), r->own } };
        payload_span s = { .service = sonde_str_from(r->service),
                           .name = sonde_str_from(r->name),
                           .trace_id = 12345,
                           .metrics = metrics,
                           .metrics_len = r->own < 0 ? 1 : 2,
                           .metrics_cap = r->own < 0 ? 1 : 2 };
        payload_chunk c = { .spans = &s, .spans_len = 1, .priority = r->priority };
        const double *mark;
        event_sampler e;
        sonde_arena arena;
        uint32_t n;

        events_init(&e, &(event_options){ 200, operations, r->by_operation ? 2 : 0, services,
                                          r->by_service ? 1 : 0 });
        sonde_arena_init(&arena, 1 << 16);
        assert_int_equal(events_possible(&e, &c), r->own >= 0 || r->by_operation || r->by_service);
        n = events_pick(&e, &c, &arena, NOW_S, NULL);
        mark = span_metric_get(&s, SONDE_STR("_dd.analyzed"));
        if ((n == 1) != r->picked || (mark != NULL) != r->picked)
            fail_msg("%s: %u picked", r->label, n);
        sonde_arena_done(&arena);
    }
}

static int pick_many(event_sampler *e, int32_t priority, int events, int64_t now_s)
{
    int i, n = 0;

    for (i = 0; i < events; i++) {
        span_metric rate[1] = { { SONDE_STR("_dd1.sr.eausr"), 1.0 } };
        payload_span s = { .trace_id = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) + 7,
                           .metrics = rate,
                           .metrics_len = 1,
                           .metrics_cap = 1 };
        payload_chunk c = { .spans = &s, .spans_len = 1, .priority = priority };
        sonde_arena arena;

        sonde_arena_init(&arena, 1 << 16);
        n += (int)events_pick(e, &c, &arena, now_s, NULL);
        sonde_arena_done(&arena);
    }
    return n;
}

static void test_the_limit_holds_over_time(void **state)
{
    event_sampler e;
    int second, kept = 0;

    (void)state;
    events_init(&e, &(event_options){ .max_per_s = 20 });
    for (second = 0; second < 60; second++) /* until the score is steady */
        (void)pick_many(&e, 1, 200, NOW_S + second);
    for (second = 60; second < 80; second++)
        kept += pick_many(&e, 1, 200, NOW_S + second);
    assert_in_range(kept, 20 * 15, 20 * 25);
    assert_int_equal(pick_many(&e, 2, 200, NOW_S + 80), 200); /* the user's pass */
    assert_true(e.extracted > e.kept);
}

static void test_a_quiet_time_opens_the_limit_again(void **state)
{
    event_sampler e;

    (void)state;
    events_init(&e, &(event_options){ .max_per_s = 20 });
    (void)pick_many(&e, 1, 10000, NOW_S);
    assert_int_equal(pick_many(&e, 1, 10, NOW_S + 3600), 10);
}

static void test_only_the_picked_are_said(void **state)
{
    span_metric rate[1] = { { SONDE_STR("_dd1.sr.eausr"), 1.0 } };
    payload_span s[10] = { { .trace_id = 1 } };
    payload_chunk c = { .spans = s, .spans_len = 10, .priority = 1 };
    uint8_t picked[2] = { 0, 0 };
    event_sampler e;
    sonde_arena arena;

    (void)state;
    events_init(&e, &(event_options){ .max_per_s = 200 });
    sonde_arena_init(&arena, 1 << 16);
    s[9].metrics = rate;
    s[9].metrics_len = s[9].metrics_cap = 1;
    assert_int_equal(events_pick(&e, &c, &arena, NOW_S, picked), 1);
    assert_int_equal(picked[0], 0);
    assert_int_equal(picked[1], 2);
    sonde_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_source_that_knows_the_span_decides),
        cmocka_unit_test(test_the_limit_holds_over_time),
        cmocka_unit_test(test_a_quiet_time_opens_the_limit_again),
        cmocka_unit_test(test_only_the_picked_are_said),
    };

    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
