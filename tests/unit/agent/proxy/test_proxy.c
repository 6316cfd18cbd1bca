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
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/proxy/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/raw_http.h"
#include "support/temp_dir.h"
#include "support/test.h"

#define HEADERS_MAX 8192

/* ---- an intake that remembers the last request ---- */

static pthread_mutex_t sinks_mu = PTHREAD_MUTEX_INITIALIZER;

typedef struct sink {
    http_server *http;
    http_route route;
    uint16_t port;
    _Atomic unsigned status;
    _Atomic(const char *) body; /* of the answer */
    _Atomic bool hang;          /* requests wait until sink_release() */
    _Atomic unsigned requests;
    /* guarded by sinks_mu: */
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

    pthread_mutex_lock(&sinks_mu);
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
    pthread_mutex_unlock(&sinks_mu);
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
    pthread_mutex_lock(&sinks_mu);
    atomic_store(&s->hang, false);
    while (s->hung_len)
        http_later_answer(s->hung[--s->hung_len]);
    pthread_mutex_unlock(&sinks_mu);
}

static void sink_close(sink *s)
{
    sink_release(s);
    http_server_close(s->http, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
}

/* What the intakes noted before now may be read without the lock from here on. */
static void see_sinks(void)
{
    pthread_mutex_lock(&sinks_mu);
    pthread_mutex_unlock(&sinks_mu);
}

static void await_count(const _Atomic unsigned *counter, unsigned n)
{
    for (int i = 0; i < 6000 && atomic_load(counter) < n; i++)
        (void)poll(NULL, 0, 10);
    assert_true(atomic_load(counter) >= n);
    see_sinks();
}

static void await_u64(const _Atomic uint64_t *counter, uint64_t n)
{
    for (int i = 0; i < 6000 && atomic_load(counter) < n; i++)
        (void)poll(NULL, 0, 10);
    assert_true(atomic_load(counter) >= n);
    see_sinks();
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
    origin *origin;
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
    return (proxy_options){
        .config = c, .agent_env = SONDE_STR("prod"), .agent_version = "7.99.1", .origin = f.origin
    };
}

static void open_doors(const char *yaml)
{
    proxy_options options;
    http_server_options server = { .name = "doors", .threads = 2, .read_timeout_s = 30 };
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

    proxy_stop(f.p, sonde_deadline(now, sonde_s_to_ns(60)));
    http_server_close(f.http, sonde_deadline(now, sonde_s_to_ns(60)));
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
    see_sinks();
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

/* ---- metrics ---- */

#define NO_STATSD "DogStatsD is not known: neither dogstatsd_port nor dogstatsd_socket is set\n"

static int listen_statsd(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void test_metrics_reach_the_statsd_of_this_host(void **state)
{
    char folder[256], path[300], yaml[400], text[256];
    const char *listed[PROXY_ROUTES_MAX];
    const proxy_counters *c;
    int fd;

    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(path, sizeof(path), "%s/dsd", folder);
    (void)snprintf(yaml, sizeof(yaml), "{dogstatsd_socket: \"%s\"}", path);
    fd = listen_statsd(path);
    open_doors(yaml); /* no api_key: none is needed */
    assert_int_equal(proxy_listed(f.p, listed), 2);
    assert_string_equal(listed[0], "/dogstatsd/v1/proxy");
    assert_string_equal(listed[1], "/dogstatsd/v2/proxy");
    ask("POST /dogstatsd/v2/proxy", "", "a:1|c|#t:1\n\nb:2|g");
    expect("two lines", 200, "");
    assert_int_equal(recv(fd, text, sizeof(text), 0), 16);
    assert_memory_equal(text, "a:1|c|#t:1\nb:2|g", 16);
    ask("PUT /dogstatsd/v1/proxy", "", "");
    expect("nothing", 200, "");
    assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
    (void)close(fd);
    ask("POST /dogstatsd/v2/proxy", "", "a:1|c\n");
    expect("nobody there", 500, "DogStatsD does not take it\n");
    c = proxy_read_counters(f.p, DOOR_STATSD);
    assert_true(c->received == 3 && c->passed_on == 2 && c->bytes_sent == 17);
    assert_int_equal(dropped(DOOR_STATSD, PROXY_FAILED), 1);
    close_doors();
    temp_dir_remove(folder);
}

static void test_statsd_that_is_switched_off_gets_no_metrics(void **state)
{
    const char *listed[PROXY_ROUTES_MAX];

    (void)state;
    open_doors("{use_dogstatsd: false, dogstatsd_port: 1}");
    assert_int_equal(proxy_listed(f.p, listed), 0);
    ask("POST /dogstatsd/v2/proxy", "", "a:1|c");
    expect("off", 503, NO_STATSD);
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
        { "POST /dogstatsd/v1/proxy", 503, NO_STATSD },
        { "POST /dogstatsd/v2/proxy", 503, NO_STATSD },
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

/* ---- what each door adds ---- */

#define TAGS "host:h1,default_env:prod,agent_version:7.99.1"

static const char all_to_a[] =
    "{api_key: KEY, app_key: APP, evp_proxy_config: {dd_url: \"http://localhost:{PORT}\"}, "
    "ol_proxy_config: {dd_url: \"http://{A}\", api_version: 3}, apm_config: {apm_dd_url: "
    "\"http://{A}\", "
    "debugger_dd_url: \"http://{A}/logs\", debugger_api_key: DKEY, "
    "debugger_diagnostics_dd_url: \"http://{A}/diag\", symdb_dd_url: \"http://{A}/sym\"}}";

static void test_each_door_leads_to_its_path_with_its_headers(void **state)
{
    static const struct {
        const char *line, *headers; /* of the client */
        const char *path, *query;   /* at the intake */
        const char *lines[6];       /* there, too */
    } cases[] = {
        { "POST /v0.1/pipeline_stats?x=1",
          "Content-Type: a/b\r\n",
          "/api/v0.1/pipeline_stats",
          "",
          { "DD-API-KEY: KEY", "Via: trace-agent 7.99.1", "X-Datadog-Additional-Tags: " TAGS,
            "Content-Type: a/b" } },
        { "PUT /openlineage/api/v1/lineage",
          "Authorization: Bearer theirs\r\n",
          "/api/v1/lineage",
          "api-version=3",
          { "Authorization: Bearer KEY", "Via: trace-agent 7.99.1" } },
        { "POST /evp_proxy/v2/api/v2/citestcycle?a=%5B1%5D&b=x",
          "X-Datadog-EVP-Subdomain: citestcycle-intake\r\nContent-Type: application/json\r\n"
          "X-Secret: 1\r\nUser-Agent: me\r\nX-Datadog-NeedsAppKey: true\r\n",
          "/api/v2/citestcycle",
          "a=%5B1%5D&b=x",
          { "DD-API-KEY: KEY", "DD-APPLICATION-KEY: APP", "X-Datadog-Hostname: h1",
            "X-Datadog-AgentDefaultEnv: prod", "X-Datadog-Timeout: 30", "User-Agent: me" } },
        { "POST /evp_proxy/v4/",
          "X-Datadog-EVP-Subdomain: a.b_c-d\r\n",
          "/",
          "",
          { "Via: trace-agent 7.99.1", "Datadog-Container-ID: " } },
        { "POST /debugger/v1/input?x=%20y&ddtags=a:b%2Cc",
          "X-Datadog-Additional-Tags: d:e f\r\n",
          "/logs",
          "x=%20y&ddtags=host%3Ah1%2Cdefault_env%3Aprod%2Cagent_version%3A7.99.1%2Cd%3Ae+f%2Ca%3Ab%"
          "2Cc",
          { "DD-API-KEY: DKEY", "DD-EVP-ORIGIN: agent-debugger" } },
        { "POST /debugger/v1/diagnostics",
          "",
          "/diag",
          "ddtags=host%3Ah1%2Cdefault_env%3Aprod%2Cagent_version%3A7.99.1",
          { "DD-API-KEY: KEY", "DD-EVP-ORIGIN: agent-debugger" } },
        { "POST /debugger/v2/input",
          "",
          "/diag",
          "ddtags=host%3Ah1%2Cdefault_env%3Aprod%2Cagent_version%3A7.99.1",
          { "DD-EVP-ORIGIN: agent-debugger" } },
        { "POST /symdb/v1/input?ddtags=x&y=1",
          "X-Datadog-Additional-Tags: d:e\r\n",
          "/sym",
          "ddtags=x&y=1",
          { "DD-EVP-ORIGIN: agent-symdb", "X-Datadog-Additional-Tags: " TAGS ",d:e,x" } },
    };
    char yaml[1024];
    const char *port = strstr(all_to_a, "{PORT}");

    (void)state;
    (void)snprintf(yaml, sizeof(yaml), "%.*s%u%s", (int)(port - all_to_a), all_to_a,
                   (unsigned)f.a.port, port + strlen("{PORT}"));
    open_doors_to_sinks(yaml);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask(cases[i].line, cases[i].headers, "body");
        expect(cases[i].line, 200, "");
        assert_string_equal(f.a.path, cases[i].path);
        assert_string_equal(f.a.query, cases[i].query);
        assert_string_equal(f.a.got, "body");
        for (size_t k = 0; k < COUNT_OF(cases[i].lines) && cases[i].lines[k]; k++)
            assert_line(&f.a, cases[i].lines[k]);
        assert_no_name(&f.a, "X-Secret");
        assert_no_name(&f.a, "Accept");
        assert_no_name(&f.a, "X-Forwarded-For");
        assert_null(strstr(f.a.headers, "theirs"));
        assert_int_equal(strstr(f.a.headers, "\nDD-REQUEST-ID: ") != NULL ||
                             strncmp(f.a.headers, "DD-REQUEST-ID: ", 15) == 0,
                         strstr(cases[i].line, "debugger") != NULL ||
                             strstr(cases[i].line, "symdb") != NULL);
    }
    close_doors();
}

static void test_joined_tags_are_cut(void **state)
{
    char headers[4400] = "X-Datadog-Additional-Tags: ";
    size_t used = strlen(headers), len;
    const char *at;

    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {symdb_dd_url: \"http://{A}/\"}}");
    memset(headers + used, 'x', 4100);
    memcpy(headers + used + 4100, "\r\n", 3);
    ask("POST /symdb/v1/input", headers, "");
    expect("symdb", 200, "");
    at = strstr(f.a.headers, "X-Datadog-Additional-Tags: ");
    assert_non_null(at);
    len = strcspn(at, "\n") - strlen("X-Datadog-Additional-Tags: ");
    assert_int_equal(len, PROXY_TAGS_MAX_BYTES);
    close_doors();
}

static void test_containers_are_named_with_their_tags(void **state)
{
    sonde_str items[] = { SONDE_STR("image:a"), SONDE_STR("pod:b") };
    config_list tags = { items, 2 };
    origin *o = NULL;

    (void)state;
    assert_status(origin_open(&(origin_options){ .container_tags = &tags }, &o), SONDE_OK);
    f.origin = o;
    open_doors_to_sinks("{api_key: KEY, apm_config: {profiling_dd_url: \"http://{A}/\", "
                        "telemetry: {dd_url: \"http://{B}\"}, symdb_dd_url: \"http://{A}/\"}}");
    ask("POST /profiling/v1/input", "Datadog-Entity-ID: ci-abc\r\n", "");
    assert_line(&f.a, "X-Datadog-Container-Tags: image:a,pod:b");
    ask("POST /profiling/v1/input", "", "");
    assert_no_name(&f.a, "X-Datadog-Container-Tags");
    ask("POST /symdb/v1/input", "Datadog-Container-ID: abc\r\n", "");
    assert_line(&f.a, "X-Datadog-Additional-Tags: " TAGS ",image:a,pod:b");
    ask("POST /telemetry/proxy/x", "Datadog-Entity-ID: ci-abc\r\n", "");
    await_u64(&proxy_read_counters(f.p, DOOR_TELEMETRY)->passed_on, 1);
    assert_line(&f.b, "Datadog-Container-ID: abc");
    assert_line(&f.b, "X-Datadog-Container-Tags: image:a,pod:b");
    close_doors();
    f.origin = NULL;
    origin_close(o);
}

/* ---- events ---- */

static void test_events_pass_only_in_plain_words(void **state)
{
    static const struct {
        const char *line, *headers;
        bool passes;
    } cases[] = {
        { "POST /evp_proxy/v1/api/v2/x_y+z-1", "X-Datadog-EVP-Subdomain: a\r\n", true },
        { "POST /evp_proxy/v1/a?q=%5B%22x%22%5D&a=b:c@d.e/f", "X-Datadog-EVP-Subdomain: a\r\n",
          true },
        { "POST /evp_proxy/v1/a", "", false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: \r\n", false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: a/b\r\n", false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: a@evil\r\n", false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: a:80\r\n", false },
        { "POST /evp_proxy/v1/a.b", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a%20b", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a?x=%20", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a?x=a+b", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a?x=%2", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a?x=%zz", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a?x=%00", "X-Datadog-EVP-Subdomain: a\r\n", false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: a\r\nX-Datadog-NeedsAppKey: true\r\n",
          false },
        { "POST /evp_proxy/v1/a", "X-Datadog-EVP-Subdomain: a\r\nX-Datadog-NeedsAppKey: no\r\n",
          true },
    };
    uint64_t refused = 0;
    char yaml[128];

    (void)state;
    (void)snprintf(yaml, sizeof(yaml),
                   "{api_key: KEY, evp_proxy_config: {dd_url: \"http://localhost:%u\"}}",
                   (unsigned)f.a.port);
    open_doors(yaml);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask(cases[i].line, cases[i].headers, "");
        expect(cases[i].line, cases[i].passes ? 200 : 502, "");
        refused += !cases[i].passes;
    }
    assert_int_equal(dropped(DOOR_EVP, PROXY_INVALID), refused);
    close_doors();
}

/* ---- several targets, and targets that fail ---- */

static void test_every_target_gets_its_copy_and_the_first_answers(void **state)
{
    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {profiling_dd_url: \"http://{A}/p\", "
                        "profiling_additional_endpoints: {\"http://{B}/q\": [k1, k2]}}}");
    atomic_store(&f.a.body, "first");
    atomic_store(&f.b.body, "second");
    atomic_store(&f.b.status, 500);
    ask("POST /profiling/v1/input", "", "profile");
    expect("profile", 200, "first");
    await_count(&f.b.requests, 2);
    await_u64(&proxy_read_counters(f.p, DOOR_PROFILING)->copies_failed, 2);
    assert_string_equal(f.b.got, "profile");
    assert_string_equal(f.b.path, "/q");
    assert_true(got_line(&f.b, "DD-API-KEY: k1") || got_line(&f.b, "DD-API-KEY: k2"));
    assert_int_equal(proxy_read_counters(f.p, DOOR_PROFILING)->passed_on, 1);
    close_doors();
}

static void test_an_answer_is_passed_back_as_it_is(void **state)
{
    static const unsigned statuses[] = { 200, 204, 302, 400, 403, 429, 500, 503 };

    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {symdb_dd_url: \"http://{A}/\"}}");
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        atomic_store(&f.a.status, statuses[i]);
        ask("POST /symdb/v1/input", "", "x");
        assert_int_equal(answer.status, (int)statuses[i]);
    }
    assert_int_equal(proxy_read_counters(f.p, DOOR_SYMDB)->errors_4xx, 3);
    assert_int_equal(proxy_read_counters(f.p, DOOR_SYMDB)->errors_5xx, 2);
    close_doors();
}

static void test_a_target_that_fails_or_is_late_is_told(void **state)
{
    static char long_answer[PROXY_ANSWER_MAX_BYTES + 2];

    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {profiling_receiver_timeout: 1, "
                        "receiver_timeout: 3, profiling_dd_url: \"http://127.0.0.1:1/\", "
                        "symdb_dd_url: \"http://127.0.0.1:1/\", "
                        "debugger_diagnostics_dd_url: \"http://{A}/\"}}");
    ask("POST /symdb/v1/input", "", "x");
    expect("no connection", 502, "");
    ask("POST /profiling/v1/input", "", "x");
    assert_int_equal(answer.status, 502);
    assert_true(answer.body_len > 1);
    atomic_store(&f.a.hang, true);
    ask("POST /debugger/v1/diagnostics", "", "x");
    expect("late", 502, "");
    sink_release(&f.a);
    memset(long_answer, 'x', sizeof(long_answer) - 1);
    atomic_store(&f.a.body, long_answer);
    ask("POST /debugger/v1/diagnostics", "", "x");
    expect("too long an answer", 502, "");
    assert_int_equal(dropped(DOOR_SYMDB, PROXY_FAILED), 1);
    assert_int_equal(dropped(DOOR_PROFILING, PROXY_FAILED), 1);
    assert_int_equal(dropped(DOOR_DIAGNOSTICS, PROXY_TIMEOUT), 1);
    close_doors();
}

static void test_a_late_profile_intake_is_408(void **state)
{
    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {profiling_receiver_timeout: 1, "
                        "profiling_dd_url: \"http://{A}/\"}}");
    atomic_store(&f.a.hang, true);
    ask("POST /profiling/v1/input", "", "x");
    assert_int_equal(answer.status, 408);
    assert_int_equal(dropped(DOOR_PROFILING, PROXY_TIMEOUT), 1);
    close_doors();
}

/* ---- ceilings ---- */

static void test_bodies_beyond_the_ceiling_are_refused_as_each_door_does(void **state)
{
    static char body[3000];

    (void)state;
    open_doors_to_sinks("{api_key: KEY, evp_proxy_config: {max_payload_size: 1024}, "
                        "apm_config: {profiling_max_request_bytes: 1024, max_payload_size: 1024}}");
    memset(body, 'x', sizeof(body) - 1);
    ask("POST /evp_proxy/v2/x", "X-Datadog-EVP-Subdomain: a\r\n", body);
    expect("evp", 502, "");
    ask("POST /profiling/v1/input", "", body);
    expect("profiling", 413, "payload-too-large\n");
    ask("POST /symdb/v1/input", "", body);
    expect("symdb", 413, "payload-too-large\n");
    assert_int_equal(dropped(DOOR_EVP, PROXY_TOO_BIG), 1);
    assert_int_equal(dropped(DOOR_PROFILING, PROXY_TOO_BIG), 1);
    close_doors();
}

static void test_telemetry_beyond_its_queue_is_429(void **state)
{
    const int most = TELEMETRY_SENDERS + TELEMETRY_QUEUE;

    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {telemetry: {dd_url: \"http://{A}\"}}}");
    atomic_store(&f.a.hang, true);
    for (int i = 0; i < most; i++) {
        ask("POST /telemetry/proxy/x", "", "x");
        expect("taken", 200, "{}");
    }
    ask("POST /telemetry/proxy/x", "", "x");
    expect("one too many", 429, "{}");
    assert_int_equal(dropped(DOOR_TELEMETRY, PROXY_BUSY), 1);
    assert_int_equal(proxy_read_counters(f.p, DOOR_TELEMETRY)->held, most);
    await_count(&f.a.requests, TELEMETRY_SENDERS);
    sink_release(&f.a);
    await_u64(&proxy_read_counters(f.p, DOOR_TELEMETRY)->passed_on, (uint64_t)most);
    assert_int_equal(proxy_read_counters(f.p, DOOR_TELEMETRY)->held, 0);
    close_doors();
}

static void test_telemetry_beyond_its_bytes_is_429(void **state)
{
    static char body[60001];

    (void)state;
    open_doors_to_sinks("{api_key: KEY, sonde: {memory_limit: 16MiB}, "
                        "apm_config: {telemetry: {dd_url: \"http://{A}\"}}}"); /* 2 MiB of it */
    memset(body, 'x', sizeof(body) - 1);
    atomic_store(&f.a.hang, true);
    for (int i = 0; i < 34; i++) {
        ask("POST /telemetry/proxy/x", "", body);
        expect("taken", 200, "{}");
    }
    ask("POST /telemetry/proxy/x", "", body);
    expect("too many bytes", 429, "{}");
    sink_release(&f.a);
    close_doors();
}

static void *ask_and_hang(void *arg)
{
    char text[256];
    int fd = raw_connect(f.port);

    (void)arg;
    raw_send(fd, "POST /symdb/v1/input HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    while (read(fd, text, sizeof(text)) < 0)
        ;
    (void)close(fd);
    return NULL;
}

static void test_more_requests_than_wait_for_answers_are_503(void **state)
{
    pthread_t threads[PROXY_RELAYS_MAX];

    (void)state;
    open_doors_to_sinks(
        "{api_key: KEY, apm_config: {receiver_timeout: 60, symdb_dd_url: \"http://{A}/\"}}");
    atomic_store(&f.a.hang, true);
    for (int i = 0; i < PROXY_RELAYS_MAX; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_and_hang, NULL), 0);
    await_u64(&proxy_read_counters(f.p, DOOR_SYMDB)->held, PROXY_RELAYS_MAX);
    ask("POST /symdb/v1/input", "", "");
    expect("one too many", 503, "too many requests in flight\n");
    assert_int_equal(dropped(DOOR_SYMDB, PROXY_BUSY), 1);
    await_count(&f.a.requests, TELEMETRY_SENDERS); /* as many connections as one host gets */
    sink_release(&f.a);
    for (int i = 0; i < PROXY_RELAYS_MAX; i++)
        (void)pthread_join(threads[i], NULL);
    close_doors();
}

/* ---- life ---- */

static void test_stopping_waits_for_telemetry_and_refuses_the_rest(void **state)
{
    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {telemetry: {dd_url: \"http://{A}\"}}}");
    ask("POST /telemetry/proxy/x", "", "x");
    proxy_stop(f.p, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    assert_int_equal(proxy_read_counters(f.p, DOOR_TELEMETRY)->passed_on, 1);
    ask("POST /telemetry/proxy/x", "", "x");
    expect("stopped", 503, "shutting down\n");
    ask("POST /symdb/v1/input", "", "x");
    expect("stopped", 503, "shutting down\n");
    assert_int_equal(dropped(DOOR_SYMDB, PROXY_CLOSING), 1);
    close_doors();
}

static void test_closing_ends_what_hangs(void **state)
{
    (void)state;
    open_doors_to_sinks("{api_key: KEY, apm_config: {telemetry: {dd_url: \"http://{A}\"}}}");
    atomic_store(&f.a.hang, true);
    for (int i = 0; i < TELEMETRY_SENDERS + 5; i++)
        ask("POST /telemetry/proxy/x", "", "x");
    close_doors(); /* after a second; what waits and what is in flight is dropped */
}

static void test_every_target_is_made_of_site_and_key(void **state)
{
    static const struct {
        proxy_door door;
        const char *url;
    } cases[] = {
        { DOOR_PROFILING, "https://intake.profile.datadoghq.eu/api/v2/profile" },
        { DOOR_TELEMETRY, "https://instrumentation-telemetry-intake.datadoghq.eu" },
        { DOOR_PIPELINE, "https://trace.agent.datadoghq.eu./api/v0.1/pipeline_stats" },
        { DOOR_LINEAGE, "https://data-obs-intake.datadoghq.eu/api/v1/lineage?api-version=2" },
        { DOOR_EVP, "https://datadoghq.eu" },
        { DOOR_DEBUGGER, "https://http-intake.logs.datadoghq.eu/api/v2/logs" },
        { DOOR_DIAGNOSTICS, "https://debugger-intake.datadoghq.eu/api/v2/debugger" },
        { DOOR_SYMDB, "https://debugger-intake.datadoghq.eu/api/v2/debugger" },
        { DOOR_FLARE, "https://7-99-1-flare.datadoghq.eu/api/ui/support/serverless/flare" },
    };

    (void)state;
    open_doors("{api_key: KEY, site: datadoghq.eu}");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const door *d = &f.p->doors[cases[i].door];

        assert_int_equal(d->targets_len, 1);
        assert_true(sonde_str_eq(d->targets[0].url, sonde_str_from(cases[i].url)));
        assert_true(sonde_str_eq(d->targets[0].api_key, SONDE_STR("KEY")));
    }
    close_doors();
}

static void test_further_targets_are_ordered_and_bounded(void **state)
{
    char yaml[4096] =
        "{api_key: KEY, apm_config: {profiling_additional_endpoints: {\"https://z/p\": [z]";
    const door *d;

    (void)state;
    for (int i = 0; i < PROXY_TARGETS_MAX + 2; i++) {
        size_t used = strlen(yaml);

        (void)snprintf(yaml + used, sizeof(yaml) - used, ", \"https://a%02d/p\": [k]", i);
    }
    (void)snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml), "}}}");
    sonde_log_set_level(SONDE_LOG_ERROR);
    open_doors(yaml);
    sonde_log_set_level(SONDE_LOG_INFO);
    d = &f.p->doors[DOOR_PROFILING];
    assert_int_equal(d->targets_len, PROXY_TARGETS_MAX);
    assert_true(sonde_str_eq(d->targets[1].url, SONDE_STR("https://a00/p")));
    assert_true(sonde_str_eq(d->targets[2].url, SONDE_STR("https://a01/p")));
    close_doors();
}

static void test_no_key_is_in_the_status(void **state)
{
    sonde_json_writer w;
    sonde_buf out;
    size_t at;

    (void)state;
    open_doors("{api_key: 0123456789abcdef, app_key: fedcba}");
    sonde_buf_init(&out, 65536);
    sonde_json_writer_init(&w, &out);
    proxy_write_json(f.p, &w);
    assert_status(out.status, SONDE_OK);
    assert_true(
        sonde_str_find(sonde_buf_str(&out), SONDE_STR("\"profiling\":{\"targets\":1,"), &at));
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("0123456789abcdef"), &at));
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("fedcba"), &at));
    sonde_buf_done(&out);
    close_doors();
}

