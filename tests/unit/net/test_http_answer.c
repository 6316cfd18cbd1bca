/* test_http_answer.c - answers, whole and byte by byte, good and hostile. */
#include <stdlib.h>
#include <string.h>

#include "net/http_answer.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define BODY_MAX 64

/* Feeds `text` in pieces of `piece` bytes, then the end of input if asked. */
static sonde_status feed_all(sonde_http_answer *a, sonde_str text, size_t piece, bool ends)
{
    while (text.len && !sonde_http_answer_is_done(a)) {
        sonde_str part = sonde_str_sub(text, 0, piece);
        size_t used = 0;
        sonde_status status = sonde_http_answer_feed(a, part, &used);

        if (status != SONDE_OK)
            return status;
        text = sonde_str_sub(text, used, text.len);
    }
    return ends ? sonde_http_answer_eof(a) : SONDE_OK;
}

static void test_answer_is_the_same_however_it_is_cut(void **state)
{
    static const struct {
        const char *label, *in;
        bool ends;
        int status;
        const char *body;
        bool keep_alive;
    } cases[] = {
        { "length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello",
          true },
        { "no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "", true },
        { "no reason", "HTTP/1.1 429\r\nContent-Length: 0\r\n\r\n", false, 429, "", true },
        { "LF alone", "HTTP/1.1 200 OK\ncontent-length:  2 \n\nok", false, 200, "ok", true },
        { "chunked",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
          "4\r\nwiki\r\n00A;name=\"v\"\r\npedia in c\r\n0\r\nExpires: never\r\n\r\n",
          false, 200, "wikipedia in c", true },
        { "chunked and length",
          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
          "1\r\nx\r\n0\r\n\r\n",
          false, 200, "x", false },
        { "until the end", "HTTP/1.1 200 OK\r\n\r\nall of it", true, 200, "all of it", false },
        { "interim answers",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
          "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",
          false, 202, "{}", true },
        { "204", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true },
        { "304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304,
          "", true },
        { "1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", false },
        { "1.0 kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
          false, 200, "x", true },
        { "close", "HTTP/1.1 200 OK\r\nConnection: a, close\r\nContent-Length: 1\r\n\r\nx", false,
          200, "x", false },
        { "same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
          false, 200, "x", true },
    };
    size_t i, piece;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str in = sonde_str_from(cases[i].in);
        sonde_http_answer a;

        sonde_http_answer_init(&a, BODY_MAX);
        for (piece = 1; piece <= in.len; piece++) {
            sonde_status got;

            sonde_http_answer_begin(&a, false);
            got = feed_all(&a, in, piece, cases[i].ends);
            if (got != SONDE_OK || !sonde_http_answer_is_done(&a) || a.status != cases[i].status ||
                a.keep_alive != cases[i].keep_alive ||
                !sonde_str_eq(sonde_buf_str(&a.body), sonde_str_from(cases[i].body)))
                fail_msg("%s, pieces of %zu: %s, state %d, status %d, keep %d, body \"%s\"",
                         cases[i].label, piece, sonde_status_name(got), (int)a.state, a.status,
                         (int)a.keep_alive, sonde_buf_cstr(&a.body));
        }
        sonde_http_answer_done(&a);
    }
}

static void test_answer_refuses_hostile_input(void **state)
{
    static const struct {
        const char *label, *in;
        sonde_status want;
    } cases[] = {
        { "other protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", SONDE_ERR_SYNTAX },
        { "HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", SONDE_ERR_SYNTAX },
        { "two digits", "HTTP/1.1 20 OK\r\n\r\n", SONDE_ERR_SYNTAX },
        { "four digits", "HTTP/1.1 2000 OK\r\n\r\n", SONDE_ERR_SYNTAX },
        { "below 100", "HTTP/1.1 099 OK\r\n\r\n", SONDE_ERR_SYNTAX },
        { "no header, empty head", "\r\n\r\n", SONDE_ERR_SYNTAX },
        { "switched protocols", "HTTP/1.1 101 Switching\r\n\r\n", SONDE_ERR_SYNTAX },
        { "no colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", SONDE_ERR_SYNTAX },
        { "no name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", SONDE_ERR_SYNTAX },
        { "space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n", SONDE_ERR_SYNTAX },
        { "folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", SONDE_ERR_SYNTAX },
        { "bare CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", SONDE_ERR_SYNTAX },
        { "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          SONDE_ERR_SYNTAX },
        { "list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", SONDE_ERR_SYNTAX },
        { "negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", SONDE_ERR_SYNTAX },
        { "length beyond 64 bits",
          "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", SONDE_ERR_SYNTAX },
        { "length beyond the ceiling", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
          SONDE_ERR_TOO_BIG },
        { "length of 64 bits", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
          SONDE_ERR_TOO_BIG },
        { "gzip coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", SONDE_ERR_SYNTAX },
        { "two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
          SONDE_ERR_SYNTAX },
        { "chunked twice",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
          SONDE_ERR_SYNTAX },
    };
    static const struct {
        const char *label, *in;
        sonde_status want;
    } chunked[] = {
        { "no size", "\r\n", SONDE_ERR_SYNTAX },
        { "no digits", "xyz\r\n", SONDE_ERR_SYNTAX },
        { "sign", "+1\r\nx\r\n", SONDE_ERR_SYNTAX },
        { "17 digits", "00000000000000001\r\n", SONDE_ERR_SYNTAX },
        { "chunk beyond the ceiling", "41\r\n", SONDE_ERR_TOO_BIG },
        { "chunk of 64 bits", "ffffffffffffffff\r\n", SONDE_ERR_TOO_BIG },
        { "sum beyond the ceiling", "1\r\nx\r\n40\r\n", SONDE_ERR_TOO_BIG },
        { "longer than said", "1\r\nxy\r\n", SONDE_ERR_SYNTAX },
    };
    sonde_str head = SONDE_STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    sonde_http_answer a;
    size_t i, piece;

    (void)state;
    sonde_http_answer_init(&a, BODY_MAX);
    for (i = 0; i < COUNT_OF(cases); i++) {
        for (piece = 1; piece <= 100; piece += 99) {
            sonde_status got;

            sonde_http_answer_begin(&a, false);
            got = feed_all(&a, sonde_str_from(cases[i].in), piece, false);
            if (got != cases[i].want)
                fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
        }
    }
    for (i = 0; i < COUNT_OF(chunked); i++) {
        for (piece = 1; piece <= 100; piece += 99) {
            sonde_status got;

            sonde_http_answer_begin(&a, false);
            assert_status(feed_all(&a, head, 100, false), SONDE_OK);
            got = feed_all(&a, sonde_str_from(chunked[i].in), piece, false);
            if (got != chunked[i].want)
                fail_msg("%s: %s", chunked[i].label, sonde_status_name(got));
        }
    }
    sonde_http_answer_done(&a);
}

static void test_answer_says_when_it_broke_off(void **state)
{
    static const char *const cases[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    };
    sonde_http_answer a;
    size_t i;

    (void)state;
    sonde_http_answer_init(&a, BODY_MAX);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_http_answer_begin(&a, false);
        if (feed_all(&a, sonde_str_from(cases[i]), 3, true) != SONDE_ERR_EOF)
            fail_msg("case %zu ended well", i);
    }
    sonde_http_answer_done(&a);
}

