/* otlp.c - life, addresses and counters of the OTLP receiver. */
#include "internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "net/socket.h"

/* The last reference goes with the last payload that keeps a body. */
void otlp_put(otlp *o)
{
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    config_put(o->config);
    sonde_free(o);
}

/* "host:port" or "[address]:port". */
static bool split_endpoint(sonde_str endpoint, sonde_str *host, sonde_str *port)
{
    size_t colon = endpoint.len;

    while (colon > 0 && endpoint.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    *host = sonde_str_sub(endpoint, 0, colon - 1);
    *port = sonde_str_sub(endpoint, colon, endpoint.len);
    if (host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']')
        *host = sonde_str_sub(*host, 1, host->len - 2);
    return true;
}

sonde_status otlp_listen(sonde_str endpoint, int *out_fd, sonde_error *out_error)
{
    sonde_str host, port;
    uint64_t number = 0;
    char text[256];

    if (!split_endpoint(endpoint, &host, &port) || host.len >= sizeof(text) ||
        sonde_parse_u64(port, &number) != SONDE_OK || number > 65535)
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "otlp_config: an endpoint is host:port, not \"%.*s\"", (int)endpoint.len,
                          endpoint.ptr);
    if (host.len == 0)
        host = SONDE_STR("0.0.0.0");
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return sonde_listen_tcp(text, (uint16_t)number, out_fd, out_error);
}

static size_t default_budget(const agent_config *c)
{
    uint64_t share = c->memory_limit_bytes / 8;

    return (size_t)(share > c->max_payload_bytes ? share : c->max_payload_bytes);
}

static void log_start(const agent_config *c)
{
    if (c->otlp_http_endpoint.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "OTLP: listening on http://%.*s",
                         SONDE_STR_ARG(c->otlp_http_endpoint));
    if (c->otlp_grpc_endpoint.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "OTLP: listening on grpc://%.*s",
                         SONDE_STR_ARG(c->otlp_grpc_endpoint));
}

sonde_status otlp_open(const otlp_options *options, otlp **out_otlp, sonde_error *out_error)
{
    const agent_config *c = options->config;
    sonde_status status = SONDE_OK;
    otlp *o;

    *out_otlp = NULL;
    if (c->otlp_http_endpoint.len == 0 && c->otlp_grpc_endpoint.len == 0)
        return SONDE_OK;
    o = sonde_calloc(1, sizeof(*o));
    if (!o)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "otlp");
    atomic_store_explicit(&o->refs, 1, memory_order_relaxed);
    o->config = config_get(options->config);
    o->sink = options->sink;
    o->origin = options->origin;
    o->rate = c->otlp_percentage / 100;
    o->budget_bytes = options->budget_bytes ? options->budget_bytes : default_budget(c);
    if (c->otlp_http_endpoint.len)
        status = otlp_serve_http(o, out_error);
    if (status == SONDE_OK && c->otlp_grpc_endpoint.len)
        status = otlp_serve_grpc(o, out_error);
    if (status != SONDE_OK) {
        otlp_close(o, 0);
        return status;
    }
    log_start(c);
    *out_otlp = o;
    return SONDE_OK;
}

void otlp_stop(otlp *o)
{
    if (o)
        atomic_store_explicit(&o->stopped, true, memory_order_relaxed);
}

void otlp_drain(otlp *o, uint64_t deadline_mono_ns)
{
    if (!o)
        return;
    grpc_server_drain(o->grpc, deadline_mono_ns);
    http_server_drain(o->http, deadline_mono_ns);
    otlp_stop(o);
}

void otlp_close(otlp *o, uint64_t deadline_mono_ns)
{
    if (!o)
        return;
    otlp_drain(o, deadline_mono_ns);
    grpc_server_close(o->grpc, deadline_mono_ns);
    http_server_close(o->http, deadline_mono_ns);
    otlp_put(o);
}

uint16_t otlp_http_port(const otlp *o)
{
    return o->http_port;
}

uint16_t otlp_grpc_port(const otlp *o)
{
    return o->grpc_port;
}

const otlp_counters *otlp_read_counters(const otlp *o)
{
    return &o->counters;
}

