/* source_series.c - what the tracers were told apart for: receiver.* and normalizer.* with their tags, and timings. */
#include "source_series.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/ops/series.h"
#include "base/log.h"

#define LINE_MAX_BYTES 1400

typedef struct source_row {
    source_count what;
    const char *name; /* behind SERIES_PREFIX; rows of one name stand together */
    const char *tag;  /* beside the source's; "" none */
    bool when_changed;
} source_row;

/* clang-format off */
static const source_row rows[] = {
    { SOURCE_TRACES_RECEIVED,       "receiver.trace",                    "", false },
    { SOURCE_TRACES_RECEIVED,       "receiver.traces_received",          "", false },
    { SOURCE_BYTES,                 "receiver.traces_bytes",             "", false },
    { SOURCE_SPANS_RECEIVED,        "receiver.spans_received",           "", false },
    { SOURCE_SPANS_DROPPED,         "receiver.spans_dropped",            "", false },
    { SOURCE_PAYLOADS_ACCEPTED,     "receiver.payload_accepted",         "", false },
    { SOURCE_PAYLOADS_REFUSED,      "receiver.payload_refused",          "", false },
    { SOURCE_PAYLOADS_TIMEOUT,      "receiver.payload_timeout",          "", true },
    { SOURCE_TRACES_FILTERED,       "receiver.traces_filtered",          "", true },
    { SOURCE_SPANS_FILTERED,        "receiver.spans_filtered",           "", true },
    { SOURCE_EVENTS_EXTRACTED,      "receiver.events_extracted",         "", true },
    { SOURCE_EVENTS_SAMPLED,        "receiver.events_sampled",           "", true },
    { SOURCE_CLIENT_DROPPED_SPANS,  "receiver.client_dropped_p0_spans",  "", true },
    { SOURCE_CLIENT_DROPPED_TRACES, "receiver.client_dropped_p0_traces", "", true },
#define PRIORITIES "receiver.traces_priority"
#define P(n) { (source_count)(SOURCE_PRIORITY_FIRST + (n) - SOURCE_PRIORITY_MIN), PRIORITIES, "priority:" #n, true }
    { SOURCE_PRIORITY_NONE, PRIORITIES, "priority:none", true },
    P(-10), P(-9), P(-8), P(-7), P(-6), P(-5), P(-4), P(-3), P(-2), P(-1), P(0),
    P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), P(10),
#undef P
#define X(name, text) { SOURCE_DROP_##name, "normalizer.traces_dropped", "reason:" text, true },
    SOURCE_DROP_MAP(X)
#undef X
#define X(name, text) { SOURCE_FIX_##name, "normalizer.spans_malformed", "reason:" text, true },
    SOURCE_FIX_MAP(X)
#undef X
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

#define SERVE_NAME "receiver.serve_traces_ms"

static const char *const success_tags[] = { "success:false", "success:true" };

static const struct {
    const char *name;
    uint64_t unit;
} timing_rows[] = {
#define X(name, text, unit) [TIMING_##name] = { text, unit },
    TIMING_MAP(X)
#undef X
};

/* -- DogStatsD -------------------------------------------------------------------------------------- */

typedef struct lines {
    void (*line)(void *user, sonde_str text);
    void *user;
    bool everything;
} lines;

static void put_line(const lines *to, const char *name, const char *suffix, uint64_t value,
                     char kind, const char *tags, const char *tag)
{
    char text[LINE_MAX_BYTES];
    int len = snprintf(text, sizeof(text), SERIES_PREFIX "%s%s:%" PRIu64 "|%c%s%s%s%s\n", name,
                       suffix, value, kind, tags[0] || tag[0] ? "|#" : "", tags,
                       tags[0] && tag[0] ? "," : "", tag);

    if (len > 0 && (size_t)len < sizeof(text))
        to->line(to->user, (sonde_str){ text, (size_t)len });
}

static uint64_t whole(uint64_t amount, uint64_t unit)
{
    return (amount + unit / 2) / unit;
}

