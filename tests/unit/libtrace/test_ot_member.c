/* test_ot_member.c - the ot member of tracestate: ours against worked examples of other tracers, received ones
 * against docs/spec/propagation.md, "ot". */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "carrier.h"
#include "libtrace/src/ot_member.h"
#include "libtrace/src/sampler.h"

#define RV "ef284ace7a91e1"
#define TH "e6666666666668"

static void assert_text(const char *label, const char *got, size_t len, const char *want)
{
    if (len != strlen(want) || (len > 0 && memcmp(got, want, len) != 0))
        fail_msg("%s: %.*s, want %s", label, (int)len, got, want);
}

static void test_ours_follows_from_the_id_and_the_rate(void **state)
{
    static const struct {
        uint64_t id;
        double rate;
        const char *want;
    } cases[] = {
        { 1234567890123456789, 0.5, "ot=rv:96f374e1b26e63;th:8" },
        { 1, 0.01, "ot=rv:f0948a54d43b8e;th:fd70a3d70a3d7" },
        { 1, 0.1, "ot=rv:f0948a54d43b8e;th:e6666666666668" },
        { 10, 0.1, "ot=rv:65cd67504a538e;th:e6666666666668" },
        { 10, 0.2, "ot=rv:65cd67504a538e;th:ccccccccccccd" },
        { 83, 0.99, "ot=rv:0028d980cf4f1c;th:028f5c28f5c29" },
        { UINT64_C(18444899399302180863), 0.1, "ot=rv:ef284ace7a91e1;th:e6666666666668" },
        { 1, 1, "ot=rv:f0948a54d43b8e;th:0" },
        { 1, 0, "" },
        /* rounding disagrees with the decision: the random value gives way */
        { 0x03a93ee8b1999f00, 0.1, "ot=rv:e6666666666668;th:e6666666666668" },
        { 5401449561355763072, 0.05, "ot=rv:f333333333332f;th:f333333333333" },
        { 1, 1e-12, "ot=rv:f0948a54d43b8e;th:fffffffffee688" }, /* worked out with exact integers */
    };
    char got[SONDE__OT_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        bool kept = sonde__sampler_keeps(cases[i].id, cases[i].rate);
        sonde__decision d =
            sonde__decision_make(kept ? 1 : 0, SONDE__BY_AGENT_RATE, cases[i].rate, 0);

        assert_text(cases[i].want, got, sonde__ot_make(cases[i].id, d, got), cases[i].want);
    }
}

static void test_only_decisions_by_a_rate_make_one(void **state)
{
    static const struct {
        const char *label;
        int priority;
        unsigned mechanism;
        uint64_t flags;
        bool any;
    } cases[] = {
        { "agent's rate", 1, SONDE__BY_AGENT_RATE, 0, true },
        { "rule", 2, SONDE__BY_RULE, SONDE__DECISION_LOCKED, true },
        { "limiter", -1, SONDE__BY_RULE, 0, false },
        { "no rate known", 1, SONDE__BY_DEFAULT, 0, false },
        { "hand", 2, SONDE__BY_HAND, SONDE__DECISION_MANUAL, false },
        { "alone", 1, SONDE__BY_DEFAULT, SONDE__DECISION_BEAT, false },
        { "inherited", 1, 0, SONDE__DECISION_INHERITED, false },
    };
    char got[SONDE__OT_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__decision d =
            sonde__decision_make(cases[i].priority, cases[i].mechanism, 0.5, cases[i].flags);

        if ((sonde__ot_make(1, d, got) > 0) != cases[i].any)
            fail_msg("%s", cases[i].label);
    }
}

static void test_received_ones_lose_only_what_is_malformed(void **state)
{
    static const struct {
        const char *in;
        bool keeps_th;
        const char *want;
    } cases[] = {
        { "ot=rv:" RV ";th:" TH, true, "ot=rv:" RV ";th:" TH },
        { "ot=rv:" RV, true, "ot=rv:" RV },
        { "ot=th:8", true, "ot=th:8" },
        { "ot=foo:bar", true, "ot=foo:bar" },
        { "ot=rv:invalid;th:" TH ";foo:bar", true, "ot=th:" TH ";foo:bar" },
        { "ot=rv:EF284ACE7A91E1;th:8", true, "ot=th:8" },
        { "ot=rv:" RV "0;th:123456789abcdef", true, "" },
        { "ot=rv:invalid;th:", true, "" },
        { "ot=", true, "" },
        { "ot=;;a;", true, "ot=a" },
        { "ot=th ;th ;", true, "" },
        { "ot= a ;th:8 ", true, "ot=a;th:8" },
        { "ot=rv:" RV ";th:8;x:y", false, "ot=rv:" RV ";x:y" },
        { "ot=th:8", false, "" },
    };
    char got[100];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_text(cases[i].in, got,
                    sonde__ot_clean(sonde_str_from(cases[i].in), cases[i].keeps_th, got),
                    cases[i].want);
}

