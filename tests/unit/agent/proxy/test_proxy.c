/* test_proxy.c - the doors over real sockets: a client on one side, intakes on the other.
 *
 * The intakes run on their own threads and only record; the tests look when the answer is there. */
#include "agent/proxy/proxy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <poll.h>

#include "base/clock.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/test.h"

#define HEADERS_MAX 8192

/* ---- an intake that remembers the last request ---- */

typedef struct sink {
    http_server *http;
    http_route route;
    uint16_t port;
    _Atomic unsigned status;
    _Atomic(const char *) body; /* of the answer */
    _Atomic bool hang;          /* requests wait until sink_release() */
    _Atomic unsigned requests;
    pthread_mutex_t mu; /* guards everything below */
    http_request *hung[128];
    size_t hung_len;
    char method[16], path[512], query[8192], headers[HEADERS_MAX], got[1024];
} sink;

static void note_header(void *user, sonde_str name, sonde_str value)
{
    sink *s = user;
    size_t used = strlen(s->headers);

    (void)snprintf(s->headers + used, sizeof(s->headers) - used, "%.*s: %.*s\n",
                   SONDE_STR_ARG(name), SONDE_STR_ARG(value));
}

static http_result sink_handle(void *user, http_request *r, http_response *response)
{
    sink *s = user;
    const char *body = atomic_load(&s->body);
    http_result result = HTTP_DONE;

    pthread_mutex_lock(&s->mu);
    (void)snprintf(s->method, sizeof(s->method), "%.*s", SONDE_STR_ARG(http_request_method(r)));
    (void)snprintf(s->path, sizeof(s->path), "%.*s", SONDE_STR_ARG(http_request_path(r)));
    (void)snprintf(s->query, sizeof(s->query), "%.*s", SONDE_STR_ARG(http_request_query_text(r)));
    (void)snprintf(s->got, sizeof(s->got), "%.*s", SONDE_STR_ARG(http_request_body(r)));
    s->headers[0] = '\0';
    http_request_each_header(r, note_header, s);
    if (atomic_load(&s->hang) && s->hung_len < COUNT_OF(s->hung)) {
        s->hung[s->hung_len++] = r;
        result = HTTP_LATER;
    }
    pthread_mutex_unlock(&s->mu);
    response->status = atomic_load(&s->status);
    response->content_type = "application/x-answer";
    http_response_header(response, "Retry-After", "7");
    http_response_header(response, "X-Private", "1");
    if (body)
        response->static_body = sonde_str_from(body);
    atomic_fetch_add(&s->requests, 1);
    return result;
}

static void sink_open(sink *s)
{
    int fd;

    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->mu, NULL);
    s->route =
        (http_route){ .path = "/*", .handle = sink_handle, .max_body_bytes = 100000, .user = s };
    atomic_store(&s->status, 200);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &fd, NULL), SONDE_OK);
    s->port = sonde_local_port(fd);
    assert_status(http_server_open(
                      &(http_server_options){
                          .name = "sink", .routes = &s->route, .routes_len = 1, .threads = 1 },
                      &(http_listener){ .fd = fd }, 1, &s->http, NULL),
                  SONDE_OK);
}

static void sink_release(sink *s)
{
    pthread_mutex_lock(&s->mu);
    atomic_store(&s->hang, false);
    while (s->hung_len)
        http_later_answer(s->hung[--s->hung_len]);
    pthread_mutex_unlock(&s->mu);
}

static void sink_close(sink *s)
{
    sink_release(s);
    http_server_close(s->http, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(5)));
    pthread_mutex_destroy(&s->mu);
}

static void await_count(const _Atomic unsigned *counter, unsigned n)
{
    for (int i = 0; i < 2000 && atomic_load(counter) < n; i++)
        (void)poll(NULL, 0, 10);
    assert_true(atomic_load(counter) >= n);
}

static void await_u64(const _Atomic uint64_t *counter, uint64_t n)
{
    for (int i = 0; i < 2000 && atomic_load(counter) < n; i++)
        (void)poll(NULL, 0, 10);
    assert_true(atomic_load(counter) >= n);
}

