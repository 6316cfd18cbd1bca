/* health_metrics.c - counters under the names other tracers report them by. */
#include "health_metrics.h"

#include <stddef.h>

typedef struct told {
    const char *name;
    size_t at; /* of a counter in sonde_counters */
    const char *tags;
} told;

#define AT(member) offsetof(sonde_counters, member)
#define OF(reason) (AT(chunks_dropped) + sizeof(uint64_t) * SONDE_DROP_##reason)

static const told counts[] = {
    { "datadog.tracer.spans_started", AT(spans_started), NULL },
    { "datadog.tracer.spans_finished", AT(spans_finished), NULL },
    { "datadog.tracer.queue.enqueued.traces", AT(chunks_queued_total), NULL },
    { "datadog.tracer.traces_dropped", OF(NO_MEMORY), "reason:queue_full" },
    { "datadog.tracer.traces_dropped", OF(TRACE_TOO_BIG), "reason:trace_too_large" },
    { "datadog.tracer.traces_dropped", OF(PAYLOAD_TOO_BIG), "reason:encoding_error" },
    { "datadog.tracer.traces_dropped", OF(AGENT_UNREACHABLE), "reason:send_failed" },
    { "datadog.tracer.traces_dropped", OF(AGENT_BUSY), "reason:send_failed" },
    { "datadog.tracer.traces_dropped", OF(AGENT_REFUSED), "reason:send_failed" },
    { "datadog.tracer.traces_dropped", OF(STOPPED), "reason:send_failed" },
    { "datadog.tracer.flush_triggered", AT(payloads_sent), NULL },
    { "datadog.tracer.flush_triggered", AT(payloads_failed), NULL },
    { "datadog.tracer.flush_bytes", AT(payload_bytes), NULL },
    { "datadog.tracer.flush_traces", AT(chunks_delivered), NULL },
    { "datadog.tracer.api.requests", AT(payloads_sent), NULL },
    { "datadog.tracer.api.requests", AT(payloads_failed), NULL },
    { "datadog.tracer.api.requests", AT(send_retries), NULL },
    { "datadog.tracer.api.requests", AT(stats_payloads_sent), NULL },
    { "datadog.tracer.api.requests", AT(stats_payloads_failed), NULL },
    { "datadog.tracer.api.errors", AT(payloads_failed), NULL },
    { "datadog.tracer.api.errors", AT(send_retries), NULL },
    { "datadog.tracer.api.errors", AT(stats_payloads_failed), NULL },
    { "datadog.tracer.dropped_p0_traces", OF(NOT_SAMPLED), NULL },
    { "datadog.tracer.dropped_p0_spans",
      AT(spans_dropped) + sizeof(uint64_t) * SONDE_DROP_NOT_SAMPLED, NULL },
    { "datadog.tracer.stats.flush_payloads", AT(stats_payloads_sent), NULL },
    { "datadog.tracer.stats.flush_payloads", AT(stats_payloads_failed), NULL },
    { "datadog.tracer.stats.flush_buckets", AT(stats_payloads_sent), NULL }, /* one in each */
    { "datadog.tracer.stats.flush_buckets", AT(stats_payloads_failed), NULL },
    { "datadog.tracer.stats.flush_errors", AT(stats_payloads_failed), NULL },
    { "datadog.tracer.abandoned_spans", AT(spans_abandoned), NULL },
    { "datadog.tracer.stats.collapsed_spans", AT(stats_spans_collapsed), NULL },
};

static uint64_t value_at(const sonde_counters *c, size_t at)
{
    return *(const uint64_t *)(const void *)((const char *)c + at);
}

void sonde__health_report(sonde_statsd *s, const sonde_counters *before, const sonde_counters *now)
{
    size_t i;

    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t n = value_at(now, counts[i].at) - value_at(before, counts[i].at);

        if (n > 0)
            sonde_statsd_count(s, counts[i].name, (int64_t)n, counts[i].tags);
    }
    sonde_statsd_gauge(s, "datadog.tracer.queue.length", (double)now->chunks_queued, NULL);
}
