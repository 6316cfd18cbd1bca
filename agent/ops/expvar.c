/* expvar.c - /debug/vars, the part of Datadog's page that its tools read. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/json_read.h"
#include "internal.h"
#include "source_series.h"

#define RATE_KEY_MAX_BYTES 4096

static void put(sonde_json_writer *w, const char *key, double value)
{
    sonde_json_put_i64(w, key, (int64_t)value);
}

typedef struct field {
    const char *key, *series;
} field;

/* "lang:go,..." as Datadog's page names them. */
static void put_tags(sonde_json_writer *w, sonde_str tags)
{
    static const struct {
        const char *tag, *key;
    } names[] = {
        { "lang", "Lang" },
        { "lang_version", "LangVersion" },
        { "lang_vendor", "LangVendor" },
        { "interpreter", "Interpreter" },
        { "tracer_version", "TracerVersion" },
        { "endpoint_version", "EndpointVersion" },
        { "connection_type", "ConnectionType" },
        { "service", "Service" },
    };

    while (tags.len) {
        sonde_str value = sonde_str_cut(&tags, ','), tag = sonde_str_cut(&value, ':');

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (sonde_str_eq(tag, sonde_str_from(names[i].tag)))
                sonde_json_put_str(w, names[i].key, value);
    }
}

static void put_drops(sonde_json_writer *w, const payload_source *s)
{
    sonde_json_key(w, SONDE_STR("TracesDropped"));
    sonde_json_begin_object(w);
#define X(name, text) sonde_json_put_u64(w, text, source_in_last_minute(s, SOURCE_DROP_##name));
    SOURCE_DROP_MAP(X)
#undef X
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("SpansMalformed"));
    sonde_json_begin_object(w);
#define X(name, text) sonde_json_put_u64(w, text, source_in_last_minute(s, SOURCE_FIX_##name));
    SOURCE_FIX_MAP(X)
#undef X
    sonde_json_end_object(w);
}

static void put_source(sonde_json_writer *w, const payload_source *s)
{
    static const struct {
        const char *key;
        source_count what;
    } fields[] = {
        { "TracesReceived", SOURCE_TRACES_RECEIVED },
        { "TracesBytes", SOURCE_BYTES },
        { "SpansReceived", SOURCE_SPANS_RECEIVED },
        { "SpansDropped", SOURCE_SPANS_DROPPED },
        { "TracesFiltered", SOURCE_TRACES_FILTERED },
        { "SpansFiltered", SOURCE_SPANS_FILTERED },
        { "EventsExtracted", SOURCE_EVENTS_EXTRACTED },
        { "EventsSampled", SOURCE_EVENTS_SAMPLED },
        { "PayloadAccepted", SOURCE_PAYLOADS_ACCEPTED },
        { "PayloadRefused", SOURCE_PAYLOADS_REFUSED },
        { "PayloadTimeout", SOURCE_PAYLOADS_TIMEOUT },
        { "ClientDroppedP0Spans", SOURCE_CLIENT_DROPPED_SPANS },
        { "ClientDroppedP0Traces", SOURCE_CLIENT_DROPPED_TRACES },
    };

    sonde_json_begin_object(w);
    put_tags(w, sonde_str_from(s->tags));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        sonde_json_put_u64(w, fields[i].key, source_in_last_minute(s, fields[i].what));
    put_drops(w, s);
    sonde_json_end_object(w);
}

/* One entry a source, of those that sent something in the last minute. */
static void put_receiver(sonde_json_writer *w, ops *o)
{
    const payload_sources *all = o->options.sources;

    sonde_json_key(w, SONDE_STR("receiver"));
    sonde_json_begin_array(w);
    sonde_mutex_lock(&o->mu);
    for (size_t i = 0; all && i < sources_len(all); i++)
        if (source_sent_something(sources_at(all, i)))
            put_source(w, sources_at(all, i));
    sonde_mutex_unlock(&o->mu);
    sonde_json_end_array(w);
}

static void put_writer(sonde_json_writer *w, const char *key, const series_set *now,
                       const field *fields, size_t len)
{
    size_t i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (i = 0; i < len; i++)
        put(w, fields[i].key, fields[i].series ? series_sum(now, fields[i].series, "") : 0);
    sonde_json_end_object(w);
}

static void put_writers(sonde_json_writer *w, const series_set *now)
{
    static const field traces[] = {
        { "Payloads", "trace_writer.payloads" },
        { "Traces", "trace_writer.traces" },
        { "Events", "trace_writer.events" },
        { "Spans", "trace_writer.spans" },
        { "Errors", "trace_writer.errors" },
        { "Retries", "trace_writer.retries" },
        { "Bytes", "trace_writer.bytes" },
        { "BytesUncompressed", "trace_writer.bytes_uncompressed" },
        { "SingleMaxSize", NULL },
    };
    static const field stats[] = {
        { "Payloads", "stats_writer.payloads" },
        { "ClientPayloads", "stats_writer.client_payloads" },
        { "StatsBuckets", "stats_writer.stats_buckets" },
        { "StatsEntries", "stats_writer.stats_entries" },
        { "Errors", "stats_writer.errors" },
        { "Retries", "stats_writer.retries" },
        { "Splits", "stats_writer.splits" },
        { "Bytes", "stats_writer.bytes" },
    };

    put_writer(w, "trace_writer", now, traces, sizeof(traces) / sizeof(traces[0]));
    put_writer(w, "stats_writer", now, stats, sizeof(stats) / sizeof(stats[0]));
}

