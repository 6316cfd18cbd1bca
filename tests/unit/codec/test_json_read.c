/* Events of good texts, and the place and reason of bad ones. */
#include "codec/json_read.h"

#include <stdio.h>
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#define MAX_STRING ((size_t)64)

/* The events of a text in short: { } [ ], "k": for a key, strings quoted, numbers and words as written,
 * "." at the end, "!" at an error. */
static const char *events_of(sonde_json_reader *r, char *out, size_t out_bytes)
{
    static const char *const marks[] = { "!",  ".",  "{",  "}", "[", "]",
                                         NULL, NULL, NULL, "t", "f", "n" };
    sonde_buf b;
    sonde_json_event e;

    sonde_buf_init(&b, out_bytes - 1);
    do {
        e = sonde_json_next(r);
        if (marks[e])
            sonde_buf_append(&b, marks[e], 1);
        else if (e == SONDE_JSON_NUMBER)
            sonde_buf_append_str(&b, r->text);
        else
            sonde_buf_printf(&b, e == SONDE_JSON_KEY ? "\"%.*s\":" : "\"%.*s\"",
                             SONDE_STR_ARG(r->text));
        sonde_buf_append_byte(&b, ' ');
    } while (e != SONDE_JSON_ERROR && e != SONDE_JSON_END);
    assert_status(b.status, SONDE_OK);
    memcpy(out, b.data, b.len - 1);
    out[b.len - 1] = '\0';
    sonde_buf_done(&b);
    return out;
}

static void test_read_gives_the_events_of_good_texts(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        { "null", "n ." },
        { " true ", "t ." },
        { "[]", "[ ] ." },
        { "{}", "{ } ." },
        { "[1,2]", "[ 1 2 ] ." },
        { "{\"a\":1,\"b\":[{},[false]],\"c\":\"d\"}",
          "{ \"a\": 1 \"b\": [ { } [ f ] ] \"c\": \"d\" } ." },
        { "\t{ \"a\" : { \"b\" : null } }\r\n", "{ \"a\": { \"b\": n } } ." },
        { "[-0, 0.5, 1e3, 1E-2, 12.5e+1]", "[ -0 0.5 1e3 1E-2 12.5e+1 ] ." },
        { "\"a\\\"b\\\\c\\/\\b\\f\\n\\r\\td\"", "\"a\"b\\c/\b\f\n\r\td\" ." },
        { "\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"",
          "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" ." },
        { "\"\\ud83d x \\ude00 \\ud83d\\u0041\"", "\"\xef\xbf\xbd x \xef\xbf\xbd \xef\xbf\xbd"
                                                  "A\" ." },
        { "{\"k\\n\":\"\"}", "{ \"k\n\": \"\" } ." },
    };
    char got[512];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_json_reader r;

        sonde_json_reader_init(&r, sonde_str_from(cases[i].json), MAX_STRING);
        if (strcmp(events_of(&r, got, sizeof(got)), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].json, got);
        assert_status(r.status, SONDE_OK);
        sonde_json_reader_done(&r);
    }
}

