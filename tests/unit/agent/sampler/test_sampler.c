/* The sampler's door: decisions, the rate metric, published answers. */
#include "support/test.h"

#include <stdio.h>

#include "agent/payload/tags.h"
#include "agent/sampler/sampler.h"
#include "base/str.h"
#include "support/alloc_fail.h"
#include "vocab/tags.h"

#define S INT64_C(1000000000)

typedef struct fixture {
    rates_cell rates;
    sampler *s;
    payload *p;
    payload_chunk chunk;
    payload_span root;
} fixture;

static int setup(void **state)
{
    static fixture f;

    memset(&f, 0, sizeof(f));
    assert_status(rates_cell_init(&f.rates), SONDE_OK);
    assert_status(sampler_open(&(sampler_options){ .target_per_s = 10,
                                                   .agent_env = SONDE_STR("prod"),
                                                   .rates = &f.rates },
                               &f.s),
                  SONDE_OK);
    f.p = payload_new(1 << 20);
    assert_non_null(f.p);
    f.root = (payload_span){ .service = SONDE_STR("web"), .trace_id = 1, .span_id = 1 };
    f.chunk = (payload_chunk){ .spans = &f.root, .spans_len = 1, .priority = 1 };
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    sampler_close(f->s);
    payload_free(f->p);
    rates_cell_done(&f->rates);
    return 0;
}

static bool ask(fixture *f, int32_t priority, int64_t now_s)
{
    f->root.metrics_len = 0;
    f->chunk.priority = priority;
    return sampler_keeps(f->s, f->p, &f->chunk, 0.0, now_s * S);
}

static void assert_answer(fixture *f, const char *want)
{
    rates_snapshot *r = rates_cell_get(&f->rates);
    char got[1024];

    (void)snprintf(got, sizeof(got), "%.*s", SONDE_STR_ARG(r->body));
    rates_put(r);
    assert_string_equal(got, want);
}

static void test_the_tracers_decision_is_honoured(void **state)
{
    static const struct {
        int32_t priority;
        bool keep;
    } cases[] = { { -1, false }, { 0, false }, { 1, true }, { 2, true }, { 3, false } };
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++)
        if (ask(*state, cases[i].priority, 1000) != cases[i].keep)
            fail_msg("priority %d: want keep %d", (int)cases[i].priority, cases[i].keep);
}

static void test_rates_are_published_when_a_bucket_is_over(void **state)
{
    fixture *f = *state;
    int i;

    assert_answer(f, "{\"rate_by_service\":{}}\n");
    for (i = 0; i < 1000; i++)
        (void)ask(f, 1, 1000);
    assert_answer(f, "{\"rate_by_service\":{\"service:,env:\":1}}\n");

    (void)ask(f, 1, 1005);

    assert_answer(f, "{\"rate_by_service\":{\"service:,env:\":0.05,\"service:web,env:\":0.05,"
                     "\"service:web,env:prod\":0.05}}\n");
}

/* They were dropped by the rates of services: no other sampler had a part in it. */
static void test_traces_a_tracer_dropped_count_for_the_priority_sampler_alone(void **state)
{
    fixture *f = *state;
    const double *rate;
    int i;

    f->chunk.priority = PRIORITY_NONE;
    for (i = 0; i < 100; i++)
        (void)sampler_keeps(f->s, f->p, &f->chunk, 99.0, 1000 * S);
    f->root.metrics_len = 0;
    assert_true(sampler_keeps(f->s, f->p, &f->chunk, 99.0, 1005 * S));
    rate = span_metric_get(&f->root, SONDE_STR("_dd.no_p_sr"));
    assert_non_null(rate);
    assert_true(*rate > 0.499 && *rate < 0.501); /* 10 of 20 a second */
}

