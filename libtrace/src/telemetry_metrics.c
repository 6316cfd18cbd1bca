/* telemetry_metrics.c - a table of series over the library's counters, and samples of values. */
#include "telemetry_metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "counters.h"
#include "otel_env.h"

/* -- the table ------------------------------------------------------------------------------------ */

#define NO_COUNTER SONDE__COUNTERS

/* The sum of the counters, without the last. */
typedef struct series {
    const char *name;
    const char *tag; /* NULL: none */
    unsigned plus[3];
    unsigned minus;
} series;

#define ONE(a)     { (a), NO_COUNTER, NO_COUNTER }, NO_COUNTER
#define DROPPED(x) SONDE__CHUNKS_DROPPED + SONDE_DROP_##x
#define STYLE(s)   "header_style:" s
#define IN(s)      SONDE__CONTEXTS_EXTRACTED + SONDE__STYLE_##s
#define BAD(s)     SONDE__CONTEXTS_MALFORMED + SONDE__STYLE_##s
#define OUT(s)     SONDE__CONTEXTS_INJECTED + SONDE__STYLE_##s
#define HEADER(n, s, c)                                                                            \
    {                                                                                              \
        "context_header_style." n, STYLE(s), ONE(c)                                                \
    }

/* clang-format off */
static const series fixed[] = {
    { "spans_created", "integration_name:manual", ONE(SONDE__SPANS_STARTED) },
    { "spans_finished", "integration_name:manual", ONE(SONDE__SPANS_FINISHED) },
#define X(name, text) { "spans_dropped", "reason:" text, ONE(SONDE__SPANS_DROPPED + SONDE_DROP_##name) },
    SONDE_DROP_MAP(X)
#undef X
    { "trace_segments_created", "new_continued:new", ONE(SONDE__SEGMENTS_NEW) },
    { "trace_segments_created", "new_continued:continued", ONE(SONDE__SEGMENTS_CONTINUED) },
    { "trace_segments_closed", NULL, { SONDE__CHUNKS_QUEUED, NO_COUNTER, NO_COUNTER }, SONDE__PARTIAL_FLUSHES },
    { "trace_partial_flush.count", "reason:large_trace", ONE(SONDE__PARTIAL_FLUSHES) },
    { "trace_chunks_enqueued", NULL, ONE(SONDE__CHUNKS_QUEUED) },
    { "trace_chunks_sent", NULL, ONE(SONDE__CHUNKS_DELIVERED) },
    { "trace_chunks_dropped", "reason:p0_drop", ONE(DROPPED(NOT_SAMPLED)) },
    { "trace_chunks_dropped", "reason:queue_full",
      { DROPPED(NO_MEMORY), DROPPED(TRACE_TOO_BIG), DROPPED(STOPPED) }, NO_COUNTER },
    { "trace_chunks_dropped", "reason:trace_filters", ONE(DROPPED(FILTERED)) },
    { "trace_chunks_dropped", "reason:serialization_error", ONE(DROPPED(PAYLOAD_TOO_BIG)) },
    { "trace_chunks_dropped", "reason:send_failure",
      { DROPPED(AGENT_UNREACHABLE), DROPPED(AGENT_BUSY), DROPPED(AGENT_REFUSED) }, NO_COUNTER },
    { "logs_created", "level:error", ONE(SONDE__LOGS_ERROR) },
    { "logs_created", "level:warn", ONE(SONDE__LOGS_WARN) },
    { "stats_collapsed_spans", NULL, ONE(SONDE__STATS_SPANS_COLLAPSED) },
    HEADER("injected", "datadog", OUT(DATADOG)),
    HEADER("injected", "tracecontext", OUT(TRACECONTEXT)),
    HEADER("injected", "b3", OUT(B3)),
    HEADER("injected", "b3multi", OUT(B3MULTI)),
    HEADER("injected", "baggage", OUT(BAGGAGE)),
    HEADER("extracted", "datadog", IN(DATADOG)),
    HEADER("extracted", "tracecontext", IN(TRACECONTEXT)),
    HEADER("extracted", "b3", IN(B3)),
    HEADER("extracted", "b3multi", IN(B3MULTI)),
    HEADER("extracted", "baggage", IN(BAGGAGE)),
    HEADER("malformed", "datadog", BAD(DATADOG)),
    HEADER("malformed", "tracecontext", BAD(TRACECONTEXT)),
    HEADER("malformed", "b3", BAD(B3)),
    HEADER("malformed", "b3multi", BAD(B3MULTI)),
    HEADER("malformed", "baggage", BAD(BAGGAGE)),
    { "context_header.truncated", "truncation_reason:baggage_item_count_exceeded", ONE(SONDE__BAGGAGE_CUT_ITEMS) },
    { "context_header.truncated", "truncation_reason:baggage_byte_count_exceeded", ONE(SONDE__BAGGAGE_CUT_BYTES) },
};
/* clang-format on */

