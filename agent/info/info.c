/* info.c - the fixed body of /info, and the status document.
 *
 * Keys of /info whose feature is not there (obfuscation_version) are left out rather than filled:
 * tracers take what is listed for real.
 *
 * Threads   sources only grow: written by agent/main, read up to an acquired length.
 */
#include "info.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/payload/normalize.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/hex.h"

#define INFO_MAX_BYTES (64u * 1024)

struct info {
    agent_config *config; /* shared */
    const char *version;
    const char *commit;
    const sonde_clock *clock; /* borrowed */
    int64_t started_unix_ns;
    sonde_buf body;
    char state[INFO_STATE_LEN + 1];
    info_source sources[INFO_SOURCES_MAX];
    _Atomic size_t sources_len;
};

static void put_strings(sonde_json_writer *w, const char *key, const char *const *items, size_t len)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (size_t i = 0; i < len; i++)
        sonde_json_str(w, sonde_str_from(items[i]));
    sonde_json_end_array(w);
}

/* In the protocol's order, whoever serves them. */
static const char *const endpoint_order[] = {
    "/v0.3/traces",        "/v0.3/services",       "/v0.4/traces",
    "/v0.4/services",      "/v0.5/traces",         "/v0.7/traces",
    "/v1.0/traces",        "/profiling/v1/input",  "/telemetry/proxy/",
    "/v0.6/stats",         "/v0.1/pipeline_stats", "/openlineage/api/v1/lineage",
    "/evp_proxy/v1/",      "/evp_proxy/v2/",       "/evp_proxy/v3/",
    "/evp_proxy/v4/",      "/debugger/v1/input",   "/debugger/v1/diagnostics",
    "/debugger/v2/input",  "/symdb/v1/input",      "/dogstatsd/v1/proxy",
    "/dogstatsd/v2/proxy", "/tracer_flare/v1",     "/v0.7/config",
    "/config/set",
};
#define ENDPOINT_ORDER_LEN (sizeof(endpoint_order) / sizeof(endpoint_order[0]))

static size_t endpoint_rank(const char *path)
{
    size_t rank = 0;

    while (rank < ENDPOINT_ORDER_LEN && strcmp(endpoint_order[rank], path) != 0)
        rank++;
    return rank;
}

/* What the protocol does not know comes last, as given. */
static void put_endpoints(sonde_json_writer *w, const char *const *paths, size_t len)
{
    sonde_json_key(w, SONDE_STR("endpoints"));
    sonde_json_begin_array(w);
    for (size_t rank = 0; rank <= ENDPOINT_ORDER_LEN; rank++) {
        for (size_t i = 0; i < len; i++) {
            if (endpoint_rank(paths[i]) == rank)
                sonde_json_str(w, sonde_str_from(paths[i]));
        }
    }
    sonde_json_end_array(w);
}

static void put_empty_object(sonde_json_writer *w, const char *key)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    sonde_json_end_object(w);
}

static void put_config(sonde_json_writer *w, const agent_config *c, sonde_str env)
{
    sonde_json_key(w, SONDE_STR("config"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "default_env", env);
    sonde_json_put_double(w, "target_tps", c->target_tps);
    sonde_json_put_double(w, "max_eps", 0);
    sonde_json_put_i64(w, "receiver_port", c->receiver_port);
    sonde_json_put_str(w, "receiver_socket", c->receiver_socket);
    sonde_json_put_i64(w, "connection_limit", 0);
    sonde_json_put_u64(w, "receiver_timeout", c->receiver_timeout_ns / SONDE_NS_PER_S);
    sonde_json_put_u64(w, "max_request_bytes", c->max_payload_bytes);
    sonde_json_put_i64(w, "statsd_port", 0);
    sonde_json_put_double(w, "max_memory", (double)c->memory_limit_bytes);
    sonde_json_put_double(w, "max_cpu", 0);
    put_empty_object(w, "analyzed_spans_by_service");
    sonde_json_end_object(w);
}

static void write_body(info *i, const info_options *o, sonde_str env)
{
    static const char *const kinds[] = { "client", "consumer", "producer", "server" };
    sonde_json_writer w;

    sonde_json_writer_init(&w, &i->body);
    w.indent = "\t";
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "version", sonde_str_from(i->version));
    sonde_json_put_str(&w, "git_commit", sonde_str_from(i->commit));
    put_endpoints(&w, o->endpoints, o->endpoints_len);
    sonde_json_put_bool(&w, "client_drop_p0s", o->client_drop_p0s);
    sonde_json_put_bool(&w, "span_meta_structs", true);
    sonde_json_put_bool(&w, "long_running_spans", true);
    sonde_json_put_bool(&w, "span_events", true);
    put_strings(&w, "evp_proxy_allowed_headers", o->evp_headers, o->evp_headers_len);
    put_config(&w, i->config, env);
    if (o->peer_tags) {
        put_strings(&w, "peer_tags", o->peer_tags, o->peer_tags_len);
    } else {
        sonde_json_key(&w, SONDE_STR("peer_tags"));
        sonde_json_null(&w);
    }
    if (o->stats_by_span_kind) {
        put_strings(&w, "span_kinds_stats_computed", kinds, sizeof(kinds) / sizeof(kinds[0]));
    } else {
        sonde_json_key(&w, SONDE_STR("span_kinds_stats_computed"));
        sonde_json_null(&w);
    }
    put_empty_object(&w, "filter_tags");
    put_empty_object(&w, "filter_tags_regex");
    if (o->crash_socket.len) {
        sonde_json_key(&w, SONDE_STR("sonde"));
        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "crash_socket", o->crash_socket);
        sonde_json_end_object(&w);
    }
    sonde_json_end_object(&w);
    sonde_buf_append_byte(&i->body, '\n');
}

