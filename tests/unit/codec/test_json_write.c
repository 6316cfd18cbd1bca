/* JSON text as it goes out. */
#include "codec/json_write.h"

#include <math.h>

#include "base/assert.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static sonde_buf out;
static sonde_json_writer w;

static int set_up(void **state)
{
    (void)state;
    sonde_buf_init(&out, 1 << 16);
    sonde_json_writer_init(&w, &out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sonde_buf_done(&out);
    return 0;
}

static void expect(const char *want)
{
    assert_status(out.status, SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&out), want);
}

static void test_write_puts_commas_and_colons(void **state)
{
    (void)state;
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "s", SONDE_STR("t"));
    sonde_json_put_u64(&w, "u", UINT64_MAX);
    sonde_json_put_i64(&w, "i", INT64_MIN);
    sonde_json_put_double(&w, "d", 0.1);
    sonde_json_put_bool(&w, "b", true);
    sonde_json_key(&w, SONDE_STR("a"));
    sonde_json_begin_array(&w);
    sonde_json_u64(&w, 1);
    sonde_json_null(&w);
    sonde_json_begin_object(&w);
    sonde_json_end_object(&w);
    sonde_json_begin_array(&w);
    sonde_json_end_array(&w);
    sonde_json_raw(&w, SONDE_STR("{\"raw\":1}"));
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);

    expect(
        "{\"s\":\"t\",\"u\":18446744073709551615,\"i\":-9223372036854775808,\"d\":0.1,\"b\":true,"
        "\"a\":[1,null,{},[],{\"raw\":1}]}");
}

static void test_write_indents_when_asked(void **state)
{
    (void)state;
    w.indent = "  ";
    sonde_json_begin_object(&w);
    sonde_json_put_u64(&w, "a", 1);
    sonde_json_key(&w, SONDE_STR("b"));
    sonde_json_begin_array(&w);
    sonde_json_u64(&w, 2);
    sonde_json_u64(&w, 3);
    sonde_json_end_array(&w);
    sonde_json_key(&w, SONDE_STR("c"));
    sonde_json_begin_array(&w);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);

    expect("{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": []\n}");
}

static void test_write_escapes_text(void **state)
{
    static const struct {
        const char *label;
        sonde_str in;
        bool html;
        const char *want;
    } cases[] = {
        { "plain", { "abc/", 4 }, false, "\"abc/\"" },
        { "empty", { NULL, 0 }, false, "\"\"" },
        { "quotes", { "a\"b\\c", 5 }, false, "\"a\\\"b\\\\c\"" },
        { "short escapes", { "\b\f\n\r\t", 5 }, false, "\"\\b\\f\\n\\r\\t\"" },
        { "controls", { "\0\x1f\x7f", 3 }, false, "\"\\u0000\\u001f\x7f\"" },
        { "UTF-8",
          { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
          false,
          "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { "bad bytes", { "a\xff\xc3", 3 }, false, "\"a\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "surrogate", { "\xed\xa0\x80", 3 }, false, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "html off", { "<&>", 3 }, false, "\"<&>\"" },
        { "html on", { "<&>\xe2\x80\xa8", 6 }, true, "\"\\u003c\\u0026\\u003e\\u2028\"" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf_reset(&out);
        sonde_json_writer_init(&w, &out);
        w.escape_html = cases[i].html;
        sonde_json_str(&w, cases[i].in);
        if (!sonde_str_eq(sonde_buf_str(&out), sonde_str_from(cases[i].want)))
            fail_msg("%s: %s", cases[i].label, sonde_buf_cstr(&out));
    }
}

static void test_write_of_a_number_that_is_not_finite_is_null(void **state)
{
    (void)state;
    sonde_json_begin_array(&w);
    sonde_json_double(&w, (double)NAN);
    sonde_json_double(&w, (double)INFINITY);
    sonde_json_double(&w, 1e300);
    sonde_json_end_array(&w);
    expect("[null,null,1e+300]");
}

static void test_write_nested_too_deeply_sets_the_status(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < SONDE_JSON_DEPTH_MAX; i++)
        sonde_json_begin_array(&w);
    assert_status(out.status, SONDE_OK);
    sonde_json_begin_array(&w);
    assert_status(out.status, SONDE_ERR_TOO_BIG);
    for (i = 0; i < 300; i++)
        sonde_json_end_array(&w); /* inert */
    assert_int_equal(out.len, SONDE_JSON_DEPTH_MAX);
}

static void test_write_misused_leaves_the_text_alone(void **state)
{
    uint64_t before = sonde_internal_errors();

    (void)state;
    sonde_json_begin_object(&w);
    sonde_json_u64(&w, 1);    /* a key is due */
    sonde_json_end_array(&w); /* not an array */
    sonde_json_key(&w, SONDE_STR("k"));
    sonde_json_key(&w, SONDE_STR("again")); /* a value is due */
    sonde_json_end_object(&w);              /* a value is due */
    sonde_json_bool(&w, false);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w); /* nothing is open */

    expect("{\"k\":false}");
    assert_int_equal(sonde_internal_errors() - before, 5);
}

static sonde_status encode(void *user)
{
    sonde_status status;
    unsigned i;

    (void)user;
    (void)set_up(NULL);
    sonde_json_begin_array(&w);
    for (i = 0; i < 200; i++)
        sonde_json_str(&w, SONDE_STR("some text"));
    sonde_json_end_array(&w);
    status = out.status;
    sonde_buf_done(&out);
    return status;
}

static void test_write_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(encode, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_puts_commas_and_colons, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_indents_when_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_escapes_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_write_of_a_number_that_is_not_finite_is_null, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_write_nested_too_deeply_sets_the_status, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_write_misused_leaves_the_text_alone, set_up,
                                        tear_down),
        cmocka_unit_test(test_write_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
