/* telemetry_config.c - entries, source by source in the order in which they win. */
#include "telemetry_config.h"

#include <string.h>

#include "config_read.h"
#include "live.h"
#include "settings.h"

/* -- what is particular about some ---------------------------------------------------------------- */

enum {
    AS_BOOL = 1,     /* a text that usually is a boolean */
    UNSET_NULL = 2,  /* not given: null instead of "" */
    UNSET_NONE = 4,  /* not given: no entry */
    UNSUPPORTED = 8, /* when it is true: not to be had here */
};

typedef struct particular {
    const char *name;
    const char *others[2]; /* what other tracers call it */
    unsigned flags;
} particular;

static const particular particulars[] = {
    { "DD_APM_TRACING_ENABLED", { "apm_tracing_enabled" }, 0 },
    { "DD_APPSEC_ENABLED", { "appsec_enabled" }, UNSUPPORTED },
    { "DD_APPSEC_SCA_ENABLED", { "appsec.sca_enabled" }, AS_BOOL | UNSET_NONE },
    { "DD_DATA_STREAMS_ENABLED", { "data_streams_enabled" }, UNSUPPORTED },
    { "DD_DYNAMIC_INSTRUMENTATION_ENABLED", { "dynamic_instrumentation_enabled" }, UNSUPPORTED },
    { "DD_ENV", { "env" }, 0 },
    { "DD_IAST_ENABLED", { NULL }, UNSUPPORTED },
    { "DD_INJECTION_ENABLED", { "ssi_injection_enabled" }, UNSET_NULL },
    { "DD_INJECT_FORCE", { "ssi_forced_injection_enabled" }, AS_BOOL | UNSET_NULL },
    { "DD_INSTRUMENTATION_TELEMETRY_ENABLED", { "instrumentation_telemetry_enabled" }, 0 },
    { "DD_LOGS_INJECTION", { "logs_injection_enabled" }, 0 },
    { "DD_PROFILING_ENABLED", { "profiling_enabled" }, AS_BOOL },
    { "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS", { "remote_config_poll_interval" }, 0 },
    { "DD_RUNTIME_METRICS_ENABLED", { "runtime_metrics_enabled" }, 0 },
    { "DD_SERVICE", { "service" }, 0 },
    { "DD_SPAN_SAMPLING_RULES", { "span_sample_rules" }, 0 },
    { "DD_TAGS", { "trace_tags", "tags" }, 0 },
    { "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", { "trace_128_bits_id_enabled" }, 0 },
    { "DD_TRACE_AGENT_URL", { "trace_agent_url" }, 0 },
    { "DD_TRACE_BAGGAGE_MAX_BYTES", { "trace_baggage_max_bytes" }, 0 },
    { "DD_TRACE_BAGGAGE_MAX_ITEMS", { "trace_baggage_max_items" }, 0 },
    { "DD_TRACE_DEBUG", { "trace_debug_enabled" }, 0 },
    { "DD_TRACE_ENABLED", { "trace_enabled" }, 0 },
    { "DD_TRACE_HEADER_TAGS", { "trace_header_tags" }, 0 },
    { "DD_TRACE_PROPAGATION_STYLE", { "trace_propagation_style" }, 0 },
    { "DD_TRACE_PROPAGATION_STYLE_EXTRACT", { "trace_propagation_style_extract" }, 0 },
    { "DD_TRACE_PROPAGATION_STYLE_INJECT", { "trace_propagation_style_inject" }, 0 },
    { "DD_TRACE_RATE_LIMIT", { "trace_rate_limit" }, 0 },
    { "DD_TRACE_SAMPLE_RATE", { "trace_sample_rate" }, 0 },
    { "DD_TRACE_SAMPLING_RULES", { "trace_sample_rules" }, 0 },
    { "DD_TRACE_STARTUP_LOGS", { "trace_startup_logs_enabled" }, 0 },
    { "DD_VERSION", { "application_version" }, 0 },
};

static const particular *particular_of(const sonde__row *row)
{
    static const particular none = { NULL, { NULL }, 0 };
    size_t i;

    for (i = 0; i < sizeof(particulars) / sizeof(particulars[0]); i++)
        if (strcmp(particulars[i].name, row->names[0]) == 0)
            return &particulars[i];
    return &none;
}

/* -- one entry ------------------------------------------------------------------------------------ */

static void put_text(sonde_json_writer *w, const sonde__row *row, sonde_str value)
{
    char shown[SONDE_SETTING_ROOM];
    uint32_t bytes;

    if (!row->secret && row->type != SONDE__TYPE_URL && row->type != SONDE__TYPE_REPOSITORY) {
        sonde_json_str(w, value);
        return;
    }
    sonde__setting_print(row, value, shown, &bytes);
    sonde_json_str(w, sonde_str_from(shown));
}

