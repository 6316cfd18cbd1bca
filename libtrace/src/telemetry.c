/* telemetry.c - what is due, and the events without a file of their own. */
#include "telemetry.h"

#include <string.h>

#include "counters.h"
#include "telemetry_integrations.h"
#include "telemetry_libraries.h"
#include "telemetry_logs.h"
#include "telemetry_metrics.h"
#include "telemetry_request.h"
#include "tracer.h"

#define RETRY_MAX_NS (5 * (uint64_t)SONDE_NS_PER_S)
#define PAUSE_MIN_NS                                                                               \
    (10 * (uint64_t)SONDE_NS_PER_MS) /* between two rounds, whatever is configured */

/* Of the flusher; a fork finds it whole (beats.h). */
static struct {
    bool tried; /* app-started was sent */
    bool told;  /* and taken */
    uint64_t heartbeat_due;
    uint64_t extended_due;
    uint64_t metrics_due;
    uint64_t slot_due;
    sonde__telemetry_request request;
    uint64_t config_seq; /* of the last configuration entry */
    sonde_buf changes;   /* a JSON array that is not closed yet; empty: none */
    sonde_json_writer changes_json;
} t;

/* -- events --------------------------------------------------------------------------------------- */

static void put_empty_event(const char *type)
{
    sonde_json_writer *w = sonde__telemetry_begin(&t.request, type);

    sonde_json_begin_object(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(&t.request);
}

static void put_configuration(sonde_json_writer *w, const sonde__config *c)
{
    sonde_json_key(w, SONDE_STR("configuration"));
    sonde_json_begin_array(w);
    sonde__telemetry_put_configuration(w, c, &t.config_seq);
    sonde_json_end_array(w);
}

static void put_product(sonde_json_writer *w, const char *name, bool enabled)
{
    sonde_json_key(w, sonde_str_from(name));
    sonde_json_begin_object(w);
    sonde_json_put_bool(w, "enabled", enabled);
    sonde_json_end_object(w);
}

static void put_install_signature(sonde_json_writer *w, const sonde__config *c)
{
    if (c->install_id.len + c->install_type.len + c->install_time.len == 0)
        return;
    sonde_json_key(w, SONDE_STR("install_signature"));
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "install_id", c->install_id);
    sonde_json_put_str(w, "install_type", c->install_type);
    sonde_json_put_str(w, "install_time", c->install_time);
    sonde_json_end_object(w);
}

static void put_started(const sonde__config *c)
{
    sonde_json_writer *w = sonde__telemetry_begin(&t.request, "app-started");

    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("products"));
    sonde_json_begin_object(w);
    put_product(w, "appsec", false);
    put_product(w, "profiler", false);
    sonde_json_end_object(w);
    put_configuration(w, c);
    put_install_signature(w, c);
    sonde_json_key(w, SONDE_STR("additional_payload"));
    sonde_json_begin_array(w);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(&t.request);
}

static void put_extended_heartbeat(const sonde__config *c)
{
    sonde_json_writer *w = sonde__telemetry_begin(&t.request, "app-extended-heartbeat");

    sonde_json_begin_object(w);
    put_configuration(w, c);
    sonde_json_key(w, SONDE_STR("dependencies"));
    sonde_json_begin_array(w);
    if (c->telemetry_dependencies)
        sonde__telemetry_libraries_put_all(w);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("integrations"));
    sonde_json_begin_array(w);
    sonde__telemetry_integrations_put_all(w);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(&t.request);
}

/* -- changes -------------------------------------------------------------------------------------- */

void sonde__telemetry_changed(const sonde__telemetry_entry *entry)
{
    sonde_json_writer before;
    size_t len;

    if (!sonde__settings()->telemetry)
        return;
    if (t.changes.max_bytes == 0)
        sonde_buf_init(&t.changes, SONDE__TELEMETRY_CHANGES_MAX);
    if (t.changes.len == 0) {
        sonde_json_writer_init(&t.changes_json, &t.changes);
        sonde_json_begin_array(&t.changes_json);
    }
    before = t.changes_json;
    len = t.changes.len;
    sonde__telemetry_put_entry(&t.changes_json, entry, &t.config_seq);
    if (t.changes.status != SONDE_OK) {
        t.changes.len = len;
        t.changes.status = SONDE_OK;
        t.changes_json = before;
        sonde__count(SONDE__TELEMETRY_DROPPED, 1);
    }
    sonde__beat_hurry(&sonde__telemetry_beat);
}

static void put_changes(void)
{
    sonde_json_writer *w;

    if (t.changes.len <= 1) /* the bracket */
        return;
    w = sonde__telemetry_begin(&t.request, "app-client-configuration-change");
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("configuration"));
    sonde_json_raw(w, sonde_buf_str(&t.changes));
    sonde_buf_append_byte(w->out, ']');
    sonde_json_end_object(w);
    sonde__telemetry_end(&t.request);
}

