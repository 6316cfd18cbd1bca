/* test_http_span.c - spans of requests as <sonde/http.h> makes them, against docs/spec/http-spans.md. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "carrier.h"
#include "libtrace/src/client_ip.h"
#include "libtrace/src/header_tags.h"
#include "libtrace/src/tracer.h"
#include "sonde/test.h"

typedef struct pair {
    const char *key, *value; /* a tag; value NULL: it is not there */
} pair;

/* Starts a tracer with these variables, which hold until stop(). */
static const pair *variables;

static void start(const pair *env)
{
    static const sonde_options tracer = { .service = "unit" };

    variables = env;
    for (; env && env->key; env++)
        assert_int_equal(setenv(env->key, env->value, 1), 0);
    assert_status(sonde_test_start(&(sonde_test_options){ .tracer = &tracer }), SONDE_OK);
}

static void stop(void)
{
    sonde_test_stop();
    for (; variables && variables->key; variables++)
        assert_int_equal(unsetenv(variables->key), 0);
}

static void expect(const char *label, const sonde_test_span *span, const char *key,
                   const char *want)
{
    const char *wrong = sonde_test_expect_tag(span, key, want);

    if (wrong)
        fail_msg("%s: %s", label, wrong);
}

static void expect_all(const char *label, const sonde_test_span *span, const pair *tags)
{
    for (; tags->key; tags++)
        expect(label, span, tags->key, tags->value);
}

/* Of the carrier, once looked up by name and once listed. */
static sonde_str get(void *user, sonde_str name)
{
    const carrier *c = (const carrier *)user;
    int i;

    for (i = 0; i < c->len; i++)
        if (sonde_str_eq_nocase(sonde_str_from(c->row[i].name), name))
            return sonde_str_from(c->row[i].value);
    return (sonde_str){ NULL, 0 };
}

/* One request and its answer; what was sent of it. */
static const sonde_test_span *serve(sonde_http_request r, const sonde_http_response *answer)
{
    sonde_test_clear();
    sonde_http_server_finish(sonde_http_server_start(&r), answer);
    return sonde_test_at(0);
}

static void test_a_server_span_says_what_the_request_and_the_answer_say(void **state)
{
    static const pair tags[] = { { "http.method", "GET" },
                                 { "http.url", "https://h:8/users/42?<redacted>&b=2" },
                                 { "http.host", "h:8" },
                                 { "http.useragent", "curl/8" },
                                 { "http.status_code", "404" },
                                 { "http.route", "/users/{id}" },
                                 { "http.endpoint", NULL },
                                 { "http.client_ip", NULL },
                                 { "network.client.ip", NULL },
                                 { "span.kind", "server" },
                                 { "component", "unit" },
                                 { "error.message", NULL },
                                 { NULL, NULL } };
    carrier in = { .len = 0 };
    sonde_reader headers = { .each = each, .user = &in };
    const sonde_test_span *span;

    (void)state;
    put(&in, "Host", "h:8");
    put(&in, "User-Agent", "curl/8");
    put(&in, "x-datadog-trace-id", "7");
    put(&in, "x-datadog-parent-id", "9");
    start(NULL);
    span = serve((sonde_http_request){ .method = SONDE_STR("GET"),
                                       .url = SONDE_STR("/users/42?token=1&b=2"),
                                       .scheme = SONDE_STR("https"),
                                       .route = SONDE_STR("/users/{id}"),
                                       .peer_ip = SONDE_STR("1.2.3.4"),
                                       .component = SONDE_STR("unit"),
                                       .headers = &headers },
                 &(sonde_http_response){ .status = 404 });
    expect_all("server", span, tags);
    assert_string_equal(span->name, "web.request");
    assert_string_equal(span->type, "web");
    assert_string_equal(span->resource, "GET /users/{id}");
    assert_int_equal(span->trace_id_low, 7);
    assert_int_equal(span->parent_id, 9);
    assert_int_equal(span->error, 0);
    stop();
}

