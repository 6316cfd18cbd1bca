/* test_http_plain.c - the client against a scripted server: what it sends, what it survives. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/clock.h"
#include "net/http_plain.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/sys_fail.h"
#include "support/test.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BODY_MAX  4096

static raw_server server; /* large: it keeps the requests */

static uint64_t soon(void)
{
    return sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
}

static sonde_http_plain *client_of(uint16_t port, const char *prefix)
{
    sonde_http_plain *c = NULL;
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = port };

    (void)snprintf(url.host, sizeof(url.host), "127.0.0.1");
    (void)snprintf(url.path, sizeof(url.path), "%s", prefix);
    assert_status(sonde_http_plain_open(&url, BODY_MAX, &c), SONDE_OK);
    return c;
}

static sonde_status send_to(sonde_http_plain *c, sonde_str body, sonde_http_plain_answer *out)
{
    sonde_http_plain_request request = {
        .method = "POST", .path = "/v0.4/traces", .body = body, .deadline_mono_ns = soon()
    };

    return sonde_http_plain_send(c, &request, out);
}

static void test_plain_sends_what_it_was_given_and_nothing_more(void **state)
{
    static const raw_step steps[] = { { .answer = OK_ANSWER } };
    sonde_http_header headers[] = {
        { SONDE_STR("Content-Type"), SONDE_STR("application/msgpack") },
        { SONDE_STR("X-Datadog-Trace-Count"), SONDE_STR("3") },
    };
    sonde_http_plain_request request = { .method = "PUT",
                                         .path = "/v0.4/traces",
                                         .headers = headers,
                                         .headers_len = 2,
                                         .body = SONDE_STR("\x90"),
                                         .deadline_mono_ns = soon() };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;
    char want[512];

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "/prefix");
    assert_status(sonde_http_plain_send(c, &request, &answer), SONDE_OK);
    assert_int_equal(answer.status, 200);
    assert_true(sonde_str_eq(answer.body, SONDE_STR("ok")));
    assert_true(sonde_str_eq(sonde_http_plain_header(&answer, SONDE_STR("content-length")),
                             SONDE_STR("2")));
    sonde_http_plain_close(c);
    raw_server_close(&server);

    (void)snprintf(want, sizeof(want),
                   "PUT /prefix/v0.4/traces HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                   "Content-Type: application/msgpack\r\nX-Datadog-Trace-Count: 3\r\n"
                   "Content-Length: 1\r\n\r\n\x90",
                   server.port);
    assert_string_equal(server.requests[0], want);
}

static void test_plain_keeps_its_connection(void **state)
{
    static const raw_step steps[] = {
        { .answer = OK_ANSWER },
        { .answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n",
          .chop = 1 },
        { .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
          .chop = 1 },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    assert_int_equal(answer.status, 429);
    assert_status(send_to(c, SONDE_STR("3"), &answer), SONDE_OK);
    assert_true(sonde_str_eq(answer.body, SONDE_STR("abc")));
    sonde_http_plain_close(c);
    raw_server_close(&server);

    assert_int_equal(server.connections, 1);
    assert_int_equal(server.requests_len, 3);
}

static void test_plain_reconnects_when_told_to_close(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
          .then = RAW_CLOSE },
        { .answer = OK_ANSWER },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
    assert_true(sonde_str_eq(answer.body, SONDE_STR("until the end")));
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    sonde_http_plain_close(c);
    raw_server_close(&server);

    assert_int_equal(server.connections, 2);
}