/* How often since the last time, and how long or large then. */
static void report_timing(const lines *to, const char *name, timing *t, uint64_t unit,
                          const char *tags, const char *tag)
{
    uint64_t count = atomic_load_explicit(&t->count, memory_order_relaxed);
    uint64_t total = atomic_load_explicit(&t->total, memory_order_relaxed);
    uint64_t max = atomic_exchange_explicit(&t->max, 0, memory_order_relaxed);
    uint64_t n = count - t->reported_count, grew = total - t->reported_total;

    t->reported_count = count;
    t->reported_total = total;
    if (n == 0 && !to->everything)
        return;
    put_line(to, name, ".count", n, 'c', tags, tag);
    put_line(to, name, ".max", whole(max, unit), 'g', tags, tag);
    put_line(to, name, ".avg", n ? whole(grew / n, unit) : 0, 'g', tags, tag);
}

static void report_source(const lines *to, payload_source *s)
{
    uint64_t now[SOURCE_COUNTS];

    for (size_t i = 0; i < SOURCE_COUNTS; i++)
        now[i] = source_read(s, (source_count)i);
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t grew = now[rows[i].what] - s->reported[rows[i].what];

        if (grew || !rows[i].when_changed || to->everything)
            put_line(to, rows[i].name, "", grew, 'c', s->tags, rows[i].tag);
    }
    memcpy(s->reported, now, sizeof(now));
    for (size_t i = 0; i < 2; i++)
        report_timing(to, SERVE_NAME, &s->served[i], SONDE_NS_PER_MS, s->tags, success_tags[i]);
}

void sources_to_statsd(const payload_sources *sources, bool everything,
                       void (*line)(void *user, sonde_str text), void *user)
{
    const lines to = { line, user, everything };

    for (size_t i = 0; sources && i < sources_len(sources); i++)
        report_source(&to, sources_at(sources, i));
}

void timings_to_statsd(timings *all, bool everything, void (*line)(void *user, sonde_str text),
                       void *user)
{
    const lines to = { line, user, everything };

    for (size_t i = 0; all && i < TIMINGS; i++)
        report_timing(&to, timing_rows[i].name, &all->of[i], timing_rows[i].unit, "", "");
}

/* -- OpenMetrics ------------------------------------------------------------------------------------ */

static void put_sample(sonde_buf *out, const char *name, const char *suffix, const char *tags,
                       const char *tag, double value)
{
    char labels[LINE_MAX_BYTES];

    (void)snprintf(labels, sizeof(labels), "%s%s%s", tags, tags[0] && tag[0] ? "," : "", tag);
    series_put_sample(out, name, suffix, sonde_str_from(labels), value);
}

static void put_row(const payload_sources *sources, const source_row *row, sonde_buf *out)
{
    for (size_t i = 0; i < sources_len(sources); i++) {
        const payload_source *s = sources_at(sources, i);
        uint64_t value = source_read(s, row->what);

        if (value || !row->when_changed)
            put_sample(out, row->name, "_total", s->tags, row->tag, (double)value);
    }
}

static void put_timing(const char *name, const timing *t, uint64_t unit, const char *tags,
                       const char *tag, sonde_buf *out)
{
    put_sample(out, name, "_count", tags, tag,
               (double)atomic_load_explicit(&t->count, memory_order_relaxed));
    put_sample(out, name, "_sum", tags, tag,
               (double)atomic_load_explicit(&t->total, memory_order_relaxed) / (double)unit);
}

void sources_to_openmetrics(const payload_sources *sources, sonde_buf *out)
{
    if (!sources)
        return;
    for (size_t i = 0; i < ROWS; i++) {
        if (i == 0 || strcmp(rows[i - 1].name, rows[i].name) != 0)
            series_put_type(out, rows[i].name, "counter");
        put_row(sources, &rows[i], out);
    }
    series_put_type(out, SERVE_NAME, "summary");
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sources_len(sources); k++)
            put_timing(SERVE_NAME, &sources_at(sources, k)->served[i], SONDE_NS_PER_MS,
                       sources_at(sources, k)->tags, success_tags[i], out);
}

void timings_to_openmetrics(const timings *all, sonde_buf *out)
{
    for (size_t i = 0; all && i < TIMINGS; i++) {
        series_put_type(out, timing_rows[i].name, "summary");
        put_timing(timing_rows[i].name, &all->of[i], timing_rows[i].unit, "", "", out);
    }
}

