/* receiver.c - listeners, the joined route table, life and counters of the receiver.
 *
 * Threads   open and close by agent/main; everything else on the server's threads.
 */
#include "receiver.h"

#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "internal.h"
#include "net/socket.h"

#define LISTENERS_MAX        2
#define SOCKET_MODE          0722
#define LEASE_NS             (UINT64_C(30) * 1000000000)
#define SMALL_BODY_MAX_BYTES (1024u * 1024) /* of what is read and ignored */
#define WAITING_SHARE        16 /* of the memory limit, for payloads that wait for the workers */

static void bind_route(receiver *r, size_t i)
{
    const endpoint *e = &receiver_endpoints[i];
    bool traces = e->kind == ENDPOINT_TRACES || e->kind == ENDPOINT_STATS;

    r->bound[i] = (bound_endpoint){ .r = r, .row = e };
    r->routes[i] = (http_route){
        .path = e->path,
        .handle = traces ? receive_traces : receive_anything,
        .refuse = traces ? refuse_traces : NULL,
        .lost = traces ? lose_traces : NULL,
        .keep_start = e->kind == ENDPOINT_TRACES && r->config->keep_large_payloads,
        .max_body_bytes = traces ? r->config->max_payload_bytes : SMALL_BODY_MAX_BYTES,
        .user = &r->bound[i],
    };
}

/* Our rows, then those of other rooms. */
static sonde_status make_routes(receiver *r, const receiver_options *options, size_t budget,
                                size_t *out_len)
{
    size_t ours = receiver_endpoints_len;

    r->routes = sonde_calloc(ours + options->more_routes_len, sizeof(*r->routes));
    r->bound = sonde_calloc(ours, sizeof(*r->bound));
    if (!r->routes || !r->bound)
        return SONDE_ERR_NOMEM;
    for (size_t i = 0; i < ours; i++)
        bind_route(r, i);
    if (options->more_routes_len)
        memcpy(r->routes + ours, options->more_routes,
               options->more_routes_len * sizeof(*r->routes));
    for (size_t i = ours; i < ours + options->more_routes_len; i++) {
        if (r->routes[i].max_body_bytes > budget) /* it could never be taken: say so with 413 */
            r->routes[i].max_body_bytes = budget;
    }
    *out_len = ours + options->more_routes_len;
    return SONDE_OK;
}

/* A descriptor of whoever started us; false: none, or it is of no use. */
static bool inherit(int64_t fd, bool is_unix, http_listener *out, size_t *len)
{
    sonde_error error = { 0 };

    if (fd < 0)
        return false;
    if (sonde_inherit_listener((int)fd, is_unix, &error) != SONDE_OK) {
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "not inherited: %s", error.message);
        return false;
    }
    out[(*len)++] = (http_listener){ .fd = (int)fd, .is_unix = is_unix, .is_shared = true };
    return true;
}

static sonde_status listen_tcp(receiver *r, http_listener *out, size_t *len, sonde_error *out_error)
{
    const agent_config *c = r->config;
    sonde_error error = { 0 };
    sonde_status status;
    int fd;

    if (inherit(c->net_fd, false, out, len)) {
        r->port = sonde_local_port((int)c->net_fd);
        return SONDE_OK;
    }
    if (c->receiver_port == 0)
        return SONDE_OK;
    status = sonde_listen_tcp(c->receiver_host.ptr,
                              c->receiver_port < 0 ? 0 : (uint16_t)c->receiver_port, &fd, &error);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "%s (bind_host, apm_config.receiver_port)",
                          error.message);
    r->port = sonde_local_port(fd);
    out[(*len)++] = (http_listener){ .fd = fd };
    return SONDE_OK;
}

/* Never fatal: clients fall back to TCP, and the directory is the package's to make. */
static void listen_unix(receiver *r, http_listener *out, size_t *len)
{
    const sonde_str path = r->config->receiver_socket;
    sonde_error error = { 0 };
    int fd;

    if (inherit(r->config->unix_fd, true, out, len)) {
        r->socket_path = path;
        return;
    }
    if (path.len == 0)
        return;
    if (sonde_listen_unix(path.ptr, SOCKET_MODE, &fd, &error) != SONDE_OK) {
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no traces over a unix socket: %s", error.message);
        return;
    }
    r->socket_path = path;
    out[(*len)++] = (http_listener){ .fd = fd, .is_unix = true };
}

/* A quarter of the memory, because decoded spans take as much again; but the largest body allowed
 * must find room when it is alone. */
