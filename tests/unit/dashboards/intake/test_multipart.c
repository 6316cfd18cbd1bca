/* The parts of a multipart body: told apart strictly, their heads read tolerantly. */
#include "dashboards/intake/multipart.h"

#include "support/test.h"

#include "base/buf.h"

#define assert_str(got, want) assert_true(sonde_str_eq((got), sonde_str_from(want)))

#define TYPE "multipart/form-data; boundary=b1"
#define HEAD "Content-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\n\r\n"

static void test_parts_are_views_of_the_body(void **state)
{
    static const char body[] =
        "--b1\r\n" HEAD "{}\r\n--b1\r\n"
        "Content-Type: application/octet-stream\r\n"
        "content-disposition: form-data;filename=cpu.pprof ; name=cpu\r\n\r\n"
        "a\r\n--b\0\r\r\n--b1--\r\n";
    multipart m;
    multipart_part p;

    (void)state;
    assert_status(multipart_open(&m, SONDE_STR(TYPE), (sonde_str){ body, sizeof(body) - 1 }),
                  SONDE_OK);
    assert_true(multipart_next(&m, &p));
    assert_str(p.name, "event");
    assert_str(p.filename, "event.json");
    assert_str(p.body, "{}");
    assert_true(multipart_next(&m, &p));
    assert_str(p.name, "cpu");
    assert_str(p.filename, "cpu.pprof");
    assert_str(p.content_type, "application/octet-stream");
    assert_int_equal(p.body.len, 8);
    assert_memory_equal(p.body.ptr, "a\r\n--b\0\r", 8);
    assert_false(multipart_next(&m, &p));
    assert_status(m.status, SONDE_OK);
}

static void test_what_is_tolerated(void **state)
{
    static const struct {
        const char *label, *type, *body;
    } cases[] = {
        { "quoted boundary", "Multipart/Form-Data; charset=x; boundary=\"b1\"",
          "--b1\r\n" HEAD "{}\r\n--b1--\r\n" },
        { "something before the first", TYPE, "hello\r\n--b1\r\n" HEAD "{}\r\n--b1--" },
        { "something behind the last", TYPE, "--b1\r\n" HEAD "{}\r\n--b1--\r\nbye" },
        { "blanks behind a delimiter", TYPE, "--b1 \t\r\n" HEAD "{}\r\n--b1--\r\n" },
        { "heads with LF", TYPE,
          "--b1\r\ncontent-disposition: form-data; name=event\n\n{}\r\n--b1--\r\n" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        multipart m;
        multipart_part p;

        assert_status(
            multipart_open(&m, sonde_str_from(cases[i].type), sonde_str_from(cases[i].body)),
            SONDE_OK);
        if (!multipart_next(&m, &p) || !sonde_str_eq(p.name, SONDE_STR("event")) ||
            !sonde_str_eq(p.body, SONDE_STR("{}")) || multipart_next(&m, &p) ||
            m.status != SONDE_OK)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(m.status));
    }
}

static void test_an_empty_part_is_a_part(void **state)
{
    multipart m;
    multipart_part p;

    (void)state;
    assert_status(multipart_open(&m, SONDE_STR(TYPE), SONDE_STR("--b1\r\n" HEAD "\r\n--b1--\r\n")),
                  SONDE_OK);
    assert_true(multipart_next(&m, &p));
    assert_int_equal(p.body.len, 0);
    assert_false(multipart_next(&m, &p));
    assert_status(m.status, SONDE_OK);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *label, *type, *body;
        sonde_status want;
    } cases[] = {
        { "another type", "application/json", "{}", SONDE_ERR_INVALID },
        { "no boundary", "multipart/form-data", "--b1--\r\n", SONDE_ERR_INVALID },
        { "a boundary too long",
          "multipart/form-data; boundary="
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "", SONDE_ERR_INVALID },
        { "no delimiter", TYPE, "hello", SONDE_ERR_SYNTAX },
        { "not closed", TYPE, "--b1\r\n" HEAD "{}\r\n", SONDE_ERR_EOF },
        { "cut in a head", TYPE, "--b1\r\nContent-Dis", SONDE_ERR_EOF },
        { "a delimiter that goes on", TYPE, "--b1\r\n" HEAD "{}\r\n--b1x\r\n--b1--\r\n",
          SONDE_ERR_SYNTAX },
        { "a delimiter that LF ends", TYPE, "--b1\n" HEAD "{}\r\n--b1--\r\n", SONDE_ERR_SYNTAX },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        multipart m;
        multipart_part p;
        sonde_status got =
            multipart_open(&m, sonde_str_from(cases[i].type), sonde_str_from(cases[i].body));

        while (got == SONDE_OK && multipart_next(&m, &p))
            ;
        if (got == SONDE_OK)
            got = m.status;
        if (got != cases[i].want)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
    }
}

static void test_parts_and_heads_have_a_ceiling(void **state)
{
    multipart m;
    multipart_part p;
    sonde_buf b;
    size_t i, parts = 0;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    for (i = 0; i <= MULTIPART_PARTS_MAX; i++)
        sonde_buf_append_str(&b, SONDE_STR("--b1\r\n" HEAD "\r\n"));
    sonde_buf_append_str(&b, SONDE_STR("--b1--\r\n"));
    assert_status(multipart_open(&m, SONDE_STR(TYPE), sonde_buf_str(&b)), SONDE_OK);
    while (multipart_next(&m, &p))
        parts++;
    assert_int_equal(parts, MULTIPART_PARTS_MAX);
    assert_status(m.status, SONDE_ERR_TOO_BIG);

    sonde_buf_reset(&b);
    sonde_buf_append_str(&b, SONDE_STR("--b1\r\nX: "));
    for (i = 0; i < MULTIPART_HEAD_MAX_BYTES; i++)
        sonde_buf_append_byte(&b, 'x');
    sonde_buf_append_str(&b, SONDE_STR("\r\n\r\n\r\n--b1--\r\n"));
    assert_status(multipart_open(&m, SONDE_STR(TYPE), sonde_buf_str(&b)), SONDE_OK);
    assert_false(multipart_next(&m, &p));
    assert_status(m.status, SONDE_ERR_TOO_BIG);
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_views_of_the_body),
        cmocka_unit_test(test_what_is_tolerated),
        cmocka_unit_test(test_an_empty_part_is_a_part),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_parts_and_heads_have_a_ceiling),
    };

    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