/* The peer closes as soon as it has read the second request: the request goes out again, once. */
static void test_plain_sends_again_when_a_kept_connection_turns_out_closed(void **state)
{
    static const raw_step steps[] = {
        { .answer = OK_ANSWER },
        { .answer = NULL, .then = RAW_CLOSE },
        { .answer = OK_ANSWER },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    sonde_http_plain_close(c);
    raw_server_close(&server);

    assert_int_equal(server.connections, 2);
    assert_int_equal(server.requests_len, 3);
    assert_string_equal(server.requests[1], server.requests[2]);
}

static void test_plain_sends_again_only_once_and_only_before_the_first_byte(void **state)
{
    static const raw_step closing_twice[] = {
        { .answer = OK_ANSWER },
        { .answer = NULL, .then = RAW_CLOSE },
        { .answer = NULL, .then = RAW_CLOSE },
    };
    static const raw_step mid_answer[] = {
        { .answer = OK_ANSWER },
        { .answer = "HTTP/1.1 2", .then = RAW_CLOSE },
    };
    static const raw_step fresh[] = { { .answer = NULL, .then = RAW_CLOSE } };
    static const struct {
        const char *label;
        const raw_step *steps;
        size_t len, requests;
    } cases[] = {
        { "closing twice", closing_twice, 3, 3 },
        { "mid-answer", mid_answer, 2, 2 },
        { "fresh connection", fresh, 1, 1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_http_plain_answer answer = { .status = -1 };
        sonde_http_plain *c;
        sonde_status last = SONDE_OK;

        raw_server_open(&server, cases[i].steps, cases[i].len);
        c = client_of(server.port, "");
        if (cases[i].len > 1)
            assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
        answer.status = -1;
        last = send_to(c, SONDE_STR("2"), &answer);
        sonde_http_plain_close(c);
        raw_server_close(&server);
        if (last != SONDE_ERR_EOF || server.requests_len != cases[i].requests ||
            answer.status != -1)
            fail_msg("%s: %s, %zu requests", cases[i].label, sonde_status_name(last),
                     server.requests_len);
    }
}

/* What a server says unasked, like a 408 to an idle connection, is not the next answer. */
static void test_plain_does_not_take_an_unasked_answer_for_its_own(void **state)
{
    static const raw_step steps[] = {
        { .answer = OK_ANSWER },
        { .answer = "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n",
          .skip_request = true,
          .wait = true,
          .then = RAW_AWAIT },
        { .answer = OK_ANSWER },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
    raw_server_go(&server);
    raw_server_await(&server, 2);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    assert_int_equal(answer.status, 200);
    sonde_http_plain_close(c);
    raw_server_close(&server);
    assert_int_equal(server.connections, 2);
}

/* Bytes behind an answer: no telling what else this server will say. */
static void test_plain_hangs_up_on_a_server_that_says_more_than_its_answer(void **state)
{
    static const raw_step steps[] = {
        { .answer = OK_ANSWER "HTTP/1.1 200 Again\r\nContent-Length: 0\r\n\r\n" },
        { .answer = OK_ANSWER },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_OK);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    assert_true(sonde_str_eq(answer.body, SONDE_STR("ok")));
    sonde_http_plain_close(c);
    raw_server_close(&server);
    assert_int_equal(server.connections, 2);
}

/* The server answers without reading, while megabytes are still to be sent.  The connection is of no
 * more use: the server would read the next request as the rest of this body. */
static void test_plain_reads_an_early_answer_to_a_big_body_and_hangs_up(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\n\r\nno",
          .skip_request = true,
          .then = RAW_AWAIT },
        { .answer = OK_ANSWER },
    };
    size_t len = (size_t)16 << 20;
    char *body = calloc(1, len);
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    assert_non_null(body);
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, (sonde_str){ body, len }, &answer), SONDE_OK);
    assert_int_equal(answer.status, 413);
    raw_server_go(&server);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK);
    assert_int_equal(answer.status, 200);
    sonde_http_plain_close(c);
    raw_server_close(&server);
    free(body);
    assert_int_equal(server.connections, 2);
}

static void test_plain_gives_up_at_the_deadline(void **state)
{
    static const raw_step steps[] = { { .answer = NULL } };
    sonde_http_plain_request request = { .method = "GET", .path = "/info" };
    sonde_http_plain_answer answer = { .status = -1 };
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    request.deadline_mono_ns = sonde_mono_ns() + 20 * SONDE_NS_PER_MS;
    assert_status(sonde_http_plain_send(c, &request, &answer), SONDE_ERR_TIMEOUT);
    assert_int_equal(answer.status, -1);
    sonde_http_plain_close(c);
    raw_server_close(&server);
}

static void *bring_nearer(void *latest)
{
    atomic_store((_Atomic uint64_t *)latest, sonde_mono_ns() + 30 * SONDE_NS_PER_MS);
    return NULL;
}

