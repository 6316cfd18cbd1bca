/* test_propagate.c - headers in and out, against the tables of docs/spec/propagation.md. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "carrier.h"
#include "libtrace/src/propagate.h"
#include "libtrace/src/trace_tags.h"
#include "sonde/sonde.h"

static int start(void **state)
{
    sonde_options o = { .service = "test",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };

    (void)state;
    return sonde_start(&o) == SONDE_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    return 0;
}

static void test_w3c_alone_gives_the_worked_example(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_context *context;
    sonde_span *span;
    char want[128];

    (void)state;
    put(&in, "traceparent", "00-11111111111111110000000000000002-000000000000000f-01");
    put(&in, "tracestate", "foo=1,dd=s:2;o:rum;p:0123456789abcdef;t.dm:-4;t.usr.id:abc~~");
    context = extract(&in);
    assert_non_null(context);
    assert_int_equal(sonde_context_trace_id_high(context), 0x1111111111111111);
    assert_int_equal(sonde_context_trace_id_low(context), 2);
    assert_int_equal(sonde_context_span_id(context), 15);
    span = sonde_span_start("child", &(sonde_span_options){ .context = context });
    sonde_context_release(context);
    sonde_span_activate(span);
    inject(NULL, &out);

    (void)snprintf(want, sizeof(want), "00-11111111111111110000000000000002-%016llx-01",
                   (unsigned long long)sonde_span_id(span));
    assert_header("worked example", &out, "traceparent", want);
    (void)snprintf(want, sizeof(want), "dd=s:2;o:rum;p:%016llx;t.dm:-4;t.usr.id:abc~~,foo=1",
                   (unsigned long long)sonde_span_id(span));
    assert_header("worked example", &out, "tracestate", want);
    assert_header("worked example", &out, "x-datadog-trace-id", "2");
    (void)snprintf(want, sizeof(want), "%llu", (unsigned long long)sonde_span_id(span));
    assert_header("worked example", &out, "x-datadog-parent-id", want);
    assert_header("worked example", &out, "x-datadog-sampling-priority", "2");
    assert_header("worked example", &out, "x-datadog-origin", "rum");
    assert_header("worked example", &out, "x-datadog-tags",
                  "_dd.p.tid=1111111111111111,_dd.p.dm=-4,_dd.p.usr.id=abc==");
    sonde_span_leave(span);
}

static void test_traceparent_is_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label;
        const char *in;
        bool ok;
    } cases[] = {
        { "plain", "00-00000000000000000000000000000001-0000000000000002-01", true },
        { "blanks around", " \t00-00000000000000000000000000000001-0000000000000002-00 ", true },
        { "later version", "cc-00000000000000000000000000000001-0000000000000002-01", true },
        { "later version, longer", "cc-00000000000000000000000000000001-0000000000000002-01-x",
          true },
        { "version ff", "ff-00000000000000000000000000000001-0000000000000002-01", false },
        { "version 00, longer", "00-00000000000000000000000000000001-0000000000000002-01-x",
          false },
        { "later version, no dash", "cc-00000000000000000000000000000001-0000000000000002-01x",
          false },
        { "upper case", "00-0000000000000000000000000000000A-0000000000000002-01", false },
        { "zero trace", "00-00000000000000000000000000000000-0000000000000002-01", false },
        { "zero parent", "00-00000000000000000000000000000001-0000000000000000-01", false },
        { "short", "00-0000000000000000000000000000001-0000000000000002-01", false },
        { "bad flags", "00-00000000000000000000000000000001-0000000000000002-0x", false },
        { "one dash missing", "00-00000000000000000000000000000001-000000000000000201-1", false },
        { "empty", "", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        sonde_context *context;

        put(&in, "TraceParent", cases[i].in);
        context = extract(&in);
        if ((context != NULL) != cases[i].ok)
            fail_msg("%s: extracted %d", cases[i].label, context != NULL);
        sonde_context_release(context);
    }
}

static void test_two_traceparents_start_a_new_trace(void **state)
{
    carrier in = { .len = 0 };

    (void)state;
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-01");
    put(&in, "traceparent", "00-00000000000000000000000000000003-0000000000000002-01");
    assert_null(extract(&in));
}

static void test_decisions_of_w3c_are_merged_as_the_table_says(void **state)
{
    static const struct {
        const char *label;
        const char *flags;
        const char *dd;
        const char *priority;
        const char *tags;
    } cases[] = {
        { "1, s>0", "01", "dd=s:2;t.dm:-4", "2", "_dd.p.dm=-4" },
        { "1, s<=0", "01", "dd=s:-1;t.dm:-4", "1", "_dd.p.dm=-0" },
        { "1, absent", "01", "dd=o:x", "1", "_dd.p.dm=-0" },
        { "0, s<=0", "00", "dd=s:-1", "-1", NULL },
        { "0, s>0", "00", "dd=s:2;t.dm:-4", "0", NULL },
        { "0, absent", "00", NULL, "0", NULL },
        { "s no integer", "01", "dd=s:two", "1", "_dd.p.dm=-0" },
        { "other flag bits", "03", "dd=s:1;t.dm:-1", "1", "_dd.p.dm=-1" },
        { "a blank after ;", "01", "dd=s:2; t.dm:-4;t.a:b", "1", "_dd.p.dm=-0" },
        { "a blank before ;", "01", "dd=s:2 ;t.dm:-4", "1", "_dd.p.dm=-0" },
        { "a blank item", "01", "dd=s:2; ;t.dm:-4", "1", "_dd.p.dm=-0" },
        { "a blank at the start", "01", "dd= s:2", "1", "_dd.p.dm=-0" },
        { "blanks at the end", "01", "dd=s:2;t.dm:-4; \t", "2", "_dd.p.dm=-4" },
        { "a blank in a value", "01", "dd=s:2;t.dm:-4;t.a:b c", "2", "_dd.p.dm=-4,_dd.p.a=b c" },
        { "empty items", "01", "dd=;s:2;;t.dm:-4;", "2", "_dd.p.dm=-4" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        carrier out;
        char parent[64];

        (void)snprintf(parent, sizeof(parent),
                       "00-00000000000000000000000000000001-0000000000000002-%s", cases[i].flags);
        put(&in, "traceparent", parent);
        put(&in, "tracestate", cases[i].dd);
        through(&in, &out);
        assert_header(cases[i].label, &out, "x-datadog-sampling-priority", cases[i].priority);
        assert_header(cases[i].label, &out, "x-datadog-tags", cases[i].tags);
    }
}

static void test_datadog_headers_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label;
        const char *trace_id, *parent_id, *priority, *origin;
        bool ok;
    } cases[] = {
        { "all", "1", "2", "1", NULL, true },
        { "no priority", "1", "2", NULL, NULL, true },
        { "blanks", " 1 ", " 2 ", " 1", NULL, true },
        { "negative id", "-1", "2", "1", NULL, true },
        { "largest id", "18446744073709551615", "2", NULL, NULL, true },
        { "overflow", "18446744073709551616", "2", NULL, NULL, false },
        { "hex", "ff", "2", NULL, NULL, false },
        { "zero", "0", "2", NULL, NULL, false },
        { "no trace id", NULL, "2", "1", NULL, false },
        { "no parent", "1", NULL, "1", NULL, false },
        { "parent 0", "1", "0", "1", NULL, false },
        { "parent 0 with origin", "1", "0", "1", "synthetics", true },
        { "no parent, origin", "1", NULL, "1", "rum", true },
        { "bad parent", "1", "x", "1", NULL, false },
        { "bad priority", "1", "2", "keep", NULL, false },
        { "other priority", "1", "2", "-2", NULL, true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        sonde_context *context;

        put(&in, "x-datadog-trace-id", cases[i].trace_id);
        put(&in, "x-datadog-parent-id", cases[i].parent_id);
        put(&in, "x-datadog-sampling-priority", cases[i].priority);
        put(&in, "x-datadog-origin", cases[i].origin);
        context = extract(&in);
        if ((context != NULL) != cases[i].ok)
            fail_msg("%s: extracted %d", cases[i].label, context != NULL);
        sonde_context_release(context);
    }
}

/* What a received x-datadog-tags becomes: the tags sent on and the error noted. */
static void test_datadog_tags_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label;
        const char *in;
        uint32_t max;
        const char *error; /* prefix; NULL: none */
        uint64_t tid;
        bool usable;
    } cases[] = {
        { "plain", "_dd.p.dm=-1,_dd.p.a=b", 512, NULL, 0, true },
        { "tid", "_dd.p.tid=640cfd8d00000000,_dd.p.dm=-1", 512, NULL, 0x640cfd8d00000000, true },
        { "tid short", "_dd.p.tid=640cfd8d", 512, "malformed_tid ", 0, true },
        { "tid upper case", "_dd.p.tid=640CFD8D00000000", 512, "malformed_tid ", 0, true },
        { "dm malformed", "_dd.p.dm=four", 512, "decoding_error", 0, true },
        { "no equals sign", "_dd.p.dm", 512, "decoding_error", 0, false },
        { "empty value", "_dd.p.a=", 512, "decoding_error", 0, false },
        { "empty key", "=x", 512, "decoding_error", 0, false },
        { "blank in key", "_dd.p. a=x", 512, "decoding_error", 0, false },
        { "tab in value", "_dd.p.a=x\ty", 512, "decoding_error", 0, false },
        { "value with =", "_dd.p.a=b=c", 512, NULL, 0, true },
        { "too long", "_dd.p.a=bcdefg", 10, "extract_max_size", 0, false },
        { "disabled", "_dd.p.a=b", 0, "disabled", 0, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__headers h = { .trace_id = SONDE_STR("1"), .parent_id = SONDE_STR("2") };
        sonde__remote r;

        h.tags = sonde_str_from(cases[i].in);
        assert_true(sonde__extract_datadog(&h, cases[i].max, &r));
        if ((r.error != NULL) != (cases[i].error != NULL) ||
            (r.error && strcmp(r.error, cases[i].error) != 0))
            fail_msg("%s: error %s", cases[i].label, r.error ? r.error : "none");
        if (r.trace_id_high != cases[i].tid || (r.tags.len > 0) != cases[i].usable)
            fail_msg("%s: tid %llx, tags %zu", cases[i].label, (unsigned long long)r.trace_id_high,
                     r.tags.len);
    }
}