/* -- life ----------------------------------------------------------------------------------------- */

void sonde__telemetry_listen(void)
{
    sonde__telemetry_logs_open();
}

void sonde__telemetry_open(const sonde__config *c, uint64_t init_ns)
{
    sonde__telemetry_metrics_open(c, init_ns);
    if (!c->telemetry || !c->telemetry_logs)
        sonde__telemetry_logs_close();
}

/* -- when ----------------------------------------------------------------------------------------- */

static uint64_t later(uint64_t now, uint64_t interval)
{
    return sonde_deadline(now, interval > PAUSE_MIN_NS ? interval : PAUSE_MIN_NS);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t tell_start(const sonde__config *c, uint64_t now)
{
    uint64_t retry = earlier(c->telemetry_heartbeat_ns, RETRY_MAX_NS);

    t.tried = true;
    put_started(c);
    t.told = sonde__telemetry_send(&t.request, c);
    if (!t.told)
        return later(now, retry);
    t.heartbeat_due = later(now, c->telemetry_heartbeat_ns);
    t.extended_due = later(now, c->telemetry_extended_ns);
    t.metrics_due = c->telemetry_metrics ? later(now, c->telemetry_metrics_ns) : SONDE__NEVER;
    return now;
}

/* In time for the end of each slot, so that what was counted in it is told of it. */
static void take_sample(uint64_t now)
{
    int64_t unix_ns = sonde_unix_ns();
    uint64_t slot_ns = SONDE__TELEMETRY_SLOT_S * (uint64_t)SONDE_NS_PER_S;

    sonde__telemetry_metrics_sample(unix_ns);
    t.slot_due = sonde_deadline(now, slot_ns - (uint64_t)unix_ns % slot_ns);
}

static void put_heartbeats(const sonde__config *c, uint64_t now)
{
    if (now >= t.extended_due) {
        put_extended_heartbeat(c);
        t.extended_due = later(now, c->telemetry_extended_ns);
    }
    if (now >= t.heartbeat_due) {
        put_empty_event("app-heartbeat");
        t.heartbeat_due = later(now, c->telemetry_heartbeat_ns);
    }
}

/* All that is due, in one request; `ends`: the last one. */
static void tell(const sonde__config *c, uint64_t now, bool ends)
{
    bool is_time = ends || now >= t.heartbeat_due || now >= t.metrics_due;

    put_changes();
    if (c->telemetry_dependencies)
        sonde__telemetry_libraries_put(&t.request);
    sonde__telemetry_integrations_put(&t.request);
    if (is_time && c->telemetry_metrics) {
        take_sample(now);
        sonde__telemetry_metrics_put(&t.request, c);
        t.metrics_due = later(now, c->telemetry_metrics_ns);
    }
    if (is_time && c->telemetry_logs)
        sonde__telemetry_logs_put(&t.request, sonde_unix_ns());
    if (ends)
        put_empty_event("app-closing");
    else
        put_heartbeats(c, now);
    if (!sonde__telemetry_send(&t.request, c))
        return;
    sonde_buf_done(&t.changes); /* rare enough to give the memory back */
    sonde__telemetry_libraries_told();
    sonde__telemetry_integrations_told();
    if (!is_time)
        return;
    sonde__telemetry_metrics_told();
    sonde__telemetry_logs_told();
}

static bool wanted(const sonde__config *c)
{
    return c->telemetry;
}

static uint64_t work(uint64_t now)
{
    const sonde__config *c = sonde__settings();

    if (c->telemetry_metrics && now >= t.slot_due)
        take_sample(now);
    if (!t.told)
        return tell_start(c, now);
    tell(c, now, false);
    return earlier(earlier(t.heartbeat_due, t.extended_due),
                   c->telemetry_metrics ? earlier(t.metrics_due, t.slot_due) : SONDE__NEVER);
}

/* A process that ends at once still says that it was there; one whose agent is away does not wait. */
static void last(uint64_t now)
{
    const sonde__config *c = sonde__settings();

    if (!t.tried)
        (void)tell_start(c, now);
    if (t.told)
        tell(c, now, true);
}

static void forget(void)
{
    sonde__telemetry_request_done(&t.request);
    sonde_buf_done(&t.changes);
    sonde__telemetry_metrics_forget();
    sonde__telemetry_libraries_forget();
    sonde__telemetry_integrations_forget();
    if (t.tried) /* else they are of a start that is under way */
        sonde__telemetry_logs_forget();
    memset(&t, 0, sizeof(t));
}

const sonde__beat sonde__telemetry_beat = { "telemetry", wanted, work, last, forget, NULL };
