/* body.c - the body of /info.
 *
 * Tracers compare its digest with the one they know, so every byte follows from the configuration: the
 * order is the protocol's, sets are sorted.  Numbers, escapes and indentation are those of Go's encoder.
 */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define OBFUSCATION_VERSION 1

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

static int by_text(const void *a, const void *b)
{
    return sonde_str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static void put_sorted(sonde_json_writer *w, const char *key, const config_list *list)
{
    sonde_str items[INFO_LIST_MAX];
    size_t len = list->len < INFO_LIST_MAX ? list->len : INFO_LIST_MAX;

    if (len == 0)
        return;
    memcpy(items, list->items, len * sizeof(items[0]));
    qsort(items, len, sizeof(items[0]), by_text);
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (size_t i = 0; i < len; i++)
        sonde_json_str(w, items[i]);
    sonde_json_end_array(w);
}

/* As configured, because the order may matter to who reads it; left out when empty. */
static void put_list(sonde_json_writer *w, const char *key, const config_list *list)
{
    if (list->len == 0)
        return;
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (size_t i = 0; i < list->len; i++)
        sonde_json_str(w, list->items[i]);
    sonde_json_end_array(w);
}

static void begin_object(sonde_json_writer *w, const char *key)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
}

static int by_service_and_operation(const void *a, const void *b)
{
    const info_analyzed *x = a, *y = b;
    int order = sonde_str_cmp(x->service, y->service);

    return order ? order : sonde_str_cmp(x->operation, y->operation);
}

/* { service: { operation: rate } } */
static void put_analyzed(sonde_json_writer *w, const info_analyzed *spans, size_t len)
{
    info_analyzed sorted[INFO_LIST_MAX];

    len = len < INFO_LIST_MAX ? len : INFO_LIST_MAX;
    if (len) {
        memcpy(sorted, spans, len * sizeof(sorted[0]));
        qsort(sorted, len, sizeof(sorted[0]), by_service_and_operation);
    }
    begin_object(w, "analyzed_spans_by_service");
    for (size_t i = 0; i < len; i++) {
        bool first = i == 0 || !sonde_str_eq(sorted[i].service, sorted[i - 1].service);
        bool last = i + 1 == len || !sonde_str_eq(sorted[i].service, sorted[i + 1].service);

        if (first) {
            sonde_json_key(w, sorted[i].service);
            sonde_json_begin_object(w);
        }
        if (last || !sonde_str_eq(sorted[i].operation, sorted[i + 1].operation)) {
            sonde_json_key(w, sorted[i].operation);
            sonde_json_double(w, sorted[i].rate);
        }
        if (last)
            sonde_json_end_object(w);
    }
    sonde_json_end_object(w);
}

static void put_redis(sonde_json_writer *w, const char *key, const config_redis_obfuscation *c)
{
    begin_object(w, key);
    sonde_json_put_bool(w, "enabled", c->enabled);
    sonde_json_put_bool(w, "remove_all_args", c->remove_all_args);
    sonde_json_end_object(w);
}

