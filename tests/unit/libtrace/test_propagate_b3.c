/* test_propagate_b3.c - the b3 headers and the lists of styles, against docs/spec/propagation.md. */
#include "support/test.h"

#include <stdlib.h>

#include "carrier.h"
#include "libtrace/src/propagate.h"
#include "libtrace/src/styles.h"

#define TRACE_HIGH UINT64_C(0x463ac35c9f6413ad)
#define TRACE_LOW  UINT64_C(0x48485a3953bb6124)
#define SPAN       UINT64_C(0xa2fb4a1d1a96d312)
#define TRACE_TEXT "463ac35c9f6413ad48485a3953bb6124"
#define LOW_TEXT   "48485a3953bb6124"
#define SPAN_TEXT  "a2fb4a1d1a96d312"

static void start(const char *styles)
{
    sonde_options o = { .service = "test",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };

    assert_int_equal(setenv("DD_TRACE_PROPAGATION_STYLE", styles, 1), 0);
    assert_int_equal(sonde_start(&o), SONDE_OK);
    (void)unsetenv("DD_TRACE_PROPAGATION_STYLE");
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    return 0;
}

static void test_style_lists_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label, *list;
        bool ok;
        uint32_t len;
        sonde__style first;
        const char *unknown;
    } cases[] = {
        { "one", "datadog", true, 1, SONDE__STYLE_DATADOG, "" },
        { "case and blanks", " TraceContext ,DATADOG", true, 2, SONDE__STYLE_TRACECONTEXT, "" },
        { "b3 is the single header", "b3", true, 1, SONDE__STYLE_B3, "" },
        { "b3_single", "B3_single", true, 1, SONDE__STYLE_B3, "" },
        { "b3 single header", "b3 single header", true, 1, SONDE__STYLE_B3, "" },
        { "b3multi", "b3multi", true, 1, SONDE__STYLE_B3MULTI, "" },
        { "twice", "b3,b3 single header,b3", true, 1, SONDE__STYLE_B3, "" },
        { "all", "baggage,b3,b3multi,datadog,tracecontext", true, 5, SONDE__STYLE_BAGGAGE, "" },
        { "none alone", "None", true, 0, SONDE__STYLE_DATADOG, "" },
        { "none among others", "none,datadog", true, 1, SONDE__STYLE_DATADOG, "" },
        { "unknown among others", "jaeger,b3,xray", true, 1, SONDE__STYLE_B3, "jaeger" },
        { "unknown only", "jaeger", false, 0, SONDE__STYLE_DATADOG, "jaeger" },
        { "commas only", ",,", false, 0, SONDE__STYLE_DATADOG, "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__styles styles;
        sonde_str unknown;
        bool ok = sonde__styles_parse(sonde_str_from(cases[i].list), &styles, &unknown);

        if (ok != cases[i].ok || styles.len != cases[i].len ||
            (styles.len > 0 && styles.style[0] != cases[i].first) ||
            !sonde_str_eq(unknown, sonde_str_from(cases[i].unknown)))
            fail_msg("%s: ok %d, %u styles, unknown %.*s", cases[i].label, ok, styles.len,
                     SONDE_STR_ARG(unknown));
    }
}

static void test_the_single_header_is_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label, *in;
        bool ok;
        uint64_t high;
        int priority; /* 9: none */
    } cases[] = {
        { "sampled", TRACE_TEXT "-" SPAN_TEXT "-1", true, TRACE_HIGH, 1 },
        { "not sampled", TRACE_TEXT "-" SPAN_TEXT "-0", true, TRACE_HIGH, 0 },
        { "debug", TRACE_TEXT "-" SPAN_TEXT "-d", true, TRACE_HIGH, 1 },
        { "no state", TRACE_TEXT "-" SPAN_TEXT, true, TRACE_HIGH, 9 },
        { "other state", TRACE_TEXT "-" SPAN_TEXT "-x", true, TRACE_HIGH, 9 },
        { "parent's parent", TRACE_TEXT "-" SPAN_TEXT "-1-05e3ac9a4f6e3b90", true, TRACE_HIGH, 1 },
        { "64 bits", LOW_TEXT "-" SPAN_TEXT "-1", true, 0, 1 },
        { "blanks around", " " LOW_TEXT "-" SPAN_TEXT "-0\t", true, 0, 0 },
        { "decision alone", "0", false, 0, 9 },
        { "no span", TRACE_TEXT, false, 0, 9 },
        { "zero trace", "0000000000000000-" SPAN_TEXT "-1", false, 0, 9 },
        { "zero span", TRACE_TEXT "-0000000000000000-1", false, 0, 9 },
        { "short trace", "463ac35c-" SPAN_TEXT "-1", false, 0, 9 },
        { "no hex", "x63ac35c9f6413ad-" SPAN_TEXT "-1", false, 0, 9 },
        { "empty", "", false, 0, 9 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__headers h = { .b3 = sonde_str_from(cases[i].in) };
        sonde__remote r;
        bool ok = sonde__extract_b3(&h, &r);

        if (ok != cases[i].ok)
            fail_msg("%s: extracted %d", cases[i].label, ok);
        if (ok && (r.trace_id_high != cases[i].high || r.trace_id_low != TRACE_LOW ||
                   r.parent_id != SPAN || (r.has_priority ? r.priority : 9) != cases[i].priority))
            fail_msg("%s: high %llx, priority %d", cases[i].label,
                     (unsigned long long)r.trace_id_high, r.priority);
    }
}

