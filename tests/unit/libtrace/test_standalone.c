/* test_standalone.c - traces for other products, and a process that traces for those alone, against
 * docs/spec/propagation.md, "Other products". */
#include "sent.h"

#include <stdio.h>

#include "carrier.h"
#include "libtrace/src/config.h"
#include "libtrace/src/fast_clock.h"
#include "libtrace/src/segment.h"
#include "libtrace/src/standalone.h"

static void start(const char *apm_tracing)
{
    sonde_options o = { .service = "unit" };

    assert_int_equal(setenv("DD_APM_TRACING_ENABLED", apm_tracing, 1), 0);
    sent_open();
    fake_agent_info(sent_agent,
                    "{\"endpoints\":[\"/v0.4/traces\",\"/v0.6/stats\"],\"client_drop_p0s\":true}",
                    NULL);
    o.agent_url = fake_agent_url(sent_agent);
    assert_status(sonde_start(&o), SONDE_OK);
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
}

static void stop(void)
{
    sonde_stop();
    sent_close();
}

/* A span named `name` in the trace of these headers; what goes on from it. */
static void run(const char *name, carrier *in, enum sonde_product product, carrier *out)
{
    sonde_context *context = in ? extract(in) : NULL;
    sonde_span *span = sonde_span_enter(name, &(sonde_span_options){ .context = context });

    if (product)
        sonde_span_keep_for(span, product);
    inject(NULL, out);
    sonde_span_leave(span);
    sonde_context_release(context);
}

static void put_datadog(carrier *c, const char *priority, const char *tags)
{
    put(c, "x-datadog-trace-id", "8");
    put(c, "x-datadog-parent-id", "9");
    put(c, "x-datadog-sampling-priority", priority);
    put(c, "x-datadog-tags", tags);
}

static const struct {
    const char *label;
    const char *priority, *tags; /* received; NULL: a new trace */
    enum sonde_product product;
    double want;         /* priority */
    const char *sent_on; /* x-datadog-tags; NULL: no header at all */
    const char *dm;
} cases[] = {
    { "the first one lives", NULL, NULL, 0, 1, NULL, "-0" },
    { "the next does not", NULL, NULL, 0, -1, NULL, "" },
    { "upstream does not count", "2", "_dd.p.dm=-4", 0, -1, NULL, "" },
    { "for tracing alone", "2", "_dd.p.ts=01", 0, -1, NULL, "" },
    { "mask not understood", "2", "_dd.p.ts=2", 0, -1, NULL, "" },
    { "for a product", "2", "_dd.p.ts=02,_dd.p.dm=-5", 0, 2, "_dd.p.ts=02,_dd.p.dm=-5", "-5" },
    { "for a product, dropped", "0", "_dd.p.ts=04", 0, 0, "_dd.p.ts=04", "" },
    { "for a product, undecided", NULL, "_dd.p.ts=20", 0, 2, "_dd.p.ts=20,_dd.p.dm=-13", "-13" },
    { "marked here", NULL, NULL, SONDE_FOR_APPSEC, 2, "_dd.p.dm=-5,_dd.p.ts=02", "-5" },
    { "marked here, AI guard", NULL, NULL, SONDE_FOR_AI_GUARD, 2, "_dd.p.dm=-13,_dd.p.ts=20",
      "-13" },
    { "marked here, databases", NULL, NULL, SONDE_FOR_DBM, 2, "_dd.p.dm=-4,_dd.p.ts=10", "-4" },
    { "marked here and there", "1", "_dd.p.ts=02,_dd.p.x=y", SONDE_FOR_DSM, 2,
      "_dd.p.ts=06,_dd.p.x=y,_dd.p.dm=-4", "-4" },
};

static void check(size_t i)
{
    carrier in = { .len = 0 };
    const msgpack_object *span;
    carrier out;
    const char *tags;

    if (cases[i].priority || cases[i].tags)
        put_datadog(&in, cases[i].priority, cases[i].tags);
    run(cases[i].label, in.len ? &in : NULL, cases[i].product, &out);
    sent_read();
    span = sent_span(cases[i].label);
    tags = value_of(&out, "x-datadog-tags");
    if (tags && strncmp(tags, "_dd.p.tid=", 10) == 0)
        tags += 10 + 16 + 1; /* of a new trace */
    if (sent_metric(span, "_sampling_priority_v1") != cases[i].want)
        fail_msg("%s: priority %g", cases[i].label, sent_metric(span, "_sampling_priority_v1"));
    if ((out.len > 0) != (cases[i].sent_on != NULL) ||
        (cases[i].sent_on && strcmp(tags, cases[i].sent_on) != 0))
        fail_msg("%s: sent on %s, %d headers", cases[i].label, tags ? tags : "nothing", out.len);
    if (strcmp(sent_meta(span, "_dd.p.dm"), cases[i].dm) != 0)
        fail_msg("%s: dm is %s", cases[i].label, sent_meta(span, "_dd.p.dm"));
    assert_true(sent_metric(span, "_dd.apm.enabled") == 0);
    assert_true(sent_metric(span, "_dd.agent_psr") == SENT_NONE);
}

