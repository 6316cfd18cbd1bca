/* pipeline.c - the only file that knows the order of the stages.
 *
 * pipeline_open() makes them from the last to the first, so that each finds its successor ready;
 * pipeline_stop() ends them from the first to the last, so that nothing is pushed into a stage that is
 * gone.  The way of one payload is process_payload().
 */
#include "pipeline.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/crash/crash.h"
#include "agent/info/info.h"
#include "agent/ops/ops.h"
#include "agent/origin/origin.h"
#include "agent/otlp/otlp.h"
#include "agent/payload/normalize.h"
#include "agent/payload/rates.h"
#include "agent/processor/client_stats.h"
#include "agent/processor/processor.h"
#include "agent/proxy/proxy.h"
#include "agent/receiver/receiver.h"
#include "agent/rules/rules.h"
#include "agent/sampler/sampler.h"
#include "agent/stats/client_aggregator.h"
#include "agent/stats/concentrator.h"
#include "agent/stats/limits.h"
#include "agent/writer/stats.h"
#include "agent/writer/trace.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/thread.h"

#include "sampling.h"
#include "self.h"
#include "settle.h"

#define WORKER_STACK_BYTES (512u * 1024)
#define TIMERS_STACK_BYTES (256u * 1024)
#define TICK_NS            (UINT64_C(500) * SONDE_NS_PER_MS)
#define SETTLE_NS          (UINT64_C(5) * SONDE_NS_PER_S)
#define TEXT_MAX_BYTES     4096
#define ENDPOINTS_MAX      32
#define USER_AGENT         "Datadog Trace Agent/" SONDE_VERSION "/sonde"

typedef struct worker {
    pipeline *p;
    pthread_t thread;
    sonde_buf scratch; /* its own, for encoding */
} worker;

struct pipeline {
    agent_config *config;
    sonde_arena text; /* agent_env */
    sonde_str agent_env;

    /* the stages, last to first */
    forwarder *forwarder;
    stats_writer stats_writer;
    trace_writer *trace_writer;
    rates_cell rates;
    bool has_rates;
    event_rate event_rates[EVENT_RATES_MAX]; /* what the sampler's options point to */
    sampler *sampler;
    concentrator *concentrator;
    client_aggregator *client_aggregator;
    trace_rules *rules;
    processor *processor;
    client_stats_stage client_stats;
    sonde_queue queue;
    bool has_queue;
    worker *workers;
    size_t workers_len; /* started */
    crash *crash;       /* NULL: no socket for it */
    origin *origin;
    proxy *proxy;
    info *info;
    receiver *receiver;
    otlp *otlp; /* NULL: not configured */
    ops *ops;
    _Atomic bool watched;  /* ops may be ticked: everything is open */
    _Atomic bool shedding; /* memory is short */
    _Atomic uint64_t shed; /* payloads refused for it */

    pthread_t timers;
    bool has_timers;
    sonde_mutex mu;
    pthread_cond_t wake;     /* the timers thread */
    bool stopping;           /* guarded by mu */
    uint64_t writer_dropped; /* spans, as the ledger knows; the timers' own */
    bool stopped;
};

/* Keeps the chunks the sampler wants, in order. */
static void drop_unsampled(pipeline *p, payload *what, double dropped_p0_share, int64_t now_unix_ns)
{
    uint32_t i, kept = 0;

    for (i = 0; i < what->chunks_len; i++)
        if (sampler_keeps(p->sampler, what, &what->chunks[i], dropped_p0_share, now_unix_ns))
            what->chunks[kept++] = what->chunks[i];
    what->chunks_len = kept;
}

/* How many traces the client dropped itself for each chunk it sent. */
static double dropped_p0_share(const payload *what)
{
    if (!what->chunks_len || what->client_dropped_p0_traces <= 0)
        return 0.0;
    return (double)what->client_dropped_p0_traces / what->chunks_len;
}

static uint64_t count_spans(const payload *what)
{
    uint64_t spans = 0;
    uint32_t i;

    for (i = 0; i < what->chunks_len; i++)
        spans += what->chunks[i].spans_len;
    return spans;
}

/* Statistics a tracer made of its spans. */
static void process_stats(pipeline *p, payload *what)
{
    client_stats_run(&p->client_stats, what);
    client_aggregator_add(p->client_aggregator, what->stats, sonde_unix_ns());
}

