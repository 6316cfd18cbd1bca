/* test_http_server.c - the door against raw clients: bodies, ceilings, refusals, later answers, closing.
 *
 * Handlers run on the pool's threads and only record; the tests assert. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <poll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/http_plain.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/test.h"

#define BUDGET_BYTES    300000
#define ECHO_MAX_BYTES  200000
#define SMALL_MAX_BYTES 10

static struct {
    http_server *server;
    uint16_t port;
    char dir[32], path[64]; /* of the Unix socket */
    _Atomic(http_request *) later;
    http_body kept; /* by /keep */
    _Atomic unsigned handled, lost;
    _Atomic int lost_status, refuse_status;
    _Atomic pid_t peer_pid;
} f;

static raw_answer answer; /* large */

static uint64_t soon(void)
{
    return sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
}

/* Gives up the rest of the time slice until `counter` has reached `want`; a minute at most. */
static void await_count(_Atomic uint64_t *counter, uint64_t want)
{
    uint64_t deadline = soon();

    while (atomic_load(counter) < want && sonde_mono_ns() < deadline)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(counter), want);
}

static void await_no_bodies(void)
{
    uint64_t deadline = soon();

    while (atomic_load(&http_server_read_counters(f.server)->budget_used_bytes) > 0 &&
           sonde_mono_ns() < deadline)
        (void)poll(NULL, 0, 1);
}

static void await_lost(unsigned want)
{
    uint64_t deadline = soon();

    while (atomic_load(&f.lost) < want && sonde_mono_ns() < deadline)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&f.lost), want);
}

static http_server_counters *counters(void)
{
    return (http_server_counters *)(uintptr_t)http_server_read_counters(f.server);
}

/* ---- handlers ---- */

static http_result echo(void *user, http_request *request, http_response *response)
{
    (void)user;
    atomic_fetch_add(&f.handled, 1);
    response->content_type = "application/octet-stream";
    sonde_buf_append_str(&response->body, http_request_body(request));
    return HTTP_DONE;
}

static http_result describe(void *user, http_request *request, http_response *response)
{
    sonde_str key = { NULL, 0 };
    bool has_key = http_request_query(request, "api_key", &key);
    sonde_str agent = http_request_header(request, "USER-agent");
    sonde_str method = http_request_method(request), path = http_request_path(request);

    http_response_header(response, "X-Empty", "");
    http_response_header(response, "Datadog-Agent-Version", "6.0");
    http_response_header(response, "Datadog-Agent-Version", "7.0");
    sonde_buf_printf(&response->body, "%.*s %.*s key=%s%.*s agent=%.*s from=%s",
                     SONDE_STR_ARG(method), SONDE_STR_ARG(path), has_key ? "" : "none",
                     SONDE_STR_ARG(key), SONDE_STR_ARG(agent), (const char *)user);
    return HTTP_DONE;
}

static http_result fixed(void *user, http_request *request, http_response *response)
{
    (void)user, (void)request;
    response->content_type = "application/json";
    response->static_body = SONDE_STR("{}\n");
    return HTTP_DONE;
}

static http_result answer_later(void *user, http_request *request, http_response *response)
{
    (void)user, (void)response;
    atomic_store(&f.later, request);
    return HTTP_LATER;
}

static http_result answer_before_returning(void *user, http_request *request,
                                           http_response *response)
{
    (void)user, (void)response;
    http_response_text(http_later_response(request), 202, "early\n");
    http_later_answer(request);
    return HTTP_LATER;
}

static http_result tell_start(void *user, http_request *request, http_response *response)
{
    sonde_str body = http_request_body(request);
    unsigned long long bytes = http_request_body_bytes(request);

    (void)user;
    sonde_buf_printf(&response->body, "%.*s of %llu, %s", SONDE_STR_ARG(body), bytes,
                     http_request_body_status(request) == SONDE_ERR_TOO_BIG ? "too big" : "ok");
    return HTTP_DONE;
}

static http_result keep(void *user, http_request *request, http_response *response)
{
    (void)user, (void)response;
    f.kept = http_request_take_body(request);
    return HTTP_DONE;
}

static http_result refuse(void *user, http_request *request, http_response *response)
{
    (void)user;
    atomic_store(&f.refuse_status, http_request_body_status(request));
    http_response_text(response, 429, "busy\n");
    return HTTP_DONE;
}

static http_result peer(void *user, http_request *request, http_response *response)
{
    (void)user;
    atomic_store(&f.peer_pid, http_request_peer_pid(request));
    http_response_text(response, 200, http_request_is_unix(request) ? "unix" : "tcp");
    return HTTP_DONE;
}

static void count_lost(void *user, http_request *request)
{
    (void)user;
    atomic_store(&f.lost_status, http_request_body_status(request));
    /* the head can still be read: what was lost is counted by its headers */
    if (http_request_header(request, "X-Datadog-Trace-Count").len)
        atomic_fetch_add(&f.lost, 1);
}

