/* test_org_marker.c - traces of our organisation and of others, against docs/spec/propagation.md, "Organisation",
 * with an agent that tells the mark through /info. */
#include "support/test.h"

#include <stdlib.h>

#include "carrier.h"
#include "libtrace/src/org_marker.h"
#include "support/fake_agent.h"

#define OURS    "AaBbCcDdEeFA"
#define FOREIGN "Zz11223344NA"
#define TRUSTED "Tt99887766UA"

#define KNOWN   "{\"endpoints\":[\"/v0.4/traces\"],\"org_prop_marker\":\"" OURS "\"}"
#define UNKNOWN "{\"endpoints\":[\"/v0.4/traces\"]}"

static fake_agent *agent;

static void set(const char *name, bool on)
{
    assert_int_equal(on ? setenv(name, "true", 1) : unsetenv(name), 0);
}

static void start(bool guard, bool strict, const char *info)
{
    sonde_options o = { .service = "unit", .agent_url = fake_agent_url(agent) };

    fake_agent_info(agent, info, NULL);
    set("DD_TRACE_ORG_GUARD_ENABLED", guard);
    set("DD_TRACE_ORG_GUARD_STRICT", strict);
    assert_int_equal(setenv("DD_TRACE_ORG_GUARD_TRUSTED_OPMS", "x, " TRUSTED, 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
    if (!guard)
        assert_status(sonde_wait_for_agent(10000), SONDE_OK);
}

/* What a child span here sends on. */
static void pass_through(carrier *in, carrier *out)
{
    sonde_context *context = extract(in);
    sonde_span *span = sonde_span_start("child", &(sonde_span_options){ .context = context });
    sonde_context *at = sonde_context_of_span(span);

    assert_non_null(context);
    assert_int_equal(sonde_context_span_id(context), 9);
    inject(at, out);
    sonde_context_release(at);
    sonde_context_release(context);
    sonde_span_finish(span);
}

static const struct {
    const char *label;
    bool guard, strict;
    const char *info;
    const char *inbound; /* the mark it came with, or NULL */
    const char *tags;    /* sent on, but for the mark of tid */
    bool is_kept;        /* decision and origin */
} cases[] = {
    { "off, foreign", false, false, KNOWN, FOREIGN, "_dd.p.dm=-4,_dd.p.opm=" FOREIGN, true },
    { "off, ours", false, false, KNOWN, OURS, "_dd.p.dm=-4,_dd.p.opm=" OURS, true },
    { "off, none", false, true, KNOWN, NULL, "_dd.p.dm=-4", true },
    { "on, unknown, foreign", true, true, UNKNOWN, FOREIGN, "_dd.p.dm=-4,_dd.p.opm=" FOREIGN,
      true },
    { "on, unknown, none", true, true, UNKNOWN, NULL, "_dd.p.dm=-4", true },
    { "on, ours", true, false, KNOWN, OURS, "_dd.p.dm=-4,_dd.p.opm=" OURS, true },
    { "on, strict, ours", true, true, KNOWN, OURS, "_dd.p.dm=-4,_dd.p.opm=" OURS, true },
    { "on, trusted", true, true, KNOWN, TRUSTED, "_dd.p.dm=-4,_dd.p.opm=" OURS, true },
    { "on, foreign", true, false, KNOWN, FOREIGN, "_dd.p.dm=-0,_dd.p.opm=" OURS, false },
    { "on, strict, foreign", true, true, KNOWN, FOREIGN, "_dd.p.dm=-0,_dd.p.opm=" OURS, false },
    { "on, none", true, false, KNOWN, NULL, "_dd.p.dm=-4,_dd.p.opm=" OURS, true },
    { "on, strict, none", true, true, KNOWN, NULL, "_dd.p.dm=-0,_dd.p.opm=" OURS, false },
};

/* "_dd.p.dm=-4,_dd.p.opm=x" as the dd member has it behind its s, o and p. */
static void as_items(const char *tags, char *to)
{
    for (; *tags; tags++) {
        if (strncmp(tags, "_dd.p.", 6) == 0) {
            memcpy(to, "t.", 2);
            to += 2;
            tags += 5;
        } else {
            *to++ = *tags == ',' ? ';' : *tags == '=' ? ':' : *tags;
        }
    }
    *to = '\0';
}

static void check_datadog(size_t i)
{
    carrier in = { .len = 0 };
    carrier out;
    char tags[200], want[200];

    (void)snprintf(tags, sizeof(tags), "_dd.p.tid=0000000000000007,_dd.p.dm=-4%s%s",
                   cases[i].inbound ? ",_dd.p.opm=" : "", cases[i].inbound ? cases[i].inbound : "");
    (void)snprintf(want, sizeof(want), "_dd.p.tid=0000000000000007,%s", cases[i].tags);
    put(&in, "x-datadog-trace-id", "8");
    put(&in, "x-datadog-parent-id", "9");
    put(&in, "x-datadog-sampling-priority", "2");
    put(&in, "x-datadog-origin", "rum");
    put(&in, "x-datadog-tags", tags);
    put(&in, "baggage", "k=v");
    pass_through(&in, &out);
    assert_header(cases[i].label, &out, "x-datadog-trace-id", "8");
    assert_header(cases[i].label, &out, "x-datadog-tags", want);
    assert_header(cases[i].label, &out, "x-datadog-origin", cases[i].is_kept ? "rum" : NULL);
    assert_header(cases[i].label, &out, "x-datadog-sampling-priority",
                  cases[i].is_kept ? "2" : "1");
    assert_header(cases[i].label, &out, "baggage", "k=v");
}

static void check_w3c(size_t i)
{
    carrier in = { .len = 0 };
    carrier out;
    char tracestate[200], items[200], want[300];
    const char *got;

    (void)snprintf(tracestate, sizeof(tracestate),
                   "foo=1,dd=s:2;o:rum;p:00000000000000aa;t.dm:-4%s%s;x:y",
                   cases[i].inbound ? ";t.opm:" : "", cases[i].inbound ? cases[i].inbound : "");
    put(&in, "traceparent", "00-00000000000000070000000000000008-0000000000000009-01");
    put(&in, "tracestate", tracestate);
    pass_through(&in, &out);
    got = value_of(&out, "tracestate");
    as_items(cases[i].tags, items);
    (void)snprintf(want, sizeof(want), ";%s%s,foo=1", items, cases[i].is_kept ? ";x:y" : "");
    assert_non_null(got);
    if (strncmp(got, cases[i].is_kept ? "dd=s:2;o:rum;p:" : "dd=s:1;p:",
                cases[i].is_kept ? 15 : 9) != 0 ||
        strlen(got) < strlen(want) || strcmp(got + strlen(got) - strlen(want), want) != 0)
        fail_msg("%s: tracestate is %s, want ...%s", cases[i].label, got, want);
}

static void test_the_table_holds_in_both_formats(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        start(cases[i].guard, cases[i].strict, cases[i].info);
        check_datadog(i);
        check_w3c(i);
        sonde_stop();
    }
}

static void test_a_new_trace_bears_our_mark(void **state)
{
    sonde_span *span;
    carrier out;

    (void)state;
    start(true, false, KNOWN);
    span = sonde_span_enter("root", NULL);
    inject(NULL, &out);
    sonde_span_leave(span);
    assert_non_null(strstr(value_of(&out, "x-datadog-tags"), ",_dd.p.dm=-0,_dd.p.opm=" OURS));
    assert_non_null(strstr(value_of(&out, "tracestate"), ";t.dm:-0;t.opm:" OURS));
    sonde_stop();
}

static void test_a_context_without_tags_is_guarded_only_when_strict(void **state)
{
    size_t strict;

    (void)state;
    for (strict = 0; strict < 2; strict++) {
        carrier in = { .len = 0 };
        carrier out;

        assert_int_equal(setenv("DD_TRACE_PROPAGATION_STYLE", "b3,datadog", 1), 0);
        start(true, strict, KNOWN);
        (void)unsetenv("DD_TRACE_PROPAGATION_STYLE");
        put(&in, "b3", "0000000000000008-0000000000000009-0");
        pass_through(&in, &out);
        assert_header("b3", &out, "x-datadog-sampling-priority", strict ? "1" : "0");
        sonde_stop();
    }
}

static void test_marks_that_cannot_travel_and_too_many_of_them_are_unknown(void **state)
{
    sonde__config c = { .org_guard = true };
    char mark[SONDE__ORG_MARKER_MAX_BYTES + 2];
    int i;

    (void)state;
    memset(mark, 'a', sizeof(mark));
    mark[sizeof(mark) - 1] = '\0';
    sonde__org_learn(&c, sonde_str_from(mark));
    assert_int_equal(sonde__org_marker().len, 0);
    sonde__org_learn(&c, sonde_str_from(mark + 1));
    assert_int_equal(sonde__org_marker().len, SONDE__ORG_MARKER_MAX_BYTES);
    sonde__org_learn(&c, SONDE_STR("a,b"));
    assert_int_equal(sonde__org_marker().len, 0);
    sonde__org_learn(&c, SONDE_STR("a~b"));
    assert_int_equal(sonde__org_marker().len, 0);
    for (i = 0; i < SONDE__ORG_MARKERS_MAX; i++) {
        (void)snprintf(mark, sizeof(mark), "mark%d", i);
        sonde__org_learn(&c, sonde_str_from(mark));
    }
    assert_int_equal(sonde__org_marker().len, 0);
    sonde__org_learn(&c, SONDE_STR("mark0")); /* one of the first eight */
    assert_true(sonde_str_eq(sonde__org_marker(), SONDE_STR("mark0")));
    sonde__org_learn(&c, (sonde_str){ NULL, 0 });
    assert_int_equal(sonde__org_marker().len, 0);
}

static int open_agent(void **state)
{
    (void)state;
    agent = fake_agent_open(NULL);
    return agent ? 0 : -1;
}

static int close_agent(void **state)
{
    (void)state;
    fake_agent_close(agent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_holds_in_both_formats),
        cmocka_unit_test(test_a_new_trace_bears_our_mark),
        cmocka_unit_test(test_a_context_without_tags_is_guarded_only_when_strict),
        cmocka_unit_test(test_marks_that_cannot_travel_and_too_many_of_them_are_unknown),
    };

    return cmocka_run_group_tests_name("org_marker", tests, open_agent, close_agent);
}
