/* pipeline.c - the only file that knows the order of the stages.
 *
 * pipeline_open() makes them from the last to the first, so that each finds its successor ready;
 * pipeline_stop() ends them from the first to the last, so that nothing is pushed into a stage that is
 * gone.  The way of one payload is in flow.c.
 */
#include "pipeline.h"

#include <stdio.h>
#include <string.h>

#include "agent/payload/normalize.h"
#include "agent/stats/limits.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#include "flow.h"
#include "pipeline_state.h"
#include "sampling.h"
#include "self.h"
#include "settle.h"

#define TEXT_MAX_BYTES   4096
#define ENDPOINTS_MAX    32
#define STORAGE_PATH_MAX 4096
#define USER_AGENT       "Datadog Trace Agent/" SONDE_VERSION "/sonde"

/* A forwarder key counts when it was set: its default is meant for metrics, ours are the trace agent's. */
static uint64_t configured(const agent_config *c, const char *key, uint64_t value)
{
    return sonde_str_eq(config_origin(c, key), SONDE_STR("default")) ? 0 : value;
}

static sonde_status open_forwarder(pipeline *p, const forwarder_endpoint *to, size_t to_len,
                                   const char *user_agent, const char *storage_path,
                                   forwarder **out, sonde_error *out_error)
{
    const agent_config *c = p->config;

    return forwarder_open(
        &(forwarder_options){
            .endpoints = to,
            .endpoints_len = to_len,
            .user_agent = user_agent,
            .egress = c->egress,
            .connection_reset_ns = c->connection_reset_ns,
            .memory_bytes = (size_t)c->forwarder_memory_bytes,
            .max_age_ns = c->forwarder_max_age_ns,
            .timeout_ns = configured(c, "forwarder_timeout", c->forwarder_timeout_ns),
            .backoff_base_ns =
                configured(c, "forwarder_backoff_base", c->forwarder_backoff_base_ns),
            .backoff_max_ns = configured(c, "forwarder_backoff_max", c->forwarder_backoff_max_ns),
            .requests = (unsigned)c->forwarder_requests,
            .max_attempts = (uint32_t)c->max_sender_retries,
            .storage_path = storage_path,
            .disk_bytes = c->forwarder_disk_bytes,
            .disk_ratio = c->forwarder_disk_ratio,
            .stale_ns = (uint64_t)c->forwarder_stale_days * 86400 * SONDE_NS_PER_S,
            .spill_ratio = c->forwarder_spill_ratio,
        },
        out, out_error);
}

static sonde_status open_writers(pipeline *p, sonde_error *out_error)
{
    const agent_config *c = p->config;
    const upload_sink sink = { flow_upload, p };
    const trace_writer_options traces = {
        .agent = { .hostname = c->hostname,
                   .env = p->agent_env,
                   .version = SONDE_STR(SONDE_VERSION),
                   .apm_mode = c->apm_mode,
                   .target_tps = c->target_tps,
                   .errors_tps = c->errors_tps,
                   .rare_sampler = c->rare_enabled },
        .flush_ns = c->trace_flush_ns,
        .sink = sink,
    };
    sonde_status status = trace_writer_open(&traces, sonde_mono_ns(), &p->trace_writer);

    stats_writer_init(&p->stats_writer, c->hostname, p->agent_env, SONDE_STR(SONDE_VERSION), sink);
    return status == SONDE_OK ? status : sonde_fail(out_error, status, "trace writer");
}

