/* series.c - the table, and the numbers gathered by it. */
#include "series.h"

#include <string.h>

#include "flat.h"

/* clang-format off */
#define COUNT SERIES_COUNT
#define GAUGE SERIES_GAUGE
#define FILL  SERIES_FILL
const series_row series_rows[] = {
    { "agent.uptime_s",                           "heartbeat",                      GAUGE, "", false },
    { "receiver.payloads_dropped.payload_too_large", "receiver.error",              COUNT, "error:payload-too-large", true },
    { "receiver.payloads_dropped.decoded_too_big","receiver.error",                 COUNT, "error:payload-too-large", true },
    { "receiver.payloads_dropped.unexpected_eof", "receiver.error",                 COUNT, "error:unexpected-eof", true },
    { "receiver.payloads_dropped.timeout",        "receiver.error",                 COUNT, "error:timeout", true },
    { "receiver.payloads_dropped.decoding_error", "receiver.error",                 COUNT, "error:decoding-error", true },
    { "receiver.payloads_dropped.media_type",     "receiver.error",                 COUNT, "error:format-error", true },
    { "receiver.http.connections_tcp",            "receiver.tcp_connections",       COUNT, "status:accepted", true },
    { "receiver.http.connections_uds",            "receiver.uds_connections",       COUNT, "status:accepted", true },
    { "receiver.config_requests",                 "receiver.config_request",        COUNT, "", true },
    { "queue.filled",                             "receiver.out_chan_fill",         GAUGE, "", false },
    { "watchdog.kills",                           "receiver.oom_kill",              COUNT, "", true },
    { "watchdog.memory_bytes",                    "heap_alloc",                     GAUGE, "", false },
    { "watchdog.cpu_percent",                     "cpu_percent",                    GAUGE, "", false },
    { "sampler.kept_rare",                        "sampler.rare.hits",              COUNT, "", false },
    { "sampler.rare_misses",                      "sampler.rare.misses",            COUNT, "", false },
    { "sampler.rare_shrinks",                     "sampler.rare.shrinks",           COUNT, "", false },
    { "trace_writer.payloads_out",                "trace_writer.payloads",          COUNT, "", false },
    { "trace_writer.bytes_compressed",            "trace_writer.bytes",             COUNT, "", false },
    { "trace_writer.bytes_raw",                   "trace_writer.bytes_uncompressed",COUNT, "", false },
    { "trace_writer.chunks_out",                  "trace_writer.traces",            COUNT, "", false },
    { "trace_writer.spans_out",                   "trace_writer.spans",             COUNT, "", false },
    { "sampler.events_kept",                      "trace_writer.events",            COUNT, "", false },
    { "trace_writer.spans_dropped.no_memory",     "trace_writer.errors",            COUNT, "", false },
    { "forwarder.*.retries",                      "trace_writer.retries",           COUNT, "", false },
    { "forwarder.*.connections_filled",           "trace_writer.connection_fill",   FILL, "", false },
    { "forwarder.*.queue_filled",                 "trace_writer.queue_fill",        FILL, "", false },
    { "forwarder.*.traces.dropped.*.payloads",    "trace_writer.dropped",           COUNT, "", false },
    { "forwarder.*.traces.dropped.*.bytes",       "trace_writer.dropped_bytes",     COUNT, "", false },
    { "stats_writer.payloads_out",                "stats_writer.payloads",          COUNT, "", false },
    { "stats_writer.bytes_compressed",            "stats_writer.bytes",             COUNT, "", false },
    { "stats_writer.groups_out",                  "stats_writer.stats_entries",     COUNT, "", false },
    { "stats.buckets_out",                        "stats_writer.stats_buckets",     COUNT, "", false },
    { "stats_writer.splits",                      "stats_writer.splits",            COUNT, "", false },
    { "stats_writer.groups_dropped",              "stats_writer.errors",            COUNT, "", false },
    { "forwarder.*.connections_filled",           "stats_writer.connection_fill",   FILL, "", false },
    { "forwarder.*.queue_filled",                 "stats_writer.queue_fill",        FILL, "", false },
    { "forwarder.*.stats.dropped.*.payloads",     "stats_writer.dropped",           COUNT, "", false },
    { "forwarder.*.stats.dropped.*.bytes",        "stats_writer.dropped_bytes",     COUNT, "", false },
    { "receiver.stats_payloads_received", "receiver.stats_payload", COUNT, "", true },
    { "receiver.stats_bytes_received", "receiver.stats_bytes", COUNT, "", true },
    { "receiver.stats_buckets_received", "receiver.stats_buckets", COUNT, "", true },
    { "receiver.stats_rejected_decode", "receiver.stats_payload_rejected", COUNT, "reason:decode", true },
    { "receiver.stats_rejected_timeout", "receiver.stats_payload_rejected", COUNT, "reason:timeout", true },
    { "otlp.payloads", "otlp.payload", COUNT, "", true },
    { "otlp.traces_accepted", "otlp.traces", COUNT, "", true },
    { "otlp.spans_accepted", "otlp.spans", COUNT, "", true },
    { "sampler.signatures_priority", "sampler.size", GAUGE, "sampler:priority", false },
    { "sampler.signatures_no_priority", "sampler.size", GAUGE, "sampler:no_priority", false },
    { "sampler.signatures_errors", "sampler.size", GAUGE, "sampler:error", false },
    { "sampler.max_events_per_s", "events.max_eps.max_rate", GAUGE, "", false },
    { "sampler.events_per_s", "events.max_eps.current_rate", GAUGE, "", false },
    { "sampler.events_rate", "events.max_eps.sample_rate", GAUGE, "", false },
    { "sampler.events_limited", "events.max_eps.reached_max", GAUGE, "", false },
    { "client_aggregator.buckets_out", "stats_writer.stats_buckets", COUNT, "", false },
    { "client_aggregator.payloads_in", "stats_writer.client_payloads", COUNT, "", false },
    { "proxies.profiling.received", "profile", COUNT, "", true },
    { "proxies.pipeline_stats.received", "pipelines_stats", COUNT, "", true },
    { "proxies.openlineage.received", "openlineage", COUNT, "", true },
    { "proxies.evp.received", "evp_proxy.request", COUNT, "", true },
    { "proxies.debugger.received", "debugger.proxy_request", COUNT, "", true },
    { "proxies.evp.bytes_sent", "evp_proxy.request_bytes", COUNT, "", true },
    { "proxies.evp.dropped.*", "evp_proxy.request_error", COUNT, "", true },
    { "proxies.evp.errors_4xx", "evp_proxy.request_error", COUNT, "", true },
    { "proxies.evp.errors_5xx", "evp_proxy.request_error", COUNT, "", true },
    { "proxies.debugger.dropped.*", "debugger.proxy_request_error", COUNT, "", true },
    { "proxies.debugger.errors_4xx", "debugger.proxy_request_error", COUNT, "", true },
    { "proxies.debugger.errors_5xx", "debugger.proxy_request_error", COUNT, "", true },
    { "proxies.telemetry.dropped.*", "telemetry_proxy.error", COUNT, "", true },
    { "proxies.telemetry.errors_4xx", "telemetry_proxy.error", COUNT, "", true },
    { "proxies.telemetry.errors_5xx", "telemetry_proxy.error", COUNT, "", true },
};
/* clang-format on */
const size_t series_rows_len = sizeof(series_rows) / sizeof(series_rows[0]);

