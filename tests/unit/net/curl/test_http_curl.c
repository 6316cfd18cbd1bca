/* test_http_curl.c - the asynchronous client against a scripted server and against the server door. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "net/curl/http_curl.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/test.h"

#define OK_ANSWER "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"

static raw_server server; /* large: it keeps the requests */
static char url[64];

static uint64_t soon(void)
{
    return sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
}

static http_curl *open_client(unsigned max_in_flight)
{
    http_curl_options options = { .name = "test-curl",
                                  .max_in_flight = max_in_flight,
                                  .user_agent = "Datadog Trace Agent/7.0" };
    http_curl *c = NULL;

    assert_status(http_curl_open(&options, &c, NULL), SONDE_OK);
    return c;
}

static void open_script(const raw_step *steps, size_t len)
{
    raw_server_open(&server, steps, len);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/v0.2/traces", server.port);
}

/* ---- what is sent ---- */

static void test_curl_sends_what_it_was_given_and_nothing_more(void **state)
{
    static const raw_step steps[] = { { .answer = OK_ANSWER }, { .answer = OK_ANSWER } };
    static const char *const headers[] = { "DD-Api-Key: 0123",
                                           "Content-Type: application/x-protobuf", NULL };
    http_curl_request request = {
        .method = "POST", .url = url, .headers = headers, .body = SONDE_STR("body")
    };
    http_curl_request bare = { .method = "PUT", .url = url };
    http_curl *c = open_client(0);
    http_curl_answer answer;
    sonde_buf body;
    char want[512];

    (void)state;
    sonde_buf_init(&body, 100);
    open_script(steps, COUNT_OF(steps));
    assert_status(http_curl_call(c, &request, &answer, &body), SONDE_OK);
    assert_int_equal(answer.http_status, 202);
    assert_true(sonde_str_eq(answer.body, SONDE_STR("{}")));
    assert_null(answer.error);
    assert_status(http_curl_call(c, &bare, &answer, NULL), SONDE_OK);
    http_curl_close(c, 0);
    raw_server_close(&server);
    sonde_buf_done(&body);

    (void)snprintf(want, sizeof(want),
                   "POST /api/v0.2/traces HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                   "User-Agent: Datadog Trace Agent/7.0\r\nAccept: */*\r\nDD-Api-Key: 0123\r\n"
                   "Content-Type: application/x-protobuf\r\nContent-Length: 4\r\n\r\nbody",
                   server.port);
    assert_string_equal(server.requests[0], want);
    (void)snprintf(
        want, sizeof(want),
        "PUT /api/v0.2/traces HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
        "User-Agent: Datadog Trace Agent/7.0\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n",
        server.port);
    assert_string_equal(server.requests[1], want);
    assert_int_equal(server.connections, 1); /* kept */
}

/* libcurl would wait for "100 Continue" with bodies of more than a megabyte. */
static void test_curl_does_not_ask_before_it_sends_a_big_body(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", .then = RAW_AWAIT },
    };
    size_t len = (size_t)2 << 20;
    char *big = calloc(1, len);
    http_curl_request request = { .method = "POST", .url = url, .body = { big, len } };
    http_curl *c = open_client(0);
    http_curl_answer answer;

    (void)state;
    assert_non_null(big);
    open_script(steps, COUNT_OF(steps));
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    assert_int_equal(answer.http_status, 413);
    http_curl_close(c, 0);
    raw_server_close(&server);
    free(big);
    assert_non_null(strstr(server.requests[0], "Content-Length: 2097152\r\n"));
    assert_null(strstr(server.requests[0], "Expect"));
}

static void test_curl_ignores_proxies_of_the_environment(void **state)
{
    static const raw_step steps[] = { { .answer = OK_ANSWER } };
    http_curl_request request = { .method = "GET", .url = url };
    http_curl_answer answer;
    http_curl *c;

    (void)state;
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    c = open_client(0);
    open_script(steps, COUNT_OF(steps));
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    http_curl_close(c, 0);
    raw_server_close(&server);
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
}

