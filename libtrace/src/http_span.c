/* http_span.c - <sonde/http.h>: what a request and its answer say about a span.
 *
 * Source: docs/spec/http-spans.md. */
#include "sonde/http.h"

#include <stdio.h>
#include <string.h>

#include "base/format.h"
#include "vocab/tags.h"

#include "client_ip.h"
#include "header_tags.h"
#include "http_url.h"
#include "span.h"
#include "statuses.h"
#include "tracer.h"

#define METHOD_MAX_BYTES     32
#define USER_AGENT_MAX_BYTES 512
#define ROUTE_MAX_BYTES      512

/* What this library was compiled with and the program was not is zero. */
static sonde_http_request take_request(const sonde_http_request *given)
{
    sonde_http_request r = { 0 };
    size_t bytes = sizeof(r);

    if (given && given->struct_bytes > 0 && given->struct_bytes < bytes)
        bytes = given->struct_bytes;
    if (given)
        memcpy(&r, given, bytes);
    return r;
}

static sonde_http_response take_response(const sonde_http_response *given)
{
    sonde_http_response r = { 0 };
    size_t bytes = sizeof(r);

    if (given && given->struct_bytes > 0 && given->struct_bytes < bytes)
        bytes = given->struct_bytes;
    if (given)
        memcpy(&r, given, bytes);
    return r;
}

static void set(sonde_span *span, const char *key, sonde_str value, size_t max)
{
    if (value.len > 0)
        sonde_span_set_str_n(span, sonde_str_from(key),
                             sonde_str_sub(value, 0, sonde_utf8_cut(value, max)));
}

static void keep_first(void *user, sonde_str value)
{
    sonde_str *to = (sonde_str *)user;

    if (to->len == 0)
        *to = sonde_str_trim(value);
}

static sonde_str header(const sonde_reader *headers, const char *name)
{
    sonde_str value = { NULL, 0 };

    sonde__each_value(headers, sonde_str_from(name), keep_first, &value);
    return value;
}

static void set_headers(sonde_span *span, const sonde_reader *headers, bool is_response)
{
    char room[SONDE__HEADER_TAGS_ROOM];

    if (headers)
        sonde__header_tags_put(span, sonde__header_tags(sonde__settings(), room), headers,
                               is_response);
}

/* "GET /users/{id}"; the method alone when there is no better name. */
static void set_resource(sonde_span *span, sonde_str method, sonde_str name)
{
    char text[METHOD_MAX_BYTES + 1 + ROUTE_MAX_BYTES];
    size_t len = method.len < METHOD_MAX_BYTES ? method.len : METHOD_MAX_BYTES;

    if (len == 0)
        return;
    memcpy(text, method.ptr, len);
    if (name.len > 0) {
        text[len++] = ' ';
        name.len = sonde_utf8_cut(name, ROUTE_MAX_BYTES);
        memcpy(text + len, name.ptr, name.len);
        len += name.len;
    }
    sonde_span_set_resource_n(span, (sonde_str){ text, len });
}

static void set_url(sonde_span *span, const sonde__http_url *url, bool query)
{
    char text[SONDE__HTTP_URL_MAX_BYTES];
    const sonde__config *c = sonde__settings();
    sonde__query_rule rule = { .secrets = c->query_pattern };
    size_t len;

    if (!query || c->query_left_out)
        rule.mode = SONDE__QUERY_LEFT_OUT;
    else if (c->query_regexp.len == 0)
        rule.mode = SONDE__QUERY_AS_IT_IS;
    len = sonde__http_url_write(url, rule, text);
    set(span, "http.url", (sonde_str){ text, len }, len);
}

/* -- server --------------------------------------------------------------------------------------- */

typedef struct ip_look {
    sonde__client_ip *found;
    bool is_forwarded;
} ip_look;

static void look_at_value(void *user, sonde_str value)
{
    const ip_look *l = (const ip_look *)user;

    sonde__client_ip_look(l->found, l->is_forwarded, value);
}

static void look_at_header(sonde__client_ip *found, const sonde_reader *headers, sonde_str name)
{
    ip_look l = { found, sonde_str_eq_nocase(name, SONDE_STR("forwarded")) };

    sonde__each_value(headers, name, look_at_value, &l);
}

static void set_client_ip(sonde_span *span, const sonde_http_request *r)
{
    const sonde__config *c = sonde__settings();
    const sonde__client_ip none = { .is_global = false };
    sonde__client_ip found = none;
    size_t i;

    if (!c->client_ip)
        return;
    if (c->client_ip_header.len > 0)
        look_at_header(&found, r->headers, c->client_ip_header);
    for (i = 0; c->client_ip_header.len == 0 && sonde__client_ip_headers[i] && !found.is_global;
         i++)
        look_at_header(&found, r->headers, sonde_str_from(sonde__client_ip_headers[i]));
    set(span, "network.client.ip", sonde__client_ip_choose(&none, r->peer_ip), SONDE__IP_MAX_BYTES);
    set(span, "http.client_ip", sonde__client_ip_choose(&found, r->peer_ip), SONDE__IP_MAX_BYTES);
}

/* The route, else the endpoint when that is wanted: in the tags and in the resource. */
static void name_server_span(sonde_span *span, sonde_str method, sonde_str route, sonde_str path)
{
    const sonde__config *c = sonde__settings();
    char room[SONDE__ENDPOINT_MAX_BYTES];
    sonde_str endpoint = { room, 0 };

    if (c->resource_renaming && (route.len == 0 || c->always_endpoint))
        endpoint.len = sonde__http_endpoint(path, room);
    set(span, "http.route", route, ROUTE_MAX_BYTES);
    set(span, "http.endpoint", endpoint, sizeof(room));
    set_resource(span, method, route.len > 0 ? route : endpoint);
}