static void put_reasons(sonde_json_writer *w, const _Atomic uint64_t *counters)
{
    static const char *const names[] = {
#define X(name, text) text,
        OTLP_REASON_MAP(X)
#undef X
    };

    sonde_json_key(w, SONDE_STR("requests_dropped"));
    sonde_json_begin_object(w);
    for (int i = 0; i < OTLP_REASONS; i++)
        sonde_json_put_counter(w, names[i], &counters[i]);
    sonde_json_end_object(w);
}

static void put_http(sonde_json_writer *w, const otlp *o)
{
    const http_server_counters *c = http_server_read_counters(o->http);

    sonde_json_key(w, SONDE_STR("http"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "port", o->http_port);
    sonde_json_put_counter(w, "requests", &c->requests);
    sonde_json_put_counter(w, "connections", &c->connections);
    sonde_json_put_counter(w, "body_bytes", &c->body_bytes);
    sonde_json_put_counter(w, "budget_used_bytes", &c->budget_used_bytes);
    sonde_json_put_counter(w, "not_found", &c->not_found);
    sonde_json_put_counter(w, "refused_head", &c->refused_head);
    sonde_json_put_counter(w, "read_timeouts", &c->read_timeouts);
    sonde_json_put_counter(w, "aborted", &c->aborted);
    sonde_json_end_object(w);
}

static void put_grpc(sonde_json_writer *w, const otlp *o)
{
    const grpc_server_counters *c = grpc_server_read_counters(o->grpc);

    sonde_json_key(w, SONDE_STR("grpc"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "port", o->grpc_port);
    sonde_json_put_counter(w, "connections", &c->connections);
    sonde_json_put_counter(w, "connections_failed", &c->connections_failed);
    sonde_json_put_counter(w, "open_connections", &c->open_connections);
    sonde_json_put_counter(w, "calls", &c->calls);
    sonde_json_put_counter(w, "handled", &c->handled);
    sonde_json_put_counter(w, "lost_too_big", &c->lost_too_big);
    sonde_json_put_counter(w, "lost_full", &c->lost_full);
    sonde_json_put_counter(w, "lost_malformed", &c->lost_malformed);
    sonde_json_put_counter(w, "lost_timeout", &c->lost_timeout);
    sonde_json_put_counter(w, "lost_aborted", &c->lost_aborted);
    sonde_json_put_counter(w, "unknown", &c->unknown);
    sonde_json_put_counter(w, "not_grpc", &c->not_grpc);
    sonde_json_put_counter(w, "refused_streams", &c->refused_streams);
    sonde_json_put_counter(w, "open_calls", &c->open_calls);
    sonde_json_put_counter(w, "budget_used_bytes", &c->budget_used_bytes);
    sonde_json_end_object(w);
}

void otlp_write_json(void *otlp_, sonde_json_writer *w)
{
    const otlp *o = otlp_;
    const otlp_counters *c = &o->counters;

    sonde_json_begin_object(w);
    sonde_json_put_counter(w, "requests_received", &c->requests_received);
    sonde_json_put_counter(w, "requests_accepted", &c->requests_accepted);
    sonde_json_put_counter(w, "requests_partial", &c->requests_partial);
    put_reasons(w, c->requests_dropped);
    sonde_json_put_counter(w, "bytes_received", &c->bytes_received);
    sonde_json_put_counter(w, "payloads", &c->payloads);
    sonde_json_put_counter(w, "spans_decoded", &c->spans_decoded);
    sonde_json_put_counter(w, "traces_accepted", &c->traces_accepted);
    sonde_json_put_counter(w, "spans_accepted", &c->spans_accepted);
    sonde_json_put_counter(w, "spans_rejected", &c->spans_rejected);
    sonde_json_put_counter(w, "strings_repaired", &c->strings_repaired);
    sonde_json_put_counter(w, "tags_cut", &c->tags_cut);
    sonde_json_put_counter(w, "held_bytes", &c->held_bytes);
    if (o->http)
        put_http(w, o);
    if (o->grpc)
        put_grpc(w, o);
    sonde_json_end_object(w);
}