static void test_foreign_tags_are_not_passed_on_and_order_is_kept(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    put(&in, "x-datadog-sampling-priority", "2");
    put(&in, "x-datadog-tags", "_dd.p.z=1,usr=secret,_dd.p.dm=-4,_dd.p.a=2");
    through(&in, &out);

    assert_header("order", &out, "x-datadog-tags", "_dd.p.z=1,_dd.p.dm=-4,_dd.p.a=2");
    assert_header("order", &out, "tracestate", "dd=s:2;t.z:1;t.dm:-4;t.a:2");
    assert_header("order", &out, "traceparent",
                  "00-00000000000000000000000000000001-0000000000000002-01");
}

static void test_several_styles_of_one_trace_are_merged(void **state)
{
    static const struct {
        const char *label;
        const char *traceparent, *tracestate, *parent, *out_state;
    } cases[] = {
        { "w3c parent is nearer, p known",
          "00-00000000000000000000000000000001-0000000000000009-01",
          "dd=s:1;p:0000000000000007,foo=1", "9", "dd=s:2;p:0000000000000007,foo=1" },
        { "w3c parent is nearer, p unknown",
          "00-00000000000000000000000000000001-0000000000000009-01", "foo=1", "9",
          "dd=s:2;p:0000000000000002,foo=1" },
        { "same parent", "00-00000000000000000000000000000001-0000000000000002-01", "foo=1,bar=2;3",
          "2", "dd=s:2,foo=1,bar=2;3" },
        { "other trace", "00-00000000000000000000000000000005-0000000000000009-01", "foo=1", "2",
          "dd=s:2" },
        { "unknown items go on", "00-00000000000000000000000000000001-0000000000000002-01",
          "dd=x:1;s:1", "2", "dd=s:2;x:1" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        carrier out;

        put(&in, "x-datadog-trace-id", "1");
        put(&in, "x-datadog-parent-id", "2");
        put(&in, "x-datadog-sampling-priority", "2");
        put(&in, "traceparent", cases[i].traceparent);
        put(&in, "tracestate", cases[i].tracestate);
        through(&in, &out);
        assert_header(cases[i].label, &out, "x-datadog-parent-id", cases[i].parent);
        assert_header(cases[i].label, &out, "x-datadog-sampling-priority", "2");
        assert_header(cases[i].label, &out, "tracestate", cases[i].out_state);
    }
}

static void test_tracestate_lines_are_joined_and_members_forwarded_as_they_are(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    char big[700];

    (void)state;
    memset(big, 'v', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memcpy(big, "big=", 4);
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-00");
    put(&in, "tracestate", "a=1, b=2 ,,noequals");
    put(&in, "tracestate", big);
    put(&in, "tracestate", "c= x;y~z,dd=s:0,d=4");
    through(&in, &out);

    assert_header("lines", &out, "tracestate", "dd=s:0,a=1,b=2,c= x;y~z,d=4");
}

static void test_at_most_32_members_go_out(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    char line[400] = "";
    char want[500] = "dd=s:0";
    int i;

    (void)state;
    for (i = 0; i < 40; i++) {
        size_t len = strlen(line);

        (void)snprintf(line + len, sizeof(line) - len, "%sk%d=v", i ? "," : "", i);
        if (i == 30)
            (void)snprintf(want + 6, sizeof(want) - 6, ",%s", line);
    }
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-00");
    put(&in, "tracestate", line);
    through(&in, &out);

    assert_header("members", &out, "tracestate", want);
}

static void test_tracestate_above_4096_bytes_is_dropped(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    char line[4990];
    size_t i;

    (void)state;
    for (i = 0; i + 4 < sizeof(line); i += 4)
        memcpy(line + i, "a=b,", 4);
    line[4988] = '\0';
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-01");
    put(&in, "tracestate", line);
    through(&in, &out);

    assert_header("too long", &out, "tracestate", "dd=s:1;t.dm:-0");
}

/* Ours comes in front of what just fitted: the next service would read none of it. */
static void test_tracestate_that_grew_beyond_4096_bytes_loses_its_last_members(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    char line[4097], want[4200];
    size_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        memset(line + 512 * i, 'v', 512);
        memcpy(line + 512 * i, "a=", 2);
        line[512 * i + 511] = ',';
    }
    line[4096] = '\0';
    put(&in, "traceparent", "00-00000000000000000000000000000001-0000000000000002-00");
    put(&in, "tracestate", line);
    through(&in, &out);

    line[512 * 7 - 1] = '\0'; /* seven of eight */
    (void)snprintf(want, sizeof(want), "dd=s:0,%s", line);
    assert_header("grown", &out, "tracestate", want);
}

static void test_dd_member_leaves_out_whole_items_beyond_256_bytes(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    char tags[500];
    char value[220];

    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    (void)snprintf(tags, sizeof(tags), "_dd.p.a=%s,_dd.p.b=%s,_dd.p.c=1", value, value);
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    put(&in, "x-datadog-sampling-priority", "1");
    put(&in, "x-datadog-tags", tags);
    through(&in, &out);

    (void)snprintf(tags, sizeof(tags), "dd=s:1;t.a:%s", value);
    assert_header("256 bytes", &out, "tracestate", tags);
}

static void test_characters_the_dd_member_cannot_hold_are_replaced(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "0");
    put(&in, "x-datadog-sampling-priority", "1");
    put(&in, "x-datadog-origin", "synthetics;=web,z~");
    put(&in, "x-datadog-tags", "_dd.p.a;b=x;~=y");
    through(&in, &out);

    assert_header("encoding", &out, "tracestate", "dd=s:1;o:synthetics_~web_z_;t.a_b:x__~y");
    assert_header("encoding", &out, "x-datadog-origin", "synthetics;=web,z~");
}