_Static_assert(sizeof(series_rows) / sizeof(series_rows[0]) <= SERIES_MAX, "a row is a series");

/* Whether a path is meant by a pattern. */
static bool matches(sonde_str path, sonde_str pattern)
{
    while (pattern.len) {
        sonde_str want = sonde_str_cut(&pattern, '.'), got;

        if (!path.len)
            return false;
        got = sonde_str_cut(&path, '.');
        if (!sonde_str_eq(want, SONDE_STR("*")) && !sonde_str_eq(want, got))
            return false;
    }
    return path.len == 0;
}

/* Rows of one name and tags are one series. */
static series *place_for(series_set *s, const series_row *row)
{
    size_t i;

    for (i = 0; i < s->len; i++)
        if (strcmp(s->items[i].row->name, row->name) == 0 &&
            strcmp(s->items[i].row->tags, row->tags) == 0)
            return &s->items[i];
    s->items[s->len] = (series){ .row = row };
    return &s->items[s->len++];
}

static void take(series *s, double value)
{
    if (strcmp(s->row->name, "heartbeat") == 0)
        s->value = 1;
    else if (s->row->kind != SERIES_FILL)
        s->value += value;
    else if (value > s->value)
        s->value = value;
}

static void see(void *user, sonde_str path, double value)
{
    size_t i;

    for (i = 0; i < series_rows_len; i++) {
        const series_row *row = &series_rows[i];

        if (matches(path, sonde_str_from(row->path)))
            take(place_for(user, row), value);
    }
}

sonde_status series_fill(series_set *s, sonde_str status_json)
{
    s->len = 0;
    return flat_walk(status_json, see, s);
}

double series_sum(const series_set *s, const char *name, const char *tag)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < s->len; i++)
        if (strcmp(s->items[i].row->name, name) == 0 && strstr(s->items[i].row->tags, tag))
            sum += s->items[i].value;
    return sum;
}