static http_result check_origin(void *user, http_request *request, http_response *response)
{
    (void)user;
    http_response_header(response, "X-Before", "yes");
    if (sonde_str_eq(http_request_header(request, "Sec-Fetch-Site"), SONDE_STR("cross-site")))
        http_response_text(response, 403, "cross-site request rejected\n");
    return HTTP_DONE;
}

static void tell_header(void *user, sonde_str name, sonde_str value)
{
    sonde_buf_printf(user, "%.*s: %.*s\n", SONDE_STR_ARG(name), SONDE_STR_ARG(value));
}

static http_result tell_head(void *user, http_request *request, http_response *response)
{
    (void)user;
    sonde_buf_append_str(&response->body, http_request_query_text(request));
    sonde_buf_append_byte(&response->body, '\n');
    http_request_each_header(request, tell_header, &response->body);
    return HTTP_DONE;
}

static http_result say_odd_headers(void *user, http_request *request, http_response *response)
{
    (void)user, (void)request;
    http_response_header(response, "X-Empty", "");
    http_response_header(response, "X-Split", "a\r\nX-Injected: b");
    http_response_header(response, "X-Good", "g");
    return HTTP_DONE;
}

static void answer_otherwise(void *user, http_request *request)
{
    http_response *response = http_later_response(request);

    (void)user;
    response->status = 502;
    sonde_buf_reset(&response->body);
}

static char exact_user[] = "exact", prefix_user[] = "prefix", longer_user[] = "longer";

static const http_route routes[] = {
    { "PUT,POST", "/echo", echo, refuse, ECHO_MAX_BYTES, NULL, count_lost, false },
    { "POST", "/small", echo, NULL, SMALL_MAX_BYTES, NULL, count_lost, false },
    { "POST", "/plain-refusal", echo, NULL, ECHO_MAX_BYTES, NULL, NULL, false },
    { "POST", "/keep", keep, NULL, ECHO_MAX_BYTES, NULL, NULL, false },
    { "GET, DELETE", "/describe", describe, NULL, 0, exact_user, NULL, false },
    { NULL, "/describe/*", describe, NULL, 100, prefix_user, NULL, false },
    { NULL, "/describe/longer", describe, NULL, 100, longer_user, NULL, false },
    { "GET", "/fixed", fixed, NULL, 0, NULL, NULL, false },
    { "POST", "/later", answer_later, NULL, 1000, NULL, NULL, false },
    { "POST", "/early", answer_before_returning, NULL, 1000, NULL, NULL, false },
    { "GET", "/peer", peer, NULL, 0, NULL, NULL, false },
    { "GET", "/raw", tell_head, NULL, 0, NULL, NULL, false },
    { "GET", "/odd", say_odd_headers, NULL, 0, NULL, NULL, false },
    { "POST", "/start", tell_start, NULL, SMALL_MAX_BYTES, NULL, count_lost, true },
    { "POST", "/otherwise", echo, NULL, 2, NULL, answer_otherwise, false },
};

/* ---- fixture ---- */

static http_server_options options(void)
{
    return (http_server_options){ .name = "test",
                                  .routes = routes,
                                  .routes_len = COUNT_OF(routes),
                                  .before = check_origin,
                                  .threads = 2,
                                  .body_budget_bytes = BUDGET_BYTES,
                                  .read_timeout_s = 30 };
}

static _Atomic size_t room, asked; /* what there is room for, and the last that was asked for */

static bool has_room(void *user, size_t bytes)
{
    (void)user;
    atomic_store(&asked, bytes);
    return bytes <= atomic_load(&room);
}

static void open_with(const http_server_options *o)
{
    http_listener listeners[2] = { { .is_unix = false }, { .is_unix = true } };

    memset(&f, 0, sizeof(f));
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/sonde-server-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(f.path, sizeof(f.path), "%s/s", f.dir);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listeners[0].fd, NULL), SONDE_OK);
    assert_status(sonde_listen_unix(f.path, 0700, &listeners[1].fd, NULL), SONDE_OK);
    f.port = sonde_local_port(listeners[0].fd);
    assert_status(http_server_open(o, listeners, 2, &f.server, NULL), SONDE_OK);
}

static int open_server(void **state)
{
    http_server_options o = options();

    (void)state;
    open_with(&o);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    http_server_close(f.server, soon());
    (void)unlink(f.path);
    return rmdir(f.dir);
}

static void ask(int fd, const char *request)
{
    raw_send(fd, request);
    raw_read_answer(fd, &answer);
}

/* One request on a connection of its own. */
static void ask_once(const char *request)
{
    int fd = raw_connect(f.port);

    ask(fd, request);
    (void)close(fd);
}

/* ---- bodies ---- */