static void process_traces(worker *w, payload *what)
{
    pipeline *p = w->p;
    double share = dropped_p0_share(what);
    int64_t now_unix_ns = sonde_unix_ns();
    uint64_t received = count_spans(what);

    processor_run(p->processor, what);
    concentrator_add(p->concentrator, what, now_unix_ns);
    drop_unsampled(p, what, share, now_unix_ns);
    forwarder_note(p->forwarder, LEDGER_DROPPED, received - count_spans(what));
    trace_writer_add(p->trace_writer, &w->scratch, what, sonde_mono_ns());
}

static void process_payload(worker *w, payload *what)
{
    if (what->stats)
        process_stats(w->p, what);
    else
        process_traces(w, what);
    payload_free(what);
}

static void *run_worker(void *arg)
{
    worker *w = arg;
    void *item;
    size_t bytes;

    while (sonde_queue_pop(&w->p->queue, UINT64_MAX, &item, &bytes) == SONDE_OK)
        process_payload(w, item);
    return NULL;
}

/* The receiver's sink. */
static sonde_status enqueue(void *stage, payload *what)
{
    pipeline *p = stage;
    size_t bytes = what->charged_bytes;
    uint64_t spans = count_spans(what); /* once it is pushed it is the worker's */
    sonde_status status;

    if (atomic_load_explicit(&p->shedding, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&p->shed, 1, memory_order_relaxed);
        return SONDE_ERR_FULL;
    }
    /* what is larger than the whole queue waits alone, instead of never */
    status =
        sonde_queue_push(&p->queue, what, bytes < p->queue.max_bytes ? bytes : p->queue.max_bytes);
    if (status == SONDE_OK)
        forwarder_note(p->forwarder, LEDGER_ACCEPTED, spans);
    return status;
}

/* The writers' sink. */
static sonde_status upload_body(void *stage, upload *u)
{
    pipeline *p = stage;
    uint64_t spans = u->kind == UPLOAD_TRACES ? u->items : 0;
    sonde_status status = forwarder_push(p->forwarder, u);

    if (status == SONDE_OK)
        forwarder_note(p->forwarder, LEDGER_DELIVERED, spans);
    return status;
}

/* What the trace writer dropped since the last time. */
static void note_writer_drops(pipeline *p)
{
    trace_writer_counters n;
    uint64_t dropped = 0;
    int i;

    trace_writer_read_counters(p->trace_writer, &n);
    for (i = 0; i < TRACE_WRITER_DROPS; i++)
        dropped += n.spans_dropped[i];
    forwarder_note(p->forwarder, LEDGER_DROPPED, dropped - p->writer_dropped);
    p->writer_dropped = dropped;
}

static void watch(pipeline *p)
{
    sonde_queue_stats n = sonde_queue_read_stats(&p->queue);
    ops_progress progress = { .taken = n.popped, .waiting = n.len };

    if (!atomic_load_explicit(&p->watched, memory_order_acquire)) /* pairs with pipeline_open() */
        return;
    self_measure(&progress.memory_bytes, &progress.cpu_user_s);
    ops_tick(p->ops, &progress, sonde_mono_ns());
}

static void *run_timers(void *arg)
{
    pipeline *p = arg;
    uint64_t settle_at = sonde_deadline(sonde_mono_ns(), SETTLE_NS);

    sonde_mutex_lock(&p->mu);
    while (!p->stopping) {
        sonde_cond_wait_until(&p->wake, &p->mu, sonde_mono_ns() + TICK_NS);
        sonde_mutex_unlock(&p->mu);
        if (sonde_mono_ns() >= settle_at) {
            settle_memory();
            settle_at = UINT64_MAX;
        }
        concentrator_flush(p->concentrator, sonde_unix_ns(), CONCENTRATOR_FLUSH_READY);
        client_aggregator_flush(p->client_aggregator, sonde_unix_ns(), CLIENT_FLUSH_READY);
        trace_writer_tick(p->trace_writer, sonde_mono_ns());
        note_writer_drops(p);
        watch(p);
        sonde_mutex_lock(&p->mu);
    }
    sonde_mutex_unlock(&p->mu);
    return NULL;
}

/* A forwarder key counts when it was set: its default is meant for metrics, ours are the trace agent's. */
static uint64_t configured(const agent_config *c, const char *key, uint64_t value)
{
    return sonde_str_eq(config_origin(c, key), SONDE_STR("default")) ? 0 : value;
}

