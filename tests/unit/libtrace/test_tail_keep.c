/* test_tail_keep.c - percentiles, and traces kept at their end (docs/spec/trace-sampling.md, "Tail"). */
#include "sent.h"

#include <stdio.h>

#include "base/rng.h"
#include "libtrace/src/tail_keep.h"

#define NONE SENT_NONE
#define MS   INT64_C(1000000)

/* -- percentiles ---------------------------------------------------------------------------------- */

/* Durations whose 99th percentile is a hundred times `least`. */
static uint64_t heavy(sonde_rng *rng, double least)
{
    return (uint64_t)(least / (1 - sonde_rng_unit(rng)));
}

static uint64_t even(sonde_rng *rng, double least)
{
    return (uint64_t)(least * (1 + sonde_rng_unit(rng)));
}

static void test_one_of_a_hundred_is_slow(void **state)
{
    static const struct {
        uint64_t (*next)(sonde_rng *rng, double least);
        double least;
    } cases[] = { { heavy, 1e3 }, { heavy, 1e9 }, { even, 1e6 }, { even, 3 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_rng rng;
        int slow = 0;
        int k;

        sonde_rng_seed(&rng, i);
        for (k = 0; k < 30000; k++) {
            bool is_slow = sonde__tail_is_slow(100 + i, cases[i].next(&rng, cases[i].least));

            assert_false(is_slow && k < SONDE__TAIL_SEEN_MIN);
            slow += is_slow;
        }
        if (slow < 200 || slow > 400)
            fail_msg("case %zu: %d of 30000", i, slow);
    }
}

static void test_the_percentile_follows_the_service(void **state)
{
    sonde_rng rng;
    int slow = 0;
    int k;

    (void)state;
    sonde_rng_seed(&rng, 1);
    for (k = 0; k < 1000; k++)
        (void)sonde__tail_is_slow(7, even(&rng, 1e6));
    assert_true(sonde__tail_is_slow(7, 16000000)); /* all became eight times slower */
    for (k = 0; k < 200; k++)
        (void)sonde__tail_is_slow(7, even(&rng, 8e6));
    for (k = 0; k < 1000; k++)
        slow += sonde__tail_is_slow(7, even(&rng, 8e6));
    assert_in_range(slow, 1, 40);
    assert_false(sonde__tail_is_slow(7, 0));
}

static void test_new_resources_take_the_place_of_the_least_seen(void **state)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    uint64_t before;
    uint64_t key;
    int k;

    (void)state;
    sonde_counters_read(&c);
    before = c.tail_evicted;
    for (k = 0; k < 200; k++)
        (void)sonde__tail_is_slow(50000, 1000);
    for (key = 1; key <= 40 * SONDE__TAIL_SLOTS; key++)
        (void)sonde__tail_is_slow(1000000 + key, 1000);
    sonde_counters_read(&c);
    assert_true(c.tail_evicted - before >= 39 * SONDE__TAIL_SLOTS);
    assert_true(sonde__tail_is_slow(50000, 1000000000)); /* the well known one is still there */
}

/* -- traces --------------------------------------------------------------------------------------- */

/* A tracer whose agent wants nothing. */
static void open_with(const char *tail, const char *per_second, uint64_t memory_bytes)
{
    sonde_options o = { .service = "unit", .memory_bytes = memory_bytes };

    setenv("SONDE_TAIL_KEEP", tail, 1);
    setenv("SONDE_TAIL_KEEP_PER_SECOND", per_second, 1);
    sent_open();
    o.agent_url = fake_agent_url(sent_agent);
    fake_agent_answer(sent_agent,
                      (fake_answer){ .body = "{\"rate_by_service\":{\"service:,env:\":0}}" }, 1);
    assert_status(sonde_start(&o), SONDE_OK);
    sonde_span_finish(sonde_span_start("first", NULL));
    sent_read();
}

static void done(void)
{
    sonde_stop();
    sent_close();
    unsetenv("SONDE_TAIL_KEEP");
}

static char injected[16];

static void take_header(void *user, sonde_str name, sonde_str value)
{
    (void)user;
    if (sonde_str_eq(name, SONDE_STR("x-datadog-sampling-priority")))
        (void)snprintf(injected, sizeof(injected), "%.*s", SONDE_STR_ARG(value));
}

static const sonde_writer writer = { .set = take_header };

static sonde_str inherit(void *user, sonde_str name)
{
    (void)user;
    if (sonde_str_eq(name, SONDE_STR("x-datadog-trace-id")) ||
        sonde_str_eq(name, SONDE_STR("x-datadog-parent-id")))
        return SONDE_STR("5");
    if (sonde_str_eq(name, SONDE_STR("x-datadog-sampling-priority")))
        return SONDE_STR("0");
    return (sonde_str){ NULL, 0 };
}

enum { PLAIN, ERROR, BY_HAND, BY_RULE, INHERITED, INJECTED };

static void run_root(int how, int64_t duration_ns)
{
    sonde_context *from =
        how == INHERITED ? sonde_extract(&(sonde_reader){ .get = inherit }) : NULL;
    sonde_span *s = sonde_span_start(
        "root", &(sonde_span_options){ .context = from, .start_unix_ns = 1000 * MS });
    sonde_span *child = sonde_span_start("child", &(sonde_span_options){ .parent = s });

    if (how != PLAIN)
        sonde_span_error(s, "t", "m");
    if (how == BY_HAND)
        sonde_span_drop(s);
    sonde_span_finish(child);
    if (how == INJECTED) {
        sonde_context *context = sonde_context_of_span(s);

        sonde_inject(context, &writer);
        sonde_context_release(context);
    }
    sonde_span_finish_at(s, 1000 * MS + duration_ns);
    sonde_context_release(from);
}