static void test_curl_uses_the_proxy_it_was_given_but_for_excepted_hosts(void **state)
{
    static const raw_step steps[] = { { .answer = OK_ANSWER, .then = RAW_CLOSE },
                                      { .answer = OK_ANSWER } };
    http_curl_options options = { .name = "test-curl",
                                  .egress = { .no_proxy = SONDE_STR("127.0.0.2") } };
    http_curl_request request = { .method = "GET", .url = "http://example.invalid/x" };
    http_curl_answer answer;
    char proxy[64];
    http_curl *c;

    (void)state;
    open_script(steps, COUNT_OF(steps));
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server.port);
    options.egress.proxy_http = sonde_str_from(proxy);
    assert_status(http_curl_open(&options, &c, NULL), SONDE_OK);
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    request.url = url;
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    http_curl_close(c, 0);
    raw_server_close(&server);

    assert_int_equal(strncmp(server.requests[0], "GET http://example.invalid/x HTTP", 33), 0);
    assert_int_equal(strncmp(server.requests[1], "GET /api/v0.2/traces HTTP", 25), 0);
}

/* ---- what comes back ---- */

static void test_curl_does_not_follow_redirects(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" },
    };
    http_curl_request request = { .method = "GET", .url = url };
    http_curl *c = open_client(0);
    http_curl_answer answer;

    (void)state;
    open_script(steps, COUNT_OF(steps));
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    assert_int_equal(answer.http_status, 302);
    http_curl_close(c, 0);
    raw_server_close(&server);
    assert_int_equal(server.requests_len, 1);
}