/* True when the sink got this line; the name may be written in any case. */
static bool got_line(const sink *s, const char *line)
{
    const char *at = strstr(s->headers, line);

    return at && (at == s->headers || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static bool got_name(const sink *s, const char *name)
{
    char start[64];

    (void)snprintf(start, sizeof(start), "\n%s:", name);
    return strstr(s->headers, start) || strncasecmp(s->headers, start + 1, strlen(start + 1)) == 0;
}

#define assert_line(s, line)                                                                       \
    do {                                                                                           \
        if (!got_line((s), (line)))                                                                \
            fail_msg("no line \"%s\" in:\n%s", (line), (s)->headers);                              \
    } while (0)
#define assert_no_name(s, name)                                                                    \
    do {                                                                                           \
        if (got_name((s), (name)))                                                                 \
            fail_msg("%s in:\n%s", (name), (s)->headers);                                          \
    } while (0)

/* ---- the doors ---- */

static struct {
    sink a, b;
    agent_config *config;
    proxy *p;
    http_server *http;
    http_route routes[PROXY_ROUTES_MAX];
    uint16_t port;
} f;

static raw_answer answer; /* large */

static agent_config *configure(const char *yaml)
{
    config_options options = { .os_hostname = "h1", .cpus = 2 };
    agent_config *c = NULL;
    sonde_error error = { 0 };

    if (config_load_text(&options, sonde_str_from(yaml), "t", &c, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    if (c->warnings_len)
        fail_msg("%.*s", SONDE_STR_ARG(c->warnings[0]));
    return c;
}

static proxy_options options_of(agent_config *c)
{
    return (
        proxy_options){ .config = c, .agent_env = SONDE_STR("prod"), .agent_version = "7.99.1" };
}

static void open_doors(const char *yaml)
{
    proxy_options options;
    http_server_options server = { .name = "doors", .threads = 2, .read_timeout_s = 1 };
    int fd;

    f.config = configure(yaml);
    options = options_of(f.config);
    assert_status(proxy_open(&options, &f.p, NULL), SONDE_OK);
    server.routes_len = proxy_routes(f.p, f.routes);
    server.routes = f.routes;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &fd, NULL), SONDE_OK);
    f.port = sonde_local_port(fd);
    assert_status(http_server_open(&server, &(http_listener){ .fd = fd }, 1, &f.http, NULL),
                  SONDE_OK);
}

/* Addresses of both intakes are put in for {A} and {B}. */
static void open_doors_to_sinks(const char *yaml)
{
    char text[4096];
    size_t used = 0;

    for (; *yaml && used < sizeof(text) - 16; yaml++) {
        if (strncmp(yaml, "{A}", 3) == 0 || strncmp(yaml, "{B}", 3) == 0) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "127.0.0.1:%u",
                                     (unsigned)(yaml[1] == 'A' ? f.a.port : f.b.port));
            yaml += 2;
        } else {
            text[used++] = *yaml;
        }
    }
    text[used] = '\0';
    open_doors(text);
}

/* With the law of every door. */
static void close_doors(void)
{
    uint64_t now = sonde_mono_ns();

    proxy_stop(f.p, sonde_deadline(now, sonde_s_to_ns(5)));
    http_server_close(f.http, sonde_deadline(now, sonde_s_to_ns(5)));
    for (int i = 0; i < PROXY_DOORS; i++) {
        const proxy_counters *c = proxy_read_counters(f.p, (proxy_door)i);
        uint64_t dropped = 0;

        for (int k = 0; k < PROXY_REASONS; k++)
            dropped += c->dropped[k];
        assert_int_equal(c->received, c->passed_on + c->discarded + dropped + c->held);
    }
    proxy_close(f.p);
    config_put(f.config);
}