static size_t default_budget(const agent_config *c)
{
    uint64_t quarter = c->memory_limit_bytes / 4;

    return (size_t)(quarter > c->max_payload_bytes ? quarter : c->max_payload_bytes);
}

/* The older of two ways to limit connections, for those who ask for it. */
static bool counts_leases(const agent_config *c)
{
    return c->connection_limit > 0 &&
           !sonde_str_eq(config_origin(c, "apm_config.connection_limit"), SONDE_STR("default"));
}

/* The connection that made somebody start us. */
static void adopt_connection(receiver *r)
{
    int64_t fd = r->config->net_client_fd;
    sonde_error error = { 0 };

    if (fd < 0)
        return;
    if (sonde_inherit_connection((int)fd, &error) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "not inherited: %s", error.message);
    else if (http_server_adopt(r->server, (int)fd) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "the inherited connection could not be served");
}

static sonde_status serve(receiver *r, const receiver_options *options, sonde_error *out_error)
{
    const agent_config *c = r->config;
    http_server_options server = {
        .name = "agent-recv",
        .before = receive_head,
        .before_user = r,
        .threads = (unsigned)c->decoders,
        .max_connections = (unsigned)c->max_connections,
        .body_budget_bytes =
            options->body_budget_bytes ? options->body_budget_bytes : default_budget(c),
        .has_room = options->has_room,
        .has_room_user = options->has_room_user,
        .read_timeout_s = (unsigned)(c->receiver_timeout_ns / 1000000000u),
    };
    http_listener listeners[LISTENERS_MAX];
    size_t listeners_len = 0;
    sonde_status status = make_routes(r, options, server.body_budget_bytes, &server.routes_len);

    if (status != SONDE_OK)
        return status;
    server.routes = r->routes;
    status = listen_tcp(r, listeners, &listeners_len, out_error);
    if (status != SONDE_OK)
        return status;
    listen_unix(r, listeners, &listeners_len);
    if (listeners_len == 0 && c->receiver_enabled)
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "nowhere to listen: receiver_port is 0 and there is no receiver_socket");
    if (counts_leases(c)) {
        server.lease = (unsigned)c->connection_limit;
        server.lease_ns = LEASE_NS;
        if (server.max_connections < server.lease)
            server.max_connections = server.lease;
    }
    status = http_server_open(&server, listeners, listeners_len, &r->server, out_error);
    if (status == SONDE_OK)
        adopt_connection(r);
    return status;
}

static sonde_status open_waiting(receiver *r)
{
    const waiting_options options = {
        .offer = offer_again,
        .settle = settle_arrival,
        .max_bytes = r->config->memory_limit_bytes / WAITING_SHARE,
    };

    return waiting_open(&options, &r->waiting);
}

sonde_status receiver_open(const receiver_options *options, receiver **out_receiver,
                           sonde_error *out_error)
{
    receiver *r = sonde_calloc(1, sizeof(*r));
    sonde_status status;

    if (!r)
        return SONDE_ERR_NOMEM;
    r->config = config_get(options->config);
    r->sink = options->sink;
    r->rates = options->rates;
    r->origin = options->origin;
    r->sources = options->sources;
    r->timings = options->timings;
    r->agent_version = options->agent_version;
    r->agent_state = options->agent_state;
    r->max_arena_bytes = r->config->memory_limit_bytes / 2;
    status = r->config->decoder_timeout_ns ? open_waiting(r) : SONDE_OK;
    if (status == SONDE_OK)
        status = serve(r, options, out_error);
    if (status != SONDE_OK) {
        receiver_close(r, 0);
        return status;
    }
    *out_receiver = r;
    return SONDE_OK;
}

void receiver_stop(receiver *r)
{
    atomic_store_explicit(&r->stopped, true, memory_order_relaxed);
}

void receiver_drain(receiver *r, uint64_t deadline_mono_ns)
{
    http_server_drain(r->server, deadline_mono_ns);
    receiver_stop(r);
}

void receiver_close(receiver *r, uint64_t deadline_mono_ns)
{
    if (!r)
        return;
    receiver_drain(r, deadline_mono_ns);
    waiting_close(r->waiting);
    http_server_close(r->server, deadline_mono_ns);
    sonde_free(r->routes);
    sonde_free(r->bound);
    config_put(r->config);
    sonde_free(r);
}

uint16_t receiver_port(const receiver *r)
{
    return r->port;
}

sonde_str receiver_socket_path(const receiver *r)
{
    return r->socket_path;
}

const receiver_counters *receiver_read_counters(const receiver *r)
{
    return &r->counters;
}