static void test_the_version_changes_only_with_the_rates(void **state)
{
    fixture *f = *state;
    rates_snapshot *a, *b, *c;
    int i;

    (void)ask(f, 1, 1000);
    (void)ask(f, 1, 1005);
    a = rates_cell_get(&f->rates);
    (void)ask(f, 1, 1010);
    b = rates_cell_get(&f->rates);
    for (i = 0; i < 1000; i++)
        (void)ask(f, 1, 1010);
    (void)ask(f, 1, 1015);
    c = rates_cell_get(&f->rates);

    assert_string_equal(a->version, b->version);
    assert_string_not_equal(b->version, c->version);
    assert_non_null(strchr(c->version, '-'));
    rates_put(a);
    rates_put(b);
    rates_put(c);
}

static void test_user_decisions_do_not_move_the_rates(void **state)
{
    fixture *f = *state;
    int i;

    for (i = 0; i < 1000; i++)
        (void)ask(f, i % 2 ? 2 : -1, 1000);
    (void)ask(f, 1, 1000);
    (void)ask(f, 1, 1005);

    assert_answer(f, "{\"rate_by_service\":{\"service:,env:\":1,\"service:web,env:\":1,"
                     "\"service:web,env:prod\":1}}\n");
}

static void test_traces_the_client_dropped_count_too(void **state)
{
    fixture *f = *state;

    f->chunk.priority = 1;
    (void)sampler_keeps(f->s, f->p, &f->chunk, 999.0, 1000 * S);
    (void)ask(f, 1, 1005);

    assert_answer(f, "{\"rate_by_service\":{\"service:,env:\":0.05,\"service:web,env:\":0.05,"
                     "\"service:web,env:prod\":0.05}}\n");
}

static void test_a_kept_root_carries_the_rate_unless_the_tracer_set_one(void **state)
{
    static const char *const own[] = { "", SONDE_TAG_AGENT_PSR, SONDE_TAG_RULE_PSR,
                                       SONDE_TAG_PRIORITY_RATE };
    fixture *f = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(own); i++) {
        span_metric metrics[1] = { { sonde_str_from(own[i]), 0.25 } };
        const double *got;

        f->root.metrics = metrics;
        f->root.metrics_len = own[i][0] ? 1 : 0;
        f->root.metrics_cap = 0; /* borrowed: any addition moves it into the arena */
        assert_true(sampler_keeps(f->s, f->p, &f->chunk, 0.0, 1000 * S));

        got = span_metric_get(&f->root, SONDE_STR(SONDE_TAG_PRIORITY_RATE));
        if (i == 0 && (!got || *got < 1.0))
            fail_msg("the rate is missing");
        if (i > 0 && got && *got > 0.25)
            fail_msg("%s was not respected", own[i]);
        f->root.metrics_len = f->root.metrics_cap = 0;
        f->root.metrics = NULL;
    }
}

static void test_children_and_user_kept_traces_carry_no_rate(void **state)
{
    fixture *f = *state;

    assert_true(ask(f, 2, 1000));
    assert_null(span_metric_get(&f->root, SONDE_STR(SONDE_TAG_PRIORITY_RATE)));
    f->root.parent_id = 7;
    assert_true(ask(f, 1, 1000));
    assert_null(span_metric_get(&f->root, SONDE_STR(SONDE_TAG_PRIORITY_RATE)));
}

static void test_traces_without_priority_are_kept_by_the_rate(void **state)
{
    fixture *f = *state;
    int kept = 0, i;

    for (i = 0; i < 1000; i++) {
        f->root.trace_id = (uint64_t)i;
        (void)ask(f, PRIORITY_NONE, 1000);
    }
    for (i = 0; i < 10000; i++) {
        f->root.trace_id = (uint64_t)i * 2654435761u;
        kept += ask(f, PRIORITY_NONE, 1005);
    }

    assert_in_range(kept, 400, 600); /* rate 0.05 of its kind */
}