static void test_server_echoes_bodies_on_one_connection(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello");
    ask(fd, "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_len, 0);
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            "4;ext=1\r\nwiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\n");
    assert_string_equal(answer.body, "wikipedia");
    assert_non_null(strstr(answer.text, "\r\nDate: "));
    (void)close(fd);

    assert_int_equal(counters()->connections, 1);
    assert_int_equal(counters()->unix_connections, 0);
    assert_int_equal(counters()->requests, 3);
    assert_int_equal(counters()->body_bytes, 14);
    assert_int_equal(counters()->budget_used_bytes, 0);
}

static void test_server_keeps_the_start_of_a_large_body_where_it_is_wanted(void **state)
{
    static const struct {
        const char *label, *framing, *body, *expected;
    } cases[] = {
        { "just fits", "Content-Length: 10", "0123456789", "0123456789 of 10, ok" },
        { "declared", "Content-Length: 14", "0123456789abcd", "0123456789 of 14, too big" },
        { "in chunks", "Transfer-Encoding: chunked",
          "4\r\n0123\r\n9\r\n456789abc\r\n2\r\nde\r\n0\r\n\r\n", "0123456789 of 15, too big" },
        { "asked first", "Content-Length: 11\r\nExpect: 100-continue", "0123456789a",
          "0123456789 of 11, too big" },
    };
    char request[256];
    int fd = raw_connect(f.port);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(request, sizeof(request), "POST /start HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s",
                       cases[i].framing, cases[i].body);
        raw_send(fd, request);
        raw_read_answer(fd, &answer);
        if (answer.status == 100)
            raw_read_answer(fd, &answer);
        if (answer.status != 200 || strcmp(answer.body, cases[i].expected) != 0)
            fail_msg("%s: %s", cases[i].label, answer.text);
    }
    assert_int_equal(counters()->refused_too_big, 0);
    /* what would cost too much to read and throw away is refused as ever */
    ask(fd, "POST /start HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n");
    assert_int_equal(answer.status, 413);
    assert_int_equal(counters()->refused_too_big, 1);
    assert_int_equal(counters()->budget_used_bytes, 0);
    (void)close(fd);
}

static void test_server_takes_a_request_cut_at_every_byte(void **state)
{
    static const char request[] =
        "PUT /echo?a=b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n";
    int fd = raw_connect(f.port);
    size_t cut, i;

    (void)state;
    for (cut = 1; cut < sizeof(request) - 1; cut++) {
        raw_send_bytes(fd, request, cut);
        raw_send_bytes(fd, request + cut, sizeof(request) - 1 - cut);
        raw_read_answer(fd, &answer);
        if (answer.status != 200 || strcmp(answer.body, "wikipedia") != 0)
            fail_msg("cut at %zu: %s", cut, answer.text);
    }
    for (i = 0; i < sizeof(request) - 1; i++)
        raw_send_bytes(fd, request + i, 1);
    raw_read_answer(fd, &answer);
    assert_string_equal(answer.body, "wikipedia");
    (void)close(fd);
}

static void test_server_takes_bodies_up_to_the_ceiling_in_every_size(void **state)
{
    static const size_t sizes[] = { 1, 8191, 8192, 8193, 65536, 131073, ECHO_MAX_BYTES };
    static char body[ECHO_MAX_BYTES];
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = f.port, .host = "127.0.0.1" };
    sonde_http_plain *c;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 7);
    assert_status(sonde_http_plain_open(&url, ECHO_MAX_BYTES, &c), SONDE_OK);
    for (i = 0; i < COUNT_OF(sizes); i++) {
        sonde_http_plain_request request = { .method = "POST",
                                             .path = "/echo",
                                             .body = { body, sizes[i] },
                                             .deadline_mono_ns = soon() };
        sonde_http_plain_answer got;
        char head[128];
        int fd, n;

        assert_status(sonde_http_plain_send(c, &request, &got), SONDE_OK);
        assert_int_equal(got.status, 200);
        assert_true(sonde_str_eq(got.body, request.body));

        fd = raw_connect(f.port); /* the same, chunked */
        raw_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        raw_read_answer(fd, &answer);
        n = snprintf(head, sizeof(head),
                     "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                     sizes[i]);
        raw_send_bytes(fd, head, (size_t)n);
        raw_send_bytes(fd, body, sizes[i]);
        raw_send(fd, "\r\n0\r\n\r\n");
        raw_read_answer(fd, &answer);
        assert_int_equal(answer.status, 200);
        assert_memory_equal(answer.body, body, answer.body_len);
        (void)close(fd);
    }
    sonde_http_plain_close(c);
    assert_int_equal(counters()->budget_used_bytes, 0);
}

/* ---- heads, routes ---- */