static void test_curl_names_what_went_wrong_and_no_secrets(void **state)
{
    static const raw_step closing[] = { { .answer = NULL, .then = RAW_CLOSE } };
    static const raw_step cut[] = {
        { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", .then = RAW_CLOSE },
    };
    static const raw_step cut_head[] = {
        { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", .then = RAW_CLOSE },
    };
    static const raw_step interim[] = { { .answer = "HTTP/1.1 100 Continue\r\n\r\n",
                                          .then = RAW_CLOSE } };
    static const raw_step silent[] = { { .answer = NULL } };
    static const raw_step silent_body[] = {
        { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx" },
    };
    static const raw_step nonsense[] = { { .answer = "SSH-2.0\r\n\r\n", .then = RAW_CLOSE } };
    static const struct {
        const char *label, *url; /* NULL: the script's */
        const raw_step *steps;
        sonde_status want;
        unsigned http_status;
    } cases[] = {
        { "closed", NULL, closing, SONDE_ERR_EOF, 0 },
        { "cut", NULL, cut, SONDE_ERR_EOF, 200 },
        { "cut in the head", NULL, cut_head, SONDE_ERR_EOF, 0 },
        { "cut behind an interim answer", NULL, interim, SONDE_ERR_EOF, 0 },
        { "silent", NULL, silent, SONDE_ERR_TIMEOUT, 0 },
        { "silent behind the head", NULL, silent_body, SONDE_ERR_TIMEOUT, 200 },
        { "nonsense", NULL, nonsense, SONDE_ERR_SYNTAX, 0 },
        { "refused", "http://127.0.0.1:1/?api_key=secret", NULL, SONDE_ERR_CONNECT, 0 },
        { "no URL", "http://user:secret@:x/", NULL, SONDE_ERR_INVALID, 0 },
        { "other scheme", "file:///etc/passwd?secret", NULL, SONDE_ERR_INVALID, 0 },
        { "no such socket", "unix:///nowhere/s:/secret", NULL, SONDE_ERR_CONNECT, 0 },
    };
    http_curl *c = open_client(0);
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        http_curl_request request = { .method = "POST",
                                      .body = SONDE_STR("b"),
                                      .timeout_ms = 60000 };
        http_curl_answer answer = { .error = "" };
        sonde_status got;
        sonde_buf text;

        sonde_buf_init(&text, 1000);
        if (cases[i].steps)
            open_script(cases[i].steps, 1);
        request.url = cases[i].url ? cases[i].url : url;
        if (cases[i].want == SONDE_ERR_TIMEOUT)
            request.timeout_ms = cases[i].http_status ? 2000 : 20;
        got = http_curl_call(c, &request, &answer, &text);
        if (got != cases[i].want || !answer.error || strstr(answer.error, "secret") ||
            (cases[i].steps && answer.http_status != cases[i].http_status))
            fail_msg("%s: %s, %u, %s", cases[i].label, sonde_status_name(got), answer.http_status,
                     answer.error ? answer.error : "no text");
        if (cases[i].steps)
            raw_server_close(&server);
        sonde_buf_done(&text);
    }
    http_curl_close(c, 0);
}

/* libcurl quotes a proxy it cannot use. */
static void test_curl_keeps_the_password_of_a_proxy_to_itself(void **state)
{
    http_curl_options options = {
        .name = "test-curl", .egress = { .proxy_http = SONDE_STR("ftp://user:secret@127.0.0.1:1") }
    };
    http_curl_request request = { .method = "GET", .url = "http://example.invalid/" };
    http_curl_answer answer;
    http_curl *c = NULL;
    sonde_buf text;

    (void)state;
    sonde_buf_init(&text, 1000);
    assert_status(http_curl_open(&options, &c, NULL), SONDE_OK);
    assert_status(http_curl_call(c, &request, &answer, &text), SONDE_ERR_CONNECT);
    assert_null(strstr(answer.error, "secret"));
    http_curl_close(c, 0);
    sonde_buf_done(&text);
}

/* ---- many at once ---- */

typedef struct tally {
    http_curl *client;
    http_curl_request request;
    sonde_mutex mu;
    pthread_cond_t changed;
    unsigned ended, ok, closed, other, to_send;
} tally;

static void count_end(void *user, const http_curl_answer *answer)
{
    tally *t = user;
    bool again;

    sonde_mutex_lock(&t->mu);
    t->ended++;
    if (answer->status == SONDE_OK && answer->http_status == 200)
        t->ok++;
    else if (answer->status == SONDE_ERR_CLOSED)
        t->closed++;
    else
        t->other++;
    again = t->to_send > 0;
    t->to_send -= again;
    pthread_cond_signal(&t->changed);
    sonde_mutex_unlock(&t->mu);
    if (again && http_curl_send(t->client, &t->request) != SONDE_OK)
        abort(); /* a place was just given back */
}

static void tally_init(tally *t, http_curl *c)
{
    memset(t, 0, sizeof(*t));
    t->client = c;
    t->request = (http_curl_request){
        .method = "POST", .url = url, .body = SONDE_STR("hello"), .done = count_end, .user = t
    };
    sonde_mutex_init(&t->mu, SONDE_RANK_QUEUE);
    sonde_cond_init(&t->changed);
}

static void tally_await(tally *t, unsigned ended)
{
    sonde_mutex_lock(&t->mu);
    while (t->ended < ended && sonde_mono_ns() < soon())
        sonde_cond_wait_until(&t->changed, &t->mu, soon());
    sonde_mutex_unlock(&t->mu);
}

static void tally_done(tally *t)
{
    pthread_cond_destroy(&t->changed);
    sonde_mutex_done(&t->mu);
}

/* A body that is taken piece by piece. */
typedef struct taker {
    tally tally; /* first: `done` knows it as that */
    size_t bytes, max_bytes;
    sonde_status status;
    size_t body_len;
} taker;

static bool take_part(void *user, sonde_str part)
{
    taker *t = user;

    t->bytes += part.len;
    return t->bytes <= t->max_bytes;
}

static void end_taking(void *user, const http_curl_answer *answer)
{
    taker *t = user;

    t->status = answer->status;
    t->body_len = answer->body.len;
    count_end(&t->tally, answer);
}

static void test_curl_hands_a_body_on_until_it_is_enough(void **state)
{
    static const raw_step steps[] = {
        { .answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", .then = RAW_CLOSE },
    };
    static const struct {
        size_t max_bytes;
        sonde_status status;
    } cases[] = { { 10, SONDE_OK }, { 9, SONDE_ERR_TOO_BIG } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        http_curl *c = open_client(0);
        taker t = { .max_bytes = cases[i].max_bytes };

        open_script(steps, COUNT_OF(steps));
        tally_init(&t.tally, c);
        t.tally.request = (http_curl_request){
            .method = "GET", .url = url, .take = take_part, .done = end_taking, .user = &t
        };
        assert_status(http_curl_send(c, &t.tally.request), SONDE_OK);
        tally_await(&t.tally, 1);
        http_curl_close(c, 0);
        assert_status(t.status, cases[i].status);
        assert_int_equal(t.bytes, 10);
        assert_int_equal(t.body_len, 0);
        tally_done(&t.tally);
        raw_server_close(&server);
    }
}

static http_result say_ok(void *user, http_request *request, http_response *response)
{
    (void)user, (void)request, (void)response;
    return HTTP_DONE;
}

static _Atomic(http_request *) waiting[4];
static _Atomic unsigned waiting_len;

static http_result hold(void *user, http_request *request, http_response *response)
{
    (void)user, (void)response;
    atomic_store(&waiting[atomic_fetch_add(&waiting_len, 1)], request);
    return HTTP_LATER;
}

static const http_route routes[] = {
    { "POST", "/ok", say_ok, NULL, 1000, NULL, NULL, false },
    { "POST", "/hold", hold, NULL, 1000, NULL, NULL, false },
    { "GET", "/ok", say_ok, NULL, 0, NULL, NULL, false },
};

static http_server *open_door(http_listener listener)
{
    http_server_options options = {
        .name = "test", .routes = routes, .routes_len = 3, .threads = 1
    };
    http_server *s = NULL;

    assert_status(http_server_open(&options, &listener, 1, &s, NULL), SONDE_OK);
    return s;
}

static http_server *open_tcp_door(const char *path)
{
    http_listener listener = { 0 };

    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listener.fd, NULL), SONDE_OK);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", sonde_local_port(listener.fd), path);
    return open_door(listener);
}

static void release_waiting(unsigned count)
{
    uint64_t deadline = soon();
    unsigned i;

    while (atomic_load(&waiting_len) < count && sonde_mono_ns() < deadline)
        (void)usleep(1000);
    for (i = 0; i < count; i++) {
        while (!atomic_load(&waiting[i]) && sonde_mono_ns() < deadline)
            (void)usleep(1000);
        http_later_answer(atomic_exchange(&waiting[i], NULL));
    }
    atomic_store(&waiting_len, 0);
}

static void test_curl_ends_every_transfer_exactly_once(void **state)
{
    http_server *s = open_tcp_door("/ok");
    http_curl *c = open_client(4);
    tally t;
    int i;

    (void)state;
    tally_init(&t, c);
    t.to_send = 200 - 4; /* sent from done(), where a place is always free */
    for (i = 0; i < 4; i++)
        assert_status(http_curl_send(c, &t.request), SONDE_OK);
    tally_await(&t, 200);
    assert_int_equal(t.ended, 200);
    assert_int_equal(t.ok, 200);
    assert_in_range(http_server_read_counters(s)->connections, 1, 4); /* kept and reused */
    http_curl_close(c, soon());
    http_server_close(s, soon());
    tally_done(&t);
}

static void test_curl_refuses_transfers_beyond_its_ceiling(void **state)
{
    http_server *s = open_tcp_door("/hold");
    http_curl *c = open_client(2);
    tally t;

    (void)state;
    tally_init(&t, c);
    assert_status(http_curl_send(c, &t.request), SONDE_OK);
    assert_status(http_curl_send(c, &t.request), SONDE_OK);
    assert_status(http_curl_send(c, &t.request), SONDE_ERR_FULL);
    release_waiting(2);
    tally_await(&t, 2);
    assert_int_equal(t.ok, 2);
    http_curl_close(c, soon());
    http_server_close(s, soon());
    tally_done(&t);
}

static void test_curl_aborts_what_is_in_flight_at_the_deadline_of_close(void **state)
{
    http_server *s = open_tcp_door("/hold");
    http_curl *c = open_client(4);
    tally t;

    (void)state;
    tally_init(&t, c);
    assert_status(http_curl_send(c, &t.request), SONDE_OK);
    assert_status(http_curl_send(c, &t.request), SONDE_OK);
    http_curl_close(c, 0);
    assert_int_equal(t.ended, 2); /* all told before close returned */
    assert_int_equal(t.closed, 2);
    release_waiting(0);
    http_server_close(s, 0);
    while (atomic_load(&waiting_len)) {
        http_request *r = atomic_exchange(&waiting[atomic_fetch_sub(&waiting_len, 1) - 1], NULL);

        http_later_answer(r);
    }
    tally_done(&t);
}

static void test_curl_waits_for_what_is_in_flight_when_it_closes(void **state)
{
    http_server *s = open_tcp_door("/ok");
    http_curl *c = open_client(4);
    tally t;
    int i;

    (void)state;
    tally_init(&t, c);
    for (i = 0; i < 4; i++)
        assert_status(http_curl_send(c, &t.request), SONDE_OK);
    http_curl_close(c, soon());
    assert_int_equal(t.ok, 4);
    http_server_close(s, soon());
    tally_done(&t);
}

/* ---- a process that is stopped ---- */

static atomic_bool stalled, go_on;

static void stall(void *user, const http_curl_answer *answer)
{
    uint64_t deadline = soon();

    (void)user, (void)answer;
    atomic_store(&stalled, true);
    while (!atomic_load(&go_on) && sonde_mono_ns() < deadline)
        (void)usleep(1000);
}

static bool reads_request(int fd)
{
    char text[2048] = "";
    size_t len = 0;
    ssize_t n;

    while (!strstr(text, "\r\n\r\nhello")) {
        n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
    }
    return true;
}

/* The client's thread stands still from before the answer until after the deadline.  False: the machine was slower
 * than the time-out, nothing was shown. */
static bool answer_while_stopped(http_curl *c, int listener, const char *ok_url,
                                 uint64_t timeout_ms)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    uint64_t start = sonde_mono_ns(), deadline = start + timeout_ms * SONDE_NS_PER_MS;
    http_curl_request stalling = { .method = "GET", .url = ok_url, .done = stall };
    bool in_time;
    tally t;
    int fd;

    atomic_store(&stalled, false);
    atomic_store(&go_on, false);
    tally_init(&t, c);
    t.request.timeout_ms = (unsigned)timeout_ms;
    assert_status(http_curl_send(c, &t.request), SONDE_OK);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    in_time = reads_request(fd);
    assert_status(http_curl_send(c, &stalling), SONDE_OK);
    while (!atomic_load(&stalled))
        (void)usleep(1000);
    in_time &= sonde_mono_ns() < deadline;
    if (in_time)
        assert_int_equal(write(fd, answer, sizeof(answer) - 1), sizeof(answer) - 1);
    while (in_time && sonde_mono_ns() < deadline + SONDE_NS_PER_MS)
        (void)usleep(1000);
    atomic_store(&go_on, true);
    tally_await(&t, 1);
    if (in_time)
        assert_int_equal(t.ok, 1);
    (void)close(fd);
    tally_done(&t);
    return in_time;
}