static int setup(void **state)
{
    (void)state;
    sink_open(&f.a);
    sink_open(&f.b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sink_close(&f.a);
    sink_close(&f.b);
    return 0;
}

static void ask(const char *line, const char *headers, const char *body)
{
    char head[8192];
    int fd = raw_connect(f.port);

    (void)snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                   line, headers, strlen(body));
    raw_send(fd, head);
    raw_send(fd, body);
    raw_read_answer(fd, &answer);
    (void)close(fd);
}

static bool has_header(const char *line)
{
    char *at = strstr(answer.text, line);

    return at && at < answer.text + answer.head_len;
}

static void expect(const char *label, int status, const char *body)
{
    if (answer.status != status || strcmp(answer.body, body) != 0)
        fail_msg("%s: %d \"%s\", want %d \"%s\"", label, answer.status, answer.body, status, body);
}

static uint64_t dropped(proxy_door which, proxy_reason why)
{
    return proxy_read_counters(f.p, which)->dropped[why];
}

static void test_a_profile_is_passed_on_and_the_answer_comes_back(void **state)
{
    (void)state;
    open_doors_to_sinks(
        "{api_key: KEY, apm_config: {profiling_dd_url: \"http://{A}/api/v2/profile\", "
        "additional_profile_tags: {team: x, app: y}}}");
    atomic_store(&f.a.status, 202);
    atomic_store(&f.a.body, "thanks");
    ask("POST /profiling/v1/input?x=1",
        "Content-Type: multipart/form-data; boundary=b\r\nDD-API-KEY: theirs\r\nX-Own: 1\r\n"
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Datadog-Additional-Tags: no\r\n"
        "Via: no\r\n",
        "the profile");
    expect("profile", 200, "thanks");
    assert_true(has_header("Content-Type: application/x-answer\r\n"));
    assert_true(has_header("Retry-After: 7\r\n"));
    assert_false(has_header("X-Private"));
    assert_string_equal(f.a.method, "POST");
    assert_string_equal(f.a.path, "/api/v2/profile");
    assert_string_equal(f.a.query, "");
    assert_string_equal(f.a.got, "the profile");
    assert_line(&f.a, "DD-API-KEY: KEY");
    assert_line(&f.a, "Via: trace-agent 7.99.1");
    assert_line(&f.a, "X-Datadog-Additional-Tags: "
                      "host:h1,default_env:prod,agent_version:7.99.1,app:y,team:x");
    assert_line(&f.a, "Content-Type: multipart/form-data; boundary=b");
    assert_line(&f.a, "X-Own: 1");
    assert_no_name(&f.a, "X-Hop");
    assert_no_name(&f.a, "User-Agent");
    assert_no_name(&f.a, "Accept");
    assert_null(strstr(f.a.headers, "theirs"));
    assert_int_equal(proxy_read_counters(f.p, DOOR_PROFILING)->passed_on, 1);
    assert_int_equal(proxy_read_counters(f.p, DOOR_PROFILING)->bytes_sent, 11);
    close_doors();
}

