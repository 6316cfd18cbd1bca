/* test_sampling.c - who decides about a trace, when, and what is written of it (docs/spec/trace-sampling.md). */
#include "sent.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "libtrace/src/policy.h"
#include "libtrace/src/tracer.h"

/* -- one tracer per case -------------------------------------------------------------------------- */

static void open_with(const char *rules, const char *rate, const char *limit)
{
    sonde_options o = { .service = "unit", .env = "test", .version = "1.0", .tags = "team:core" };

    setenv("DD_TRACE_SAMPLING_RULES", rules ? rules : "", 1);
    setenv("DD_TRACE_SAMPLE_RATE", rate ? rate : "", 1);
    setenv("DD_TRACE_RATE_LIMIT", limit ? limit : "", 1);
    sent_open();
    o.agent_url = fake_agent_url(sent_agent);
    assert_status(sonde_start(&o), SONDE_OK);
}

static void done(void)
{
    sonde_stop();
    sent_close();
}

/* What the local root `name` of the last payload says about the decision. */
typedef struct outcome {
    double priority;
    const char *dm;
    double rule_psr, agent_psr, limit_psr;
    const char *ksr;
} outcome;

static void expect(const char *label, const char *name, const outcome *want)
{
    static const char *const metrics[] = { "_sampling_priority_v1", "_dd.rule_psr", "_dd.agent_psr",
                                           "_dd.limit_psr" };
    const double values[] = { want->priority, want->rule_psr, want->agent_psr, want->limit_psr };
    const msgpack_object *span = sent_span(name);
    size_t i;

    for (i = 0; i < COUNT_OF(metrics); i++)
        if (sent_metric(span, metrics[i]) != values[i])
            fail_msg("%s: %s is %g, want %g", label, metrics[i], sent_metric(span, metrics[i]),
                     values[i]);
    if (strcmp(sent_meta(span, "_dd.p.dm"), want->dm) != 0)
        fail_msg("%s: dm %s, want %s", label, sent_meta(span, "_dd.p.dm"), want->dm);
    if (strcmp(sent_meta(span, "_dd.p.ksr"), want->ksr) != 0)
        fail_msg("%s: ksr %s, want %s", label, sent_meta(span, "_dd.p.ksr"), want->ksr);
}

#define NONE SENT_NONE

static void test_rules_come_before_the_rate_and_the_rate_before_the_agent(void **state)
{
    static const struct {
        const char *label, *rules, *rate, *limit;
        outcome want;
    } cases[] = {
        { "nothing set", NULL, NULL, NULL, { 1, "-0", NONE, 1, NONE, "" } },
        { "rate 1", NULL, "1", NULL, { 2, "-3", 1, NONE, 1, "1" } },
        { "rate 0", NULL, "0", NULL, { -1, "", 0, NONE, NONE, "0" } },
        { "rule keeps",
          "[{\"service\":\"un*\",\"sample_rate\":1}]",
          "0",
          NULL,
          { 2, "-3", 1, NONE, 1, "1" } },
        { "rule drops",
          "[{\"name\":\"ro?t\",\"sample_rate\":0}]",
          "1",
          NULL,
          { -1, "", 0, NONE, NONE, "0" } },
        { "rule passes over",
          "[{\"name\":\"x\",\"sample_rate\":0}]",
          NULL,
          NULL,
          { 1, "-0", NONE, 1, NONE, "" } },
        { "rate for the rest",
          "[{\"name\":\"x\",\"sample_rate\":0}]",
          "1",
          NULL,
          { 2, "-3", 1, NONE, 1, "1" } },
        { "resource is the name",
          "[{\"resource\":\"root\",\"sample_rate\":0}]",
          NULL,
          NULL,
          { -1, "", 0, NONE, NONE, "0" } },
        { "default tag",
          "[{\"tags\":{\"team\":\"c*\"},\"sample_rate\":0}]",
          NULL,
          NULL,
          { -1, "", 0, NONE, NONE, "0" } },
        { "env",
          "[{\"tags\":{\"env\":\"test\"},\"sample_rate\":0}]",
          NULL,
          NULL,
          { -1, "", 0, NONE, NONE, "0" } },
        { "limit 0", NULL, "1", "0", { -1, "", 1, NONE, 0, "1" } },
        { "bad limit", NULL, "1", "-5", { 2, "-3", 1, NONE, 1, "1" } },
        { "bad rate", NULL, "1.1", NULL, { 1, "-0", NONE, 1, NONE, "" } },
        { "bad rules", "[{]", NULL, NULL, { 1, "-0", NONE, 1, NONE, "" } },
        { "provenance",
          "[{\"provenance\":\"customer\"}]",
          NULL,
          NULL,
          { 2, "-11", 1, NONE, 1, "1" } },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        open_with(cases[i].rules, cases[i].rate, cases[i].limit);
        sonde_span_finish(sonde_span_start("root", NULL));
        sent_read();
        expect(cases[i].label, "root", &cases[i].want);
        done();
    }
}

