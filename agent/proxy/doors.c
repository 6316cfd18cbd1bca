/* doors.c - the table of doors, and what each adds to a request before it is passed on.
 *
 * Source   docs/spec/proxies.md, in its order.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "internal.h"
#include "vocab/headers.h"

#define HDR_ADDITIONAL_TAGS "X-Datadog-Additional-Tags"
#define EVP_TIMEOUT_NS      (UINT64_C(30) * SONDE_NS_PER_S)
#define DEFAULT_TIMEOUT_NS  (UINT64_C(5) * SONDE_NS_PER_S)
#define UUID_LEN            36

const door_path proxy_paths[] = {
    { "/profiling/v1/input", "/profiling/v1/input", DOOR_PROFILING },
    { "/telemetry/proxy/*", "/telemetry/proxy/", DOOR_TELEMETRY },
    { "/v0.1/pipeline_stats", "/v0.1/pipeline_stats", DOOR_PIPELINE },
    { "/openlineage/api/v1/lineage", "/openlineage/api/v1/lineage", DOOR_LINEAGE },
    { "/evp_proxy/v1/*", "/evp_proxy/v1/", DOOR_EVP },
    { "/evp_proxy/v2/*", "/evp_proxy/v2/", DOOR_EVP },
    { "/evp_proxy/v3/*", "/evp_proxy/v3/", DOOR_EVP },
    { "/evp_proxy/v4/*", "/evp_proxy/v4/", DOOR_EVP },
    { "/debugger/v1/input", "/debugger/v1/input", DOOR_DEBUGGER },
    { "/debugger/v1/diagnostics", "/debugger/v1/diagnostics", DOOR_DIAGNOSTICS },
    { "/debugger/v2/input", "/debugger/v2/input", DOOR_DIAGNOSTICS },
    { "/symdb/v1/input", "/symdb/v1/input", DOOR_SYMDB },
    { "/dogstatsd/v1/proxy", "/dogstatsd/v1/proxy", DOOR_STATSD },
    { "/dogstatsd/v2/proxy", "/dogstatsd/v2/proxy", DOOR_STATSD },
    { "/tracer_flare/v1", "/tracer_flare/v1", DOOR_FLARE },
};
const size_t proxy_paths_len = sizeof(proxy_paths) / sizeof(proxy_paths[0]);

const char *const proxy_evp_headers[] = {
    "Content-Type", "Accept-Encoding", "Content-Encoding", "User-Agent", "DD-CI-PROVIDER-NAME",
};
const size_t proxy_evp_headers_len = sizeof(proxy_evp_headers) / sizeof(proxy_evp_headers[0]);

/* ---- what a door adds ---- */

/* False: the request is not one this door takes. */
typedef bool (*prepare_fn)(const proxy *p, const http_request *request, sonde_str container,
                           outgoing *o);

static bool prepare_profiling(const proxy *p, const http_request *request, sonde_str container,
                              outgoing *o)
{
    outgoing_header(o, "Via", p->via);
    outgoing_header(o, HDR_ADDITIONAL_TAGS, p->profile_tags);
    outgoing_container_tags(o, p, container);
    outgoing_copy_all(o, request);
    return true;
}

static bool prepare_pipeline(const proxy *p, const http_request *request, sonde_str container,
                             outgoing *o)
{
    outgoing_header(o, "Via", p->via);
    outgoing_header(o, HDR_ADDITIONAL_TAGS, p->tags);
    outgoing_container_tags(o, p, container);
    outgoing_copy_all(o, request);
    return true;
}

static bool prepare_lineage(const proxy *p, const http_request *request, sonde_str container,
                            outgoing *o)
{
    outgoing_header(o, "Via", p->via);
    outgoing_container_tags(o, p, container);
    outgoing_copy_all(o, request);
    return true;
}

static bool prepare_flare(const proxy *p, const http_request *request, sonde_str container,
                          outgoing *o)
{
    (void)p, (void)container;
    outgoing_copy_all(o, request);
    return true;
}

static uint64_t evp_timeout_ns(const proxy *p)
{
    uint64_t ns = p->config->proxy.evp_timeout_ns;

    return ns ? ns : EVP_TIMEOUT_NS;
}