static void test_read_names_the_place_and_reason_of_bad_texts(void **state)
{
    static const struct {
        const char *json;
        sonde_status want;
        size_t at;
    } cases[] = {
        { "", SONDE_ERR_EOF, 0 },
        { "   ", SONDE_ERR_EOF, 3 },
        { "[", SONDE_ERR_EOF, 1 },
        { "[1", SONDE_ERR_EOF, 2 },
        { "[1,", SONDE_ERR_EOF, 3 },
        { "[1,]", SONDE_ERR_SYNTAX, 3 },
        { "[,1]", SONDE_ERR_SYNTAX, 1 },
        { "[1 2]", SONDE_ERR_SYNTAX, 3 },
        { "[1}", SONDE_ERR_SYNTAX, 2 },
        { "]", SONDE_ERR_SYNTAX, 0 },
        { "{\"a\"", SONDE_ERR_EOF, 4 },
        { "{\"a\" 1}", SONDE_ERR_SYNTAX, 5 },
        { "{\"a\":}", SONDE_ERR_SYNTAX, 5 },
        { "{\"a\":1,}", SONDE_ERR_SYNTAX, 7 },
        { "{a:1}", SONDE_ERR_SYNTAX, 1 },
        { "{1:1}", SONDE_ERR_SYNTAX, 1 },
        { "1 2", SONDE_ERR_SYNTAX, 2 },
        { "{}{}", SONDE_ERR_SYNTAX, 2 },
        { "tru", SONDE_ERR_EOF, 0 },
        { "trux", SONDE_ERR_SYNTAX, 0 },
        { "nan", SONDE_ERR_SYNTAX, 0 },
        { "01", SONDE_ERR_SYNTAX, 1 },
        { "-", SONDE_ERR_EOF, 1 },
        { "+1", SONDE_ERR_SYNTAX, 0 },
        { ".5", SONDE_ERR_SYNTAX, 0 },
        { "1.", SONDE_ERR_EOF, 2 },
        { "1.x", SONDE_ERR_SYNTAX, 2 },
        { "1e", SONDE_ERR_EOF, 2 },
        { "1e999", SONDE_ERR_SYNTAX, 5 },
        { "\"abc", SONDE_ERR_EOF, 4 },
        { "\"a\nb\"", SONDE_ERR_SYNTAX, 2 },
        { "\"\\x\"", SONDE_ERR_SYNTAX, 2 },
        { "\"\\", SONDE_ERR_EOF, 2 },
        { "\"\\u12", SONDE_ERR_SYNTAX, 3 },
        { "\"\\u12g4\"", SONDE_ERR_SYNTAX, 3 },
        { "\"\\n\x01\"", SONDE_ERR_SYNTAX, 3 },
        { "'a'", SONDE_ERR_SYNTAX, 0 },
        { "// no\n1", SONDE_ERR_SYNTAX, 0 },
    };
    char got[512];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_json_reader r;

        sonde_json_reader_init(&r, sonde_str_from(cases[i].json), MAX_STRING);
        (void)events_of(&r, got, sizeof(got));
        if (r.status != cases[i].want || r.error_at != cases[i].at || !r.error)
            fail_msg("%s: %s at %zu, events %s", cases[i].json, sonde_status_name(r.status),
                     r.error_at, got);
        assert_int_equal(sonde_json_next(&r), SONDE_JSON_ERROR); /* sticky */
        sonde_json_reader_done(&r);
    }
}

static void test_read_gives_numbers_as_double_and_as_written(void **state)
{
    sonde_json_reader r;

    (void)state;
    sonde_json_reader_init(&r, SONDE_STR("18446744073709551615"), MAX_STRING);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_NUMBER);
    assert_true(r.number == 18446744073709551615.0);
    assert_true(sonde_str_eq(r.text, SONDE_STR("18446744073709551615")));
    sonde_json_reader_done(&r);
}

static void test_read_copies_only_text_with_escapes(void **state)
{
    static const char json[] = "[\"plain\",\"esc\\u0061ped\"]";
    sonde_json_reader r;

    (void)state;
    sonde_json_reader_init(&r, SONDE_STR(json), MAX_STRING);
    (void)sonde_json_next(&r);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_STRING);
    assert_ptr_equal(r.text.ptr, json + 2);
    assert_null(r.scratch.data);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_STRING);
    assert_true(sonde_str_eq(r.text, SONDE_STR("escaped")));
    sonde_json_reader_done(&r);
}

static void test_read_is_bounded_in_depth(void **state)
{
    char json[SONDE_JSON_READ_DEPTH_MAX + 1];
    sonde_json_reader r;
    unsigned i;

    (void)state;
    memset(json, '[', sizeof(json));
    sonde_json_reader_init(&r, (sonde_str){ json, sizeof(json) }, MAX_STRING);
    for (i = 0; i < SONDE_JSON_READ_DEPTH_MAX; i++)
        assert_int_equal(sonde_json_next(&r), SONDE_JSON_ARRAY);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_ERROR);
    assert_status(r.status, SONDE_ERR_TOO_BIG);
    sonde_json_reader_done(&r);
}