static void test_server_finds_the_route(void **state)
{
    static const struct {
        const char *label, *line;
        int status;
        const char *body;
    } cases[] = {
        { "exact", "GET /describe?api_key=k%20y HTTP/1.1", 200,
          "GET /describe key=k y agent=t from=exact" },
        { "second method", "DELETE /describe HTTP/1.1", 200,
          "DELETE /describe key=none agent=t from=exact" },
        { "other method", "PATCH /describe HTTP/1.1", 405, "method not allowed\n" },
        { "prefix", "GET /describe/a%2fb?x HTTP/1.1", 200,
          "GET /describe/a/b key=none agent=t from=prefix" },
        { "exact before prefix", "GET /describe/longer HTTP/1.1", 200,
          "GET /describe/longer key=none agent=t from=longer" },
        { "unknown", "GET /describe2 HTTP/1.1", 404, "404 page not found\n" },
        { "case matters", "GET /Describe HTTP/1.1", 404, "404 page not found\n" },
        { "static", "GET /fixed HTTP/1.1", 200, "{}\n" },
        { "as to a proxy", "GET http://localhost:8126/fixed?a=//b HTTP/1.1", 200, "{}\n" },
        { "as to a proxy, no path", "GET http://localhost HTTP/1.1", 404, "404 page not found\n" },
        { "a base with a slash", "GET //fixed HTTP/1.1", 200, "{}\n" },
        { "empty steps and dots", "GET /.//describe/../describe/./a///b/.. HTTP/1.1", 200,
          "GET /describe/a key=none agent=t from=prefix" },
        { "a slash at the end stays", "GET //describe/a// HTTP/1.1", 200,
          "GET /describe/a/ key=none agent=t from=prefix" },
        { "back from the root", "GET /../../fixed HTTP/1.1", 200, "{}\n" },
        { "back to the root", "GET /fixed/.. HTTP/1.1", 404, "404 page not found\n" },
        { "steps that only begin with dots", "GET /describe/.a/..b/... HTTP/1.1", 200,
          "GET /describe/.a/..b/... key=none agent=t from=prefix" },
        { "no path", "OPTIONS * HTTP/1.1", 404, "404 page not found\n" },
    };
    char request[256];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(request, sizeof(request), "%s\r\nHost: a\r\nUser-Agent: t\r\n\r\n",
                       cases[i].line);
        ask_once(request);
        if (answer.status != cases[i].status || strcmp(answer.body, cases[i].body) != 0 ||
            !strstr(answer.text, "X-Before: yes\r\n"))
            fail_msg("%s: %s", cases[i].label, answer.text);
        if (strstr(answer.text, "6.0") || strstr(answer.text, "X-Empty"))
            fail_msg("%s: %s", cases[i].label, answer.text);
        if (cases[i].status == 405 && !strstr(answer.text, "Allow: GET, DELETE\r\n"))
            fail_msg("%s: %s", cases[i].label, answer.text);
        if ((cases[i].status >= 400) !=
            !!strstr(answer.text, "X-Content-Type-Options: nosniff\r\n"))
            fail_msg("%s: %s", cases[i].label, answer.text);
    }
    assert_int_equal(counters()->refused_method, 1);
    assert_int_equal(counters()->not_found, 5);
}