static void put_obfuscation(sonde_json_writer *w, const agent_config *config)
{
    const config_obfuscation *c = &config->obfuscation;

    begin_object(w, "obfuscation");
    sonde_json_put_bool(w, "elastic_search", c->elasticsearch.enabled);
    sonde_json_put_bool(w, "mongo", c->mongodb.enabled);
    sonde_json_put_bool(w, "sql_exec_plan", c->sql_exec_plan.enabled);
    sonde_json_put_bool(w, "sql_exec_plan_normalize", c->sql_exec_plan_normalize.enabled);
    sonde_json_put_str(w, "sql_obfuscation_mode", config->sql_obfuscation_mode);
    begin_object(w, "http");
    sonde_json_put_bool(w, "remove_query_string", c->http_remove_query_string);
    sonde_json_put_bool(w, "remove_path_digits", c->http_remove_path_digits);
    sonde_json_end_object(w);
    sonde_json_put_bool(w, "remove_stack_traces", c->remove_stack_traces);
    put_redis(w, "redis", &c->redis);
    put_redis(w, "valkey", &c->valkey);
    begin_object(w, "memcached");
    sonde_json_put_bool(w, "enabled", c->memcached_enabled);
    sonde_json_put_bool(w, "keep_command", c->memcached_keep_command);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

static bool is_configured(const agent_config *c, const char *key)
{
    return !sonde_str_eq(config_origin(c, key), SONDE_STR("default"));
}

static void put_config(sonde_json_writer *w, const agent_config *c, const info_options *o,
                       sonde_str env)
{
    uint64_t timeout_s = c->receiver_timeout_ns / SONDE_NS_PER_S;

    begin_object(w, "config");
    sonde_json_put_str(w, "default_env", env);
    sonde_json_put_double(w, "target_tps", c->target_tps);
    sonde_json_put_double(w, "max_eps", c->max_eps);
    sonde_json_put_i64(w, "receiver_port", c->receiver_port);
    sonde_json_put_str(w, "receiver_socket", c->receiver_socket);
    sonde_json_put_i64(w, "connection_limit",
                       is_configured(c, "apm_config.connection_limit") ? c->connection_limit : 0);
    sonde_json_put_u64(w, "receiver_timeout",
                       is_configured(c, "apm_config.receiver_timeout") ? timeout_s : 0);
    sonde_json_put_u64(w, "max_request_bytes", c->max_payload_bytes);
    sonde_json_put_i64(w, "statsd_port", c->dogstatsd_port);
    sonde_json_put_double(w, "max_memory", (double)c->memory_limit_bytes);
    sonde_json_put_double(w, "max_cpu", c->max_cpu_percent / 100);
    put_analyzed(w, o->analyzed, o->analyzed_len);
    put_obfuscation(w, c);
    sonde_json_end_object(w);
}

static void put_filter(sonde_json_writer *w, const char *key, const config_list *require,
                       const config_list *reject)
{
    begin_object(w, key);
    put_list(w, "require", require);
    put_list(w, "reject", reject);
    sonde_json_end_object(w);
}

static void put_statistics(sonde_json_writer *w, const info_options *o)
{
    static const char *const kinds[] = { "client", "consumer", "producer", "server" };

    if (o->peer_tags) {
        put_strings(w, "peer_tags", o->peer_tags, o->peer_tags_len);
    } else {
        sonde_json_key(w, SONDE_STR("peer_tags"));
        sonde_json_null(w);
    }
    if (o->stats_by_span_kind) {
        put_strings(w, "span_kinds_stats_computed", kinds, sizeof(kinds) / sizeof(kinds[0]));
    } else {
        sonde_json_key(w, SONDE_STR("span_kinds_stats_computed"));
        sonde_json_null(w);
    }
}

void write_info_body(sonde_buf *out, const agent_config *c, const info_options *o, sonde_str env)
{
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    w.indent = "\t";
    w.escape_html = true;
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "version", sonde_str_from(o->agent_version));
    sonde_json_put_str(&w, "git_commit", sonde_str_from(o->git_commit));
    put_endpoints(&w, o->endpoints, o->endpoints_len);
    put_sorted(&w, "feature_flags", &c->features);
    sonde_json_put_bool(&w, "client_drop_p0s", o->client_drop_p0s);
    sonde_json_put_bool(&w, "span_meta_structs", true);
    sonde_json_put_bool(&w, "long_running_spans", true);
    sonde_json_put_bool(&w, "span_events", true);
    put_strings(&w, "evp_proxy_allowed_headers", o->evp_headers, o->evp_headers_len);
    put_config(&w, c, o, env);
    put_statistics(&w, o);
    sonde_json_put_u64(&w, "obfuscation_version", OBFUSCATION_VERSION);
    put_filter(&w, "filter_tags", &c->filter_require, &c->filter_reject);
    put_filter(&w, "filter_tags_regex", &c->filter_regex_require, &c->filter_regex_reject);
    put_list(&w, "ignore_resources", &c->ignore_resources);
    if (o->crash_socket.len) {
        begin_object(&w, "sonde");
        sonde_json_put_str(&w, "crash_socket", o->crash_socket);
        sonde_json_end_object(&w);
    }
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
}