static void test_errors_and_slow_roots_are_kept_unless_somebody_decided(void **state)
{
    static const struct {
        const char *label, *tail, *per_second;
        int how;
        int64_t ms;
        double priority;
    } cases[] = {
        { "off", "", "10", ERROR, 100, 0 },
        { "error", "error", "10", ERROR, 1, 2 },
        { "no error", "error", "10", PLAIN, 100, 0 },
        { "slow", "slow:50ms", "10", PLAIN, 51, 2 },
        { "in seconds", "slow:1s", "10", PLAIN, 1001, 2 },
        { "bare number", "slow:50", "10", PLAIN, 51, 2 },
        { "not slow", "slow:50ms", "10", PLAIN, 50, 0 },
        { "one of both", " error , SLOW:50ms", "10", PLAIN, 60, 2 },
        { "unknown items", "x,slow:,slow:y,error", "10", ERROR, 1, 2 },
        { "percentile, not seen often", "slow", "10", PLAIN, 1000, 0 },
        { "no budget", "error", "0", ERROR, 1, 0 },
        { "dropped by hand", "error", "10", BY_HAND, 1, -1 },
        { "dropped by a rule", "error", "10", BY_RULE, 1, -1 },
        { "inherited", "error", "10", INHERITED, 1, 0 },
        { "injected", "error", "10", INJECTED, 1, 2 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bool kept = cases[i].priority == 2;
        const msgpack_object *root;

        if (cases[i].how == BY_RULE)
            setenv("DD_TRACE_SAMPLE_RATE", "0", 1);
        open_with(cases[i].tail, cases[i].per_second, 0);
        unsetenv("DD_TRACE_SAMPLE_RATE");
        run_root(cases[i].how, cases[i].ms * MS);
        sent_read();
        root = sent_span("root");
        if (sent_metric(root, "_sampling_priority_v1") != cases[i].priority ||
            sent_metric(root, "sonde.tail_keep") != (kept ? 1 : NONE))
            fail_msg("%s: priority %g, mark %g", cases[i].label,
                     sent_metric(root, "_sampling_priority_v1"),
                     sent_metric(root, "sonde.tail_keep"));
        if (kept && (*sent_meta(root, "_dd.p.dm") || *sent_meta(root, "_dd.p.ksr") ||
                     sent_metric(root, "_dd.agent_psr") != NONE))
            fail_msg("%s: still weighted", cases[i].label);
        if (cases[i].how == INJECTED)
            assert_string_equal(injected, "0");
        done();
    }
}

static void test_the_budget_bounds_what_is_kept_and_the_rest_is_counted(void **state)
{
    sonde_counters a = { .struct_bytes = sizeof(a) };
    sonde_counters b = { .struct_bytes = sizeof(b) };
    int i;

    (void)state;
    open_with("error", "0.001", 0);
    sonde_counters_read(&a);
    for (i = 0; i < 5; i++)
        run_root(ERROR, MS);
    sonde_counters_read(&b);
    assert_int_equal(b.tail_kept - a.tail_kept, 1);
    assert_int_equal(b.tail_refused - a.tail_refused, 4);
    done();
}

static void test_the_slowest_of_a_resource_are_kept(void **state)
{
    int i;

    (void)state;
    open_with("slow", "1000", 0);
    for (i = 0; i < 200; i++)
        run_root(PLAIN, MS + i * 1000);
    sent_read();
    run_root(PLAIN, 100 * MS);
    sent_read();
    assert_true(sent_metric(sent_span("root"), "_sampling_priority_v1") == 2);
    done();
}

static sonde_span *start_with_children(int n)
{
    sonde_span *root = sonde_span_start("root", NULL);
    int i;

    for (i = 0; i < n; i++)
        sonde_span_finish(sonde_span_start("child", &(sonde_span_options){ .parent = root }));
    return root;
}

static void test_an_undecided_trace_waits_for_its_root(void **state)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    sonde_span *root;

    (void)state;
    open_with("error", "10", 0);
    root = start_with_children(900);
    sonde_counters_read(&c);
    assert_int_equal(c.chunks_queued + c.chunks_delivered, c.chunks_queued_total);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_int_equal(fake_agent_counts(sent_agent).taken_spans, 1);
    sonde_span_error(root, "t", "m");
    sonde_span_finish(root);
    sent_read();
    assert_int_equal(fake_agent_counts(sent_agent).taken_spans, 902);
    assert_true(sent_metric(sent_span("root"), "sonde.tail_keep") == 1);
    done();
}

static void test_when_memory_runs_short_the_rate_has_decided(void **state)
{
    sonde_span *root;

    (void)state;
    open_with("error", "10", 0);
    root = start_with_children((int)(sonde__pool.count * 6 / 10));
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_true(fake_agent_counts(sent_agent).taken_spans > 300);
    sonde_span_error(root, "t", "m");
    sonde_span_finish(root);
    sent_read();
    assert_true(sent_metric(sent_span("root"), "_sampling_priority_v1") == 0);
    assert_true(sent_metric(sent_span("root"), "sonde.tail_keep") == NONE);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_a_hundred_is_slow),
        cmocka_unit_test(test_the_percentile_follows_the_service),
        cmocka_unit_test(test_new_resources_take_the_place_of_the_least_seen),
        cmocka_unit_test(test_errors_and_slow_roots_are_kept_unless_somebody_decided),
        cmocka_unit_test(test_the_budget_bounds_what_is_kept_and_the_rest_is_counted),
        cmocka_unit_test(test_the_slowest_of_a_resource_are_kept),
        cmocka_unit_test(test_an_undecided_trace_waits_for_its_root),
        cmocka_unit_test(test_when_memory_runs_short_the_rate_has_decided),
    };

    return cmocka_run_group_tests_name("tail_keep", tests, NULL, NULL);
}