enum { FIXED = sizeof(fixed) / sizeof(fixed[0]) };

/* Of an API, behind the fixed ones: requests, three kinds of error, then one for each status. */
enum { REQUESTS, ERROR_TIMEOUT, ERROR_NETWORK, ERROR_STATUS, STATUSES };
enum { API_SERIES = STATUSES + SONDE__TELEMETRY_STATUSES };
enum { SERIES = FIXED + SONDE__CALLS * API_SERIES };

static const char *const api_names[SONDE__CALLS] = { "trace_api", "stats_api", "telemetry_api" };

typedef struct slot {
    int64_t unix_s;
    uint64_t count[SERIES];
} slot;

typedef struct sample {
    uint64_t seen; /* values since the last report, kept or not */
    uint32_t len;
    double value[SONDE__TELEMETRY_VALUES];
} sample;

static struct {
    bool measures;
    bool otel_told;
    uint64_t last[SERIES]; /* as they were at the last sample */
    int64_t sampled_unix_ns;
    uint32_t slots_len;
    slot slots[SONDE__TELEMETRY_SLOTS];
    uint64_t api_count[SONDE__CALLS][API_SERIES];
    int api_status[SONDE__CALLS][SONDE__TELEMETRY_STATUSES]; /* 0: none yet */
    sample samples[SONDE__VALUE_KINDS];
    uint64_t dice;
} m;

/* -- noted ---------------------------------------------------------------------------------------- */

bool sonde__telemetry_measures(void)
{
    return m.measures;
}

static uint64_t roll(uint64_t sides)
{
    m.dice = m.dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m.dice >> 33) % sides;
}

/* Each of the values seen is kept with the same probability. */
void sonde__telemetry_note(sonde__value_kind kind, double value)
{
    sample *s = &m.samples[kind];
    uint64_t at;

    if (!m.measures)
        return;
    s->seen++;
    if (s->len < SONDE__TELEMETRY_VALUES) {
        s->value[s->len++] = value;
        return;
    }
    sonde__count(SONDE__TELEMETRY_LEFT_OUT, 1);
    at = roll(s->seen);
    if (at < SONDE__TELEMETRY_VALUES)
        s->value[at] = value;
}

static unsigned place_of(sonde__call api, int http_status)
{
    unsigned i = 0;

    while (i + 1 < SONDE__TELEMETRY_STATUSES && m.api_status[api][i] != 0 &&
           m.api_status[api][i] != http_status)
        i++;
    if (m.api_status[api][i] == 0)
        m.api_status[api][i] = http_status;
    return STATUSES + i;
}

void sonde__telemetry_note_request(sonde__call api, sonde_status status, int http_status,
                                   size_t bytes, uint64_t duration_ns)
{
    uint64_t *count = m.api_count[api];

    if (!m.measures)
        return;
    count[REQUESTS]++;
    if (status != SONDE_OK)
        count[status == SONDE_ERR_TIMEOUT ? ERROR_TIMEOUT : ERROR_NETWORK]++;
    else
        count[place_of(api, http_status)]++;
    if (status == SONDE_OK && (http_status < 200 || http_status >= 300))
        count[ERROR_STATUS]++;
    sonde__telemetry_note(SONDE__VALUE_API + 2 * (unsigned)api, (double)bytes);
    sonde__telemetry_note(SONDE__VALUE_API + 2 * (unsigned)api + 1,
                          (double)duration_ns / SONDE_NS_PER_MS);
}

/* -- slots ---------------------------------------------------------------------------------------- */

static void read_series(uint64_t out[SERIES])
{
    uint64_t sums[SONDE__COUNTERS + 1];
    size_t i;

    sonde__counters_sum(sums);
    sums[NO_COUNTER] = 0;
    for (i = 0; i < FIXED; i++) {
        uint64_t plus = sums[fixed[i].plus[0]] + sums[fixed[i].plus[1]] + sums[fixed[i].plus[2]];

        /* Threads go on counting meanwhile: never below what was told. */
        out[i] = plus > sums[fixed[i].minus] ? plus - sums[fixed[i].minus] : 0;
    }
    memcpy(out + FIXED, m.api_count, sizeof(m.api_count));
}

static int64_t slot_start(int64_t unix_ns)
{
    int64_t unix_s = unix_ns / SONDE_NS_PER_S;

    return unix_s - unix_s % SONDE__TELEMETRY_SLOT_S;
}