static void test_a_client_span_continues_the_trace_and_names_its_target(void **state)
{
    static const pair tags[] = { { "http.method", "POST" },
                                 { "http.url", "http://h:8/v1/orders/1234?a=b" },
                                 { "http.host", NULL },
                                 { "http.status_code", "404" },
                                 { "out.host", "h" },
                                 { "network.destination.name", "h" },
                                 { "network.destination.port", "8" },
                                 { "span.kind", "client" },
                                 { "error.type", "http_error" },
                                 { "error.message", "404: Not Found" },
                                 { NULL, NULL } };
    const sonde_test_span *parent, *span;
    sonde_span *call;
    carrier out = { .len = 0 };
    char id[24];

    (void)state;
    start(NULL);
    {
        SONDE_SPAN(work, "work");

        call = sonde_http_client_start(
            &(sonde_http_request){ .method = SONDE_STR("POST"),
                                   .url = SONDE_STR("http://me:secret@h:8/v1/orders/1234?a=b") },
            &(sonde_writer){ .set = add, .user = &out });
        sonde_http_client_finish(call, &(sonde_http_response){ .status = 404 });
    }
    parent = sonde_test_find("work");
    span = sonde_test_find("http.request");
    expect_all("client", span, tags);
    assert_null(sonde_test_expect_parent(span, parent));
    assert_string_equal(span->resource, "POST /v1/orders/{param:int}");
    assert_string_equal(span->type, "http");
    assert_int_equal(span->error, 1);
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)span->span_id);
    assert_header("client", &out, "x-datadog-parent-id", id);
    stop();
}

static void test_errors_by_status(void **state)
{
#define SERVER "DD_TRACE_HTTP_SERVER_ERROR_STATUSES"
#define CLIENT "DD_TRACE_HTTP_CLIENT_ERROR_STATUSES"
    static const struct {
        const char *label;
        pair env[2];
        bool client;
        int32_t status;
        int32_t error;
        const char *code, *message;
    } cases[] = {
        { "server, 500", { { NULL, NULL } }, false, 500, 1, "500", "500: Internal Server Error" },
        { "server, 499", { { NULL, NULL } }, false, 499, 0, "499", NULL },
        { "server, none", { { NULL, NULL } }, false, 0, 0, "200", NULL },
        { "server, none is one", { { SERVER, "0,500" } }, false, 0, 1, NULL, "0" },
        { "server, list", { { SERVER, "418" } }, false, 418, 1, "418", "418: I'm a teapot" },
        { "server, list without", { { SERVER, "418" } }, false, 500, 0, "500", NULL },
        { "server, bad list", { { SERVER, "4xx" } }, false, 599, 1, "599", "599" },
        { "server, the client's", { { CLIENT, "200" } }, false, 200, 0, "200", NULL },
        { "client, 400", { { NULL, NULL } }, true, 400, 1, "400", "400: Bad Request" },
        { "client, 500", { { NULL, NULL } }, true, 500, 0, "500", NULL },
        { "client, none", { { NULL, NULL } }, true, 0, 0, NULL, NULL },
        { "client, list",
          { { CLIENT, "500-599" } },
          true,
          503,
          1,
          "503",
          "503: Service Unavailable" },
        { "negative", { { NULL, NULL } }, false, -5, 0, NULL, NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_http_response answer = { .status = cases[i].status };
        const sonde_test_span *span;

        start(cases[i].env);
        if (cases[i].client)
            sonde_http_client_finish(sonde_http_client_start(NULL, NULL), &answer);
        else
            sonde_http_server_finish(sonde_http_server_start(NULL), &answer);
        span = sonde_test_at(0);
        if (span->error != cases[i].error)
            fail_msg("%s: error is %d", cases[i].label, (int)span->error);
        expect(cases[i].label, span, "http.status_code", cases[i].code);
        expect(cases[i].label, span, "error.message", cases[i].message);
        stop();
    }
}

static void test_what_the_program_said_of_an_error_stays(void **state)
{
    sonde_span *span;

    (void)state;
    start(NULL);
    span = sonde_http_client_start(NULL, NULL);
    sonde_span_error(span, "refused", "no funds");
    sonde_http_client_finish(span, &(sonde_http_response){ .status = 402 });
    expect("client", sonde_test_at(0), "error.type", "refused");
    expect("client", sonde_test_at(0), "error.message", "no funds");
    stop();
}

static void test_query_strings_follow_their_settings(void **state)
{
    static const struct {
        const char *label;
        pair env[2];
        const char *server, *client;
    } cases[] = {
        { "default", { { NULL, NULL } }, "http://h/p?<redacted>&q=1", "http://h/p?<redacted>&q=1" },
        { "disabled",
          { { "DD_TRACE_HTTP_URL_QUERY_STRING_DISABLED", "1" } },
          "http://h/p",
          "http://h/p" },
        { "not of clients",
          { { "DD_TRACE_HTTP_CLIENT_TAG_QUERY_STRING", "0" } },
          "http://h/p?<redacted>&q=1",
          "http://h/p" },
        { "own",
          { { "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", "q=." } },
          "http://h/p?token=1&<redacted>",
          "http://h/p?token=1&<redacted>" },
        { "own, bad",
          { { "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", "(" } },
          "http://h/p?<redacted>&q=1",
          "http://h/p?<redacted>&q=1" },
        { "as it is",
          { { "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", "" } },
          "http://h/p?token=1&q=1",
          "http://h/p?token=1&q=1" },
    };
    const sonde_http_request r = { .url = SONDE_STR("http://h/p?token=1&q=1") };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        start(cases[i].env);
        expect(cases[i].label, serve(r, NULL), "http.url", cases[i].server);
        sonde_test_clear();
        sonde_http_client_finish(sonde_http_client_start(&r, NULL), NULL);
        expect(cases[i].label, sonde_test_at(0), "http.url", cases[i].client);
        stop();
    }
}