static void test_a_hand_wins_over_rules_and_needs_no_token(void **state)
{
    static const outcome kept = { 2, "-4", NONE, NONE, NONE, "" };
    static const outcome dropped = { -1, "", NONE, NONE, NONE, "" };

    (void)state;
    open_with("[{\"sample_rate\":0}]", NULL, "0");
    {
        SONDE_SPAN(s, "kept");
        sonde_span_keep(s);
        sonde_span_set_resource(s, "later"); /* decides nothing any more */
    }
    sent_read();
    expect("kept by hand", "kept", &kept);
    done();
    open_with("[{\"sample_rate\":1}]", NULL, NULL);
    {
        SONDE_SPAN(s, "dropped");
        sonde_span_drop(s);
    }
    sent_read();
    expect("dropped by hand", "dropped", &dropped);
    done();
}

/* -- late evaluation ------------------------------------------------------------------------------ */

static void change_nothing(sonde_span *s)
{
    (void)s;
}

static void set_resource(sonde_span *s)
{
    sonde_span_set_resource(s, "GET /health");
}

static void set_resource_by_tag(sonde_span *s)
{
    sonde_span_set_str(s, "resource.name", "get /HEALTH");
}

static void set_long_resource(sonde_span *s)
{
    static char text[3000];

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "GET /health", 11);
    sonde_span_set_resource(s, text);
}

static void set_resource_and_take_it_back(sonde_span *s)
{
    sonde_span_set_resource(s, "GET /health");
    sonde_span_set_resource(s, "");
}

static void set_name(sonde_span *s)
{
    sonde_span_set_name(s, "GET /health");
}

static void set_service(sonde_span *s)
{
    sonde_span_set_service(s, "probe");
}

static void set_service_by_tag(sonde_span *s)
{
    sonde_span_set_str(s, "service.name", "probe");
}

static void set_tag(sonde_span *s)
{
    sonde_span_set_str(s, "kind", "probe");
}

static void set_number(sonde_span *s)
{
    sonde_span_set_int(s, "code", 204);
}

static void set_status(sonde_span *s)
{
    sonde_span_set_int(s, "http.status_code", 204);
}

static void set_and_replace_tag(sonde_span *s)
{
    sonde_span_set_str(s, "kind", "probe");
    sonde_span_set_str(s, "kind", "user");
}

static void set_and_remove_tag(sonde_span *s)
{
    sonde_span_set_str(s, "kind", "probe");
    sonde_span_remove(s, "kind");
}

static void remove_default_tag(sonde_span *s)
{
    sonde_span_remove(s, "team");
}

static void tag_a_child(sonde_span *s)
{
    sonde_span *child = sonde_span_start("child", &(sonde_span_options){ .parent = s });

    sonde_span_set_str(child, "kind", "probe");
    sonde_span_set_resource(child, "GET /health");
    sonde_span_set_service(child, "probe");
    sonde_span_finish(child);
}

static const struct late {
    const char *label;
    const char *rules;
    void (*change)(sonde_span *s);
    bool dropped;
} late[] = {
    { "nothing", "[{\"resource\":\"GET /health\",\"sample_rate\":0}]", change_nothing, false },
    { "resource", "[{\"resource\":\"GET /health\",\"sample_rate\":0}]", set_resource, true },
    { "resource.name", "[{\"resource\":\"GET /health\",\"sample_rate\":0}]", set_resource_by_tag,
      true },
    { "long", "[{\"resource\":\"GET /health*x\",\"sample_rate\":0}]", set_long_resource, true },
    { "taken back", "[{\"resource\":\"root\",\"sample_rate\":0}]", set_resource_and_take_it_back,
      true },
    { "name", "[{\"name\":\"GET /*\",\"sample_rate\":0}]", set_name, true },
    { "name as resource", "[{\"resource\":\"GET /*\",\"sample_rate\":0}]", set_name, true },
    { "service", "[{\"service\":\"probe\",\"sample_rate\":0}]", set_service, true },
    { "service.name", "[{\"service\":\"probe\",\"sample_rate\":0}]", set_service_by_tag, true },
    { "tag", "[{\"tags\":{\"kind\":\"probe\"},\"sample_rate\":0}]", set_tag, true },
    { "other key", "[{\"tags\":{\"kinds\":\"probe\"},\"sample_rate\":0}]", set_tag, false },
    { "number", "[{\"tags\":{\"code\":\"2*\"},\"sample_rate\":0}]", set_number, true },
    { "status", "[{\"tags\":{\"http.status_code\":\"204\"},\"sample_rate\":0}]", set_status, true },
    { "replaced", "[{\"tags\":{\"kind\":\"probe\"},\"sample_rate\":0}]", set_and_replace_tag,
      false },
    { "removed", "[{\"tags\":{\"kind\":\"probe\"},\"sample_rate\":0}]", set_and_remove_tag, false },
    { "default removed", "[{\"tags\":{\"team\":\"*\"},\"sample_rate\":0}]", remove_default_tag,
      false },
    { "child",
      "[{\"tags\":{\"kind\":\"probe\"},\"sample_rate\":0},{\"resource\":\"GET*\",\"sample_rate\":0}"
      ","
      "{\"service\":\"probe\",\"sample_rate\":0}]",
      tag_a_child, false },
};

