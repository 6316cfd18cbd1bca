/* proxy.c - opening, closing, routes and counters of the doors. */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "internal.h"
#include "vocab/headers.h"

#define TEXT_MAX_BYTES (256u * 1024)

void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void count_dropped(proxy *p, proxy_door which, proxy_reason why)
{
    count_add(&p->doors[which].counters.dropped[why], 1);
}

static proxy_reason reason_of(sonde_status status)
{
    switch (status) {
    case SONDE_ERR_TIMEOUT:
        return PROXY_TIMEOUT;
    case SONDE_ERR_CLOSED:
        return PROXY_CLOSING;
    case SONDE_ERR_FULL:
        return PROXY_BUSY;
    case SONDE_ERR_NOMEM:
        return PROXY_NO_MEMORY;
    default:
        return PROXY_FAILED;
    }
}

void count_answer(proxy *p, proxy_door which, const http_curl_answer *answer, size_t body_bytes)
{
    proxy_counters *c = &p->doors[which].counters;

    atomic_fetch_sub_explicit(&c->held, 1, memory_order_relaxed);
    if (answer->status != SONDE_OK) {
        count_dropped(p, which, reason_of(answer->status));
        return;
    }
    count_add(&c->passed_on, 1);
    count_add(&c->bytes_sent, body_bytes);
    if (answer->http_status >= 500)
        count_add(&c->errors_5xx, 1);
    else if (answer->http_status >= 400)
        count_add(&c->errors_4xx, 1);
}

/* The target's address with the subdomain and what comes behind. */
static void append_url(sonde_buf *out, const target *to, const outgoing *o)
{
    size_t at;

    if (o->subdomain.len && sonde_str_find(to->url, SONDE_STR("://"), &at)) {
        sonde_buf_append_str(out, sonde_str_sub(to->url, 0, at + 3));
        sonde_buf_append_str(out, o->subdomain);
        sonde_buf_append_byte(out, '.');
        sonde_buf_append_str(out, sonde_str_sub(to->url, at + 3, to->url.len));
    } else {
        sonde_buf_append_str(out, to->url);
    }
    sonde_buf_append_str(out, sonde_buf_str(&o->url));
}

static void add_key(outgoing *o, proxy_door which, sonde_str key)
{
    char bearer[512];

    if (which != DOOR_LINEAGE) {
        outgoing_header(o, "DD-API-KEY", key);
        return;
    }
    (void)snprintf(bearer, sizeof(bearer), "Bearer %.*s", SONDE_STR_ARG(key));
    outgoing_header(o, "Authorization", sonde_str_from(bearer));
}

sonde_status send_to(proxy *p, proxy_door which, const target *to, outgoing *o,
                     http_curl_request *request)
{
    const char *lines[PROXY_HEADERS_MAX + 1];
    size_t len = o->len, bytes = o->lines.len;
    sonde_status status;
    sonde_buf url;

    if (len > PROXY_HEADERS_MAX - 2) { /* the key has its place, and what libcurl is kept from */
        len = PROXY_HEADERS_MAX - 2;
        o->len = len;
    }
    sonde_buf_init(&url, 64u * 1024);
    append_url(&url, to, o);
    add_key(o, which, to->api_key);
    outgoing_suppress(o, "Accept:");
    status = outgoing_lines(o, lines);
    if (status == SONDE_OK)
        status = url.status;
    if (status == SONDE_OK) {
        request->url = sonde_buf_cstr(&url);
        request->headers = lines;
        status = http_curl_send(p->curl, request);
    }
    o->len = len;
    o->lines.len = bytes;
    sonde_buf_done(&url);
    return status;
}

/* ---- opening and closing ---- */

static int by_text(const void *a, const void *b)
{
    return sonde_str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static sonde_status make_tags(proxy *p)
{
    const config_list *more = &p->config->proxy.profile_tags;
    sonde_str *sorted = sonde_arena_alloc(&p->text, (more->len + 1) * sizeof(*sorted));
    sonde_buf text;
    sonde_status status;

    if (!sorted)
        return SONDE_ERR_NOMEM;
    sonde_buf_init(&text, TEXT_MAX_BYTES / 4);
    sonde_buf_printf(&text, "trace-agent %s", p->agent_version);
    p->via = sonde_arena_copy(&p->text, sonde_buf_str(&text));
    text.len = 0;
    sonde_buf_printf(&text, "host:%.*s,default_env:%.*s,agent_version:%s",
                     SONDE_STR_ARG(p->config->hostname), SONDE_STR_ARG(p->agent_env),
                     p->agent_version);
    p->tags = sonde_arena_copy(&p->text, sonde_buf_str(&text));
    if (more->len) {
        memcpy(sorted, more->items, more->len * sizeof(*sorted));
        qsort(sorted, more->len, sizeof(*sorted), by_text);
    }
    for (size_t i = 0; i < more->len; i++)
        sonde_buf_printf(&text, ",%.*s", SONDE_STR_ARG(sorted[i]));
    p->profile_tags = sonde_arena_copy(&p->text, sonde_buf_str(&text));
    status = text.status;
    sonde_buf_done(&text);
    return status == SONDE_OK && p->via.ptr && p->tags.ptr && p->profile_tags.ptr ? SONDE_OK
                                                                                  : SONDE_ERR_NOMEM;
}

/* No thread and no memory when no door leads anywhere. */
static sonde_status open_curl(proxy *p, sonde_error *out_error)
{
    size_t most = 0;

    for (int i = 0; i < PROXY_DOORS; i++) {
        if (i != DOOR_STATSD && p->doors[i].targets_len > most)
            most = p->doors[i].targets_len;
    }
    if (most == 0)
        return SONDE_OK;
    return http_curl_open(
        &(http_curl_options){ .name = "agent-proxy",
                              .max_in_flight =
                                  (unsigned)(most * (PROXY_RELAYS_MAX + TELEMETRY_SENDERS)),
                              .max_per_host = TELEMETRY_SENDERS,
                              .egress = p->config->egress },
        &p->curl, out_error);
}

sonde_status proxy_open(const proxy_options *options, proxy **out_proxy, sonde_error *out_error)
{
    proxy *p = sonde_calloc(1, sizeof(*p));
    sonde_status status;

    if (!p)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "proxies");
    p->config = config_get(options->config);
    p->agent_version = options->agent_version;
    p->origin = options->origin;
    p->timings = options->timings;
    p->local_url = options->local_url;
    sonde_arena_init(&p->text, TEXT_MAX_BYTES);
    telemetry_init(&p->telemetry, p->config->memory_limit_bytes);
    p->agent_env = sonde_arena_copy(&p->text, options->agent_env);
    status = make_tags(p);
    if (status == SONDE_OK)
        status = targets_find(p);
    if (status != SONDE_OK)
        (void)sonde_fail(out_error, status, "proxies");
    else
        status = open_curl(p, out_error);
    if (status != SONDE_OK) {
        proxy_close(p);
        return status;
    }
    *out_proxy = p;
    return SONDE_OK;
}