/* It comes while the request may already wait. */
static void test_plain_gives_up_at_a_deadline_above_those_of_requests(void **state)
{
    static const raw_step steps[] = { { .answer = NULL } };
    sonde_http_plain_request request = { .method = "GET", .path = "/info" };
    sonde_http_plain_answer answer = { .status = -1 };
    _Atomic uint64_t latest = UINT64_MAX;
    pthread_t thread;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    request.deadline_mono_ns = sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(600));
    sonde_http_plain_end_by(c, &latest);
    assert_int_equal(pthread_create(&thread, NULL, bring_nearer, &latest), 0);
    assert_status(sonde_http_plain_send(c, &request, &answer), SONDE_ERR_TIMEOUT);
    assert_int_equal(answer.status, -1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sonde_http_plain_close(c);
    raw_server_close(&server);
}

/* A listener whose backlog is full leaves further connections without an answer. */
static void test_plain_connects_for_a_second_at_most_below_such_a_deadline(void **state)
{
    sonde_http_plain_request request = { .method = "GET", .path = "/info" };
    sonde_http_plain_answer answer = { .status = -1 };
    _Atomic uint64_t latest = UINT64_MAX;
    int listening, queued[4];
    sonde_http_plain *c;
    sonde_url url;
    char text[64];
    size_t i;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listening, NULL), SONDE_OK);
    assert_int_equal(listen(listening, 0), 0);
    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u", sonde_local_port(listening));
    assert_status(sonde_url_parse(sonde_str_from(text), &url, NULL), SONDE_OK);
    for (i = 0; i < COUNT_OF(queued); i++)
        if (sonde_connect(&url, sonde_mono_ns(), &queued[i]) != SONDE_OK)
            queued[i] = -1;
    c = client_of(sonde_local_port(listening), "");
    sonde_http_plain_end_by(c, &latest);
    request.deadline_mono_ns = sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(600));
    assert_status(sonde_http_plain_send(c, &request, &answer), SONDE_ERR_TIMEOUT);
    sonde_http_plain_close(c);
    for (i = 0; i < COUNT_OF(queued); i++)
        if (queued[i] >= 0)
            (void)close(queued[i]);
    (void)close(listening);
}

static void test_plain_refuses_an_answer_beyond_its_ceiling(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n" },
        { .answer = OK_ANSWER },
    };
    sonde_http_plain_answer answer;
    sonde_http_plain *c;

    (void)state;
    raw_server_open(&server, steps, COUNT_OF(steps));
    c = client_of(server.port, "");
    assert_status(send_to(c, SONDE_STR("1"), &answer), SONDE_ERR_TOO_BIG);
    assert_status(send_to(c, SONDE_STR("2"), &answer), SONDE_OK); /* on a new connection */
    sonde_http_plain_close(c);
    raw_server_close(&server);
    assert_int_equal(server.connections, 2);
}

static void test_plain_refuses_text_that_would_end_its_line(void **state)
{
    static const struct {
        const char *label;
        sonde_http_plain_request request;
        sonde_http_header header;
    } cases[] = {
        { "method", { .method = "GET /x", .path = "/" }, { { "A", 1 }, { "b", 1 } } },
        { "path", { .method = "GET", .path = "/a b" }, { { "A", 1 }, { "b", 1 } } },
        { "path of a line", { .method = "GET", .path = "/\r\nX: y" }, { { "A", 1 }, { "b", 1 } } },
        { "no path", { .method = "GET", .path = "" }, { { "A", 1 }, { "b", 1 } } },
        { "header name", { .method = "GET", .path = "/" }, { { "A B", 3 }, { "b", 1 } } },
        { "no header name", { .method = "GET", .path = "/" }, { { NULL, 0 }, { "b", 1 } } },
        { "header value", { .method = "GET", .path = "/" }, { { "A", 1 }, { "b\nX: y", 6 } } },
    };
    sonde_http_plain *c;
    size_t i;

    (void)state;
    c = client_of(1, "");
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_http_plain_request request = cases[i].request;
        sonde_http_plain_answer answer;

        request.headers = &cases[i].header;
        request.headers_len = 1;
        if (sonde_http_plain_send(c, &request, &answer) != SONDE_ERR_INVALID)
            fail_msg("%s", cases[i].label);
    }
    sonde_http_plain_close(c);
}