static void start(const char *rate)
{
    sonde_options o = { .service = "unit",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };

    assert_int_equal(setenv("DD_TRACE_SAMPLE_RATE", rate, 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
}

/* What follows the dd member when a child here sends on; `by_hand`: it keeps its trace. */
static void expect(const char *label, carrier *in, bool by_hand, const char *want)
{
    sonde_context *context = extract(in);
    sonde_span *span = sonde_span_enter("child", &(sonde_span_options){ .context = context });
    const char *got;
    carrier out;

    if (by_hand)
        sonde_span_keep(span);
    inject(NULL, &out);
    sonde_span_leave(span);
    sonde_context_release(context);
    got = strchr(value_of(&out, "tracestate"), ',');
    if (strcmp(got ? got + 1 : "", want) != 0)
        fail_msg("%s: %s, want %s", label, got ? got + 1 : "nothing", want);
}

static void test_it_stands_behind_ours_unless_it_is_sent_on_as_it_came(void **state)
{
    static const struct {
        const char *label, *tracestate, *want;
        bool by_hand;
    } cases[] = {
        { "as it came", "dd=s:1,foo=bar,ot=rv:" RV ",x=y", "foo=bar,ot=rv:" RV ",x=y", false },
        { "changed", "dd=s:1,foo=bar,ot=rv:no;th:8,x=y", "ot=th:8,foo=bar,x=y", false },
        { "nothing left", "foo=bar,ot=rv:no,x=y", "foo=bar,x=y", false },
        { "the first counts", "foo=bar,ot=rv:" RV ",ot=th:8,x=y", "foo=bar,ot=rv:" RV ",x=y",
          false },
        { "not made up", "dd=s:1,foo=bar", "foo=bar", false },
        { "by hand", "foo=bar,ot=rv:" RV ";th:8;f:v,x=y", "ot=rv:" RV ";f:v,foo=bar,x=y", true },
        { "by hand, nothing left", "foo=bar,ot=th:8,x=y", "foo=bar,x=y", true },
    };
    size_t i;

    (void)state;
    start("0.5");
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };

        put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-01");
        put(&in, "tracestate", cases[i].tracestate);
        expect(cases[i].label, &in, cases[i].by_hand, cases[i].want);
    }
    sonde_stop();
}

static void put_datadog(carrier *c, const char *priority)
{
    put(c, "x-datadog-trace-id", "1");
    put(c, "x-datadog-parent-id", "2");
    put(c, "x-datadog-sampling-priority", priority);
}

static void test_a_rate_of_ours_sends_one(void **state)
{
    carrier in = { .len = 0 };

    (void)state;
    start("0.5");
    put_datadog(&in, NULL);
    expect("kept", &in, false, "ot=rv:f0948a54d43b8e;th:8");
    expect("by hand", &in, true, "");
    sonde_stop();
    start("0.01");
    expect("dropped", &in, false, "ot=rv:f0948a54d43b8e;th:fd70a3d70a3d7");
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-00");
    put(&in, "tracestate", "foo=bar,ot=th:8");
    expect("one of the same trace is taken over", &in, false, "foo=bar,ot=th:8");
    sonde_stop();
}

static void test_thirty_two_members_are_the_most_with_one_of_ours(void **state)
{
    carrier in = { .len = 0 };
    char tracestate[400] = "dd=o:x";
    char want[400] = "ot=rv:f0948a54d43b8e;th:8";
    int i;

    (void)state;
    for (i = 0; i < 33; i++) {
        (void)snprintf(tracestate + strlen(tracestate), 20, ",v%d=s", i);
        if (i < 30)
            (void)snprintf(want + strlen(want), 20, ",v%d=s", i);
    }
    start("0.5");
    put_datadog(&in, NULL);
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-00");
    put(&in, "tracestate", tracestate);
    expect("ours", &in, false, want);
    sonde_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours_follows_from_the_id_and_the_rate),
        cmocka_unit_test(test_only_decisions_by_a_rate_make_one),
        cmocka_unit_test(test_received_ones_lose_only_what_is_malformed),
        cmocka_unit_test(test_it_stands_behind_ours_unless_it_is_sent_on_as_it_came),
        cmocka_unit_test(test_a_rate_of_ours_sends_one),
        cmocka_unit_test(test_thirty_two_members_are_the_most_with_one_of_ours),
    };

    return cmocka_run_group_tests_name("ot_member", tests, NULL, NULL);
}