static void test_server_answers_head_like_get_without_the_body(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    raw_send(fd, "HEAD /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_read_answer_to_head(fd, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.text, "Content-Length: 3\r\n"));
    ask(fd, "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(answer.body, "{}\n");
    (void)close(fd);
}

static void test_server_lets_before_answer_and_drains_the_body(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\n"
            "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(answer.status, 403);
    assert_string_equal(answer.body, "cross-site request rejected\n");
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    assert_string_equal(answer.body, "ok");
    assert_int_equal(f.handled, 1);
    (void)close(fd);
}

static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;
static char logged[1024];

static void keep_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level;
    (void)pthread_mutex_lock(&logged_lock);
    (void)snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
    (void)pthread_mutex_unlock(&logged_lock);
}

static void test_server_refuses_heads_it_cannot_read(void **state)
{
    static char big[60000];
    int fd;

    (void)state;
    sonde_log_set_pause(0);
    sonde_log_set_sink(keep_line, NULL);
    ask_once("nonsense\r\n\r\n");
    assert_true(answer.status == 400 || answer.status == 0);
    ask_once("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    assert_int_equal(answer.status, 400);

    (void)snprintf(big, sizeof(big), "GET /fixed HTTP/1.1\r\nHost: a\r\nX: ");
    memset(big + strlen(big), 'x', 50000);
    memcpy(big + 50000, "\r\n\r\n", 5);
    ask_once(big);
    assert_int_equal(answer.status, 431);
    sonde_log_set_sink(NULL, NULL);
    (void)pthread_mutex_lock(&logged_lock);
    assert_non_null(strstr(logged,
                           "request refused: status=431 reason=\"head malformed, or longer than "
                           "32768 bytes\""));
    (void)pthread_mutex_unlock(&logged_lock);

    memcpy(big + 20000, "\r\n\r\n", 5); /* a long head that fits */
    fd = raw_connect(f.port);
    ask(fd, big);
    assert_int_equal(answer.status, 200);
    (void)close(fd);
    assert_in_range(counters()->refused_head, 2, 3);
}

/* ---- ceilings ---- */

static void test_server_answers_413_and_keeps_the_connection(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd,
        "POST /small HTTP/1.1\r\nHost: a\r\nX-Datadog-Trace-Count: 1\r\nContent-Length: 11\r\n\r\n"
        "hello world");
    assert_int_equal(answer.status, 413);
    assert_string_equal(answer.body, "payload-too-large\n");
    ask(fd, "POST /small HTTP/1.1\r\nHost: a\r\nX-Datadog-Trace-Count: 1\r\n"
            "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
    assert_int_equal(answer.status, 413);
    ask(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "0123456789");
    (void)close(fd);

    assert_int_equal(counters()->refused_too_big, 2);
    assert_int_equal(counters()->budget_used_bytes, 0);
    assert_int_equal(f.lost, 2);
    assert_int_equal(f.lost_status, SONDE_ERR_TOO_BIG);
    assert_int_equal(f.handled, 1);
}

static void test_server_answers_pipelined_requests_in_order_after_a_413(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    raw_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"
                 "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
                 "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 413);
    raw_read_answer(fd, &answer);
    assert_string_equal(answer.body, "ok");
    raw_read_answer(fd, &answer);
    assert_string_equal(answer.body, "{}\n");
    (void)close(fd);
}

static void test_server_honours_expect_100_continue(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(answer.status, 100);
    ask(fd, "ok");
    assert_string_equal(answer.body, "ok");
    ask(fd,
        "POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    assert_int_equal(answer.status, 413); /* without the body */
    (void)close(fd);
}

static void test_server_refuses_what_exceeds_the_budget_until_bodies_are_released(void **state)
{
    static char body[ECHO_MAX_BYTES + 1];
    char head[128];
    int fd = raw_connect(f.port);
    int round;

    (void)state;
    memset(body, 'b', ECHO_MAX_BYTES);
    (void)snprintf(head, sizeof(head),
                   "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", ECHO_MAX_BYTES);
    raw_send(fd, head);
    ask(fd, body);
    assert_int_equal(answer.status, 200);
    assert_int_equal(counters()->budget_used_bytes, ECHO_MAX_BYTES);

    for (round = 0; round < 2; round++) { /* declared and chunked */
        if (round == 0)
            (void)snprintf(head, sizeof(head),
                           "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                           ECHO_MAX_BYTES);
        else
            (void)snprintf(head, sizeof(head),
                           "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "%x\r\n",
                           ECHO_MAX_BYTES);
        raw_send(fd, head);
        raw_send(fd, body);
        ask(fd, round ? "\r\n0\r\n\r\n" : "");
        assert_int_equal(answer.status, 429);
        assert_int_equal(f.refuse_status, SONDE_ERR_FULL);
        assert_int_equal(counters()->budget_used_bytes, ECHO_MAX_BYTES);
    }
    (void)snprintf(head, sizeof(head),
                   "POST /plain-refusal HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                   ECHO_MAX_BYTES);
    raw_send(fd, head);
    ask(fd, body);
    assert_int_equal(answer.status, 503);
    assert_int_equal(counters()->refused_budget, 3);

    assert_int_equal(f.kept.len, ECHO_MAX_BYTES);
    assert_int_equal(f.kept.data[ECHO_MAX_BYTES - 1], 'b');
    http_body_release(&f.kept);
    http_body_release(&f.kept);
    assert_int_equal(counters()->budget_used_bytes, 0);
    raw_send(fd, head);
    ask(fd, body);
    assert_int_equal(answer.status, 200);
    (void)close(fd);
}

static void test_server_asks_for_room_for_all_that_is_to_come(void **state)
{
    http_server_options o = options();
    int fd, other;

    (void)state;
    http_server_close(f.server, soon());
    o.has_room = has_room;
    atomic_store(&room, 150);
    open_with(&o);
    fd = raw_connect(f.port);
    other = raw_connect(f.port);

    raw_send(fd,
             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345678901234567890");
    await_count(&counters()->body_bytes, 20);
    ask(other, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 71\r\n\r\n"
               "12345678901234567890123456789012345678901234567890123456789012345678901");
    assert_int_equal(answer.status, 429);
    assert_int_equal(atomic_load(&asked), 80 + 71);
    assert_int_equal(counters()->refused_budget, 1);
    assert_int_equal(counters()->budget_used_bytes, 100);
    (void)close(fd);

    await_no_bodies();
    atomic_store(&room, 10);
    ask(other, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
    assert_int_equal(answer.status, 200);
    assert_int_equal(atomic_load(&asked), 10);
    (void)close(other);
}

/* ---- clients that leave or dawdle ---- */

static void test_server_counts_a_client_that_leaves_in_its_body(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    raw_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nX-Datadog-Trace-Count: 1\r\n"
                 "Content-Length: 100\r\n\r\nhello");
    await_count(&counters()->body_bytes, 5);
    assert_int_equal(counters()->budget_used_bytes, 100);
    (void)close(fd);

    await_count(&counters()->aborted, 1);
    http_server_close(f.server, soon()); /* everything has happened now */
    assert_int_equal(f.lost, 1);
    assert_int_equal(f.lost_status, SONDE_ERR_EOF);
    assert_int_equal(f.handled, 0);
    f.server = NULL;
}

/* One request, one count: what was refused does not count as broken off, too. */
static void test_server_counts_a_refused_client_that_leaves_once(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    raw_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nX-Datadog-Trace-Count: 1\r\n"
                 "Content-Length: 100\r\n\r\nhello");
    await_count(&counters()->body_bytes, 5);
    (void)close(fd);

    await_lost(1);
    assert_int_equal(f.lost_status, SONDE_ERR_TOO_BIG);
    assert_int_equal(counters()->requests, 1);
    assert_int_equal(counters()->refused_too_big, 1);
    assert_int_equal(counters()->aborted, 0);
}

static void test_server_hangs_up_on_a_refused_body_without_end(void **state)
{
    static char piece[1 << 20];
    int fd = raw_connect(f.port);
    int i;

    (void)state;
    raw_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n");
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 413); /* at once: it would not be read to its end */
    assert_true(raw_is_closed(fd));
    (void)close(fd);

    fd = raw_connect(f.port);
    raw_send(fd,
             "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4200000\r\n");
    for (i = 0; i < 66; i++)
        raw_send_bytes(fd, piece, sizeof(piece));
    raw_send(fd, "\r\n0\r\n\r\n");
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 0);
    (void)close(fd);
    assert_int_equal(counters()->refused_too_big, 2);
}

static void test_server_tells_408_to_a_body_that_does_not_come(void **state)
{
    http_server_options o = options();
    int fd;

    (void)state;
    o.read_timeout_s = 1;
    open_with(&o);
    fd = raw_connect(f.port);
    ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nX-Datadog-Trace-Count: 1\r\n"
            "Content-Length: 100\r\n\r\nhello");
    assert_int_equal(answer.status, 408);
    assert_string_equal(answer.body, "timeout\n");
    assert_true(raw_is_closed(fd));
    (void)close(fd);
    await_count(&counters()->read_timeouts, 1);
    http_server_close(f.server, soon());
    f.server = NULL;
    assert_int_equal(f.lost, 1);
    assert_int_equal(f.lost_status, SONDE_ERR_TIMEOUT);
    (void)unlink(f.path);
    (void)rmdir(f.dir);
}

/* ---- later ---- */

static void *answer_it(void *arg)
{
    http_request *r = arg;

    http_response_text(http_later_response(r), 202, "later\n");
    http_later_answer(r);
    return NULL;
}

static http_request *await_later(void)
{
    uint64_t deadline = soon();

    while (!atomic_load(&f.later) && sonde_mono_ns() < deadline)
        (void)poll(NULL, 0, 1);
    assert_non_null(atomic_load(&f.later));
    return atomic_exchange(&f.later, NULL);
}

static void test_server_lets_another_thread_answer_later(void **state)
{
    int fd = raw_connect(f.port);
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        pthread_t thread;

        raw_send(fd, "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_int_equal(pthread_create(&thread, NULL, answer_it, await_later()), 0);
        raw_read_answer(fd, &answer);
        (void)pthread_join(thread, NULL);
        assert_int_equal(answer.status, 202);
        assert_string_equal(answer.body, "later\n");
    }
    ask(fd, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_string_equal(answer.body, "early\n");
    (void)close(fd);
}

/* ---- closing ---- */

static void *close_it(void *arg)
{
    http_server_close(f.server, *(uint64_t *)arg);
    return NULL;
}

static void test_server_lets_requests_in_flight_finish_when_it_closes(void **state)
{
    uint64_t deadline = soon();
    int fd = raw_connect(f.port);
    http_request *r;
    pthread_t closing;

    (void)state;
    raw_send(fd, "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    r = await_later();
    assert_int_equal(pthread_create(&closing, NULL, close_it, &deadline), 0);
    answer_it(r);
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 202);
    (void)pthread_join(closing, NULL);
    f.server = NULL;
    (void)close(fd);
}

static void test_server_answers_503_for_those_who_wait_beyond_the_deadline(void **state)
{
    int fd = raw_connect(f.port);
    http_request *r;

    (void)state;
    raw_send(fd, "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nkept");
    raw_read_answer(fd, &answer);
    raw_send(fd, "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    r = await_later();
    http_server_close(f.server, 0);
    f.server = NULL;
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.text, "Connection: close"));

    assert_memory_equal(f.kept.data, "kept", 4); /* both outlive the server */
    http_body_release(&f.kept);
    answer_it(r);
    (void)close(fd);
}

static void test_server_closes_with_idle_and_half_read_connections(void **state)
{
    int idle = raw_connect(f.port), half = raw_connect(f.port);

    (void)state;
    ask(idle, "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_send(half, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello");
    await_count(&counters()->body_bytes, 5);

    http_server_close(f.server, sonde_mono_ns());
    f.server = NULL;
    assert_true(raw_is_closed(idle));
    (void)close(idle);
    (void)close(half);
}

/* ---- listeners ---- */

static void test_server_knows_the_peer_of_a_unix_socket(void **state)
{
    int fd = raw_connect_unix(f.path);

    (void)state;
    ask(fd, "GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_string_equal(answer.body, "unix");
    assert_int_equal(counters()->unix_connections, 1);
    assert_int_equal(f.peer_pid, getpid());
    (void)close(fd);
    ask_once("GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_string_equal(answer.body, "tcp");
    assert_int_equal(f.peer_pid, 0);
}

static void test_server_pauses_accepting_at_its_ceiling_of_connections(void **state)
{
    http_server_options o = options();
    int first, second;
    struct pollfd waiting;

    (void)state;
    o.threads = 1;
    o.max_connections = 1;
    open_with(&o);
    first = raw_connect(f.port);
    ask(first, "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    second = raw_connect(f.port); /* the kernel's queue takes it */
    raw_send(second, "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    ask(first, "GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    waiting = (struct pollfd){ .fd = second, .events = POLLIN };
    assert_int_equal(poll(&waiting, 1, 20), 0);
    assert_int_equal(counters()->connections, 1);

    (void)close(first);
    raw_read_answer(second, &answer);
    assert_int_equal(answer.status, 200);
    (void)close(second);
    http_server_close(f.server, soon());
    (void)unlink(f.path);
    (void)rmdir(f.dir);
}

#define CROWD_THREADS  8
#define CROWD_REQUESTS 200

static void *be_a_crowd(void *arg)
{
    static const size_t sizes[] = { 0, 1, 100, 9000, 70000 };
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = f.port, .host = "127.0.0.1" };
    static char body[70000];
    size_t *answered = arg;
    sonde_http_plain *c;
    int i;

    if (sonde_http_plain_open(&url, ECHO_MAX_BYTES, &c) != SONDE_OK)
        return NULL;
    for (i = 0; i < CROWD_REQUESTS; i++) {
        sonde_http_plain_request request = { .method = "POST",
                                             .path = "/echo",
                                             .body = { body, sizes[i % 5] },
                                             .deadline_mono_ns = soon() };
        sonde_http_plain_answer got;

        if (sonde_http_plain_send(c, &request, &got) == SONDE_OK &&
            (got.status == 429 || (got.status == 200 && got.body.len == request.body.len)))
            answered[got.status == 429]++;
    }
    sonde_http_plain_close(c);
    return NULL;
}

/* accepted = handled + refused, whatever the threads do */
static void test_server_serves_a_crowd_and_its_counters_add_up(void **state)
{
    pthread_t threads[CROWD_THREADS];
    size_t answered[CROWD_THREADS][2] = { { 0 } }, ok = 0, refused = 0;
    int i;

    (void)state;
    for (i = 0; i < CROWD_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, be_a_crowd, answered[i]), 0);
    for (i = 0; i < CROWD_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        ok += answered[i][0];
        refused += answered[i][1];
    }

    assert_int_equal(ok + refused, CROWD_THREADS * CROWD_REQUESTS);
    assert_int_equal(counters()->requests, CROWD_THREADS * CROWD_REQUESTS);
    assert_int_equal(counters()->refused_budget, refused);
    assert_int_equal(f.handled, ok);
    assert_int_equal(counters()->connections, CROWD_THREADS);
    assert_int_equal(counters()->budget_used_bytes, 0);
}

/* ---- leases, adopted connections, what a head says as it came ---- */

static void test_server_lets_further_connections_wait_for_the_next_lease(void **state)
{
    http_server_options o = options();
    int fds[3];

    (void)state;
    o.lease = 2;
    o.lease_ns = UINT64_C(300) * 1000000;
    open_with(&o);
    for (int i = 0; i < 3; i++) { /* the third is answered, but in another period */
        fds[i] = raw_connect(f.port);
        raw_send(fds[i], "GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (int i = 0; i < 3; i++) {
        raw_read_answer(fds[i], &answer);
        assert_int_equal(answer.status, 200);
        (void)close(fds[i]);
    }
    assert_int_equal(counters()->connections, 3);
    assert_true(counters()->lease_waits >= 1);
    fds[0] = raw_connect_unix(f.path); /* its listener has a lease of its own */
    ask(fds[0], "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    (void)close(fds[0]);
    assert_int_equal(close_server(state), 0);
}

static void test_server_serves_a_connection_accepted_elsewhere(void **state)
{
    int listening, client, accepted;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listening, NULL), SONDE_OK);
    client = raw_connect(sonde_local_port(listening));
    accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_status(http_server_adopt(f.server, accepted), SONDE_OK);
    ask(client, "GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    ask(client, "GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    (void)close(client);
    (void)close(listening);
}

static void test_server_tells_headers_and_query_as_they_came(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd, "GET /raw?a=%20b&c=+ HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nX-one: two\r\n\r\n");
    assert_string_equal(answer.body, "a=%20b&c=+\nHost: x\nX-One: 1\nX-one: two\n");
    ask(fd, "GET /raw HTTP/1.1\r\nHost: y\r\n\r\n"); /* not the query of the request before */
    assert_string_equal(answer.body, "\nHost: y\n");
    (void)close(fd);
}

static void test_server_answers_without_the_headers_it_cannot_write(void **state)
{
    (void)state;
    ask_once("GET /odd HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.text, "X-Good: g\r\n"));
    assert_null(strstr(answer.text, "X-Empty"));
    assert_null(strstr(answer.text, "X-Injected"));
}

static void test_server_lets_a_route_answer_otherwise_than_413(void **state)
{
    int fd = raw_connect(f.port);

    (void)state;
    ask(fd, "POST /otherwise HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_int_equal(answer.status, 502);
    assert_int_equal(answer.body_len, 0);
    (void)close(fd);
}

/* ---- memory ---- */

static sonde_status open_and_close(void *user)
{
    http_server_options o = options();
    http_listener listener = { 0 };
    http_server *s = NULL;
    sonde_status status;

    (void)user;
    status = sonde_listen_tcp("127.0.0.1", 0, &listener.fd, NULL);
    if (status == SONDE_OK)
        status = http_server_open(&o, &listener, 1, &s, NULL);
    http_server_close(s, 0);
    return status;
}

static void test_server_opens_or_says_that_memory_is_lacking(void **state)
{
    (void)state;
    alloc_fail_each(open_and_close, NULL);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_server_echoes_bodies_on_one_connection),
        WITH_SERVER(test_server_keeps_the_start_of_a_large_body_where_it_is_wanted),
        WITH_SERVER(test_server_takes_a_request_cut_at_every_byte),
        WITH_SERVER(test_server_takes_bodies_up_to_the_ceiling_in_every_size),
        WITH_SERVER(test_server_finds_the_route),
        WITH_SERVER(test_server_answers_head_like_get_without_the_body),
        WITH_SERVER(test_server_lets_before_answer_and_drains_the_body),
        WITH_SERVER(test_server_refuses_heads_it_cannot_read),
        WITH_SERVER(test_server_answers_413_and_keeps_the_connection),
        WITH_SERVER(test_server_answers_pipelined_requests_in_order_after_a_413),
        WITH_SERVER(test_server_honours_expect_100_continue),
        WITH_SERVER(test_server_refuses_what_exceeds_the_budget_until_bodies_are_released),
        WITH_SERVER(test_server_asks_for_room_for_all_that_is_to_come),
        WITH_SERVER(test_server_counts_a_client_that_leaves_in_its_body),
        WITH_SERVER(test_server_counts_a_refused_client_that_leaves_once),
        WITH_SERVER(test_server_hangs_up_on_a_refused_body_without_end),
        cmocka_unit_test(test_server_tells_408_to_a_body_that_does_not_come),
        WITH_SERVER(test_server_lets_another_thread_answer_later),
        WITH_SERVER(test_server_lets_requests_in_flight_finish_when_it_closes),
        WITH_SERVER(test_server_answers_503_for_those_who_wait_beyond_the_deadline),
        WITH_SERVER(test_server_closes_with_idle_and_half_read_connections),
        WITH_SERVER(test_server_knows_the_peer_of_a_unix_socket),
        cmocka_unit_test(test_server_pauses_accepting_at_its_ceiling_of_connections),
        cmocka_unit_test(test_server_lets_further_connections_wait_for_the_next_lease),
        WITH_SERVER(test_server_serves_a_connection_accepted_elsewhere),
        WITH_SERVER(test_server_tells_headers_and_query_as_they_came),
        WITH_SERVER(test_server_answers_without_the_headers_it_cannot_write),
        WITH_SERVER(test_server_lets_a_route_answer_otherwise_than_413),
        WITH_SERVER(test_server_serves_a_crowd_and_its_counters_add_up),
        cmocka_unit_test(test_server_opens_or_says_that_memory_is_lacking),
    };

    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