static sonde_span *start_server_span(const sonde_http_request *r)
{
    sonde_context *context = r->headers ? sonde_extract(r->headers) : NULL;
    sonde_span *span = sonde_span_start(
        "web.request",
        &(sonde_span_options){ .type = "web", .context = context, .new_trace = context == NULL });

    sonde_context_release(context);
    return span;
}

sonde_span *sonde_http_server_start(const sonde_http_request *request)
{
    sonde_http_request r = take_request(request);
    sonde_span *span = start_server_span(&r);
    sonde__http_url url;

    if (!sonde__span_open(span))
        return span;
    sonde__http_url_split(r.url, &url);
    if (r.scheme.len > 0)
        url.scheme = r.scheme;
    if (r.host.len > 0)
        url.host = r.host;
    else if (url.host.len == 0)
        url.host = header(r.headers, "host");
    sonde_span_set_kind(span, SONDE_KIND_SERVER);
    set(span, "component", r.component, 100);
    set(span, "http.method", r.method, METHOD_MAX_BYTES);
    set_url(span, &url, true);
    set(span, "http.host", url.host, 255);
    set(span, "http.useragent", header(r.headers, "user-agent"), USER_AGENT_MAX_BYTES);
    name_server_span(span, r.method, r.route, url.path);
    set_client_ip(span, &r);
    set_headers(span, r.headers, false);
    return span;
}

/* -- client --------------------------------------------------------------------------------------- */

static void inject(const sonde_span *span, const sonde_writer *writer)
{
    sonde_context *context = writer ? sonde_context_of_span(span) : NULL;

    if (context)
        sonde_inject(context, writer);
    sonde_context_release(context);
}

static void set_target(sonde_span *span, const sonde__http_url *url)
{
    uint32_t port;
    sonde_str host = sonde__http_host(url, &port);

    if (host.len == 0)
        return;
    set(span, "out.host", host, 255);
    set(span, "network.destination.name", host, 255);
    if (port > 0)
        sonde_span_set_int(span, "network.destination.port", port);
}

sonde_span *sonde_http_client_start(const sonde_http_request *request, const sonde_writer *writer)
{
    sonde_http_request r = take_request(request);
    sonde_span *span = sonde_span_start("http.request", &(sonde_span_options){ .type = "http" });
    char room[SONDE__ENDPOINT_MAX_BYTES];
    sonde__http_url url;

    if (!sonde__span_open(span))
        return span;
    sonde__http_url_split(r.url, &url);
    sonde_span_set_kind(span, SONDE_KIND_CLIENT);
    set(span, "component", r.component, 100);
    set(span, "http.method", r.method, METHOD_MAX_BYTES);
    set_url(span, &url, sonde__settings()->client_query);
    set_target(span, &url);
    set_resource(span, r.method, (sonde_str){ room, sonde__http_endpoint(url.path, room) });
    inject(span, writer);
    set_headers(span, r.headers, false);
    return span;
}

/* -- the answer ----------------------------------------------------------------------------------- */

static const char *reason_of(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *reason;
    } reasons[] = {
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 418, "I'm a teapot" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    size_t i;

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

/* What the program said about the error stays. */
static void set_error(sonde_span *span, uint32_t status, bool is_client)
{
    const char *reason = reason_of(status);
    char text[64];

    sonde_span_set_bool(span, "error", 1);
    if (is_client && sonde_span_get_str(span, SONDE_TAG_ERROR_TYPE, NULL, 0) < 0)
        sonde_span_set_str(span, SONDE_TAG_ERROR_TYPE, "http_error");
    if (sonde_span_get_str(span, SONDE_TAG_ERROR_MESSAGE, NULL, 0) >= 0)
        return;
    (void)snprintf(text, sizeof(text), "%u%s%s", (unsigned)status, *reason ? ": " : "", reason);
    sonde_span_set_str(span, SONDE_TAG_ERROR_MESSAGE, text);
}

static void set_status(sonde_span *span, int32_t status, sonde_str errors, bool is_client)
{
    bool is_error = status >= 0 && sonde__statuses_have(errors, (uint32_t)status);

    if (status == 0 && !is_client && !is_error)
        status = 200;
    if (status > 0)
        sonde_span_set_int(span, SONDE_TAG_HTTP_STATUS_CODE, status);
    if (is_error)
        set_error(span, (uint32_t)status, is_client);
}

/* A route that became known after the start takes the endpoint's place. */
static void set_late_route(sonde_span *span, sonde_str route)
{
    char method[METHOD_MAX_BYTES + 1];
    int64_t len = sonde_span_get_str(span, "http.method", method, sizeof(method));

    set(span, "http.route", route, ROUTE_MAX_BYTES);
    if (!sonde__settings()->always_endpoint)
        sonde_span_remove(span, "http.endpoint");
    set_resource(span, (sonde_str){ method, len > 0 ? (size_t)len : 0 }, route);
}

void sonde_http_server_finish(sonde_span *span, const sonde_http_response *response)
{
    sonde_http_response r = take_response(response);

    if (response && sonde__span_open(span)) {
        if (r.route.len > 0)
            set_late_route(span, r.route);
        set_status(span, r.status, sonde__settings()->server_errors, false);
        set_headers(span, r.headers, true);
    }
    sonde_span_finish(span);
}

void sonde_http_client_finish(sonde_span *span, const sonde_http_response *response)
{
    sonde_http_response r = take_response(response);

    if (response && sonde__span_open(span)) {
        set_status(span, r.status, sonde__settings()->client_errors, true);
        set_headers(span, r.headers, true);
    }
    sonde_span_finish(span);
}
