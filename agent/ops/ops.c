/* ops.c - the pages, and the tick that reports and watches. */
#include "ops.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "flat.h"
#include "internal.h"
#include "log_ring.h"
#include "source_series.h"

#define REPORT_NS  (UINT64_C(10) * SONDE_NS_PER_S)
#define SOURCES_NS (UINT64_C(5) * SONDE_NS_PER_S)
#define MINUTE_NS  (UINT64_C(60) * SONDE_NS_PER_S)

sonde_status ops_open(const ops_options *options, ops **out_ops)
{
    ops *o = sonde_calloc(1, sizeof(*o));
    uint64_t now = sonde_mono_ns();

    if (!o)
        return SONDE_ERR_NOMEM;
    o->options = *options;
    o->config = config_get(options->config);
    o->started_unix_ns = sonde_unix_ns();
    o->report_at_ns = sonde_deadline(now, REPORT_NS);
    o->sources_at_ns = sonde_deadline(now, SOURCES_NS);
    o->minute_at_ns = sonde_deadline(now, MINUTE_NS);
    o->check_at_ns = sonde_deadline(now, o->config->watchdog_check_ns);
    watchdog_init(&o->watchdog, o->config->memory_limit_bytes, o->config->memory_kill_bytes);
    sonde_mutex_init(&o->mu, SONDE_RANK_ROOM);
    statsd_out_init(&o->statsd, o->config->statsd_socket, o->config->statsd_port);
    log_ring_start();
    *out_ops = o;
    return SONDE_OK;
}

void ops_close(ops *o)
{
    if (!o)
        return;
    log_ring_stop();
    statsd_out_done(&o->statsd);
    sonde_mutex_done(&o->mu);
    config_put(o->config);
    sonde_free(o);
}

/* The series of this moment; false: no memory, or a room wrote nonsense. */
static bool read_series(ops *o, series_set *out)
{
    sonde_status status;
    sonde_buf text;

    sonde_buf_init(&text, OPS_PAGE_MAX_BYTES);
    o->options.write_status(o->options.status_user, &text);
    status = text.status;
    if (status == SONDE_OK)
        status = series_fill(out, sonde_buf_str(&text));
    sonde_buf_done(&text);
    return status == SONDE_OK;
}

/* -- the tick --------------------------------------------------------------------------------------- */

static void report(ops *o)
{
    series_set *now = sonde_malloc(sizeof(*now));

    if (now && read_series(o, now)) {
        series_to_statsd(&o->sent, now, o->config->send_all_internal_stats, statsd_out_line,
                         &o->statsd);
        o->sent = *now;
    }
    sonde_free(now);
    if (o->options.each_decision)
        o->options.each_decision(o->options.decisions_user, decision_to_statsd,
                                 &(decision_lines){ statsd_out_line, &o->statsd });
    timings_to_statsd(o->options.timings, o->config->send_all_internal_stats, statsd_out_line,
                      &o->statsd);
    if (o->options.more_lines && o->statsd.set)
        o->options.more_lines(o->options.more_lines_user, statsd_out_line, &o->statsd);
    statsd_out_flush(&o->statsd);
    atomic_store_explicit(&o->statsd_sent, o->statsd.sent, memory_order_relaxed);
    atomic_store_explicit(&o->statsd_lost, o->statsd.lost, memory_order_relaxed);
}

static void report_sources(ops *o)
{
    sources_to_statsd(o->options.sources, o->config->send_all_internal_stats, statsd_out_line,
                      &o->statsd);
    statsd_out_flush(&o->statsd);
}

static void turn_minute(ops *o)
{
    sonde_mutex_lock(&o->mu);
    sources_turn_minute(o->options.sources);
    sonde_mutex_unlock(&o->mu);
    sources_log_minute(o->options.sources); /* nobody else changes the minute */
}