static void test_requests_are_named_by_route_or_endpoint(void **state)
{
#define RENAME "DD_TRACE_RESOURCE_RENAMING_ENABLED"
#define ALWAYS "DD_TRACE_RESOURCE_RENAMING_ALWAYS_SIMPLIFIED_ENDPOINT"
    static const struct {
        const char *label;
        pair env[3];
        const char *early, *late; /* route */
        const char *resource, *route, *endpoint;
    } cases[] = {
        { "nothing known", { { NULL, NULL } }, NULL, NULL, "GET", NULL, NULL },
        { "route", { { NULL, NULL } }, "/a/{id}", NULL, "GET /a/{id}", "/a/{id}", NULL },
        { "late route", { { NULL, NULL } }, NULL, "/a/{id}", "GET /a/{id}", "/a/{id}", NULL },
        { "endpoint",
          { { RENAME, "1" } },
          NULL,
          NULL,
          "GET /a/{param:int}",
          NULL,
          "/a/{param:int}" },
        { "route before endpoint",
          { { RENAME, "1" } },
          "/a/{id}",
          NULL,
          "GET /a/{id}",
          "/a/{id}",
          NULL },
        { "late route for endpoint",
          { { RENAME, "1" } },
          NULL,
          "/a/{id}",
          "GET /a/{id}",
          "/a/{id}",
          NULL },
        { "always",
          { { RENAME, "1" }, { ALWAYS, "1" } },
          "/a/{id}",
          NULL,
          "GET /a/{id}",
          "/a/{id}",
          "/a/{param:int}" },
        { "always, late",
          { { RENAME, "1" }, { ALWAYS, "1" } },
          NULL,
          "/a/{id}",
          "GET /a/{id}",
          "/a/{id}",
          "/a/{param:int}" },
        { "always alone", { { ALWAYS, "1" } }, "/a/{id}", NULL, "GET /a/{id}", "/a/{id}", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const sonde_test_span *span;

        start(cases[i].env);
        span =
            serve((sonde_http_request){ .method = SONDE_STR("GET"),
                                        .url = SONDE_STR("/a/1234?b"),
                                        .route = sonde_str_from(cases[i].early) },
                  &(sonde_http_response){ .status = 200, .route = sonde_str_from(cases[i].late) });
        if (strcmp(span->resource, cases[i].resource) != 0)
            fail_msg("%s: resource %s", cases[i].label, span->resource);
        expect(cases[i].label, span, "http.route", cases[i].route);
        expect(cases[i].label, span, "http.endpoint", cases[i].endpoint);
        stop();
    }
}

static void test_headers_become_tags(void **state)
{
    static const pair env[] = { { "DD_TRACE_HEADER_TAGS",
                                  "X-One, x.two$ ,X-Three:three, y:a:b,:no,no:,, absent" },
                                { NULL, NULL } };
    static const pair tags[] = { { "http.request.headers.x-one", "1,2" },
                                 { "http.response.headers.x-one", "r" },
                                 { "http.request.headers.x_two_", "t" },
                                 { "three", "3" },
                                 { "b", "colon" },
                                 { "no", NULL },
                                 { "http.request.headers.absent", NULL },
                                 { NULL, NULL } };
    carrier in = { .len = 0 };
    carrier back = { .len = 0 };
    sonde_reader request = { .each = each, .user = &in };
    sonde_reader response = { .get = get, .user = &back };
    const sonde_test_span *span;

    (void)state;
    put(&in, "x-ONE", " 1");
    put(&in, "x-one", "2 ");
    put(&in, "X.Two$", "t");
    put(&in, "x-three", "3");
    put(&in, "y:a", "colon");
    put(&in, "no", "no");
    put(&back, "X-One", "r");
    start(env);
    span = serve((sonde_http_request){ .headers = &request },
                 &(sonde_http_response){ .status = 200, .headers = &response });
    expect_all("configured", span, tags);
    sonde__header_tags_set(SONDE_STR("x-three"));
    span = serve((sonde_http_request){ .headers = &request }, NULL);
    expect("replaced", span, "http.request.headers.x-three", "3");
    expect("replaced", span, "three", NULL);
    sonde__header_tags_set(SONDE_STR(""));
    span = serve((sonde_http_request){ .headers = &request }, NULL);
    expect("replaced by none", span, "three", NULL);
    sonde__header_tags_set((sonde_str){ NULL, 0 });
    span = serve((sonde_http_request){ .headers = &request }, NULL);
    expect("as configured again", span, "three", "3");
    stop();
}

static void test_lists_and_values_of_headers_have_a_ceiling(void **state)
{
    static char list[SONDE__HEADER_TAGS_ROOM + 100];
    static char value[2000];
    char room[SONDE__HEADER_TAGS_ROOM];
    carrier in = { .len = 0 };
    sonde_reader headers = { .each = each, .user = &in };

    (void)state;
    memset(list, 'a', sizeof(list) - 1);
    list[5] = list[1500] = ',';
    memset(value, 'v', sizeof(value) - 1);
    put(&in, "aaaaa", value);
    start(NULL);
    sonde__header_tags_set(sonde_str_from(list));
    assert_int_equal(sonde__header_tags(sonde__settings(), room).len, 1500);
    assert_int_equal(strlen(sonde_test_tag(serve((sonde_http_request){ .headers = &headers }, NULL),
                                           "http.request.headers.aaaaa")),
                     SONDE__HEADER_VALUE_MAX);
    sonde__header_tags_set((sonde_str){ NULL, 0 });
    stop();
}

static const struct {
    const char *label;
    pair env[2];
    pair headers[4];
    const char *peer;
    const char *want;
} ip_cases[] = {
    { "peer alone", { { NULL, NULL } }, { { NULL, NULL } }, "10.0.0.1", "10.0.0.1" },
    { "global", { { NULL, NULL } }, { { "X-Forwarded-For", "8.8.8.8" } }, "10.0.0.1", "8.8.8.8" },
    { "first global one",
      { { NULL, NULL } },
      { { "x-forwarded-for", "10.1.1.1, bad, 8.8.4.4,8.8.8.8" } },
      "1.1.1.1",
      "8.8.4.4" },
    { "local, local peer",
      { { NULL, NULL } },
      { { "x-forwarded-for", "10.1.1.1, 192.168.0.1" } },
      "127.0.0.1",
      "10.1.1.1" },
    { "local, global peer",
      { { NULL, NULL } },
      { { "x-forwarded-for", "10.1.1.1" } },
      "1.1.1.1",
      "1.1.1.1" },
    { "local, no peer", { { NULL, NULL } }, { { "x-real-ip", "10.1.1.1" } }, NULL, "10.1.1.1" },
    { "order of headers",
      { { NULL, NULL } },
      { { "cf-connecting-ip", "9.9.9.9" }, { "x-real-ip", "8.8.8.8" } },
      "1.1.1.1",
      "8.8.8.8" },
    { "global in a later header",
      { { NULL, NULL } },
      { { "x-forwarded-for", "10.0.0.5" }, { "true-client-ip", "8.8.8.8" } },
      "10.0.0.1",
      "8.8.8.8" },
    { "two lines",
      { { NULL, NULL } },
      { { "x-forwarded-for", "10.0.0.5" }, { "x-forwarded-for", "8.8.8.8" } },
      "10.0.0.1",
      "8.8.8.8" },
    { "ports", { { NULL, NULL } }, { { "x-forwarded-for", "8.8.8.8:443" } }, NULL, "8.8.8.8" },
    { "v6", { { NULL, NULL } }, { { "x-client-ip", "2001:4860::8888" } }, NULL, "2001:4860::8888" },
    { "v6, port",
      { { NULL, NULL } },
      { { "x-client-ip", "[2001:4860::8888]:443" } },
      NULL,
      "2001:4860::8888" },
    { "v6, local",
      { { NULL, NULL } },
      { { "x-forwarded-for", "fc01::1,fe80::1,fec0::1,::1,::ffff:10.0.0.1,2001:4860::1" } },
      NULL,
      "2001:4860::1" },
    { "shared space",
      { { NULL, NULL } },
      { { "x-forwarded-for", "100.65.0.1,100.127.0.1,100.128.0.1" } },
      NULL,
      "100.128.0.1" },
    { "private ranges",
      { { NULL, NULL } },
      { { "x-forwarded-for", "172.16.0.1,172.31.9.9,169.254.1.1,172.32.0.1" } },
      NULL,
      "172.32.0.1" },
    { "forwarded",
      { { NULL, NULL } },
      { { "Forwarded", "for=192.0.2.43;proto=https;by=203.0.113.43, For=\"[2001:db8::1]:80\"" } },
      NULL,
      "192.0.2.43" },
    { "forwarded, quoted v6",
      { { NULL, NULL } },
      { { "forwarded", "for=_hidden, for=\"[2001:4860::1]:4711\"" } },
      NULL,
      "2001:4860::1" },
    { "forwarded, syntax error",
      { { NULL, NULL } },
      { { "forwarded", "for=8.8.8.8, for=\"" } },
      "10.0.0.1",
      "10.0.0.1" },
    { "forwarded, no value",
      { { NULL, NULL } },
      { { "forwarded", "for=8.8.8.8;x" } },
      "10.0.0.1",
      "10.0.0.1" },
    { "only header",
      { { "DD_TRACE_CLIENT_IP_HEADER", "X-Mine" } },
      { { "x-forwarded-for", "8.8.8.8" }, { "x-mine", "9.9.9.9" } },
      NULL,
      "9.9.9.9" },
    { "only header, absent",
      { { "DD_TRACE_CLIENT_IP_HEADER", "X-Mine" } },
      { { "x-forwarded-for", "8.8.8.8" } },
      "1.1.1.1",
      "1.1.1.1" },
    { "nothing",
      { { NULL, NULL } },
      { { "x-forwarded-for", "unknown,1.2.3,1.2.3.4.5,[::1" } },
      "nobody",
      NULL },
};

static void test_the_clients_address_is_found(void **state)
{
    size_t i, k;

    (void)state;
    assert_int_equal(setenv("DD_TRACE_CLIENT_IP_ENABLED", "true", 1), 0);
    for (i = 0; i < COUNT_OF(ip_cases); i++) {
        carrier in = { .len = 0 };
        sonde_reader headers = { .each = each, .user = &in };
        const sonde_test_span *span;

        for (k = 0; k < 4 && ip_cases[i].headers[k].key; k++)
            put(&in, ip_cases[i].headers[k].key, ip_cases[i].headers[k].value);
        start(ip_cases[i].env);
        span = serve((sonde_http_request){ .headers = &headers,
                                           .peer_ip = sonde_str_from(ip_cases[i].peer) },
                     NULL);
        expect(ip_cases[i].label, span, "http.client_ip", ip_cases[i].want);
        if (ip_cases[i].peer && strcmp(ip_cases[i].peer, "nobody") != 0)
            expect(ip_cases[i].label, span, "network.client.ip", ip_cases[i].peer);
        stop();
    }
    assert_int_equal(unsetenv("DD_TRACE_CLIENT_IP_ENABLED"), 0);
}

static void test_a_user_is_told_on_the_root_and_travels_when_asked(void **state)
{
    static const pair tags[] = { { "usr.id", "me&you" },         { "usr.email", "me@h" },
                                 { "usr.role", "admin" },        { "usr.name", NULL },
                                 { "_dd.p.usr.id", "bWUmeW91" }, { NULL, NULL } };
    carrier in = { .len = 0 };
    carrier out = { .len = 0 };
    sonde_reader headers = { .each = each, .user = &in };
    sonde_span *root, *child;

    (void)state;
    put(&in, "x-datadog-trace-id", "7");
    put(&in, "x-datadog-parent-id", "9");
    put(&in, "x-datadog-sampling-priority", "2");
    put(&in, "x-datadog-tags", "_dd.p.usr.id=Ym9i,_dd.p.x=y");
    start(NULL);
    root = sonde_http_server_start(&(sonde_http_request){ .headers = &headers });
    sonde_span_activate(root);
    child = sonde_span_enter("child", NULL);
    inject(NULL, &out);
    assert_header("before", &out, "x-datadog-tags", "_dd.p.usr.id=Ym9i,_dd.p.x=y");
    sonde_span_set_user(child, &(sonde_user){ .id = "me&you", .email = "me@h", .propagate = 1 });
    sonde_span_set_user(root, &(sonde_user){ .role = "admin" });
    inject(NULL, &out);
    assert_header("after", &out, "x-datadog-tags", "_dd.p.usr.id=bWUmeW91,_dd.p.x=y");
    sonde_span_set_user(child, &(sonde_user){ .id = "me&you", .propagate = 1 });
    sonde_span_set_user(NULL, &(sonde_user){ .id = "nobody" });
    sonde_span_set_user(child, NULL);
    sonde_span_leave(child);
    sonde_span_leave(root);
    expect_all("root", sonde_test_find("web.request"), tags);
    expect("child", sonde_test_find("child"), "usr.id", NULL);
    stop();
}

static void test_ids_of_users_that_travel_have_a_ceiling(void **state)
{
    char id[152];
    sonde_counters before, after;
    sonde_span *span;
    carrier out;

    (void)state;
    memset(id, 'i', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    start(NULL);
    span = sonde_span_enter("root", NULL);
    sonde_counters_read(&before);
    sonde_span_set_user(span, &(sonde_user){ .id = id, .propagate = 1 });
    sonde_counters_read(&after);
    assert_int_equal(after.tags_dropped - before.tags_dropped, 1);
    inject(NULL, &out);
    assert_null(strstr(value_of(&out, "x-datadog-tags"), "usr.id"));
    sonde_span_set_user(span, &(sonde_user){ .id = id + 1, .propagate = 1 });
    inject(NULL, &out);
    assert_non_null(strstr(value_of(&out, "x-datadog-tags"), "_dd.p.usr.id=aWlp"));
    sonde_span_leave(span);
    expect("root", sonde_test_at(0), "usr.id", id + 1);
    stop();
}

/* One writer, which goes on until the reader has seen enough. */
static _Atomic bool enough;

static void *replace_lists(void *unused)
{
    static char lists[2][SONDE__HEADER_TAGS_ROOM];
    unsigned i;

    memset(lists[0], 'a', sizeof(lists[0]));
    memset(lists[1], 'b', sizeof(lists[1]));
    for (i = 0; !atomic_load(&enough); i++)
        sonde__header_tags_set((sonde_str){ lists[i % 2], i % 2 ? 700 : sizeof(lists[0]) });
    return unused;
}

static void test_a_list_that_is_being_replaced_is_read_whole(void **state)
{
    char room[SONDE__HEADER_TAGS_ROOM];
    pthread_t thread;
    int i;

    (void)state;
    start(NULL);
    assert_int_equal(pthread_create(&thread, NULL, replace_lists, NULL), 0);
    for (i = 0; i < 20000; i++) {
        sonde_str list = sonde__header_tags(sonde__settings(), room);

        if (list.len > 0)
            assert_int_equal(list.len, list.ptr[0] == 'a' ? sizeof(room) : 700);
        if (list.len > 0)
            assert_memory_equal(list.ptr, list.ptr + 1, list.len - 1); /* one letter */
    }
    atomic_store(&enough, true);
    (void)pthread_join(thread, NULL);
    sonde__header_tags_set((sonde_str){ NULL, 0 });
    stop();
}

static void test_without_a_tracer_and_without_an_answer_nothing_happens(void **state)
{
    sonde_span *span;

    (void)state;
    assert_null(sonde_http_server_start(NULL));
    assert_null(sonde_http_client_start(NULL, &(sonde_writer){ .set = add }));
    sonde_http_server_finish(NULL, &(sonde_http_response){ .status = 500 });
    sonde_http_client_finish(NULL, NULL);
    start(NULL);
    span = sonde_http_server_start(&(sonde_http_request){ .struct_bytes = 8 });
    sonde_http_server_finish(span, NULL);
    sonde_http_server_finish(span, &(sonde_http_response){ .status = 500 }); /* finished already */
    assert_int_equal(sonde_test_count(), 1);
    assert_string_equal(sonde_test_at(0)->resource, "web.request");
    expect("no answer", sonde_test_at(0), "http.status_code", NULL);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_span_says_what_the_request_and_the_answer_say),
        cmocka_unit_test(test_a_client_span_continues_the_trace_and_names_its_target),
        cmocka_unit_test(test_errors_by_status),
        cmocka_unit_test(test_what_the_program_said_of_an_error_stays),
        cmocka_unit_test(test_query_strings_follow_their_settings),
        cmocka_unit_test(test_requests_are_named_by_route_or_endpoint),
        cmocka_unit_test(test_headers_become_tags),
        cmocka_unit_test(test_lists_and_values_of_headers_have_a_ceiling),
        cmocka_unit_test(test_the_clients_address_is_found),
        cmocka_unit_test(test_a_user_is_told_on_the_root_and_travels_when_asked),
        cmocka_unit_test(test_ids_of_users_that_travel_have_a_ceiling),
        cmocka_unit_test(test_a_list_that_is_being_replaced_is_read_whole),
        cmocka_unit_test(test_without_a_tracer_and_without_an_answer_nothing_happens),
    };

    return cmocka_run_group_tests_name("http_span", tests, NULL, NULL);
}