static void test_telemetry_is_taken_at_once_and_sent_later(void **state)
{
    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {telemetry: {dd_url: \"http://{A}\"}, "
                        "install_id: i, install_type: t, install_time: 1}}");
    atomic_store(&f.a.hang, true);
    ask("POST /telemetry/proxy/api/v2/apmtelemetry?q=%20a",
        "Content-Type: application/json\r\nDD-Telemetry-Request-Type: app-started\r\n",
        "{\"a\":1}");
    expect("telemetry", 200, "{}");
    await_count(&f.a.requests, 1);
    sink_release(&f.a);
    await_u64(&proxy_read_counters(f.p, DOOR_TELEMETRY)->passed_on, 1);
    assert_string_equal(f.a.path, "/api/v2/apmtelemetry");
    assert_string_equal(f.a.query, "q=%20a");
    assert_string_equal(f.a.got, "{\"a\":1}");
    assert_line(&f.a, "DD-API-KEY: KEY");
    assert_line(&f.a, "Via: trace-agent 7.99.1");
    assert_line(&f.a, "DD-Agent-Hostname: h1");
    assert_line(&f.a, "DD-Agent-Env: prod");
    assert_line(&f.a, "DD-Agent-Install-Id: i");
    assert_line(&f.a, "DD-Agent-Install-Type: t");
    assert_line(&f.a, "DD-Agent-Install-Time: 1");
    assert_line(&f.a, "DD-Telemetry-Request-Type: app-started");
    close_doors();
}

/* ---- nowhere to send ---- */

static void test_without_a_key_nothing_is_listed_and_every_door_says_so(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *body;
    } cases[] = {
        { "POST /profiling/v1/input", 404, "not passed on: there is no api_key\n" },
        { "POST /telemetry/proxy/api/v2/apmtelemetry", 200, "{}" },
        { "POST /v0.1/pipeline_stats", 404, "not passed on: there is no api_key\n" },
        { "POST /openlineage/api/v1/lineage", 404, "not passed on: there is no api_key\n" },
        { "POST /evp_proxy/v1/x", 404, "not passed on: there is no api_key\n" },
        { "POST /evp_proxy/v4/x", 404, "not passed on: there is no api_key\n" },
        { "POST /debugger/v1/input", 404, "not passed on: there is no api_key\n" },
        { "POST /debugger/v1/diagnostics", 404, "not passed on: there is no api_key\n" },
        { "POST /debugger/v2/input", 404, "not passed on: there is no api_key\n" },
        { "POST /symdb/v1/input", 404, "not passed on: there is no api_key\n" },
        { "POST /dogstatsd/v1/proxy", 503, "DogStatsD is not served\n" },
        { "POST /dogstatsd/v2/proxy", 503, "DogStatsD is not served\n" },
        { "POST /tracer_flare/v1", 404, "not passed on: there is no api_key\n" },
    };
    const char *listed[PROXY_ROUTES_MAX];

    (void)state;
    open_doors("{env: x}");
    assert_int_equal(proxy_listed(f.p, listed), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask(cases[i].line, "", "body");
        expect(cases[i].line, cases[i].status, cases[i].body);
        ask(cases[i].line, "", "");
        expect(cases[i].line, cases[i].status, cases[i].body);
    }
    assert_int_equal(proxy_read_counters(f.p, DOOR_TELEMETRY)->discarded, 2);
    assert_int_equal(dropped(DOOR_EVP, PROXY_OFF), 4);
    close_doors();
}

static void test_what_is_switched_off_answers_as_the_protocol_says(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *body;
    } cases[] = {
        { "POST /profiling/v1/input", 500,
          "Profile forwarder is OFF: no endpoint is configured\n" },
        { "POST /telemetry/proxy/api/v2/apmtelemetry", 404, "404 page not found\n" },
        { "POST /openlineage/api/v1/lineage", 500,
          "OpenLineage forwarder is OFF: Has been disabled in config\n" },
        { "POST /evp_proxy/v2/x", 405, "EVPProxy is disabled: Has been disabled in config\n" },
        { "POST /debugger/v1/input", 200, "" },
        { "POST /debugger/v2/input", 200, "" },
    };
    const char *listed[PROXY_ROUTES_MAX];

    (void)state;
    open_doors("{api_key: KEY, logs_enabled: false, evp_proxy_config: {enabled: false}, "
               "ol_proxy_config: {enabled: false}, apm_config: {telemetry: {enabled: false}, "
               "profiling_send_to_main_endpoint: false}}");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask(cases[i].line, "X-Datadog-EVP-Subdomain: a\r\n", "");
        expect(cases[i].line, cases[i].status, cases[i].body);
    }
    assert_int_equal(proxy_listed(f.p, listed), 6);
    assert_string_equal(listed[0], "/v0.1/pipeline_stats");
    assert_string_equal(listed[5], "/tracer_flare/v1");
    close_doors();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_profile_is_passed_on_and_the_answer_comes_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_telemetry_is_taken_at_once_and_sent_later, setup,
                                        teardown),
        cmocka_unit_test(test_without_a_key_nothing_is_listed_and_every_door_says_so),
        cmocka_unit_test(test_what_is_switched_off_answers_as_the_protocol_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