/* -- decisions of the samplers --------------------------------------------------------------------- */

void decision_to_statsd(void *to, decision_count *d)
{
    const decision_lines *out = to;
    const lines all = { out->line, out->user, false };

    put_line(&all, "sampler.seen", "", d->seen - d->reported_seen, 'c', d->tags, "");
    put_line(&all, "sampler.kept", "", d->kept - d->reported_kept, 'c', d->tags, "");
    d->reported_seen = d->seen;
    d->reported_kept = d->kept;
}

static void put_seen(void *out, decision_count *d)
{
    put_sample(out, "sampler.seen", "_total", d->tags, "", (double)d->seen);
}

static void put_kept(void *out, decision_count *d)
{
    put_sample(out, "sampler.kept", "_total", d->tags, "", (double)d->kept);
}

void decisions_to_openmetrics(decisions_walk each, void *user, sonde_buf *out)
{
    series_put_type(out, "sampler.seen", "counter");
    each(user, put_seen, out);
    series_put_type(out, "sampler.kept", "counter");
    each(user, put_kept, out);
}

/* -- the last minute -------------------------------------------------------------------------------- */

void sources_turn_minute(const payload_sources *sources)
{
    for (size_t i = 0; sources && i < sources_len(sources); i++) {
        payload_source *s = sources_at(sources, i);

        memcpy(s->minute_began, s->minute_ended, sizeof(s->minute_began));
        for (size_t k = 0; k < SOURCE_COUNTS; k++)
            s->minute_ended[k] = source_read(s, (source_count)k);
    }
}

uint64_t source_in_last_minute(const payload_source *s, source_count what)
{
    return s->minute_ended[what] - s->minute_began[what];
}

bool source_sent_something(const payload_source *s)
{
    return memcmp(s->minute_began, s->minute_ended, sizeof(s->minute_began)) != 0;
}

/* "name(reason:n, reason:n)" of the rows of that name that are not zero. */
static void put_reasons(sonde_buf *out, const payload_source *s, const char *name)
{
    const char *before = "";

    for (size_t i = 0; i < ROWS; i++) {
        uint64_t n = source_in_last_minute(s, rows[i].what);
        sonde_str tag = sonde_str_from(rows[i].tag);

        if (strcmp(rows[i].name, name) != 0 || n == 0)
            continue;
        if (!*before)
            sonde_buf_printf(out, "%s%s(", out->len ? ", " : "", strchr(name, '.') + 1);
        (void)sonde_str_cut(&tag, ':');
        sonde_buf_printf(out, "%s%.*s:%" PRIu64, before, SONDE_STR_ARG(tag), n);
        before = ", ";
    }
    if (*before)
        sonde_buf_append_byte(out, ')');
}

static void log_source(const payload_source *s)
{
    sonde_buf warning;

    SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG,
                     "received in a minute: [%.*s] payloads=%" PRIu64 " traces=%" PRIu64
                     " spans=%" PRIu64 " bytes=%" PRIu64 " refused=%" PRIu64,
                     (int)s->tags_len, s->tags, source_in_last_minute(s, SOURCE_PAYLOADS_ACCEPTED),
                     source_in_last_minute(s, SOURCE_TRACES_RECEIVED),
                     source_in_last_minute(s, SOURCE_SPANS_RECEIVED),
                     source_in_last_minute(s, SOURCE_BYTES),
                     source_in_last_minute(s, SOURCE_PAYLOADS_REFUSED));
    sonde_buf_init(&warning, LINE_MAX_BYTES);
    put_reasons(&warning, s, "normalizer.traces_dropped");
    put_reasons(&warning, s, "normalizer.spans_malformed");
    if (warning.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "not as it should be, in a minute: [%.*s] %.*s",
                         (int)s->tags_len, s->tags, SONDE_STR_ARG(sonde_buf_str(&warning)));
    sonde_buf_done(&warning);
}

void sources_log_minute(const payload_sources *sources)
{
    bool any = false;

    for (size_t i = 0; sources && i < sources_len(sources); i++) {
        if (!source_sent_something(sources_at(sources, i)))
            continue;
        any = true;
        log_source(sources_at(sources, i));
    }
    if (!any)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "No data received");
}