static void test_a_new_trace_is_injected_with_its_decision(void **state)
{
    carrier out;
    char want[64];
    SONDE_SPAN(span, "root");

    (void)state;
    sonde_span_keep(span);
    inject(NULL, &out);

    (void)snprintf(want, sizeof(want), "_dd.p.tid=%016llx,_dd.p.dm=-4",
                   (unsigned long long)sonde_span_trace_id_high(span));
    assert_header("manual", &out, "x-datadog-tags", want);
    assert_header("manual", &out, "x-datadog-sampling-priority", "2");
    sonde_span_drop(span);
    inject(NULL, &out);
    want[26] = '\0';
    assert_header("dropped", &out, "x-datadog-tags", want);
    assert_header("dropped", &out, "x-datadog-sampling-priority", "-1");
}

static void test_manual_keep_overrides_a_received_decision(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_context *context;
    sonde_span *span;

    (void)state;
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    put(&in, "x-datadog-sampling-priority", "0");
    put(&in, "x-datadog-tags", "_dd.p.x=1");
    context = extract(&in);
    span = sonde_span_start("child", &(sonde_span_options){ .context = context });
    sonde_span_set_str(span, "manual.keep", NULL);
    inject(context, &out);
    sonde_context_release(context);
    sonde_span_finish(span);

    assert_header("override", &out, "x-datadog-sampling-priority", "2");
    assert_header("override", &out, "x-datadog-tags", "_dd.p.x=1,_dd.p.dm=-4");
}