static void test_counters_add_up(void **state)
{
    fixture *f = *state;
    sampler_counters n;
    uint64_t sum = 0;
    int32_t priority;
    int i;

    for (i = 0; i < 100; i++)
        for (priority = -1; priority <= 2; priority++)
            (void)ask(f, priority, 1000 + i);
    sampler_read_counters(f->s, &n);
    for (i = 0; i < SAMPLER_FATES; i++)
        sum += n.fates[i];

    assert_int_equal(n.seen, 400);
    assert_int_equal(n.seen, sum);
    assert_int_equal(n.fates[SAMPLER_DROPPED_MANUAL], 100);
    assert_int_equal(n.fates[SAMPLER_KEPT_PRIORITY], 200);
    assert_int_equal(n.spans_seen, 400);
    assert_int_equal(n.spans_out, 200);
}

/* -- the order of the samplers --------------------------------------------------------------------- */

typedef struct situation {
    const char *label;
    sampler_options options;
    int32_t priority;
    const char *dm; /* chunk tag */
    bool error, exception, single, event;
    sampler_fate fate;
    int32_t priority_after;
    bool dropped_trace;
    const char *mark; /* metric of the root */
    bool standalone_tag;
} situation;

#define RARE                                                                                       \
    {                                                                                              \
        .rare = { true, 5, 300000000000, 200 }, .errors_per_s = 10, .target_per_s = 10             \
    }
#define PLAIN                                                                                      \
    {                                                                                              \
        .errors_per_s = 10, .target_per_s = 10                                                     \
    }
#define NONE                                                                                       \
    {                                                                                              \
        .errors_per_s = 0, .target_per_s = 0                                                       \
    }
#define PROB(percent)                                                                              \
    {                                                                                              \
        .probabilistic = { true, percent, 22, false }, .errors_per_s = 10, .target_per_s = 10      \
    }
#define ONLY(errors)                                                                               \
    {                                                                                              \
        .errors_only = true, .errors_per_s = errors, .target_per_s = 10                            \
    }
#define ASK                                                                                        \
    {                                                                                              \
        .ask_after_tracer_drop = true, .rare = { true, 5, 300000000000, 200 }, .errors_per_s = 10, \
        .target_per_s = 10                                                                         \
    }