static slot *slot_of(int64_t unix_s)
{
    slot *s = m.slots_len > 0 ? &m.slots[m.slots_len - 1] : NULL;

    if (s && s->unix_s == unix_s)
        return s;
    if (m.slots_len == SONDE__TELEMETRY_SLOTS) {
        memmove(m.slots, m.slots + 1, sizeof(m.slots) - sizeof(m.slots[0]));
        m.slots_len--;
        sonde__count(SONDE__TELEMETRY_DROPPED, 1);
    }
    s = &m.slots[m.slots_len++];
    memset(s, 0, sizeof(*s));
    s->unix_s = unix_s;
    return s;
}

void sonde__telemetry_metrics_sample(int64_t now_unix_ns)
{
    uint64_t now[SERIES];
    int64_t since = m.sampled_unix_ns ? m.sampled_unix_ns : now_unix_ns;
    bool any = false;
    slot *s;
    size_t i;

    m.sampled_unix_ns = now_unix_ns;
    read_series(now);
    for (i = 0; i < SERIES && !any; i++)
        any = now[i] > m.last[i];
    if (!any)
        return;
    s = slot_of(slot_start(since));
    for (i = 0; i < SERIES; i++) {
        if (now[i] <= m.last[i])
            continue;
        s->count[i] += now[i] - m.last[i];
        m.last[i] = now[i];
    }
}

void sonde__telemetry_metrics_forget(void)
{
    memset(&m, 0, sizeof(m));
}

void sonde__telemetry_metrics_open(const sonde__config *c, uint64_t init_ns)
{
    sonde__telemetry_metrics_forget();
    if (!c->telemetry || !c->telemetry_metrics)
        return;
    read_series(m.last);
    m.measures = true;
    sonde__telemetry_note(SONDE__VALUE_INIT_MS, (double)init_ns / SONDE_NS_PER_MS);
}

/* -- told ----------------------------------------------------------------------------------------- */

/* An event is begun with its first series, so that there is none without any. */
typedef struct report {
    sonde__telemetry_request *to;
    const char *type;
    const char *space;
    sonde_json_writer *json; /* NULL: nothing yet */
} report;

static sonde_json_writer *begin_series(report *r, const char *name)
{
    if (!r->json) {
        r->json = sonde__telemetry_begin(r->to, r->type);
        sonde_json_begin_object(r->json);
        sonde_json_put_str(r->json, "namespace", sonde_str_from(r->space));
        sonde_json_key(r->json, SONDE_STR("series"));
        sonde_json_begin_array(r->json);
    }
    sonde_json_begin_object(r->json);
    sonde_json_put_str(r->json, "metric", sonde_str_from(name));
    sonde_json_key(r->json, SONDE_STR("points"));
    sonde_json_begin_array(r->json);
    return r->json;
}

/* Behind the points; up to two tags. */
static void end_series(report *r, const char *tag, const char *tag2, bool is_count)
{
    sonde_json_end_array(r->json);
    if (is_count) {
        sonde_json_put_u64(r->json, "interval", SONDE__TELEMETRY_SLOT_S);
        sonde_json_put_str(r->json, "type", SONDE_STR("count"));
    }
    sonde_json_key(r->json, SONDE_STR("tags"));
    sonde_json_begin_array(r->json);
    if (tag)
        sonde_json_str(r->json, sonde_str_from(tag));
    if (tag2)
        sonde_json_str(r->json, sonde_str_from(tag2));
    sonde_json_end_array(r->json);
    sonde_json_put_bool(r->json, "common", true);
    sonde_json_end_object(r->json);
}

static void end_report(report *r)
{
    if (!r->json)
        return;
    sonde_json_end_array(r->json);
    sonde_json_end_object(r->json);
    sonde__telemetry_end(r->to);
}

static void put_point(sonde_json_writer *w, int64_t unix_s, uint64_t n)
{
    sonde_json_begin_array(w);
    sonde_json_i64(w, unix_s);
    sonde_json_u64(w, n);
    sonde_json_end_array(w);
}

static void put_counts(report *r, size_t at, const char *name, const char *tag)
{
    bool any = false;
    uint32_t i;

    for (i = 0; i < m.slots_len; i++) {
        if (m.slots[i].count[at] == 0)
            continue;
        if (!any)
            (void)begin_series(r, name);
        any = true;
        put_point(r->json, m.slots[i].unix_s, m.slots[i].count[at]);
    }
    if (any)
        end_series(r, tag, NULL, true);
}

static void put_api_counts(report *r, sonde__call api)
{
    static const char *const errors[] = { "type:timeout", "type:network", "type:status_code" };
    size_t at = FIXED + (size_t)api * API_SERIES;
    char name[40], tag[40];
    size_t i;

    (void)snprintf(name, sizeof(name), "%s.requests", api_names[api]);
    put_counts(r, at + REQUESTS, name, NULL);
    (void)snprintf(name, sizeof(name), "%s.errors", api_names[api]);
    for (i = 0; i < 3; i++)
        put_counts(r, at + ERROR_TIMEOUT + i, name, errors[i]);
    (void)snprintf(name, sizeof(name), "%s.responses", api_names[api]);
    for (i = 0; i < SONDE__TELEMETRY_STATUSES; i++) {
        (void)snprintf(tag, sizeof(tag), "status_code:%d", m.api_status[api][i]);
        put_counts(r, at + STATUSES + i, name, tag);
    }
}