static void test_curl_reads_an_answer_that_came_while_the_process_was_stopped(void **state)
{
    http_server *s = open_tcp_door("/ok");
    http_curl *c = open_client(4);
    uint64_t timeout_ms = 200;
    char ok_url[sizeof(url)];
    int listener;

    (void)state;
    memcpy(ok_url, url, sizeof(url));
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listener, NULL), SONDE_OK);
    (void)fcntl(listener, F_SETFL, 0); /* blocking */
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", sonde_local_port(listener));
    while (!answer_while_stopped(c, listener, ok_url, timeout_ms))
        timeout_ms *= 2;
    http_curl_close(c, soon());
    http_server_close(s, soon());
    (void)close(listener);
}

static void test_curl_speaks_through_unix_sockets(void **state)
{
    char dir[] = "/tmp/sonde-curl-XXXXXX", path[64], unix_url[128];
    http_listener listener = { .is_unix = true };
    http_curl_request request = { .method = "GET", .url = unix_url };
    http_curl *c = open_client(0);
    http_curl_answer answer;
    http_server *s;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    assert_status(sonde_listen_unix(path, 0700, &listener.fd, NULL), SONDE_OK);
    s = open_door(listener);
    (void)snprintf(unix_url, sizeof(unix_url), "unix://%s:/ok", path);
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    assert_int_equal(answer.http_status, 200);
    (void)snprintf(unix_url, sizeof(unix_url), "unix://%s", path);
    assert_status(http_curl_call(c, &request, &answer, NULL), SONDE_OK);
    assert_int_equal(answer.http_status, 404); /* "/" */
    http_curl_close(c, 0);
    http_server_close(s, soon());
    (void)unlink(path);
    (void)rmdir(dir);
}