static const situation situations[] = {
    { "kept", PLAIN, 1, NULL, 0, 0, 0, 0, SAMPLER_KEPT_PRIORITY, 1, 0, SONDE_TAG_PRIORITY_RATE, 0 },
    { "dropped", PLAIN, 0, NULL, 0, 0, 0, 0, SAMPLER_DROPPED_PRIORITY, 0, 0, NULL, 0 },
    { "an error", PLAIN, 0, NULL, 1, 0, 0, 0, SAMPLER_KEPT_ERRORS, 0, 0, SONDE_TAG_ERRORS_RATE, 0 },
    { "an error, no budget", NONE, 0, NULL, 1, 0, 0, 0, SAMPLER_DROPPED_PRIORITY, 0, 0, NULL, 0 },
    { "by hand", PLAIN, -1, "-4", 1, 0, 0, 1, SAMPLER_DROPPED_MANUAL, -1, 0, NULL, 0 },
    { "none given", PLAIN, PRIORITY_NONE, NULL, 0, 0, 0, 0, SAMPLER_KEPT_NO_PRIORITY, PRIORITY_NONE,
      0, SONDE_TAG_NO_PRIORITY_RATE, 0 },
    { "none given, no target", NONE, PRIORITY_NONE, NULL, 0, 0, 0, 0, SAMPLER_DROPPED_NO_PRIORITY,
      PRIORITY_NONE, 0, NULL, 0 },
    { "rare", RARE, 0, NULL, 0, 0, 0, 0, SAMPLER_KEPT_RARE, 0, 0, SONDE_TAG_RARE, 0 },
    { "rare, dropped by hand", RARE, -1, NULL, 0, 0, 0, 0, SAMPLER_DROPPED_MANUAL, -1, 0, NULL, 0 },
    { "asked after the tracer", ASK, -1, "-3", 0, 0, 0, 0, SAMPLER_KEPT_RARE, -1, 0, SONDE_TAG_RARE,
      0 },
    { "not after the user", ASK, -1, "-4", 0, 0, 0, 0, SAMPLER_DROPPED_MANUAL, -1, 0, NULL, 0 },
    { "single span", PLAIN, 0, NULL, 0, 0, 1, 0, SAMPLER_REDUCED_TO_SPANS, 2, 0, NULL, 0 },
    { "single span, by hand", PLAIN, -1, NULL, 0, 0, 1, 0, SAMPLER_REDUCED_TO_SPANS, 2, 0, NULL,
      0 },
    { "event", PLAIN, 0, NULL, 0, 0, 0, 1, SAMPLER_REDUCED_TO_EVENTS, 0, 1, SONDE_TAG_ANALYZED, 0 },
    { "event, kept", PLAIN, 1, NULL, 0, 0, 0, 1, SAMPLER_KEPT_PRIORITY, 1, 0, SONDE_TAG_ANALYZED,
      0 },
    { "single span before event", PLAIN, 0, NULL, 0, 0, 1, 1, SAMPLER_REDUCED_TO_SPANS, 2, 0, NULL,
      0 },
    { "probable", PROB(100), 0, NULL, 0, 0, 0, 0, SAMPLER_KEPT_PROBABILISTIC, 1, 0,
      SONDE_TAG_PROBABILISTIC_RATE, 0 },
    { "improbable", PROB(0), 2, NULL, 0, 0, 0, 0, SAMPLER_DROPPED_PROBABILISTIC, 0, 0, NULL, 0 },
    { "improbable, an error", PROB(0), 0, NULL, 1, 0, 0, 0, SAMPLER_KEPT_ERRORS, 1, 0,
      SONDE_TAG_ERRORS_RATE, 0 },
    { "improbable, single span", PROB(0), 0, NULL, 0, 0, 1, 0, SAMPLER_REDUCED_TO_SPANS, 2, 0, NULL,
      0 },
    { "errors only: none", ONLY(10), 2, NULL, 0, 0, 0, 1, SAMPLER_MARKED_DROPPED, 2, 1, NULL, 0 },
    { "errors only: one", ONLY(10), 0, NULL, 1, 0, 0, 0, SAMPLER_KEPT_ERRORS, 0, 0,
      SONDE_TAG_ERRORS_RATE, 1 },
    { "errors only: handled", ONLY(10), 0, NULL, 0, 1, 0, 0, SAMPLER_KEPT_ERRORS, 0, 0,
      SONDE_TAG_ERRORS_RATE, 1 },
    { "errors only: no budget", ONLY(0), 0, NULL, 1, 0, 0, 0, SAMPLER_MARKED_DROPPED, 0, 1, NULL,
      1 },
};

static void put_metric(fixture *f, payload_span *s, const char *key)
{
    assert_status(span_metric_set(s, &f->p->arena, sonde_str_from(key), 1.0), SONDE_OK);
}

static void set_up_chunk(fixture *f, const situation *x, payload_span spans[3])
{
    int i;

    for (i = 0; i < 3; i++)
        spans[i] = (payload_span){ .service = SONDE_STR("web"),
                                   .trace_id = 1,
                                   .span_id = (uint64_t)i + 1,
                                   .parent_id = (uint64_t)i };
    put_metric(f, &spans[0], SONDE_TAG_TOP_LEVEL);
    spans[2].error = x->error;
    if (x->exception)
        assert_status(span_meta_set(&spans[1], &f->p->arena, SONDE_STR(SONDE_TAG_HAS_EXCEPTION),
                                    SONDE_STR("true")),
                      SONDE_OK);
    if (x->single)
        put_metric(f, &spans[1], SONDE_TAG_SPAN_MECHANISM);
    if (x->event)
        put_metric(f, &spans[0], SONDE_TAG_ANALYTICS_RATE);
    f->chunk = (payload_chunk){ .spans = spans, .spans_len = 3, .priority = x->priority };
    if (x->dm)
        assert_status(
            chunk_tag_set(&f->chunk, &f->p->arena, SONDE_STR(SONDE_TAG_DM), sonde_str_from(x->dm)),
            SONDE_OK);
}