static void test_several_headers_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *label, *trace_id, *span_id, *sampled, *flags;
        bool ok;
        int priority; /* 9: none */
    } cases[] = {
        { "sampled", TRACE_TEXT, SPAN_TEXT, "1", NULL, true, 1 },
        { "not sampled", TRACE_TEXT, SPAN_TEXT, "0", NULL, true, 0 },
        { "debug wins", TRACE_TEXT, SPAN_TEXT, "0", "1", true, 1 },
        { "other flags", TRACE_TEXT, SPAN_TEXT, "0", "2", true, 0 },
        { "undecided", LOW_TEXT, SPAN_TEXT, NULL, NULL, true, 9 },
        { "no trace", NULL, SPAN_TEXT, "1", NULL, false, 9 },
        { "no span", TRACE_TEXT, NULL, "1", NULL, false, 9 },
        { "zero trace", "00000000000000000000000000000000", SPAN_TEXT, "1", NULL, false, 9 },
        { "17 digits", "1" LOW_TEXT, SPAN_TEXT, "1", NULL, false, 9 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__headers h = { .b3_trace_id = sonde_str_from(cases[i].trace_id),
                             .b3_span_id = sonde_str_from(cases[i].span_id),
                             .b3_sampled = sonde_str_from(cases[i].sampled),
                             .b3_flags = sonde_str_from(cases[i].flags) };
        sonde__remote r;
        bool ok = sonde__extract_b3multi(&h, &r);

        if (ok != cases[i].ok || (ok && (r.has_priority ? r.priority : 9) != cases[i].priority))
            fail_msg("%s: extracted %d", cases[i].label, ok);
    }
}

static void test_the_single_header_comes_out_as_it_went_in(void **state)
{
    static const char *const texts[] = { TRACE_TEXT "-" SPAN_TEXT "-1",
                                         TRACE_TEXT "-" SPAN_TEXT "-0",
                                         LOW_TEXT "-" SPAN_TEXT "-1" };
    size_t i;

    (void)state;
    start("b3");
    for (i = 0; i < COUNT_OF(texts); i++) {
        carrier in = { .len = 0 };
        carrier out;

        put(&in, "B3", texts[i]);
        through(&in, &out);
        assert_int_equal(out.len, 1);
        assert_header(texts[i], &out, "b3", texts[i]);
    }
}

static void test_several_headers_come_out_as_they_went_in(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    start("b3multi");
    put(&in, "X-B3-TraceId", TRACE_TEXT);
    put(&in, "X-B3-SpanId", SPAN_TEXT);
    put(&in, "X-B3-Sampled", "0");
    put(&in, "X-B3-ParentSpanId", LOW_TEXT);
    through(&in, &out);
    assert_int_equal(out.len, 3);
    assert_header("multi", &out, "x-b3-traceid", TRACE_TEXT);
    assert_header("multi", &out, "x-b3-spanid", SPAN_TEXT);
    assert_header("multi", &out, "x-b3-sampled", "0");
}

static void test_every_listed_style_is_written_and_the_first_that_succeeds_is_read(void **state)
{
    carrier in = { .len = 0 };
    carrier out;

    (void)state;
    start("b3multi,b3,tracecontext,datadog");
    put(&in, "b3", LOW_TEXT "-" SPAN_TEXT "-1");
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    put(&in, "traceparent", "00-0000000000000000" LOW_TEXT "-00000000000000aa-01");
    put(&in, "tracestate", "foo=1");
    through(&in, &out);
    assert_header("nearer parent", &out, "x-b3-spanid", "00000000000000aa");
    assert_header("single", &out, "b3", LOW_TEXT "-00000000000000aa-1");
    assert_header("datadog", &out, "x-datadog-trace-id", "5208512171318403364");
    assert_header("w3c", &out, "tracestate", "dd=s:1;p:" SPAN_TEXT ",foo=1");
}

static void test_with_none_nothing_is_read_or_written(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_span *span;

    (void)state;
    start("none");
    put(&in, "b3", TRACE_TEXT "-" SPAN_TEXT "-1");
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    assert_null(extract(&in));
    span = sonde_span_enter("root", NULL);
    inject(NULL, &out);
    sonde_span_leave(span);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_style_lists_are_read_as_the_table_says),
        cmocka_unit_test(test_the_single_header_is_read_as_the_table_says),
        cmocka_unit_test(test_several_headers_are_read_as_the_table_says),
        cmocka_unit_test_teardown(test_the_single_header_comes_out_as_it_went_in, stop),
        cmocka_unit_test_teardown(test_several_headers_come_out_as_they_went_in, stop),
        cmocka_unit_test_teardown(
            test_every_listed_style_is_written_and_the_first_that_succeeds_is_read, stop),
        cmocka_unit_test_teardown(test_with_none_nothing_is_read_or_written, stop),
    };

    return cmocka_run_group_tests_name("propagate_b3", tests, NULL, NULL);
}