static sonde_status open_middle(pipeline *p, sonde_error *out_error)
{
    const agent_config *c = p->config;
    sampler_options sampling;
    const concentrator_options statistics = { .agent_env = p->agent_env,
                                              .hostname = c->hostname,
                                              .peer_tags = c->peer_tags.items,
                                              .peer_tags_len = c->peer_tags.len,
                                              .no_peer_tags = !c->peer_tags_enabled,
                                              .no_stats_by_kind = !c->stats_by_kind,
                                              .no_container_ids =
                                                  config_has_feature(c, "disable_cid_stats"),
                                              .no_process_tags =
                                                  config_has_feature(c, "disable_process_stats"),
                                              .bucket_ns = (int64_t)c->bucket_ns,
                                              .sink = { flow_push_stats, p } };
    const stats_sink of_clients = { flow_push_stats, p };
    processor_options processing = { .config = p->config };
    sonde_status status = rates_cell_init(&p->rates);

    p->has_rates = status == SONDE_OK;
    sampling_options(c, &p->event_rates, &sampling);
    sampling.agent_env = p->agent_env;
    sampling.rates = &p->rates;
    if (status == SONDE_OK)
        status = sampler_open(&sampling, &p->sampler);
    if (status == SONDE_OK)
        status = concentrator_open(&statistics, sonde_unix_ns(), &p->concentrator);
    if (status == SONDE_OK)
        status = client_aggregator_open(of_clients, 0, sonde_unix_ns(), &p->client_aggregator);
    if (status == SONDE_OK) {
        status = rules_open(p->config, (unsigned)c->workers, &p->rules, out_error);
        if (status != SONDE_OK)
            return status;
    }
    client_stats_stage_init(
        &p->client_stats, p->agent_env,
        (client_stats_rules){ .keeps = rules_keep_group,
                              .replace = rules_replace_group,
                              .user = p->rules,
                              .sql = processor_sql_of(c),
                              .resource_max_bytes = processor_resource_max_bytes(c) });
    processing.rules = p->rules;
    if (status == SONDE_OK)
        status = processor_open(&processing, &p->processor);
    if (status == SONDE_OK)
        status =
            sonde_queue_init(&p->queue, (size_t)c->trace_buffer, (size_t)c->memory_limit_bytes / 4);
    p->has_queue = status == SONDE_OK;
    memory_guard_init(&p->memory, c->memory_kill_bytes ? c->memory_limit_bytes : 0,
                      self_memory_bytes);
    return status == SONDE_OK ? status
                              : sonde_fail(out_error, status, "sampler, statistics or processor");
}

static void write_queue_json(void *arg, sonde_json_writer *w)
{
    const pipeline *p = arg;
    sonde_queue_stats n = sonde_queue_read_stats(&((pipeline *)arg)->queue);

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "accepted", n.accepted);
    sonde_json_put_u64(w, "processed", n.popped);
    sonde_json_put_u64(w, "refused_full", n.refused_full);
    sonde_json_put_u64(w, "refused_too_big", n.refused_too_big);
    sonde_json_put_u64(w, "refused_closed", n.refused_closed);
    sonde_json_put_u64(w, "refused_memory", atomic_load_explicit(&p->shed, memory_order_relaxed));
    sonde_json_put_u64(w, "waiting", n.len);
    sonde_json_put_double(w, "filled", (double)n.len / (double)p->config->trace_buffer);
    sonde_json_put_u64(w, "waiting_bytes", n.bytes);
    sonde_json_end_object(w);
}

static sonde_status push_crash(void *arg, crash_request *r)
{
    return proxy_push_telemetry(arg, &(proxy_telemetry){ .body = r->body,
                                                         .request_type = "logs",
                                                         .language = r->language,
                                                         .library_version = r->library_version,
                                                         .container_id = r->container_id });
}

