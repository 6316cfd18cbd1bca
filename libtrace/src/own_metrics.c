/* own_metrics.c - a statsd client of the tracer's own, and what goes out through it. */
#include "own_metrics.h"

#include <stdio.h>

#include "counters.h"
#include "health_metrics.h"
#include "runtime_metrics.h"
#include "statsd_client.h"
#include "tracer.h"

#define PERIOD_NS (10 * (uint64_t)SONDE_NS_PER_S)
#define WAIT_NS   (50 * (uint64_t)SONDE_NS_PER_MS) /* for full sockets */

static struct {
    sonde_statsd *runtime; /* NULL: off, or no memory */
    sonde_statsd *health;
    sonde__runtime runtime_before;
    sonde_counters health_before;
    bool begun;
} m;

static bool wanted(const sonde__config *c)
{
    return c->enabled && (c->runtime_metrics || c->health_metrics);
}

/* The service is on other clients' lines only when it was configured. */
static sonde_statsd *new_client(const sonde__config *c)
{
    char tags[600];
    sonde_statsd_options o = { .by_hand = 1, .tags = tags };

    (void)snprintf(
        tags, sizeof(tags), "%s%.*s%slang:%.*s,runtime-id:%s", c->service_is_ours ? "service:" : "",
        c->service_is_ours ? (int)(c->service.len < 200 ? c->service.len : 200) : 0, c->service.ptr,
        c->service_is_ours ? "," : "", (int)(c->language.len < 100 ? c->language.len : 100),
        c->language.ptr, sonde__runtime_id());
    return sonde__statsd_new(&o, c);
}

static void begin(const sonde__config *c)
{
    m.begun = true;
    if (c->runtime_metrics) {
        m.runtime = new_client(c);
        sonde__runtime_read(&m.runtime_before);
    }
    if (c->health_metrics) {
        m.health = new_client(c);
        m.health_before.struct_bytes = sizeof(m.health_before); /* the rest is 0: from the start */
        sonde_statsd_count(m.health, "datadog.tracer.started", 1, NULL);
    }
}

static void report_runtime(void)
{
    sonde__runtime now;

    sonde__runtime_read(&now);
    sonde__runtime_report(m.runtime, &m.runtime_before, &now);
    m.runtime_before = now;
}

static void report_health(void)
{
    sonde_counters now = { .struct_bytes = sizeof(now) };

    sonde_counters_read(&now);
    sonde__health_report(m.health, &m.health_before, &now);
    m.health_before = now;
}

static void send_own(void *client)
{
    if (client)
        (void)sonde__statsd_send_all((sonde_statsd *)client,
                                     sonde_deadline(sonde_mono_ns(), WAIT_NS), true);
}

static void send_both(void)
{
    sonde__beat_apart(send_own, m.runtime);
    sonde__beat_apart(send_own, m.health);
}

static uint64_t work(uint64_t now_mono_ns)
{
    if (!m.begun)
        begin(sonde__settings());
    else if (m.runtime)
        report_runtime(); /* from the second time on: what happened since */
    if (m.health)
        report_health();
    send_both();
    return sonde_deadline(now_mono_ns, PERIOD_NS);
}

static void last(uint64_t now_mono_ns)
{
    (void)now_mono_ns;
    if (!m.begun)
        begin(sonde__settings());
    if (m.health)
        report_health();
    sonde_statsd_count(m.health, "datadog.tracer.stopped", 1, NULL);
    send_both();
}

static void forget(void)
{
    sonde__statsd_discard(m.runtime);
    sonde__statsd_discard(m.health);
    m.runtime = m.health = NULL;
    m.begun = false;
    m.health_before = (sonde_counters){ 0 };
}

void sonde__health_flushed(uint64_t duration_ns)
{
    sonde_statsd_timing(m.health, "datadog.tracer.flush_duration",
                        (double)duration_ns / SONDE_NS_PER_MS, NULL);
}

void sonde__health_answered(int http_status)
{
    char tag[32];

    if (http_status <= 0)
        return;
    (void)snprintf(tag, sizeof(tag), "status:%d", http_status);
    sonde_statsd_count(m.health, "datadog.tracer.api.responses", 1, tag);
}

const sonde__beat sonde__own_metrics_beat = { "metrics", wanted, work, last, forget, NULL };