static void put_reasons(sonde_json_writer *w, sonde_str key, const _Atomic uint64_t *counters)
{
    static const char *const names[] = {
#define X(name, text) text,
        RECEIVER_REASON_MAP(X)
#undef X
    };

    sonde_json_key(w, key);
    sonde_json_begin_object(w);
    for (int i = 0; i < RECEIVER_REASONS; i++)
        sonde_json_put_counter(w, names[i], &counters[i]);
    sonde_json_end_object(w);
}

static void put_server(sonde_json_writer *w, const http_server_counters *c)
{
    uint64_t all = atomic_load_explicit(&c->connections, memory_order_relaxed);
    uint64_t by_unix = atomic_load_explicit(&c->unix_connections, memory_order_relaxed);

    sonde_json_key(w, SONDE_STR("http"));
    sonde_json_begin_object(w);
    sonde_json_put_counter(w, "requests", &c->requests);
    sonde_json_put_u64(w, "connections", all);
    sonde_json_put_u64(w, "connections_tcp", all > by_unix ? all - by_unix : 0);
    sonde_json_put_u64(w, "connections_uds", by_unix);
    sonde_json_put_counter(w, "lease_waits", &c->lease_waits);
    sonde_json_put_counter(w, "body_bytes", &c->body_bytes);
    sonde_json_put_counter(w, "budget_used_bytes", &c->budget_used_bytes);
    sonde_json_put_counter(w, "not_found", &c->not_found);
    sonde_json_put_counter(w, "refused_head", &c->refused_head);
    sonde_json_put_counter(w, "read_timeouts", &c->read_timeouts);
    sonde_json_put_counter(w, "aborted", &c->aborted);
    sonde_json_end_object(w);
}

static void put_endpoints(sonde_json_writer *w, const receiver *r)
{
    sonde_json_key(w, SONDE_STR("accepted_by_endpoint"));
    sonde_json_begin_object(w);
    for (size_t i = 0; i < receiver_endpoints_len; i++) {
        if (receiver_endpoints[i].msgpack || receiver_endpoints[i].json)
            sonde_json_put_counter(w, receiver_endpoints[i].path, &r->bound[i].accepted);
    }
    sonde_json_end_object(w);
}

void receiver_write_json(void *receiver_, sonde_json_writer *w)
{
    const receiver *r = receiver_;
    const receiver_counters *c = &r->counters;

    sonde_json_begin_object(w);
    sonde_json_put_counter(w, "payloads_received", &c->payloads_received);
    sonde_json_put_counter(w, "payloads_accepted", &c->payloads_accepted);
    put_endpoints(w, r);
    sonde_json_put_u64(w, "payloads_waiting", waiting_count(r->waiting));
    put_reasons(w, SONDE_STR("payloads_dropped"), c->payloads_dropped);
    put_reasons(w, SONDE_STR("traces_dropped"), c->traces_dropped);
    sonde_json_put_counter(w, "payloads_cut", &c->payloads_cut);
    sonde_json_put_counter(w, "largest_payload_bytes", &c->largest_payload_bytes);
    sonde_json_put_counter(w, "bytes_received", &c->bytes_received);
    sonde_json_put_counter(w, "traces_received", &c->traces_received);
    sonde_json_put_counter(w, "spans_received", &c->spans_received);
    sonde_json_put_counter(w, "stats_payloads_received", &c->stats_payloads_received);
    sonde_json_put_counter(w, "stats_buckets_received", &c->stats_buckets_received);
    sonde_json_put_counter(w, "stats_bytes_received", &c->stats_bytes_received);
    sonde_json_put_counter(w, "stats_rejected_decode", &c->stats_rejected_decode);
    sonde_json_put_counter(w, "stats_rejected_timeout", &c->stats_rejected_timeout);
    sonde_json_put_counter(w, "stats_groups_received", &c->stats_groups_received);
    sonde_json_put_counter(w, "strings_repaired", &c->strings_repaired);
    sonde_json_put_counter(w, "tags_cut", &c->tags_cut);
    sonde_json_put_counter(w, "nil_spans", &c->nil_spans);
    sonde_json_put_counter(w, "client_dropped_p0_traces", &c->client_dropped_p0_traces);
    sonde_json_put_counter(w, "client_dropped_p0_spans", &c->client_dropped_p0_spans);
    sonde_json_put_counter(w, "config_requests", &c->config_requests);
    put_server(w, http_server_read_counters(r->server));
    sonde_json_end_object(w);
}