/* Feeds the pattern again and again: some ceiling must end it. */
static sonde_status feed_for_ever(const char *head, const char *pattern, size_t bytes)
{
    sonde_http_answer a;
    sonde_status status;

    sonde_http_answer_init(&a, SIZE_MAX / 4);
    sonde_http_answer_begin(&a, false);
    status = feed_all(&a, sonde_str_from(head), SIZE_MAX, false);
    while (status == SONDE_OK && bytes >= strlen(pattern)) {
        status = feed_all(&a, sonde_str_from(pattern), SIZE_MAX, false);
        bytes -= strlen(pattern);
    }
    sonde_http_answer_done(&a);
    return status;
}

static void test_answer_has_a_ceiling_for_everything_that_can_go_on_for_ever(void **state)
{
    static const struct {
        const char *label, *head, *pattern;
    } cases[] = {
        { "status line", "HTTP/1.1 200 ", "O" },
        { "headers", "HTTP/1.1 200 OK\r\n", "A: b\r\n" },
        { "interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n" },
        { "chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x" },
        { "trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_status got =
            feed_for_ever(cases[i].head, cases[i].pattern, 2 * SONDE_HTTP_HEAD_MAX_BYTES);

        if (got != SONDE_ERR_TOO_BIG)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
    }
}

static void test_answer_to_head_has_no_body(void **state)
{
    sonde_http_answer a;

    (void)state;
    sonde_http_answer_init(&a, BODY_MAX);
    sonde_http_answer_begin(&a, true);

    assert_status(
        feed_all(&a, SONDE_STR("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"), 7, false),
        SONDE_OK);
    assert_true(sonde_http_answer_is_done(&a));
    assert_true(a.keep_alive);
    sonde_http_answer_done(&a);
}

static void test_answer_leaves_what_comes_after_it(void **state)
{
    sonde_str in = SONDE_STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1");
    sonde_http_answer a;
    size_t used = 0;

    (void)state;
    sonde_http_answer_init(&a, BODY_MAX);
    sonde_http_answer_begin(&a, false);

    assert_status(sonde_http_answer_feed(&a, in, &used), SONDE_OK);
    assert_int_equal(used, in.len - 8);
    sonde_http_answer_done(&a);
}

static void test_head_find_ignores_case_and_spaces(void **state)
{
    sonde_str head = SONDE_STR("HTTP/1.1 200 X-Not: here\r\nDatadog-Agent-State:  abc \t\r\n"
                               "Empty:\r\nEmpty: second\r\n\r\n");

    (void)state;
    assert_true(sonde_str_eq(sonde_http_head_find(head, SONDE_STR("datadog-agent-STATE")),
                             SONDE_STR("abc")));
    assert_int_equal(sonde_http_head_find(head, SONDE_STR("Empty")).len, 0);
    assert_null(sonde_http_head_find(head, SONDE_STR("X-Not")).ptr);
    assert_null(sonde_http_head_find((sonde_str){ NULL, 0 }, SONDE_STR("X")).ptr);
}

static sonde_status parse_one(void *user)
{
    sonde_http_answer a;
    sonde_status status;

    (void)user;
    sonde_http_answer_init(&a, BODY_MAX);
    sonde_http_answer_begin(&a, false);
    status = feed_all(&a, SONDE_STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 9, false);
    sonde_http_answer_done(&a);
    return status;
}

static void test_answer_survives_a_lack_of_memory(void **state)
{
    (void)state;
    alloc_fail_each(parse_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_is_the_same_however_it_is_cut),
        cmocka_unit_test(test_answer_refuses_hostile_input),
        cmocka_unit_test(test_answer_says_when_it_broke_off),
        cmocka_unit_test(test_answer_has_a_ceiling_for_everything_that_can_go_on_for_ever),
        cmocka_unit_test(test_answer_to_head_has_no_body),
        cmocka_unit_test(test_answer_leaves_what_comes_after_it),
        cmocka_unit_test(test_head_find_ignores_case_and_spaces),
        cmocka_unit_test(test_answer_survives_a_lack_of_memory),
    };

    return cmocka_run_group_tests_name("http_answer", tests, NULL, NULL);
}