static void test_the_decision_follows_the_local_root(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(late); i++) {
        sonde_span *s;
        double priority;

        open_with(late[i].rules, "1", NULL);
        s = sonde_span_start("root", NULL);
        late[i].change(s);
        sonde_span_set_name(s, "final");
        if (late[i].change == set_name)
            sonde_span_set_name(s, "GET /final");
        if (late[i].change == set_resource_and_take_it_back)
            sonde_span_set_name(s, "root");
        sonde_span_finish(s);
        sent_read();
        priority =
            sent_metric(sent_span(late[i].change == set_name                        ? "GET /final"
                                  : late[i].change == set_resource_and_take_it_back ? "root"
                                                                                    : "final"),
                        "_sampling_priority_v1");
        if (priority != (late[i].dropped ? -1 : 2))
            fail_msg("%s: priority %g", late[i].label, priority);
        done();
    }
}

static char injected[16]; /* x-datadog-sampling-priority */

static void take_header(void *user, sonde_str name, sonde_str value)
{
    (void)user;
    if (sonde_str_eq(name, SONDE_STR("x-datadog-sampling-priority")))
        (void)snprintf(injected, sizeof(injected), "%.*s", SONDE_STR_ARG(value));
}

static const sonde_writer writer = { .set = take_header };

static void *inject_context(void *user)
{
    sonde_inject((const sonde_context *)user, &writer);
    return NULL;
}