static sonde_status open_forwarder(pipeline *p, const pipeline_options *o, sonde_error *out_error)
{
    const agent_config *c = p->config;

    return forwarder_open(
        &(forwarder_options){
            .endpoints = o->endpoints,
            .endpoints_len = o->endpoints_len,
            .user_agent = USER_AGENT,
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
            .storage_path = c->forwarder_storage_path.ptr,
            .disk_bytes = c->forwarder_disk_bytes,
            .disk_ratio = c->forwarder_disk_ratio,
            .stale_ns = (uint64_t)c->forwarder_stale_days * 86400 * SONDE_NS_PER_S,
            .spill_ratio = c->forwarder_spill_ratio,
        },
        &p->forwarder, out_error);
}

static sonde_status open_writers(pipeline *p, sonde_error *out_error)
{
    const agent_config *c = p->config;
    const upload_sink sink = { upload_body, p };
    const trace_writer_options traces = {
        .agent = { .hostname = c->hostname,
                   .env = p->agent_env,
                   .version = SONDE_STR(SONDE_VERSION),
                   .target_tps = c->target_tps,
                   .errors_tps = c->errors_tps },
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
                                              .sink = { stats_writer_push, &p->stats_writer } };
    const stats_sink of_clients = { stats_writer_push, &p->stats_writer };
    processor_options processing = { .config = p->config };
    sonde_status status = rates_cell_init(&p->rates);

    p->has_rates = status == SONDE_OK;
    sampling_options(c, p->event_rates, &sampling);
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
    client_stats_stage_init(&p->client_stats, p->agent_env,
                            (client_stats_rules){ rules_keep_group, rules_replace_group, p->rules,
                                                  processor_sql_flags(c) });
    processing.rules = p->rules;
    if (status == SONDE_OK)
        status = processor_open(&processing, &p->processor);
    if (status == SONDE_OK)
        status =
            sonde_queue_init(&p->queue, PIPELINE_QUEUE_ITEMS, (size_t)c->memory_limit_bytes / 4);
    p->has_queue = status == SONDE_OK;
    return status == SONDE_OK ? status
                              : sonde_fail(out_error, status, "sampler, statistics or processor");
}

static sonde_status start_workers(pipeline *p, sonde_error *out_error)
{
    size_t len = (size_t)p->config->workers;
    sonde_status status = SONDE_OK;
    char name[16];

    p->workers = sonde_calloc(len, sizeof(*p->workers));
    if (!p->workers)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "workers");
    while (status == SONDE_OK && p->workers_len < len) {
        worker *w = &p->workers[p->workers_len];

        w->p = p;
        trace_scratch_init(&w->scratch);
        (void)snprintf(name, sizeof(name), "agent-proc-%u", (unsigned)p->workers_len % 1000);
        status = sonde_thread_start(&w->thread, name, WORKER_STACK_BYTES, run_worker, w);
        p->workers_len += status == SONDE_OK;
    }
    if (status == SONDE_OK)
        status = sonde_thread_start(&p->timers, "agent-timers", TIMERS_STACK_BYTES, run_timers, p);
    p->has_timers = status == SONDE_OK;
    return status == SONDE_OK ? status : sonde_fail(out_error, status, "threads");
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
    sonde_json_put_double(w, "filled", (double)n.len / PIPELINE_QUEUE_ITEMS);
    sonde_json_put_u64(w, "waiting_bytes", n.bytes);
    sonde_json_end_object(w);
}