static void add_evp_headers(const proxy *p, const http_request *request, sonde_str container,
                            outgoing *o)
{
    char seconds[24];

    for (size_t i = 0; i < proxy_evp_headers_len; i++)
        outgoing_copy(o, request, proxy_evp_headers[i]);
    (void)snprintf(seconds, sizeof(seconds), "%llu",
                   (unsigned long long)(evp_timeout_ns(p) / SONDE_NS_PER_S));
    outgoing_header(o, "Via", p->via);
    outgoing_header(o, SONDE_HDR_CONTAINER_ID, container); /* even empty */
    outgoing_container_tags(o, p, container);
    outgoing_header(o, "X-Datadog-Hostname", p->config->hostname);
    outgoing_header(o, "X-Datadog-AgentDefaultEnv", p->agent_env);
    outgoing_header(o, "X-Datadog-Timeout", sonde_str_from(seconds));
    if (p->config->errors_only)
        outgoing_header(o, "X-Datadog-Error-Tracking-Standalone", SONDE_STR("true"));
}

static bool prepare_evp(const proxy *p, const http_request *request, sonde_str container,
                        outgoing *o)
{
    sonde_str path = http_request_path(request);
    sonde_str query = http_request_query_text(request);
    bool needs_app_key =
        sonde_str_eq(http_request_header(request, "X-Datadog-NeedsAppKey"), SONDE_STR("true"));

    path = sonde_str_sub(path, sizeof("/evp_proxy/v1") - 1, path.len);
    o->subdomain = http_request_header(request, "X-Datadog-EVP-Subdomain");
    if (!evp_subdomain_valid(o->subdomain) || !evp_path_valid(path) || !evp_query_valid(query) ||
        (needs_app_key && p->config->proxy.app_key.len == 0))
        return false;
    sonde_buf_append_str(&o->url, path);
    if (query.len) {
        sonde_buf_append_byte(&o->url, '?');
        sonde_buf_append_str(&o->url, query);
    }
    add_evp_headers(p, request, container, o);
    if (needs_app_key)
        outgoing_header(o, "DD-APPLICATION-KEY", p->config->proxy.app_key);
    return true;
}

/* ---- debugger and symbols ---- */

static void add_request_id(outgoing *o)
{
    uint64_t a = sonde_random_u64(), b = sonde_random_u64();
    char text[UUID_LEN + 1];

    (void)snprintf(text, sizeof(text), "%08llx-%04llx-4%03llx-%04llx-%012llx",
                   (unsigned long long)(a >> 32), (unsigned long long)(a >> 16 & 0xffff),
                   (unsigned long long)(a & 0xfff),
                   (unsigned long long)(0x8000 | (b >> 48 & 0x3fff)),
                   (unsigned long long)(b & 0xffffffffffff));
    outgoing_header(o, "DD-REQUEST-ID", sonde_str_from(text));
}

static void join(sonde_buf *out, sonde_str part)
{
    if (out->len && part.len)
        sonde_buf_append_byte(out, ',');
    sonde_buf_append_str(out, part);
}

/* The agent's tags, the container's, what the header adds, what the query says; cut at a whole character. */
static sonde_str join_tags(const proxy *p, const http_request *request, sonde_str container,
                           sonde_buf *out)
{
    sonde_str asked = { NULL, 0 }, all;
    origin_tags_text room;

    (void)http_request_query(request, "ddtags", &asked);
    join(out, p->tags);
    join(out, origin_tags(p->origin, container, room));
    join(out, http_request_header(request, HDR_ADDITIONAL_TAGS));
    join(out, asked);
    all = sonde_buf_str(out);
    all.len = sonde_utf8_cut(all, PROXY_TAGS_MAX_BYTES);
    return all;
}

/* The query without its ddtags. */
static void append_query_rest(sonde_buf *out, sonde_str query)
{
    while (query.len) {
        sonde_str pair = sonde_str_cut(&query, '&');

        if (pair.len == 0 || sonde_str_starts(pair, SONDE_STR("ddtags=")) ||
            sonde_str_eq(pair, SONDE_STR("ddtags")))
            continue;
        sonde_buf_append_str(out, pair);
        sonde_buf_append_byte(out, '&');
    }
}