static void end_process(ops *o, uint64_t memory_bytes)
{
    SONDE_LOG_ALWAYS(
        SONDE_LOG_ERROR,
        "watchdog: out of memory, ending the process: memory_bytes=%llu line_bytes=%llu",
        (unsigned long long)memory_bytes, (unsigned long long)o->watchdog.kill_bytes);
    if (o->statsd.set) {
        statsd_out_line(&o->statsd, SONDE_STR(SERIES_PREFIX "receiver.oom_kill:1|c\n"));
        statsd_out_flush(&o->statsd);
    }
    if (o->options.die)
        o->options.die();
    else
        _exit(1);
}

static void set_shedding(ops *o, bool on)
{
    if (on == o->shedding)
        return;
    o->shedding = on;
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "watchdog: memory %s: limit_bytes=%llu",
                     on ? "above its limit, refusing payloads" : "below its limit again",
                     (unsigned long long)o->watchdog.limit_bytes);
    o->options.shed(o->options.shed_user, on);
}

static void check(ops *o, const ops_progress *p, uint64_t now)
{
    watch_verdict verdict = watchdog_see(&o->watchdog, p->memory_bytes, p->cpu_user_s, now);

    atomic_store_explicit(&o->memory_bytes, p->memory_bytes, memory_order_relaxed);
    atomic_store_explicit(&o->cpu_milli_percent, (uint64_t)(o->watchdog.cpu_percent * 1000),
                          memory_order_relaxed);
    atomic_store_explicit(&o->sheds, o->watchdog.sheds, memory_order_relaxed);
    if (o->options.supervisor)
        notify_send(o->options.supervisor,
                    "STATUS=%llu payloads processed, %llu waiting, %llu MiB%s",
                    (unsigned long long)p->taken, (unsigned long long)p->waiting,
                    (unsigned long long)(p->memory_bytes >> 20),
                    verdict != WATCH_FINE ? ", refusing: memory is short" : "");
    if (verdict == WATCH_KILL && o->above_line) {
        end_process(o, p->memory_bytes);
        return;
    }
    o->above_line = verdict == WATCH_KILL; /* refusing may help: until the next look */
    set_shedding(o, verdict != WATCH_FINE);
}

/* The supervisor hears of us while payloads move, or none wait. */
static void feed(ops *o, const ops_progress *p, uint64_t now)
{
    const notify *n = o->options.supervisor;
    bool moves = p->waiting == 0 || p->taken != o->last_taken;

    if (!n || n->watchdog_ns == 0 || now < o->feed_at_ns)
        return;
    o->last_taken = p->taken;
    o->feed_at_ns = sonde_deadline(now, n->watchdog_ns / 3);
    if (moves)
        notify_send(n, "WATCHDOG=1");
    atomic_fetch_add_explicit(moves ? &o->fed : &o->not_fed, 1, memory_order_relaxed);
}

static bool due(uint64_t *at_ns, uint64_t every_ns, uint64_t now)
{
    if (now < *at_ns)
        return false;
    *at_ns = sonde_deadline(now, every_ns);
    return true;
}

void ops_tick(ops *o, const ops_progress *progress, uint64_t now_mono_ns)
{
    feed(o, progress, now_mono_ns);
    if (due(&o->check_at_ns, o->config->watchdog_check_ns, now_mono_ns) || o->shedding)
        check(o, progress, now_mono_ns);
    if (due(&o->sources_at_ns, SOURCES_NS, now_mono_ns) && o->statsd.set)
        report_sources(o);
    if (due(&o->report_at_ns, REPORT_NS, now_mono_ns) && o->statsd.set)
        report(o);
    if (due(&o->minute_at_ns, MINUTE_NS, now_mono_ns))
        turn_minute(o);
}

/* -- the pages -------------------------------------------------------------------------------------- */

/* They tell more than a stranger should know. */
static bool refuse_strangers(http_request *request, http_response *response)
{
    if (http_request_is_local(request) &&
        !sonde_str_eq_nocase(http_request_header(request, "Sec-Fetch-Site"),
                             SONDE_STR("cross-site")))
        return false;
    http_response_text(response, 403, "only for this host\n");
    return true;
}