static void
test_an_injection_on_any_thread_sends_the_decision_of_that_moment_and_fixes_it(void **state)
{
    sonde_context *context;
    sonde_span *s;
    pthread_t other;

    (void)state;
    open_with("[{\"tags\":{\"kind\":\"probe\"},\"sample_rate\":0}]", "1", NULL);
    s = sonde_span_start("root", NULL);
    sonde_span_set_str(s, "kind", "probe");
    context = sonde_context_of_span(s);
    assert_int_equal(pthread_create(&other, NULL, inject_context, context), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_string_equal(injected, "-1");
    sonde_span_set_str(s, "kind", "user");
    inject_context(context);
    assert_string_equal(injected, "-1");
    sonde_context_release(context);
    sonde_span_finish(s);
    sent_read();
    assert_true(sent_metric(sent_span("root"), "_sampling_priority_v1") == -1);
    done();
}

static void test_deciding_again_takes_no_second_token(void **state)
{
    sonde_span *a, *b, *c;
    int i;

    (void)state;
    open_with("[{\"tags\":{\"kind\":\"0\"}},{\"tags\":{\"kind\":\"1\"}},{\"name\":\"*\"}]", NULL,
              "0.001"); /* one token */
    a = sonde_span_start("a", NULL);
    b = sonde_span_start("b", NULL);
    for (i = 0; i < 20; i++) {
        sonde_span_set_str(a, "kind", i % 2 ? "0" : "1");
        sonde_span_set_str(b, "kind", i % 2 ? "0" : "1");
    }
    c = sonde_span_start("c", &(sonde_span_options){ .new_trace = 1 });
    sonde_span_finish(a);
    sonde_span_finish(b);
    sonde_span_finish(c);
    sent_read();
    expect("the token", "a", &(outcome){ 2, "-3", 1, NONE, 1, "1" });
    expect("none left", "b", &(outcome){ -1, "", 1, NONE, 0.5, "1" });
    assert_true(fabs(sent_metric(sent_span("c"), "_dd.limit_psr") - 1.0 / 3) < 1e-9);
    done();
}

/* -- single spans --------------------------------------------------------------------------------- */

static void test_single_spans_are_kept_of_traces_that_are_dropped(void **state)
{
    static const struct {
        const char *label, *rules, *rate;
        double mechanism, rule_rate, max_per_second; /* of the child */
    } cases[] = {
        { "no rule", "", "0", NONE, NONE, NONE },
        { "by name", "[{\"name\":\"chi*\"}]", "0", 8, 1, NONE },
        { "with a limit", "[{\"name\":\"child\",\"max_per_second\":2.5}]", "0", 8, 1, 2.5 },
        { "limit 0", "[{\"name\":\"child\",\"max_per_second\":0}]", "0", NONE, NONE, NONE },
        { "another name", "[{\"name\":\"ch\"}]", "0", NONE, NONE, NONE },
        { "by service", "[{\"service\":\"d?\"}]", "0", 8, 1, NONE },
        { "by resource", "[{\"resource\":\"xx*y\"}]", "0", 8, 1, NONE },
        { "by tag", "[{\"tags\":{\"rows\":\"12\",\"team\":\"core\"}}]", "0", 8, 1, NONE },
        { "by a tag that is gone", "[{\"tags\":{\"gone\":\"*\"}}]", "0", NONE, NONE, NONE },
        { "rate 0", "[{\"name\":\"child\",\"sample_rate\":0},{\"name\":\"ch*\"}]", "0", NONE, NONE,
          NONE },
        { "trace kept", "[{\"name\":\"child\"}]", "1", NONE, NONE, NONE },
    };
    static char resource[4000];
    size_t i;

    (void)state;
    memset(resource, 'x', sizeof(resource) - 2);
    resource[sizeof(resource) - 2] = 'y';
    for (i = 0; i < COUNT_OF(cases); i++) {
        const msgpack_object *child;

        setenv("DD_SPAN_SAMPLING_RULES", cases[i].rules, 1);
        open_with(NULL, cases[i].rate, NULL);
        {
            SONDE_SPAN(root, "root");
            SONDE_SPAN(s, "child");

            sonde_span_set_service(s, "db");
            sonde_span_set_resource(s, resource);
            sonde_span_set_int(s, "rows", 12);
            sonde_span_set_str(s, "gone", "x");
            sonde_span_remove(s, "gone");
        }
        sent_read();
        unsetenv("DD_SPAN_SAMPLING_RULES");
        child = sent_span("child");
        if (sent_metric(child, "_dd.span_sampling.mechanism") != cases[i].mechanism ||
            sent_metric(child, "_dd.span_sampling.rule_rate") != cases[i].rule_rate ||
            sent_metric(child, "_dd.span_sampling.max_per_second") != cases[i].max_per_second)
            fail_msg("%s: mechanism %g", cases[i].label,
                     sent_metric(child, "_dd.span_sampling.mechanism"));
        assert_true(sent_metric(sent_span("root"), "_dd.span_sampling.mechanism") == NONE);
        assert_true(sent_metric(sent_span("root"), "_sampling_priority_v1") ==
                    (cases[i].rate[0] == '1' ? 2 : -1));
        done();
    }
}

/* -- rates ---------------------------------------------------------------------------------------- */

static void test_a_rate_keeps_its_part_of_the_traces(void **state)
{
    static const double rates[] = { 0.01, 0.25, 0.5, 0.9 };
    const int n = 20000;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rates); i++) {
        double variance = n * rates[i] * (1 - rates[i]);
        double off;
        char rate[16];
        int kept = 0;
        int k;

        (void)snprintf(rate, sizeof(rate), "%g", rates[i]);
        open_with(NULL, rate, "1000000");
        for (k = 0; k < n; k++) {
            sonde_span *s = sonde_span_start("root", NULL);
            sonde_context *context = sonde_context_of_span(s);

            inject_context(context);
            kept += strcmp(injected, "2") == 0;
            sonde_context_release(context);
            sonde_span_finish(s);
            if (k % 2000 == 0)
                assert_status(sonde_flush(60000), SONDE_OK); /* none is lost for want of memory */
        }
        off = kept - n * rates[i];
        if (off * off > 36 * variance) /* six standard deviations: ids are random */
            fail_msg("rate %g: kept %d of %d", rates[i], kept, n);
        done();
    }
}

/* -- remote configuration ------------------------------------------------------------------------- */