/* "config_datadog:dd_service": names of variables in lower case. */
static const char *lower_tag(char to[80], const char *key, const char *name)
{
    size_t len = 0;

    for (; *key; key++)
        to[len++] = *key;
    for (; *name && len < 79; name++)
        to[len++] = (char)(*name >= 'A' && *name <= 'Z' ? *name + ('a' - 'A') : *name);
    to[len] = '\0';
    return to;
}

static void put_otel(report *r, const char *metric, const char *datadog, const char *otel)
{
    char a[80], b[80];
    int64_t slot_s = slot_start(sonde_unix_ns());

    put_point(begin_series(r, metric), slot_s, 1);
    (void)lower_tag(b, "config_opentelemetry:", otel);
    if (datadog)
        end_series(r, lower_tag(a, "config_datadog:", datadog), b, true);
    else
        end_series(r, b, NULL, true);
}

static void put_otel_all(report *r, const sonde__config *c)
{
    unsigned i;

    for (i = 0; i < SONDE__OTEL_VARIABLES && !m.otel_told; i++) {
        const char *datadog, *otel = sonde__otel_name(i, &datadog);

        if (c->otel[i] == SONDE__OTEL_HIDDEN)
            put_otel(r, "otel.env.hiding", datadog, otel);
        else if (c->otel[i] == SONDE__OTEL_INVALID)
            put_otel(r, "otel.env.invalid", datadog, otel);
    }
    for (i = 0; sonde__otel_unsupported(i) && !m.otel_told; i++)
        if (c->otel_unsupported & 1u << i)
            put_otel(r, "otel.env.unsupported", NULL, sonde__otel_unsupported(i));
}

static void put_values(report *r, sonde__value_kind kind, const char *name, const char *tag)
{
    const sample *s = &m.samples[kind];
    uint32_t i;

    if (s->len == 0)
        return;
    (void)begin_series(r, name);
    for (i = 0; i < s->len; i++)
        sonde_json_double(r->json, s->value[i]);
    end_series(r, tag, NULL, false);
}

static void put_api_values(report *r, sonde__call api)
{
    char name[40];

    (void)snprintf(name, sizeof(name), "%s.bytes", api_names[api]);
    put_values(r, SONDE__VALUE_API + 2 * (unsigned)api, name, NULL);
    (void)snprintf(name, sizeof(name), "%s.ms", api_names[api]);
    put_values(r, SONDE__VALUE_API + 2 * (unsigned)api + 1, name, NULL);
}

void sonde__telemetry_metrics_put(sonde__telemetry_request *to, const sonde__config *c)
{
    report counts = { to, "generate-metrics", "tracers", NULL };
    report own_counts = { to, "generate-metrics", "telemetry", NULL };
    report values = { to, "distributions", "tracers", NULL };
    report own_values = { to, "distributions", "telemetry", NULL };
    report general = { to, "distributions", "general", NULL };
    size_t i;

    if (!m.measures)
        return;
    for (i = 0; i < FIXED; i++)
        put_counts(&counts, i, fixed[i].name, fixed[i].tag);
    put_api_counts(&counts, SONDE__CALL_TRACE);
    put_api_counts(&counts, SONDE__CALL_STATS);
    put_otel_all(&counts, c);
    end_report(&counts);
    put_api_counts(&own_counts, SONDE__CALL_TELEMETRY);
    end_report(&own_counts);
    put_values(&values, SONDE__VALUE_CHUNK_SPANS, "trace_chunk_size", NULL);
    put_values(&values, SONDE__VALUE_CHUNK_BYTES, "trace_chunk_serialization.bytes", NULL);
    put_values(&values, SONDE__VALUE_CHUNK_MS, "trace_chunk_serialization.ms", NULL);
    put_api_values(&values, SONDE__CALL_TRACE);
    put_api_values(&values, SONDE__CALL_STATS);
    end_report(&values);
    put_api_values(&own_values, SONDE__CALL_TELEMETRY);
    end_report(&own_values);
    put_values(&general, SONDE__VALUE_INIT_MS, "init_time", "component:total");
    end_report(&general);
}

void sonde__telemetry_metrics_told(void)
{
    size_t i;

    m.slots_len = 0;
    m.otel_told = true;
    for (i = 0; i < SONDE__VALUE_KINDS; i++)
        m.samples[i].seen = m.samples[i].len = 0;
}