static bool prepare_debugger(const proxy *p, const http_request *request, sonde_str container,
                             outgoing *o)
{
    sonde_buf tags;

    sonde_buf_init(&tags, 128u * 1024);
    sonde_buf_append_byte(&o->url, '?');
    append_query_rest(&o->url, http_request_query_text(request));
    sonde_buf_append_str(&o->url, SONDE_STR("ddtags="));
    append_query_value(&o->url, join_tags(p, request, container, &tags));
    add_request_id(o);
    outgoing_header(o, "DD-EVP-ORIGIN", SONDE_STR("agent-debugger"));
    outgoing_copy_all(o, request);
    sonde_buf_done(&tags);
    return true;
}

static bool prepare_symdb(const proxy *p, const http_request *request, sonde_str container,
                          outgoing *o)
{
    sonde_str query = http_request_query_text(request);
    sonde_buf tags;

    sonde_buf_init(&tags, 128u * 1024);
    if (query.len) {
        sonde_buf_append_byte(&o->url, '?');
        sonde_buf_append_str(&o->url, query);
    }
    add_request_id(o);
    outgoing_header(o, "DD-EVP-ORIGIN", SONDE_STR("agent-symdb"));
    outgoing_header(o, HDR_ADDITIONAL_TAGS, join_tags(p, request, container, &tags));
    outgoing_copy_all(o, request);
    sonde_buf_done(&tags);
    return true;
}

static const prepare_fn prepare[PROXY_DOORS] = {
    [DOOR_PROFILING] = prepare_profiling, [DOOR_PIPELINE] = prepare_pipeline,
    [DOOR_LINEAGE] = prepare_lineage,     [DOOR_EVP] = prepare_evp,
    [DOOR_DEBUGGER] = prepare_debugger,   [DOOR_DIAGNOSTICS] = prepare_debugger,
    [DOOR_SYMDB] = prepare_symdb,         [DOOR_FLARE] = prepare_flare,
};

static unsigned timeout_ms(const proxy *p, proxy_door which)
{
    uint64_t ns = p->config->receiver_timeout_ns;

    if (which == DOOR_EVP)
        ns = evp_timeout_ns(p);
    else if (which == DOOR_PROFILING)
        ns = p->config->proxy.profiling_timeout_ns;
    return (unsigned)((ns ? ns : DEFAULT_TIMEOUT_NS) / SONDE_NS_PER_MS);
}

/* ---- the way of a request ---- */

static http_result answer_text(http_response *response, unsigned status, const char *text)
{
    http_response_text(response, status, text);
    return HTTP_DONE;
}

/* Why a door leads nowhere. */
static http_result answer_off(proxy *p, proxy_door which, http_response *response)
{
    count_dropped(p, which, PROXY_OFF);
    if (which == DOOR_STATSD)
        return answer_text(response, 503,
                           "DogStatsD is not known: neither dogstatsd_port nor "
                           "dogstatsd_socket is set\n");
    if (!p->doors[which].disabled)
        return answer_text(response, 404, "not passed on: there is no api_key\n");
    switch (which) {
    case DOOR_PROFILING:
        return answer_text(response, 500, "Profile forwarder is OFF: no endpoint is configured\n");
    case DOOR_LINEAGE:
        return answer_text(response, 500,
                           "OpenLineage forwarder is OFF: Has been disabled in config\n");
    case DOOR_EVP:
        return answer_text(response, 405, "EVPProxy is disabled: Has been disabled in config\n");
    default:
        return answer_text(response, 404, "404 page not found\n");
    }
}

static bool is_off(const proxy *p, proxy_door which)
{
    const door *d = &p->doors[which];

    /* telemetry without a target is taken, so that tracers stay quiet */
    return d->disabled || (d->targets_len == 0 && which != DOOR_TELEMETRY);
}