static sonde_status call_once(void *user)
{
    http_curl_options options = { .name = "test-curl", .user_agent = "a" };
    http_curl_request request = { .method = "GET", .url = "http://127.0.0.1:1/" };
    http_curl_answer answer;
    http_curl *c = NULL;
    sonde_status status = http_curl_open(&options, &c, NULL);

    (void)user;
    if (status == SONDE_OK)
        status = http_curl_call(c, &request, &answer, NULL);
    http_curl_close(c, 0);
    return status == SONDE_ERR_CONNECT ? SONDE_OK : status;
}

static void test_curl_survives_a_lack_of_memory(void **state)
{
    (void)state;
    alloc_fail_each(call_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curl_sends_what_it_was_given_and_nothing_more),
        cmocka_unit_test(test_curl_does_not_ask_before_it_sends_a_big_body),
        cmocka_unit_test(test_curl_ignores_proxies_of_the_environment),
        cmocka_unit_test(test_curl_uses_the_proxy_it_was_given_but_for_excepted_hosts),
        cmocka_unit_test(test_curl_does_not_follow_redirects),
        cmocka_unit_test(test_curl_names_what_went_wrong_and_no_secrets),
        cmocka_unit_test(test_curl_keeps_the_password_of_a_proxy_to_itself),
        cmocka_unit_test(test_curl_hands_a_body_on_until_it_is_enough),
        cmocka_unit_test(test_curl_ends_every_transfer_exactly_once),
        cmocka_unit_test(test_curl_refuses_transfers_beyond_its_ceiling),
        cmocka_unit_test(test_curl_aborts_what_is_in_flight_at_the_deadline_of_close),
        cmocka_unit_test(test_curl_waits_for_what_is_in_flight_when_it_closes),
        cmocka_unit_test(test_curl_reads_an_answer_that_came_while_the_process_was_stopped),
        cmocka_unit_test(test_curl_speaks_through_unix_sockets),
        cmocka_unit_test(test_curl_survives_a_lack_of_memory),
    };

    return cmocka_run_group_tests_name("http_curl", tests, NULL, NULL);
}