static void test_alone_only_products_and_one_trace_a_minute_are_kept_and_passed_on(void **state)
{
    char *head;
    size_t i;

    (void)state;
    start("false");
    for (i = 0; i < COUNT_OF(cases); i++)
        check(i);
    head = fake_agent_last_head(sent_agent);
    assert_non_null(strstr(head, "Datadog-Client-Computed-Stats: yes"));
    free(head);
    sonde_stop();
    assert_int_equal(fake_agent_counts(sent_agent).stats, 0);
    sent_close();
}

static void test_the_beat_comes_every_minute(void **state)
{
    sonde__segment s = { .refs = 1 };
    static const struct {
        uint64_t s;
        int priority;
    } at[] = { { 100, 1 }, { 100, -1 }, { 159, -1 }, { 160, 1 }, { 161, -1 }, { 500, 1 } };
    size_t i;

    (void)state;
    sonde__standalone_open(true);
    for (i = 0; i < COUNT_OF(at); i++)
        assert_int_equal(
            sonde__decision_priority(sonde__standalone_decide(&s, at[i].s * SONDE_NS_PER_S)),
            at[i].priority);
    sonde__standalone_open(false);
}

static void test_with_tracing_on_products_keep_too_and_nothing_else_changes(void **state)
{
    carrier in = { .len = 0 };
    const msgpack_object *span;
    carrier out;

    (void)state;
    start("true");
    put_datadog(&in, "-1", "_dd.p.ts=01,_dd.p.x=y");
    run("marked", &in, SONDE_FOR_APPSEC, &out);
    assert_header("marked", &out, "x-datadog-tags", "_dd.p.ts=03,_dd.p.x=y,_dd.p.dm=-5");
    assert_header("marked", &out, "x-datadog-sampling-priority", "2");
    run("plain", NULL, 0, &out);
    assert_non_null(value_of(&out, "x-datadog-trace-id"));
    assert_null(strstr(value_of(&out, "x-datadog-tags"), "_dd.p.ts"));
    run("no product", NULL, (enum sonde_product)0x101, &out);
    run("tracing", NULL, (enum sonde_product)SONDE__SOURCE_APM, &out);
    assert_null(strstr(value_of(&out, "x-datadog-tags"), "_dd.p.ts"));
    sonde_span_keep_for(NULL, SONDE_FOR_APPSEC);
    sent_read();
    span = sent_span("plain");
    assert_true(sent_metric(span, "_dd.apm.enabled") == SENT_NONE);
    stop();
}

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;

    for (; *env; env++)
        if (strncmp(*env, name, strlen(name)) == 0 && (*env)[strlen(name)] == '=')
            return *env + strlen(name) + 1;
    return NULL;
}

static void test_the_older_variable_says_the_opposite_and_comes_second(void **state)
{
#define OLD "DD_EXPERIMENTAL_APPSEC_STANDALONE_ENABLED="
#define NEW "DD_APM_TRACING_ENABLED="
    static const struct {
        const char *env[3];
        bool tracing;
    } rows[] = {
        { { NULL }, true },
        { { OLD "true" }, false },
        { { OLD "false" }, true },
        { { OLD "true", NEW "true" }, true },
        { { OLD "false", NEW "0" }, false },
        { { OLD "x", NEW "y" }, true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(rows); i++) {
        sonde__config *c = sonde__config_new(NULL, look_up, (void *)(uintptr_t)rows[i].env);

        assert_int_equal(c->apm_tracing, rows[i].tracing);
        sonde__config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_only_products_and_one_trace_a_minute_are_kept_and_passed_on),
        cmocka_unit_test(test_the_beat_comes_every_minute),
        cmocka_unit_test(test_with_tracing_on_products_keep_too_and_nothing_else_changes),
        cmocka_unit_test(test_the_older_variable_says_the_opposite_and_comes_second),
    };

    return cmocka_run_group_tests_name("standalone", tests, NULL, NULL);
}