static sonde_status make_body(info *i, const info_options *options)
{
    uint8_t digest[INFO_STATE_LEN / 2];
    sonde_arena scratch;
    sonde_str env;
    sonde_status status;

    sonde_arena_init(&scratch, INFO_MAX_BYTES);
    status = normalize_tag_value(&scratch, i->config->agent_env, &env);
    if (status == SONDE_OK) {
        write_body(i, options, env);
        status = i->body.status;
    }
    sonde_arena_done(&scratch);
    if (status != SONDE_OK)
        return status;
    sonde_sha256(i->body.data, i->body.len, digest);
    sonde_hex_bytes(digest, sizeof(digest), i->state);
    return SONDE_OK;
}

sonde_status info_open(const info_options *options, info **out_info)
{
    info *i = sonde_calloc(1, sizeof(*i));
    sonde_status status;

    if (!i)
        return SONDE_ERR_NOMEM;
    i->config = config_get(options->config);
    i->version = options->agent_version;
    i->commit = options->git_commit;
    i->clock = options->clock ? options->clock : &sonde_system_clock;
    i->started_unix_ns = i->clock->unix_ns(i->clock->user);
    sonde_buf_init(&i->body, INFO_MAX_BYTES);
    status = make_body(i, options);
    if (status != SONDE_OK) {
        info_close(i);
        return status;
    }
    *out_info = i;
    return SONDE_OK;
}

void info_close(info *i)
{
    if (!i)
        return;
    sonde_buf_done(&i->body);
    config_put(i->config);
    sonde_free(i);
}

sonde_status info_add_source(info *i, info_source source)
{
    size_t len = atomic_load_explicit(&i->sources_len, memory_order_relaxed);

    if (len == INFO_SOURCES_MAX)
        return SONDE_ERR_FULL;
    i->sources[len] = source;
    /* pairs with info_write_status() */
    atomic_store_explicit(&i->sources_len, len + 1, memory_order_release);
    return SONDE_OK;
}

sonde_str info_body(const info *i)
{
    return sonde_buf_str(&i->body);
}

const char *info_state(const info *i)
{
    return i->state;
}

static void put_agent(const info *i, sonde_json_writer *w)
{
    const agent_config *c = i->config;
    int64_t now = i->clock->unix_ns(i->clock->user);

    sonde_json_put_str(w, "version", sonde_str_from(i->version));
    sonde_json_put_str(w, "git_commit", sonde_str_from(i->commit));
    sonde_json_put_i64(w, "pid", getpid());
    sonde_json_put_i64(w, "started_unix_s", i->started_unix_ns / (int64_t)SONDE_NS_PER_S);
    sonde_json_put_i64(w, "uptime_s", (now - i->started_unix_ns) / (int64_t)SONDE_NS_PER_S);
    sonde_json_put_str(w, "hostname", c->hostname);
    sonde_json_put_str(w, "env", c->agent_env);
    sonde_json_put_bool(w, "local_mode", c->local_mode);
    sonde_json_put_str(w, "config_file", c->file);
    sonde_json_key(w, SONDE_STR("config_warnings"));
    sonde_json_begin_array(w);
    for (size_t k = 0; k < c->warnings_len; k++)
        sonde_json_str(w, c->warnings[k]);
    sonde_json_end_array(w);
}

void info_write_status(info *i, sonde_buf *out)
{
    /* pairs with info_add_source() */
    size_t len = atomic_load_explicit(&i->sources_len, memory_order_acquire);
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("agent"));
    sonde_json_begin_object(&w);
    put_agent(i, &w);
    sonde_json_end_object(&w);
    for (size_t k = 0; k < len; k++) {
        sonde_json_key(&w, sonde_str_from(i->sources[k].name));
        i->sources[k].write_json(i->sources[k].user, &w);
    }
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
}

static http_result serve_info(void *user, http_request *request, http_response *response)
{
    const info *i = user;

    (void)request;
    response->static_body = info_body(i);
    return HTTP_DONE;
}

static http_result serve_status(void *user, http_request *request, http_response *response)
{
    (void)request;
    response->content_type = "application/json";
    info_write_status(user, &response->body);
    return HTTP_DONE;
}

void info_routes(info *i, http_route out[INFO_ROUTES])
{
    out[0] =
        (http_route){ .path = "/info", .handle = serve_info, .max_body_bytes = 4096, .user = i };
    out[1] = (http_route){ .methods = "GET",
                           .path = "/sonde/v1/status",
                           .handle = serve_status,
                           .max_body_bytes = 4096,
                           .user = i };
}