/* The published rates; `filtered`: without those of no environment. */
static void put_rates(sonde_json_writer *w, const char *key, sonde_str body, bool filtered)
{
    sonde_json_reader r;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    sonde_json_reader_init(&r, body, RATE_KEY_MAX_BYTES);
    if (sonde_json_next(&r) == SONDE_JSON_OBJECT && sonde_json_next(&r) == SONDE_JSON_KEY &&
        sonde_json_next(&r) == SONDE_JSON_OBJECT) {
        while (sonde_json_next(&r) == SONDE_JSON_KEY) {
            bool left_out = filtered && sonde_str_ends(r.text, SONDE_STR(",env:"));

            if (!left_out)
                sonde_json_key(w, r.text);
            if (sonde_json_next(&r) != SONDE_JSON_NUMBER) {
                if (!left_out)
                    sonde_json_null(w);
                break;
            }
            if (!left_out)
                sonde_json_double(w, r.number);
        }
    }
    sonde_json_reader_done(&r);
    sonde_json_end_object(w);
}

static void put_config(sonde_json_writer *w, const agent_config *c)
{
    size_t i;

    sonde_json_key(w, SONDE_STR("config"));
    sonde_json_begin_object(w);
    sonde_json_put_bool(w, "Enabled", c->apm_enabled);
    sonde_json_put_str(w, "Hostname", c->hostname);
    sonde_json_put_str(w, "DefaultEnv", c->agent_env);
    sonde_json_put_str(w, "ConfigPath", c->file);
    sonde_json_key(w, SONDE_STR("Endpoints"));
    sonde_json_begin_array(w);
    for (i = 0; i < c->endpoints.len; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "Host", c->endpoints.items[i].url);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
    sonde_json_put_double(w, "TargetTPS", c->target_tps);
    sonde_json_put_double(w, "ErrorTPS", c->errors_tps);
    sonde_json_put_double(w, "MaxEPS", c->max_eps);
    sonde_json_put_double(w, "ExtraSampleRate", c->extra_sample_rate);
    sonde_json_put_str(w, "ReceiverHost", c->receiver_host);
    sonde_json_put_i64(w, "ReceiverPort", c->receiver_port);
    sonde_json_put_str(w, "ReceiverSocket", c->receiver_socket);
    sonde_json_put_u64(w, "MaxRequestBytes", c->max_payload_bytes);
    sonde_json_put_i64(w, "StatsdPort", c->dogstatsd_port);
    sonde_json_put_double(w, "MaxMemory", (double)c->memory_limit_bytes);
    sonde_json_end_object(w);
}

static void put_process(sonde_json_writer *w, const ops *o)
{
    uint64_t memory = atomic_load_explicit(&o->memory_bytes, memory_order_relaxed);
    uint64_t cpu = atomic_load_explicit(&o->cpu_milli_percent, memory_order_relaxed);

    sonde_json_key(w, SONDE_STR("watchdog"));
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("CPU"));
    sonde_json_begin_object(w);
    sonde_json_put_double(w, "UserAvg", (double)cpu / 1000);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("Mem"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "Alloc", memory);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("memstats"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "Alloc", memory);
    sonde_json_put_u64(w, "HeapAlloc", memory);
    sonde_json_end_object(w);
}

void expvar_write(ops *o, const series_set *now, sonde_buf *out)
{
    rates_snapshot *rates = rates_cell_get(o->options.rates);
    sonde_json_writer w;
    char pid[16];

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("cmdline"));
    sonde_json_begin_array(&w);
    sonde_json_str(&w, SONDE_STR("sonde"));
    sonde_json_str(&w, SONDE_STR("agent"));
    sonde_json_end_array(&w);
    put_config(&w, o->config);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    sonde_json_put_str(&w, "pid", sonde_str_from(pid));
    put_rates(&w, "ratebyservice", rates->body, false);
    put_rates(&w, "ratebyservice_filtered", rates->body, true);
    put_receiver(&w, o);
    put_writers(&w, now);
    sonde_json_put_i64(&w, "uptime",
                       (sonde_unix_ns() - o->started_unix_ns) / (int64_t)SONDE_NS_PER_S);
    sonde_json_key(&w, SONDE_STR("version"));
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "Version", sonde_str_from(o->options.version));
    sonde_json_put_str(&w, "GitCommit", sonde_str_from(o->options.commit));
    sonde_json_end_object(&w);
    put_process(&w, o);
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
    rates_put(rates);
}