/* A boolean as such; anything else as it was given. */
static void put_value(sonde_json_writer *w, const sonde__row *row, unsigned flags, sonde_str value)
{
    bool on;

    sonde_json_key(w, SONDE_STR("value"));
    if (value.len == 0 &&
        (row->type == SONDE__TYPE_NUMBER || row->type == SONDE__TYPE_BOOL || (flags & UNSET_NULL)))
        sonde_json_null(w);
    else if ((row->type == SONDE__TYPE_BOOL || (flags & AS_BOOL)) && sonde__read_bool(value, &on))
        sonde_json_bool(w, on);
    else
        put_text(w, row, value);
}

static const char *error_of(const sonde__telemetry_entry *e, unsigned flags)
{
    bool on;

    if (!e->error && (flags & UNSUPPORTED) && sonde__read_bool(e->value, &on) && on)
        return "not supported by this library";
    return e->error;
}

static void put_named(sonde_json_writer *w, const char *name, const sonde__telemetry_entry *e,
                      unsigned flags, uint64_t seq)
{
    const char *error = error_of(e, flags);

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", sonde_str_from(name));
    put_value(w, &sonde__rows[e->row], flags, e->value);
    sonde_json_put_str(w, "origin", sonde_str_from(e->origin));
    sonde_json_put_u64(w, "seq_id", seq);
    if (e->config_id.len > 0)
        sonde_json_put_str(w, "config_id", e->config_id);
    if (error) {
        sonde_json_key(w, SONDE_STR("error"));
        sonde_json_begin_object(w);
        sonde_json_put_u64(w, "code", 0);
        sonde_json_put_str(w, "message", sonde_str_from(error));
        sonde_json_end_object(w);
    }
    sonde_json_end_object(w);
}

void sonde__telemetry_put_entry(sonde_json_writer *w, const sonde__telemetry_entry *e,
                                uint64_t *seq)
{
    const sonde__row *row = &sonde__rows[e->row];
    const particular *p = particular_of(row);
    size_t i;

    put_named(w, row->names[0], e, p->flags, ++*seq);
    for (i = 0; i < 2 && p->others[i]; i++)
        put_named(w, p->others[i], e, p->flags, ++*seq);
}

/* -- all of them ---------------------------------------------------------------------------------- */

static sonde_str config_id_of(const sonde__config *c, sonde__origin origin)
{
    if (origin == SONDE__ORIGIN_LOCAL)
        return c->local_id;
    return origin == SONDE__ORIGIN_FLEET ? c->fleet_id : (sonde_str){ NULL, 0 };
}

static void put_setting(sonde_json_writer *w, const sonde__config *c, size_t at, uint64_t *seq)
{
    const sonde__setting *s = &c->settings[at];
    unsigned flags = particular_of(&sonde__rows[at])->flags;
    char room[SONDE_DOUBLE_MAX_LEN];
    int i;

    for (i = 0; i < SONDE__ORIGINS; i++) {
        sonde__telemetry_entry e = {
            .row = at,
            .value = s->given[i],
            .origin = sonde__origin_name((sonde__origin)i),
            .config_id = config_id_of(c, (sonde__origin)i),
            .error = s->bad & 1u << i ? "not a value it can have" : NULL,
        };

        if (i == SONDE__ORIGIN_REMOTE)
            e.value = sonde__live_text(sonde__rows[at].names[0], room);
        if (!e.value.ptr || (i == SONDE__ORIGIN_DEFAULT && (flags & UNSET_NONE)))
            continue;
        sonde__telemetry_put_entry(w, &e, seq);
    }
}

/* Whether an injector put the library in place. */
static void put_source(sonde_json_writer *w, const sonde__config *c, uint64_t *seq)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", SONDE_STR("instrumentation_source"));
    sonde_json_put_str(w, "value",
                       c->injection_enabled.len > 0 ? SONDE_STR("ssi") : SONDE_STR("manual"));
    sonde_json_put_str(w, "origin", SONDE_STR("calculated"));
    sonde_json_put_u64(w, "seq_id", ++*seq);
    sonde_json_end_object(w);
}

void sonde__telemetry_put_configuration(sonde_json_writer *w, const sonde__config *c, uint64_t *seq)
{
    size_t i;

    for (i = 0; i < sonde__rows_len; i++)
        put_setting(w, c, i, seq);
    put_source(w, c, seq);
}