static void test_plain_does_not_open_https(void **state)
{
    sonde_url url = { .scheme = SONDE_URL_HTTPS };
    sonde_http_plain *c = NULL;

    (void)state;
    assert_status(sonde_http_plain_open(&url, BODY_MAX, &c), SONDE_ERR_INVALID);
    assert_null(c);
    sonde_http_plain_close(NULL);
}

static void test_plain_survives_failing_system_calls(void **state)
{
    static const struct {
        const char *label;
        sys_fail_call call;
        int error;
        sonde_status want;
    } cases[] = {
        { "connection refused", SYS_FAIL_CONNECT, ECONNREFUSED, SONDE_ERR_CONNECT },
        { "no descriptor", SYS_FAIL_SOCKET, EMFILE, SONDE_ERR_CONNECT },
        { "broken while sending", SYS_FAIL_SEND, EPIPE, SONDE_ERR_EOF },
        { "sending interrupted", SYS_FAIL_SEND, EINTR, SONDE_OK },
        { "no room to send", SYS_FAIL_SEND, EAGAIN, SONDE_OK },
        { "broken while reading", SYS_FAIL_RECV, ECONNRESET, SONDE_ERR_EOF },
        { "reading interrupted", SYS_FAIL_RECV, EINTR, SONDE_OK },
        { "poll interrupted", SYS_FAIL_POLL, EINTR, SONDE_OK },
    };
    static const raw_step steps[] = { { .answer = OK_ANSWER } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_http_plain_answer answer;
        sonde_http_plain *c;
        sonde_status got;

        raw_server_open(&server, steps, COUNT_OF(steps));
        c = client_of(server.port, "");
        sys_fail(cases[i].call, 1, cases[i].error);
        got = send_to(c, SONDE_STR("1"), &answer);
        sys_fail_clear();
        sonde_http_plain_close(c);
        raw_server_close(&server);
        if (got != cases[i].want)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
    }
}

static sonde_status one_request(void *user)
{
    static const raw_step steps[] = { { .answer = OK_ANSWER } };
    sonde_url url = { .scheme = SONDE_URL_HTTP, .host = "127.0.0.1" };
    sonde_http_plain_answer answer;
    sonde_http_plain *c = NULL;
    sonde_status status;

    (void)user;
    raw_server_open(&server, steps, COUNT_OF(steps));
    url.port = server.port;
    status = sonde_http_plain_open(&url, BODY_MAX, &c);
    if (status == SONDE_OK)
        status = send_to(c, SONDE_STR("1"), &answer);
    sonde_http_plain_close(c);
    raw_server_close(&server);
    return status;
}

static void test_plain_survives_a_lack_of_memory(void **state)
{
    (void)state;
    alloc_fail_each(one_request, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_sends_what_it_was_given_and_nothing_more),
        cmocka_unit_test(test_plain_keeps_its_connection),
        cmocka_unit_test(test_plain_reconnects_when_told_to_close),
        cmocka_unit_test(test_plain_sends_again_when_a_kept_connection_turns_out_closed),
        cmocka_unit_test(test_plain_sends_again_only_once_and_only_before_the_first_byte),
        cmocka_unit_test(test_plain_does_not_take_an_unasked_answer_for_its_own),
        cmocka_unit_test(test_plain_hangs_up_on_a_server_that_says_more_than_its_answer),
        cmocka_unit_test(test_plain_reads_an_early_answer_to_a_big_body_and_hangs_up),
        cmocka_unit_test(test_plain_gives_up_at_the_deadline),
        cmocka_unit_test(test_plain_gives_up_at_a_deadline_above_those_of_requests),
        cmocka_unit_test(test_plain_connects_for_a_second_at_most_below_such_a_deadline),
        cmocka_unit_test(test_plain_refuses_an_answer_beyond_its_ceiling),
        cmocka_unit_test(test_plain_refuses_text_that_would_end_its_line),
        cmocka_unit_test(test_plain_does_not_open_https),
        cmocka_unit_test(test_plain_survives_failing_system_calls),
        cmocka_unit_test(test_plain_survives_a_lack_of_memory),
    };

    return cmocka_run_group_tests_name("http_plain", tests, NULL, NULL);
}