static sonde_status attempt_open(void *user)
{
    proxy_options options = options_of(user);
    proxy *p = NULL;
    sonde_status status = proxy_open(&options, &p, NULL);

    proxy_close(p);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    agent_config *c = configure("{api_key: KEY, apm_config: {additional_profile_tags: {a: b}, "
                                "profiling_additional_endpoints: {\"https://x/p\": [k]}}}");

    (void)state;
    alloc_fail_each(attempt_open, c);
    config_put(c);
}

#define with_sinks(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_sinks(test_a_profile_is_passed_on_and_the_answer_comes_back),
        with_sinks(test_telemetry_is_taken_at_once_and_sent_later),
        cmocka_unit_test(test_metrics_reach_the_statsd_of_this_host),
        cmocka_unit_test(test_statsd_that_is_switched_off_gets_no_metrics),
        cmocka_unit_test(test_without_a_key_nothing_is_listed_and_every_door_says_so),
        cmocka_unit_test(test_what_is_switched_off_answers_as_the_protocol_says),
        with_sinks(test_each_door_leads_to_its_path_with_its_headers),
        with_sinks(test_joined_tags_are_cut),
        with_sinks(test_containers_are_named_with_their_tags),
        with_sinks(test_events_pass_only_in_plain_words),
        with_sinks(test_every_target_gets_its_copy_and_the_first_answers),
        with_sinks(test_an_answer_is_passed_back_as_it_is),
        with_sinks(test_a_target_that_fails_or_is_late_is_told),
        with_sinks(test_a_late_profile_intake_is_408),
        with_sinks(test_bodies_beyond_the_ceiling_are_refused_as_each_door_does),
        with_sinks(test_telemetry_beyond_its_queue_is_429),
        with_sinks(test_telemetry_beyond_its_bytes_is_429),
        with_sinks(test_more_requests_than_wait_for_answers_are_503),
        with_sinks(test_stopping_waits_for_telemetry_and_refuses_the_rest),
        with_sinks(test_closing_ends_what_hangs),
        cmocka_unit_test(test_every_target_is_made_of_site_and_key),
        cmocka_unit_test(test_further_targets_are_ordered_and_bounded),
        cmocka_unit_test(test_no_key_is_in_the_status),
        cmocka_unit_test(test_opening_copes_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