/* Never fatal, like the trace socket it stands beside. */
static void open_crash(pipeline *p)
{
    const agent_config *c = p->config;
    sonde_error error = { 0 };

    if (!c->crash_spans || c->receiver_socket.len == 0)
        return;
    if (crash_open(&(crash_options){ c->receiver_socket, { enqueue, p } }, &p->crash, &error) !=
        SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no spans of processes that die: %s", error.message);
}

static sonde_status open_origin(pipeline *p, sonde_error *out_error)
{
    const origin_options options = { .container_tags = &p->config->container_tags };
    sonde_status status = origin_open(&options, &p->origin);

    return status == SONDE_OK ? status : sonde_fail(out_error, status, "origins");
}

static sonde_status open_proxy(pipeline *p, sonde_error *out_error)
{
    return proxy_open(&(proxy_options){ p->config, p->agent_env, SONDE_VERSION, p->origin },
                      &p->proxy, out_error);
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
    const char *endpoints[ENDPOINTS_MAX + PROXY_ROUTES_MAX];
    size_t len, i, endpoints_len = receiver_listed_endpoints_len;
    const sonde_str *names = concentrator_peer_tags(p->concentrator, &len);
    info_options options = { .config = p->config,
                             .agent_version = SONDE_VERSION,
                             .git_commit = "",
                             .endpoints = endpoints,
                             .peer_tags = peer_tags,
                             .peer_tags_len = len,
                             .stats_by_span_kind = true,
                             .client_drop_p0s = !p->config->probabilistic_enabled,
                             .crash_socket = crash_socket_path(p->crash) };
    sonde_status status;

    memcpy(endpoints, receiver_listed_endpoints, endpoints_len * sizeof(endpoints[0]));
    options.endpoints_len = endpoints_len + proxy_listed(p->proxy, endpoints + endpoints_len);
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
    sonde_status status = ops_open(&(ops_options){ .config = p->config,
                                                   .version = SONDE_VERSION,
                                                   .commit = "",
                                                   .rates = &p->rates,
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
    http_route routes[OPS_ROUTES + INFO_ROUTES + PROXY_ROUTES_MAX];
    http_route *proxies = routes + OPS_ROUTES + INFO_ROUTES;
    const receiver_options options = { .config = p->config,
                                       .sink = { enqueue, p },
                                       .rates = &p->rates,
                                       .origin = p->origin,
                                       .agent_version = SONDE_VERSION,
                                       .agent_state = info_state(p->info),
                                       .more_routes = routes,
                                       .more_routes_len = OPS_ROUTES + INFO_ROUTES +
                                                          proxy_routes(p->proxy, proxies) };

    ops_routes(p->ops, routes);
    info_routes(p->info, routes + OPS_ROUTES);
    return receiver_open(&options, &p->receiver, out_error);
}

/* Never fatal: the trace endpoints above are what most tracers use. */
static void open_otlp(pipeline *p)
{
    const otlp_options options = { .config = p->config, .sink = { enqueue, p } };
    sonde_error error = { 0 };

    if (otlp_open(&options, &p->otlp, &error) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no traces over OTLP: %s", error.message);
}

/* In the order of the data; a row that finds no place is left out of the page, nothing else. */
static void add_status_rows(pipeline *p)
{
    const info_source rows[] = {
        { "crash", crash_write_json, p->crash }, /* may not be there, as otlp */
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
        { "watchdog", ops_write_json, p->ops },
        { "process", self_write_json, NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_absent = (rows[i].write_json == crash_write_json && !p->crash) ||
                         (rows[i].write_json == otlp_write_json && !p->otlp);

        if (!is_absent && info_add_source(p->info, rows[i]) != SONDE_OK)
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
    if (status == SONDE_OK)
        status = open_forwarder(p, options, out_error);
    if (status == SONDE_OK)
        status = open_writers(p, out_error);
    if (status == SONDE_OK)
        status = open_middle(p, out_error);
    if (status == SONDE_OK)
        status = start_workers(p, out_error);
    if (status == SONDE_OK)
        open_crash(p);
    if (status == SONDE_OK)
        status = open_origin(p, out_error);
    if (status == SONDE_OK)
        status = open_proxy(p, out_error);
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

static void join_timers(pipeline *p)
{
    if (!p->has_timers)
        return;
    sonde_mutex_lock(&p->mu);
    p->stopping = true;
    (void)pthread_cond_signal(&p->wake);
    sonde_mutex_unlock(&p->mu);
    (void)pthread_join(p->timers, NULL);
    p->has_timers = false;
}

static void join_workers(pipeline *p)
{
    size_t i;

    if (p->has_queue)
        sonde_queue_close(&p->queue);
    for (i = 0; i < p->workers_len; i++) {
        (void)pthread_join(p->workers[i].thread, NULL);
        sonde_buf_done(&p->workers[i].scratch);
    }
    p->workers_len = 0;
}

void pipeline_stop(pipeline *p, uint64_t deadline_mono_ns)
{
    if (p->stopped)
        return;
    p->stopped = true;
    crash_stop(p->crash);
    if (p->receiver)
        receiver_stop(p->receiver);
    otlp_stop(p->otlp);
    join_workers(p);
    join_timers(p);
    if (p->concentrator)
        concentrator_flush(p->concentrator, sonde_unix_ns(), CONCENTRATOR_FLUSH_ALL);
    if (p->client_aggregator)
        client_aggregator_flush(p->client_aggregator, sonde_unix_ns(), CLIENT_FLUSH_ALL);
    if (p->trace_writer) {
        trace_writer_flush(p->trace_writer, sonde_mono_ns());
        note_writer_drops(p);
    }
    proxy_stop(p->proxy, deadline_mono_ns);
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
    proxy_close(p->proxy);
    otlp_close(p->otlp, 0);
    ops_close(p->ops);
    info_close(p->info);
    origin_close(p->origin);
    crash_close(p->crash);
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