static void test_nothing_is_injected_where_nothing_is_active(void **state)
{
    carrier out;

    (void)state;
    inject(NULL, &out);
    assert_int_equal(out.len, 0);
    sonde_inject(NULL, NULL);
    assert_null(sonde_extract(NULL));
    assert_null(sonde_extract(&(sonde_reader){ .user = NULL }));
}

/* As a server may keep them: one behind the other, with what ends a line in between. */
static void each_of_two_lines(void *user, sonde_visitor visit, void *visitor_user)
{
    static const char lines[] = "a=1\nb=2";

    (void)user;
    visit(visitor_user, SONDE_STR("traceparent"),
          SONDE_STR("00-00000000000000000000000000000001-0000000000000002-00"));
    visit(visitor_user, SONDE_STR("tracestate"), (sonde_str){ lines, 3 });
    visit(visitor_user, SONDE_STR("tracestate"), (sonde_str){ lines + 4, 3 });
}

static void test_lines_of_tracestate_side_by_side_in_memory_stay_apart(void **state)
{
    sonde_context *context = sonde_extract(&(sonde_reader){ .each = each_of_two_lines });
    carrier out;

    (void)state;
    inject(context, &out);
    sonde_context_release(context);
    assert_header("two lines", &out, "tracestate", "dd=s:0,a=1,b=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_w3c_alone_gives_the_worked_example),
        cmocka_unit_test(test_traceparent_is_read_as_the_table_says),
        cmocka_unit_test(test_two_traceparents_start_a_new_trace),
        cmocka_unit_test(test_decisions_of_w3c_are_merged_as_the_table_says),
        cmocka_unit_test(test_datadog_headers_are_read_as_the_table_says),
        cmocka_unit_test(test_datadog_tags_are_read_as_the_table_says),
        cmocka_unit_test(test_foreign_tags_are_not_passed_on_and_order_is_kept),
        cmocka_unit_test(test_several_styles_of_one_trace_are_merged),
        cmocka_unit_test(test_tracestate_lines_are_joined_and_members_forwarded_as_they_are),
        cmocka_unit_test(test_at_most_32_members_go_out),
        cmocka_unit_test(test_tracestate_above_4096_bytes_is_dropped),
        cmocka_unit_test(test_tracestate_that_grew_beyond_4096_bytes_loses_its_last_members),
        cmocka_unit_test(test_dd_member_leaves_out_whole_items_beyond_256_bytes),
        cmocka_unit_test(test_characters_the_dd_member_cannot_hold_are_replaced),
        cmocka_unit_test(test_a_new_trace_is_injected_with_its_decision),
        cmocka_unit_test(test_manual_keep_overrides_a_received_decision),
        cmocka_unit_test(test_nothing_is_injected_where_nothing_is_active),
        cmocka_unit_test(test_lines_of_tracestate_side_by_side_in_memory_stay_apart),
    };

    return cmocka_run_group_tests_name("propagate", tests, start, stop);
}