static void check_situation(fixture *f, const situation *x)
{
    sampler_options options = x->options;
    payload_span spans[3];
    sampler_counters n;
    bool sent, want = x->fate < SAMPLER_DROPPED_MANUAL;
    uint32_t len;

    options.events.max_per_s = 200;
    sampler_close(f->s);
    f->s = NULL;
    assert_status(sampler_open(&options, &f->s), SONDE_OK);
    set_up_chunk(f, x, spans);
    sent = sampler_keeps(f->s, f->p, &f->chunk, 0.0, 1000 * S);
    sampler_read_counters(f->s, &n);
    len = x->fate == SAMPLER_REDUCED_TO_SPANS || x->fate == SAMPLER_REDUCED_TO_EVENTS ? 1 : 3;

    if (sent != want || n.fates[x->fate] != 1)
        fail_msg("%s: sent %d, another fate", x->label, sent);
    if (want && (f->chunk.spans_len != len || f->chunk.priority != x->priority_after ||
                 f->chunk.dropped_trace != x->dropped_trace))
        fail_msg("%s: %u spans, priority %d, dropped %d", x->label, f->chunk.spans_len,
                 (int)f->chunk.priority, f->chunk.dropped_trace);
    if (x->mark && !span_metric_get(&f->chunk.spans[0], sonde_str_from(x->mark)))
        fail_msg("%s: %s is missing", x->label, x->mark);
    if (x->standalone_tag !=
        (tags_get(f->chunk.tags, f->chunk.tags_len, SONDE_STR(SONDE_TAG_STANDALONE_ERROR)) != NULL))
        fail_msg("%s: the standalone tag", x->label);
    if (x->fate == SAMPLER_KEPT_PROBABILISTIC) {
        const sonde_str *dm = tags_get(f->chunk.tags, f->chunk.tags_len, SONDE_STR(SONDE_TAG_DM));

        assert_true(dm && sonde_str_eq(*dm, SONDE_STR("-9")));
    }
}

static void test_the_samplers_are_asked_in_order(void **state)
{
    size_t i;

    for (i = 0; i < COUNT_OF(situations); i++)
        check_situation(*state, &situations[i]);
}

static void test_names_are_escaped_as_gos_encoder_does(void **state)
{
    fixture *f = *state;

    f->root.service = SONDE_STR("a<b>&\"c");
    (void)ask(f, 1, 1000);
    (void)ask(f, 1, 1005);

    assert_answer(
        f,
        "{\"rate_by_service\":{\"service:,env:\":1,\"service:a\\u003cb\\u003e\\u0026\\\"c,env:\":1,"
        "\"service:a\\u003cb\\u003e\\u0026\\\"c,env:prod\":1}}\n");
}

static sonde_status open_and_ask(void *user)
{
    fixture f = { .root = { .service = SONDE_STR("web"), .trace_id = 1 } };
    sonde_status status = rates_cell_init(&f.rates);
    int i;

    (void)user;
    if (status != SONDE_OK)
        return status;
    f.p = payload_new(1 << 20);
    status = f.p ? sampler_open(&(sampler_options){ .target_per_s = 10, .rates = &f.rates }, &f.s)
                 : SONDE_ERR_NOMEM;
    f.chunk = (payload_chunk){ .spans = &f.root, .spans_len = 1 };
    for (i = 0; status == SONDE_OK && i < 4; i++)
        assert_true(ask(&f, 1, 1000 + i * 5)); /* decides rightly, with or without memory */
    sampler_close(f.s);
    payload_free(f.p);
    rates_cell_done(&f.rates);
    return status;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    alloc_fail_each(open_and_ask, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_tracers_decision_is_honoured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rates_are_published_when_a_bucket_is_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_traces_a_tracer_dropped_count_for_the_priority_sampler_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_version_changes_only_with_the_rates, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_user_decisions_do_not_move_the_rates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_traces_the_client_dropped_count_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_kept_root_carries_the_rate_unless_the_tracer_set_one,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_children_and_user_kept_traces_carry_no_rate, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_traces_without_priority_are_kept_by_the_rate, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_counters_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_samplers_are_asked_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_escaped_as_gos_encoder_does, setup,
                                        teardown),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