static void test_remote_rules_go_before_local_ones(void **state)
{
    static const char *const local = "[{\"name\":\"local\",\"sample_rate\":0},{\"sample_rate\":0}]";
    static const struct {
        const char *label, *remote;
        double rate;
        const char *name;
        outcome want;
    } cases[] = {
        { "a remote rule",
          "[{\"name\":\"local\",\"provenance\":\"customer\"}]",
          -1,
          "local",
          { 2, "-11", 1, NONE, 1, "1" } },
        { "dynamic",
          "[{\"name\":\"l*\",\"provenance\":\"dynamic\"}]",
          -1,
          "local",
          { 2, "-12", 1, NONE, 1, "1" } },
        { "what it leaves", "[{\"name\":\"x\"}]", -1, "local", { -1, "", 0, NONE, NONE, "0" } },
        { "rules and a rate", "[{\"name\":\"x\"}]", 1, "other", { 2, "-3", 1, NONE, 1, "1" } },
        { "rules, a rate, a local rule",
          "[{\"name\":\"x\"}]",
          1,
          "local",
          { -1, "", 0, NONE, NONE, "0" } },
        { "only a rate", "", 1, "other", { -1, "", 0, NONE, NONE, "0" } },
        { "nothing", "", -1, "other", { -1, "", 0, NONE, NONE, "0" } },
    };
    size_t i;

    (void)state;
    open_with(local, NULL, NULL);
    for (i = 0; i < COUNT_OF(cases); i++) {
        assert_status(sonde__policy_set_remote(sonde__settings(), sonde_str_from(cases[i].remote),
                                               cases[i].rate, NULL, 0),
                      SONDE_OK);
        sonde_span_finish(sonde_span_start(cases[i].name, NULL));
        sent_read();
        expect(cases[i].label, cases[i].name, &cases[i].want);
    }
    assert_status(sonde__policy_set_remote(sonde__settings(), SONDE_STR("{"), -1, NULL, 0),
                  SONDE_ERR_SYNTAX);
    done();
}

static void test_a_span_that_began_under_other_rules_keeps_its_decision(void **state)
{
    sonde_span *s;

    (void)state;
    open_with("[{\"tags\":{\"a\":\"*\"},\"sample_rate\":0}]", "1", NULL);
    s = sonde_span_start("root", NULL);
    assert_status(sonde__policy_set_remote(sonde__settings(), SONDE_STR("[{\"sample_rate\":0}]"),
                                           -1, NULL, 0),
                  SONDE_OK);
    sonde_span_set_str(s, "a", "b");
    sonde_span_set_service(s, "moved");
    sonde_span_finish(s);
    sent_read();
    expect("old rules", "root", &(outcome){ 2, "-3", 1, NONE, 1, "1" });
    done();
}

static _Atomic bool stop_tracing;

static void *trace_on(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop_tracing)) {
        sonde_span *s = sonde_span_start("root", NULL);

        sonde_span_set_str(s, "a", "b");
        sonde_span_set_service(s, "moved");
        sonde_span_finish(s);
    }
    return NULL;
}

static void test_rules_may_be_replaced_while_threads_use_them(void **state)
{
    pthread_t threads[3];
    int i;

    (void)state;
    open_with("[{\"tags\":{\"a\":\"*\"}}]", NULL, NULL);
    atomic_store(&stop_tracing, false);
    for (i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trace_on, NULL), 0);
    for (i = 0; i < 300; i++)
        assert_status(sonde__policy_set_remote(
                          sonde__settings(),
                          i % 3 ? SONDE_STR("[{\"tags\":{\"a\":\"c\"}},{\"service\":\"moved\"}]")
                                : (sonde_str){ NULL, 0 },
                          i % 2 ? 0.5 : -1, NULL, 0),
                      SONDE_OK);
    atomic_store(&stop_tracing, true);
    for (i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_come_before_the_rate_and_the_rate_before_the_agent),
        cmocka_unit_test(test_a_hand_wins_over_rules_and_needs_no_token),
        cmocka_unit_test(test_the_decision_follows_the_local_root),
        cmocka_unit_test(
            test_an_injection_on_any_thread_sends_the_decision_of_that_moment_and_fixes_it),
        cmocka_unit_test(test_deciding_again_takes_no_second_token),
        cmocka_unit_test(test_single_spans_are_kept_of_traces_that_are_dropped),
        cmocka_unit_test(test_a_rate_keeps_its_part_of_the_traces),
        cmocka_unit_test(test_remote_rules_go_before_local_ones),
        cmocka_unit_test(test_a_span_that_began_under_other_rules_keeps_its_decision),
        cmocka_unit_test(test_rules_may_be_replaced_while_threads_use_them),
    };

    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