static void test_read_remembers_the_kind_of_every_level(void **state)
{
    char json[512] = "", got[1024];
    sonde_json_reader r;
    size_t i, len = 0;

    (void)state;
    for (i = 0; i < SONDE_JSON_READ_DEPTH_MAX; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, i % 2 ? "[" : "{\"\":");
    json[len++] = '0';
    for (i = SONDE_JSON_READ_DEPTH_MAX; i > 0; i--)
        json[len++] = i % 2 ? '}' : ']';
    sonde_json_reader_init(&r, (sonde_str){ json, len }, MAX_STRING);
    (void)events_of(&r, got, sizeof(got));
    assert_status(r.status, SONDE_OK);
    sonde_json_reader_done(&r);
}

static void test_read_is_bounded_in_string_length(void **state)
{
    static const struct {
        const char *label, *json;
        sonde_json_event want;
    } cases[] = {
        { "plain, 4", "\"abcd\"", SONDE_JSON_STRING },
        { "plain, 5", "\"abcde\"", SONDE_JSON_ERROR },
        { "escaped, 4", "\"abc\\n\"", SONDE_JSON_STRING },
        { "escaped, 5", "\"abcd\\n\"", SONDE_JSON_ERROR },
        { "escape, then 4", "\"\\nabcd\"", SONDE_JSON_ERROR },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_json_reader r;

        sonde_json_reader_init(&r, sonde_str_from(cases[i].json), 4);
        if (sonde_json_next(&r) != cases[i].want)
            fail_msg("%s", cases[i].label);
        assert_status(r.status, cases[i].want == SONDE_JSON_ERROR ? SONDE_ERR_TOO_BIG : SONDE_OK);
        sonde_json_reader_done(&r);
    }
}

static void test_skip_passes_over_a_value(void **state)
{
    static const char json[] = "{\"a\":{\"x\":[1,{\"y\":2}]},\"b\":[[],[]],\"c\":3,\"d\":4}";
    sonde_json_reader r;

    (void)state;
    sonde_json_reader_init(&r, SONDE_STR(json), MAX_STRING);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_OBJECT);
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_KEY);
    assert_true(sonde_json_skip(&r, sonde_json_next(&r))); /* {"x": ...} */
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_KEY);
    assert_true(sonde_json_skip(&r, SONDE_JSON_KEY)); /* the value of b */
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_KEY);
    assert_true(sonde_json_skip(&r, sonde_json_next(&r))); /* 3 */
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_KEY);
    assert_true(sonde_str_eq(r.text, SONDE_STR("d")));
    sonde_json_reader_done(&r);

    sonde_json_reader_init(&r, SONDE_STR("[1,[2,oops]]"), MAX_STRING);
    assert_false(sonde_json_skip(&r, sonde_json_next(&r)));
    sonde_json_reader_done(&r);
}

static sonde_status decode(void *user)
{
    sonde_json_reader r;
    sonde_json_event e;
    sonde_status status;

    (void)user;
    sonde_json_reader_init(&r, SONDE_STR("[\"\\u0061\",\"b\\n\"]"), MAX_STRING);
    do {
        e = sonde_json_next(&r);
    } while (e != SONDE_JSON_ERROR && e != SONDE_JSON_END);
    status = r.status;
    sonde_json_reader_done(&r);
    return status;
}

static void test_read_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(decode, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_the_events_of_good_texts),
        cmocka_unit_test(test_read_names_the_place_and_reason_of_bad_texts),
        cmocka_unit_test(test_read_gives_numbers_as_double_and_as_written),
        cmocka_unit_test(test_read_copies_only_text_with_escapes),
        cmocka_unit_test(test_read_is_bounded_in_depth),
        cmocka_unit_test(test_read_remembers_the_kind_of_every_level),
        cmocka_unit_test(test_read_is_bounded_in_string_length),
        cmocka_unit_test(test_skip_passes_over_a_value),
        cmocka_unit_test(test_read_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