/* Never fatal, like the trace socket it stands beside. */
static void open_crash(pipeline *p)
{
    const agent_config *c = p->config;
    sonde_error error = { 0 };

    if (!c->crash_spans || c->receiver_socket.len == 0)
        return;
    crash_names_init(&p->crash_names);
    if (crash_open(&(crash_options){ .trace_socket = c->receiver_socket,
                                     .sink = { flow_accept, p },
                                     .symbols = crash_names_lend(&p->crash_names),
                                     .telemetry = p->proxy,
                                     .push_telemetry = push_crash },
                   &p->crash, &error) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no spans of processes that die: %s", error.message);
}

static sonde_status open_origin(pipeline *p, sonde_error *out_error)
{
    const origin_options options = { .container_tags = &p->config->container_tags };
    sonde_status status = origin_open(&options, &p->origin);

    return status == SONDE_OK ? status : sonde_fail(out_error, status, "origins");
}

static sonde_status open_proxy(pipeline *p, const char *local_url, sonde_error *out_error)
{
    return proxy_open(&(proxy_options){ p->config, p->agent_env, SONDE_VERSION, p->origin,
                                        &p->timings, local_url },
                      &p->proxy, out_error);
}

/* A forwarder of their own: profiles go elsewhere than traces, and must not take their place in a queue. */
static sonde_status open_profile_forwarder(pipeline *p, sonde_error *out_error)
{
    proxy_target from[PROXY_TARGETS_MAX];
    forwarder_endpoint to[PROXY_TARGETS_MAX];
    size_t len = proxy_targets(p->proxy, DOOR_PROFILING, from);
    sonde_str storage = p->config->forwarder_storage_path;
    char path[STORAGE_PATH_MAX] = "";

    for (size_t i = 0; i < len; i++)
        to[i] = (forwarder_endpoint){ from[i].url, from[i].api_key };
    if (len == 0)
        return SONDE_OK;
    if (storage.len && storage.len < sizeof(path) - sizeof("/profiles"))
        (void)snprintf(path, sizeof(path), "%.*s/profiles", SONDE_STR_ARG(storage));
    return open_forwarder(p, to, len, "Sonde/" SONDE_VERSION, path[0] ? path : NULL,
                          &p->profile_forwarder, out_error);
}

/* Never fatal: whoever profiles sees in /info that nobody takes it. */
static void open_profiles(pipeline *p)
{
    sonde_error error = { 0 };
    sonde_status status;

    if (!p->config->profiling.enabled)
        return;
    status = open_profile_forwarder(p, &error);
    if (status == SONDE_OK && p->profile_forwarder)
        status =
            profiles_open(&(profiles_options){ .config = p->config,
                                               .sink = { forwarder_push, p->profile_forwarder },
                                               .origin = p->origin,
                                               .agent_version = SONDE_VERSION,
                                               .via = proxy_via(p->proxy),
                                               .tags = proxy_profile_tags(p->proxy) },
                          &p->profiles, &error);
    if (status != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no profiles of Sonde's profiler: %s", error.message);
}

static size_t list_analyzed(const agent_config *c, info_analyzed out[EVENT_RATES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < c->analyzed_spans.len && len < EVENT_RATES_MAX; i++) {
        event_rate rate;

        if (sampling_parse_event_rate(c->analyzed_spans.items[i], &rate))
            out[len++] = (info_analyzed){ rate.service, rate.operation, rate.rate };
    }
    return len;
}

static sonde_status open_info(pipeline *p, sonde_error *out_error)
{
    info_analyzed analyzed[EVENT_RATES_MAX];
    const char *peer_tags[STATS_PEER_TAGS_MAX];
    const char *endpoints[ENDPOINTS_MAX + PROXY_ROUTES_MAX + PROFILES_ROUTES];
    size_t len, i, endpoints_len = receiver_listed_endpoints_len;
    const sonde_str *names = concentrator_peer_tags(p->concentrator, &len);
    info_options options = { .config = p->config,
                             .agent_version = SONDE_VERSION,
                             .git_commit = "",
                             .endpoints = endpoints,
                             .peer_tags = len ? peer_tags : NULL,
                             .peer_tags_len = len,
                             .stats_by_span_kind = p->config->stats_by_kind,
                             .client_drop_p0s = !p->config->probabilistic_enabled,
                             .crash_socket = crash_socket_path(p->crash) };
    sonde_status status;

    memcpy(endpoints, receiver_listed_endpoints, endpoints_len * sizeof(endpoints[0]));
    options.endpoints_len = endpoints_len + proxy_listed(p->proxy, endpoints + endpoints_len);
    if (p->profiles)
        endpoints[options.endpoints_len++] = PROFILES_PATH; /* comes last: it is our own */
    options.analyzed = analyzed;
    options.analyzed_len = list_analyzed(p->config, analyzed);
    options.origin = p->origin;
    options.evp_headers = proxy_evp_headers;
    options.evp_headers_len = proxy_evp_headers_len;
    for (i = 0; i < len; i++)
        peer_tags[i] = names[i].ptr; /* literals and configuration: NUL-terminated */
    status = info_open(&options, &p->info);
    return status == SONDE_OK ? status : sonde_fail(out_error, status, "info");
}

static void write_status(void *user, sonde_buf *out)
{
    info_write_status(((pipeline *)user)->info, out);
}

static void set_shedding(void *user, bool on)
{
    pipeline *p = user;

    atomic_store_explicit(&p->shedding, on, memory_order_relaxed);
    settle_memory();
}

static sonde_status open_ops(pipeline *p, const notify *supervisor, sonde_error *out_error)
{
    sonde_status status =
        ops_open(&(ops_options){ .config = p->config,
                                 .version = SONDE_VERSION,
                                 .commit = "",
                                 .rates = &p->rates,
                                 .sources = p->sources,
                                 .timings = &p->timings,
                                 .each_decision = sampler_each_decision,
                                 .decisions_user = p->sampler,
                                 .more_lines = p->profiles ? profiles_to_statsd : NULL,
                                 .more_lines_user = p->profiles,
                                 .supervisor = supervisor,
                                 .write_status = write_status,
                                 .status_user = p,
                                 .shed = set_shedding,
                                 .shed_user = p },
                 &p->ops);

    return status == SONDE_OK ? status : sonde_fail(out_error, status, "operations");
}

static sonde_status open_receiver(pipeline *p, sonde_error *out_error)
{
    http_route routes[OPS_ROUTES + INFO_ROUTES + PROXY_ROUTES_MAX + PROFILES_ROUTES];
    http_route *proxies = routes + OPS_ROUTES + INFO_ROUTES;
    receiver_options options = { .config = p->config,
                                 .sink = { flow_accept, p },
                                 .rates = &p->rates,
                                 .sources = p->sources,
                                 .timings = &p->timings,
                                 .origin = p->origin,
                                 .agent_version = SONDE_VERSION,
                                 .agent_state = info_state(p->info),
                                 .has_room = flow_has_room,
                                 .has_room_user = p,
                                 .more_routes = routes,
                                 .more_routes_len =
                                     OPS_ROUTES + INFO_ROUTES + proxy_routes(p->proxy, proxies) };

    ops_routes(p->ops, routes);
    info_routes(p->info, routes + OPS_ROUTES);
    if (p->profiles) {
        profiles_routes(p->profiles, routes + options.more_routes_len);
        options.more_routes_len += PROFILES_ROUTES;
    }
    return receiver_open(&options, &p->receiver, out_error);
}

/* Never fatal: the trace endpoints above are what most tracers use. */
static void open_otlp(pipeline *p)
{
    const otlp_options options = { .config = p->config,
                                   .sink = { flow_accept, p },
                                   .origin = p->origin };
    sonde_error error = { 0 };

    if (otlp_open(&options, &p->otlp, &error) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no traces over OTLP: %s", error.message);
}

/* In the order of the data; a row that finds no place is left out of the page, nothing else. */
static void add_status_rows(pipeline *p)
{
    const info_source rows[] = {
        { "crash", crash_write_json, p->crash }, /* may not be there, as otlp and profiles */
        { "receiver", receiver_write_json, p->receiver },
        { "otlp", otlp_write_json, p->otlp },
        { "queue", write_queue_json, p },
        { "processor", processor_write_json, p->processor },
        { "stats", concentrator_write_json, p->concentrator },
        { "client_stats", client_stats_write_json, &p->client_stats },
        { "client_aggregator", client_aggregator_write_json, p->client_aggregator },
        { "sampler", sampler_write_json, p->sampler },
        { "trace_writer", trace_writer_write_json, p->trace_writer },
        { "stats_writer", stats_writer_write_json, &p->stats_writer },
        { "forwarder", forwarder_write_json, p->forwarder },
        { "ledger", forwarder_write_ledger_json, p->forwarder },
        { "origin", origin_write_json, p->origin },
        { "proxies", proxy_write_json, p->proxy },
        { "profiles", profiles_write_json, p->profiles },
        { "profile_forwarder", forwarder_write_json, p->profile_forwarder },
        { "watchdog", ops_write_json, p->ops },
        { "process", self_write_json, NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool has_owner = rows[i].user || rows[i].write_json == self_write_json;

        if (has_owner && info_add_source(p->info, rows[i]) != SONDE_OK)
            return;
    }
}

static sonde_status open_text(pipeline *p, sonde_error *out_error)
{
    sonde_status status;

    sonde_arena_init(&p->text, TEXT_MAX_BYTES * 2);
    status = normalize_tag_value(&p->text, p->config->agent_env, &p->agent_env);
    return status == SONDE_OK ? status : sonde_fail(out_error, status, "env");
}

sonde_status pipeline_open(const pipeline_options *options, pipeline **out_pipeline,
                           sonde_error *out_error)
{
    pipeline *p = sonde_calloc(1, sizeof(*p));
    sonde_status status;

    if (!p)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "pipeline");
    p->config = config_get(options->config);
    sonde_mutex_init(&p->mu, SONDE_RANK_LIFECYCLE);
    sonde_cond_init(&p->wake);

    status = open_text(p, out_error);
    p->sources = sources_open();
    if (status == SONDE_OK && !p->sources)
        status = sonde_fail(out_error, SONDE_ERR_NOMEM, "sources");
    if (status == SONDE_OK)
        status = open_forwarder(p, options->endpoints, options->endpoints_len, USER_AGENT,
                                p->config->forwarder_storage_path.ptr, &p->forwarder, out_error);
    if (status == SONDE_OK)
        status = open_writers(p, out_error);
    if (status == SONDE_OK)
        status = open_middle(p, out_error);
    if (status == SONDE_OK)
        status = flow_start(p, out_error);
    if (status == SONDE_OK)
        status = open_origin(p, out_error);
    if (status == SONDE_OK)
        status = open_proxy(p, options->local_url, out_error);
    if (status == SONDE_OK)
        open_crash(p);
    if (status == SONDE_OK)
        open_profiles(p);
    if (status == SONDE_OK)
        status = open_info(p, out_error);
    if (status == SONDE_OK)
        status = open_ops(p, options->supervisor, out_error);
    if (status == SONDE_OK)
        status = open_receiver(p, out_error);
    if (status == SONDE_OK)
        open_otlp(p);
    if (status != SONDE_OK) {
        pipeline_close(p);
        return status;
    }
    add_status_rows(p);
    /* pairs with watch() */
    atomic_store_explicit(&p->watched, true, memory_order_release);
    *out_pipeline = p;
    return SONDE_OK;
}

void pipeline_reload(pipeline *p, agent_config *config)
{
    const sampler_options sampling = { .target_per_s = config->target_tps,
                                       .extra_sample_rate = config->extra_sample_rate,
                                       .errors_per_s = config->errors_tps,
                                       .events = { .max_per_s = config->max_eps } };

    sonde_error error = { 0 };

    if (rules_reload(p->rules, config, (unsigned)p->config->workers, &error) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "reload: the rules stay as they were: %s", error.message);
    sampler_set_targets(p->sampler, &sampling);
    trace_writer_set_targets(p->trace_writer, config->target_tps, config->errors_tps);
}

/* Half of the time is theirs at most: a client that does not end its request may not cost what others sent;
 * and half of that OTLP's, for the same reason. */
static void drain_listeners(pipeline *p, uint64_t deadline_mono_ns)
{
    uint64_t now = sonde_mono_ns();
    uint64_t half = deadline_mono_ns > now ? (deadline_mono_ns - now) / 2 : 0;

    otlp_drain(p->otlp, now + half / 2);
    if (p->receiver)
        receiver_drain(p->receiver, now + half);
}

void pipeline_stop(pipeline *p, uint64_t deadline_mono_ns)
{
    if (p->stopped)
        return;
    p->stopped = true;
    crash_stop(p->crash);
    drain_listeners(p, deadline_mono_ns);
    flow_join_workers(p);
    flow_join_timers(p);
    if (p->concentrator)
        concentrator_flush(p->concentrator, sonde_unix_ns(), CONCENTRATOR_FLUSH_ALL);
    if (p->client_aggregator)
        client_aggregator_flush(p->client_aggregator, sonde_unix_ns(), CLIENT_FLUSH_ALL);
    if (p->trace_writer) {
        trace_writer_flush(p->trace_writer, sonde_mono_ns());
        flow_note_writer_drops(p);
    }
    profiles_stop(p->profiles);
    proxy_stop(p->proxy, deadline_mono_ns);
    if (p->profile_forwarder)
        forwarder_stop(p->profile_forwarder, deadline_mono_ns);
    if (p->forwarder)
        forwarder_stop(p->forwarder, deadline_mono_ns);
}

void pipeline_summarize(pipeline *p, pipeline_summary *out)
{
    const receiver_counters *r = receiver_read_counters(p->receiver);
    endpoint_counters e;
    int i;

    *out = (pipeline_summary){
        .payloads_accepted = atomic_load_explicit(&r->payloads_accepted, memory_order_relaxed),
        .spans_received = atomic_load_explicit(&r->spans_received, memory_order_relaxed),
    };
    if (p->otlp) {
        const otlp_counters *o = otlp_read_counters(p->otlp);

        out->payloads_accepted += atomic_load_explicit(&o->payloads, memory_order_relaxed);
        out->spans_received += atomic_load_explicit(&o->spans_accepted, memory_order_relaxed);
    }
    if (!forwarder_read_counters(p->forwarder, 0, &e))
        return;
    out->spans_delivered = e.delivered[UPLOAD_TRACES].items;
    for (i = 0; i < FORWARDER_DROPS; i++)
        out->spans_dropped += e.dropped[i][UPLOAD_TRACES].items;
}

void pipeline_close(pipeline *p)
{
    if (!p)
        return;
    pipeline_stop(p, 0);
    receiver_close(p->receiver, 0);
    profiles_close(p->profiles);
    forwarder_close(p->profile_forwarder);
    proxy_close(p->proxy);
    otlp_close(p->otlp, 0);
    ops_close(p->ops);
    info_close(p->info);
    origin_close(p->origin);
    crash_close(p->crash);
    crash_names_done(&p->crash_names);
    sonde_free(p->workers);
    if (p->has_queue)
        sonde_queue_done(&p->queue);
    processor_close(p->processor);
    rules_close(p->rules);
    client_aggregator_close(p->client_aggregator);
    concentrator_close(p->concentrator);
    sampler_close(p->sampler);
    if (p->has_rates)
        rates_cell_done(&p->rates);
    trace_writer_close(p->trace_writer);
    forwarder_close(p->forwarder);
    sources_close(p->sources);
    sonde_arena_done(&p->text);
    (void)pthread_cond_destroy(&p->wake);
    sonde_mutex_done(&p->mu);
    config_put(p->config);
    sonde_free(p);
}

uint16_t pipeline_port(const pipeline *p)
{
    return receiver_port(p->receiver);
}

sonde_str pipeline_socket_path(const pipeline *p)
{
    return receiver_socket_path(p->receiver);
}