void proxy_stop(proxy *p, uint64_t deadline_mono_ns)
{
    uint64_t soon = sonde_deadline(sonde_mono_ns(), PROXY_STOP_NS);

    if (!p)
        return;
    atomic_store_explicit(&p->stopped, true, memory_order_relaxed);
    telemetry_await(p, deadline_mono_ns < soon ? deadline_mono_ns : soon);
}

void proxy_close(proxy *p)
{
    if (!p)
        return;
    http_curl_close(p->curl, 0);
    telemetry_done(&p->telemetry);
    sonde_arena_done(&p->text);
    config_put(p->config);
    sonde_free(p);
}

/* ---- what others see ---- */

size_t proxy_routes(proxy *p, http_route out[PROXY_ROUTES_MAX])
{
    for (size_t i = 0; i < proxy_paths_len; i++) {
        const door_path *row = &proxy_paths[i];

        p->bound[i] = (bound_path){ p, row };
        out[i] = (http_route){ .path = row->route,
                               .handle = serve_door,
                               .refuse = refuse_door,
                               .max_body_bytes = door_max_body_bytes(p, row->door),
                               .user = &p->bound[i],
                               .lost = lose_body };
    }
    return proxy_paths_len;
}

size_t proxy_listed(const proxy *p, const char *out[PROXY_ROUTES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < proxy_paths_len; i++) {
        const door *d = &p->doors[proxy_paths[i].door];

        if (d->targets_len && !d->disabled)
            out[len++] = proxy_paths[i].listed;
    }
    return len;
}

size_t proxy_targets(const proxy *p, proxy_door which, proxy_target out[PROXY_TARGETS_MAX])
{
    const door *d = &p->doors[which];

    if (d->disabled)
        return 0;
    for (size_t i = 0; i < d->targets_len; i++)
        out[i] = (proxy_target){ d->targets[i].url, d->targets[i].api_key };
    return d->targets_len;
}

sonde_str proxy_via(const proxy *p)
{
    return p->via;
}

sonde_str proxy_profile_tags(const proxy *p)
{
    return p->profile_tags;
}

const proxy_counters *proxy_read_counters(const proxy *p, proxy_door which)
{
    return &p->doors[which].counters;
}

static void put_dropped(sonde_json_writer *w, const _Atomic uint64_t *dropped)
{
    static const char *const names[] = {
#define X(name, text) text,
        PROXY_REASON_MAP(X)
#undef X
    };

    sonde_json_key(w, SONDE_STR("dropped"));
    sonde_json_begin_object(w);
    for (int i = 0; i < PROXY_REASONS; i++)
        sonde_json_put_counter(w, names[i], &dropped[i]);
    sonde_json_end_object(w);
}

static void put_door(sonde_json_writer *w, const door *d)
{
    const proxy_counters *c = &d->counters;

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "targets", d->disabled ? 0 : d->targets_len);
    sonde_json_put_counter(w, "received", &c->received);
    sonde_json_put_counter(w, "passed_on", &c->passed_on);
    sonde_json_put_counter(w, "discarded", &c->discarded);
    put_dropped(w, c->dropped);
    sonde_json_put_counter(w, "held", &c->held);
    sonde_json_put_counter(w, "bytes_sent", &c->bytes_sent);
    sonde_json_put_counter(w, "errors_4xx", &c->errors_4xx);
    sonde_json_put_counter(w, "errors_5xx", &c->errors_5xx);
    sonde_json_put_counter(w, "copies_failed", &c->copies_failed);
    sonde_json_end_object(w);
}

void proxy_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const names[] = {
#define X(name, text) text,
        PROXY_DOOR_MAP(X)
#undef X
    };
    const proxy *p = arg;

    sonde_json_begin_object(w);
    for (int i = 0; i < PROXY_DOORS; i++) {
        sonde_json_key(w, sonde_str_from(names[i]));
        put_door(w, &p->doors[i]);
    }
    sonde_json_end_object(w);
}