/* Snapshots are logs: with logs switched off they are taken and thrown away. */
static bool is_unwanted_snapshot(const proxy *p, const door_path *row)
{
    const agent_config *c = p->config;

    return (row->door == DOOR_DEBUGGER ||
            sonde_str_eq(sonde_str_from(row->route), SONDE_STR("/debugger/v2/input"))) &&
           !c->proxy.logs_enabled && !c->proxy.debugger_logs_override &&
           !sonde_str_eq(config_origin(c, "logs_enabled"), SONDE_STR("default"));
}

static http_result pass_on(proxy *p, proxy_door which, http_request *request,
                           http_response *response)
{
    sonde_str method = http_request_method(request);
    char method_text[16] = "POST"; /* flares are posted, whatever came */
    relay_request what = { .door = which,
                           .method = method_text,
                           .timeout_ms = timeout_ms(p, which) };
    http_result result = HTTP_DONE;
    container_id room;
    outgoing o;

    if (which != DOOR_FLARE)
        (void)snprintf(method_text, sizeof(method_text), "%.*s", SONDE_STR_ARG(method));
    outgoing_init(&o);
    what.out = &o;
    if (prepare[which](p, request, origin_container_id(p->origin, request, room), &o)) {
        result = relay(p, &what, request, response);
    } else {
        response->status = 502;
        count_dropped(p, which, PROXY_INVALID);
    }
    outgoing_done(&o);
    return result;
}

http_result serve_door(void *user, http_request *request, http_response *response)
{
    const bound_path *b = user;
    proxy *p = b->p;
    proxy_door which = b->row->door;
    proxy_counters *c = &p->doors[which].counters;

    count_add(&c->received, 1);
    if (atomic_load_explicit(&p->stopped, memory_order_relaxed)) {
        count_dropped(p, which, PROXY_CLOSING);
        return answer_text(response, 503, "shutting down\n");
    }
    if (is_unwanted_snapshot(p, b->row)) {
        count_add(&c->discarded, 1);
        return HTTP_DONE;
    }
    if (is_off(p, which))
        return answer_off(p, which, response);
    if (which == DOOR_TELEMETRY)
        return telemetry_take(p, request, response);
    if (which == DOOR_STATSD)
        return statsd_take(p, request, response);
    return pass_on(p, which, request, response);
}

static http_result answer_busy(proxy_door which, http_response *response)
{
    if (which != DOOR_TELEMETRY)
        return answer_text(response, 503, "too many requests in flight\n");
    response->status = 429;
    response->content_type = "application/json";
    response->static_body = SONDE_STR("{}");
    return HTTP_DONE;
}

http_result refuse_door(void *user, http_request *request, http_response *response)
{
    const bound_path *b = user;

    (void)request;
    count_add(&b->p->doors[b->row->door].counters.received, 1);
    count_dropped(b->p, b->row->door, PROXY_BUSY);
    return answer_busy(b->row->door, response);
}

/* Instead of 413. */
static void answer_too_big(proxy_door which, http_response *response)
{
    if (which == DOOR_TELEMETRY) {
        (void)answer_busy(which, response);
    } else if (which == DOOR_EVP) {
        response->status = 502;
        response->content_type = NULL;
    } else {
        return;
    }
    sonde_buf_reset(&response->body);
}

void lose_body(void *user, http_request *request)
{
    const bound_path *b = user;
    sonde_status why = http_request_body_status(request);

    count_add(&b->p->doors[b->row->door].counters.received, 1);
    count_dropped(b->p, b->row->door,
                  why == SONDE_ERR_TOO_BIG ? PROXY_TOO_BIG
                  : why == SONDE_ERR_FULL  ? PROXY_BUSY
                                           : PROXY_LOST);
    if (why == SONDE_ERR_TOO_BIG)
        answer_too_big(b->row->door, http_later_response(request));
}

size_t door_max_body_bytes(const proxy *p, proxy_door which)
{
    switch (which) {
    case DOOR_PROFILING:
        return (size_t)p->config->proxy.profiling_max_bytes;
    case DOOR_TELEMETRY:
        return p->telemetry.max_bytes;
    case DOOR_EVP:
        return (size_t)p->config->proxy.evp_max_bytes;
    default:
        return (size_t)p->config->max_payload_bytes;
    }
}