static void put_status_number(void *user, sonde_str path, double value)
{
    sonde_buf_printf(user, "sonde_agent_status{path=\"%.*s\"} %.17g\n", SONDE_STR_ARG(path), value);
}

/* The metrics by Datadog's names, then every number of every room. */
static http_result serve_metrics(void *user, http_request *request, http_response *response)
{
    ops *o = user;
    series_set *now = sonde_malloc(sizeof(*now));
    sonde_buf text;

    sonde_buf_init(&text, OPS_PAGE_MAX_BYTES);
    if (refuse_strangers(request, response)) {
    } else if (!now || !read_series(o, now)) {
        http_response_text(response, 503, "not now\n");
    } else {
        response->content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        series_to_openmetrics(now, &response->body);
        sources_to_openmetrics(o->options.sources, &response->body);
        timings_to_openmetrics(o->options.timings, &response->body);
        if (o->options.each_decision)
            decisions_to_openmetrics(o->options.each_decision, o->options.decisions_user,
                                     &response->body);
        o->options.write_status(o->options.status_user, &text);
        sonde_buf_append_str(&response->body, SONDE_STR("# TYPE sonde_agent_status unknown\n"));
        if (text.status == SONDE_OK)
            (void)flat_walk(sonde_buf_str(&text), put_status_number, &response->body);
        sonde_buf_append_str(&response->body, SONDE_STR("# EOF\n"));
    }
    sonde_buf_done(&text);
    sonde_free(now);
    return HTTP_DONE;
}

static http_result serve_vars(void *user, http_request *request, http_response *response)
{
    ops *o = user;
    series_set *now = sonde_malloc(sizeof(*now));

    if (refuse_strangers(request, response)) {
    } else if (!now || !read_series(o, now)) {
        http_response_text(response, 503, "not now\n");
    } else {
        response->content_type = "application/json; charset=utf-8";
        expvar_write(o, now, &response->body);
    }
    sonde_free(now);
    return HTTP_DONE;
}

static http_result serve_log(void *user, http_request *request, http_response *response)
{
    (void)user;
    if (refuse_strangers(request, response))
        return HTTP_DONE;
    response->content_type = "text/plain; charset=utf-8";
    log_ring_write(&response->body);
    return HTTP_DONE;
}

void ops_routes(ops *o, http_route out[OPS_ROUTES])
{
    const http_route rows[OPS_ROUTES] = {
        { .methods = "GET", .path = "/metrics", .handle = serve_metrics },
        { .methods = "GET", .path = "/debug/vars", .handle = serve_vars },
        { .methods = "GET", .path = "/sonde/v1/log", .handle = serve_log },
    };
    size_t i;

    memcpy(out, rows, sizeof(rows));
    for (i = 0; i < OPS_ROUTES; i++) {
        out[i].max_body_bytes = 4096;
        out[i].user = o;
    }
}

static uint64_t load(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

void ops_write_json(void *ops_, sonde_json_writer *w)
{
    const ops *o = ops_;

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "memory_bytes", load(&o->memory_bytes));
    sonde_json_put_u64(w, "memory_limit_bytes", o->config->memory_limit_bytes);
    sonde_json_put_u64(w, "memory_kill_bytes", o->config->memory_kill_bytes);
    sonde_json_put_double(w, "cpu_percent", (double)load(&o->cpu_milli_percent) / 1000);
    sonde_json_put_double(w, "cpu_percent_max", o->config->max_cpu_percent);
    sonde_json_put_u64(w, "times_refusing", load(&o->sheds));
    sonde_json_put_u64(w, "kills", 0); /* nobody is left to say 1 */
    sonde_json_put_u64(w, "supervisor_fed", load(&o->fed));
    sonde_json_put_u64(w, "supervisor_not_fed", load(&o->not_fed));
    sonde_json_put_u64(w, "statsd_datagrams", load(&o->statsd_sent));
    sonde_json_put_u64(w, "statsd_lost", load(&o->statsd_lost));
    sonde_json_end_object(w);
}
