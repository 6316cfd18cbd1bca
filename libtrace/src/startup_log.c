/* startup_log.c - facts of the machine, then settings under the names other tracers print them with.
 *
 * A setting this version does not have is printed as what it amounts to: off, or empty. */
#include "startup_log.h"

#include <string.h>

#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"
#include "base/machine.h"
#include "codec/json_write.h"

#include "settings.h"

#define JSON_MAX_BYTES (64u << 10)

typedef struct shown {
    const char *key;
    const char *setting; /* NULL: none yet */
    const char *absent;  /* JSON, when there is no such setting */
} shown;

static const shown settings[] = {
    { "env", "DD_ENV", "\"\"" },
    { "enabled", "DD_TRACE_ENABLED", "true" },
    { "service", "DD_SERVICE", "\"\"" },
    { "dd_version", "DD_VERSION", "\"\"" },
    { "agent_url", "DD_TRACE_AGENT_URL", "\"\"" },
    { "debug", "DD_TRACE_DEBUG", "false" },
    { "analytics_enabled", "DD_TRACE_ANALYTICS_ENABLED", "false" },
    { "sample_rate", "DD_TRACE_SAMPLE_RATE", "null" },
    { "sample_rate_limit", "DD_TRACE_RATE_LIMIT", "null" },
    { "trace_sampling_rules", "DD_TRACE_SAMPLING_RULES", "\"\"" },
    { "span_sampling_rules", "DD_SPAN_SAMPLING_RULES", "\"\"" },
    { "service_mappings", "DD_SERVICE_MAPPING", "\"\"" },
    { "tags", "DD_TAGS", "\"\"" },
    { "runtime_metrics_enabled", "DD_RUNTIME_METRICS_ENABLED", "false" },
    { "health_metrics_enabled", "DD_TRACE_HEALTH_METRICS_ENABLED", "false" },
    { "partial_flush_enabled", "DD_TRACE_PARTIAL_FLUSH_ENABLED", "false" },
    { "partial_flush_min_spans", "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "null" },
    { "propagation_style_inject", "DD_TRACE_PROPAGATION_STYLE_INJECT", "\"\"" },
    { "propagation_style_extract", "DD_TRACE_PROPAGATION_STYLE_EXTRACT", "\"\"" },
    { "dogstatsd_address", "DD_DOGSTATSD_URL", "\"\"" },
    { "data_streams_enabled", "DD_DATA_STREAMS_ENABLED", "false" },
    { "log_injection_enabled", "DD_LOGS_INJECTION", "false" },
    { "agent_features", NULL, "{}" },
    { "integrations", NULL, "[]" },
    { "feature_flags", "DD_TRACE_FEATURES", "\"\"" },
    { "remote_config_enabled", "DD_REMOTE_CONFIGURATION_ENABLED", "false" },
    { "telemetry_enabled", "DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false" },
};

static void put_text(sonde_json_writer *w, const sonde__row *row, sonde_str value)
{
    char text[SONDE_SETTING_ROOM];
    uint32_t bytes;

    sonde__setting_print(row, value, text, &bytes);
    sonde_json_str(w, sonde_str_from(text));
}

static void put_value(sonde_json_writer *w, const sonde__config *c, size_t at)
{
    const sonde__row *row = &sonde__rows[at];
    const void *field = (const char *)c + row->field;
    double number;

    switch (row->type) {
    case SONDE__TYPE_BOOL:
        sonde_json_bool(w, *(const bool *)field);
        return;
    case SONDE__TYPE_INT:
        sonde_json_u64(w, *(const uint32_t *)field);
        return;
    case SONDE__TYPE_NUMBER:
        number = *(const double *)field;
        if (number < 0)
            sonde_json_null(w);
        else
            sonde_json_double(w, number);
        return;
    default:
        put_text(w, row, c->settings[at].value);
    }
}

static void put_setting(sonde_json_writer *w, const sonde__config *c, const shown *s)
{
    size_t at = 0;

    sonde_json_key(w, sonde_str_from(s->key));
    while (s->setting && at < sonde__rows_len && strcmp(sonde__rows[at].names[0], s->setting) != 0)
        at++;
    if (s->setting && at < sonde__rows_len)
        put_value(w, c, at);
    else
        sonde_json_raw(w, sonde_str_from(s->absent));
}

static void put_machine(sonde_json_writer *w, const sonde__config *c, int64_t now_unix_ns)
{
    char date[SONDE_RFC3339_LEN];
    sonde_machine m;

    sonde_machine_read(&m);
    (void)sonde_format_rfc3339(now_unix_ns, date);
    sonde_json_put_str(w, "date", (sonde_str){ date, sizeof(date) });
    sonde_json_put_str(w, "os_name", sonde_str_from(m.kernel.sysname));
    sonde_json_put_str(w, "os_version", sonde_str_from(m.os_version));
    sonde_json_put_str(w, "architecture", sonde_str_from(m.kernel.machine));
    sonde_json_put_str(w, "version", c->tracer_version);
    sonde_json_put_str(w, "lang", c->language);
    sonde_json_put_str(w, "lang_version", SONDE_STR("201112"));
}

void sonde__startup_json(const sonde__config *c, int64_t now_unix_ns, sonde_buf *out)
{
    sonde_json_writer w;
    size_t i;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    put_machine(&w, c, now_unix_ns);
    for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        put_setting(&w, c, &settings[i]);
    sonde_json_end_object(&w);
}

void sonde__startup_log(const sonde__config *c)
{
    sonde_buf text;

    if (!c->enabled || !c->startup_logs)
        return;
    sonde_buf_init(&text, JSON_MAX_BYTES);
    sonde_buf_append_str(&text, SONDE_STR("DATADOG TRACER CONFIGURATION - "));
    sonde__startup_json(c, sonde_unix_ns(), &text);
    if (text.status == SONDE_OK)
        sonde_log_long(SONDE_LOG_INFO, sonde_buf_str(&text));
    sonde_buf_done(&text);
}
