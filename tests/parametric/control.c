/* control.c - the process as a whole: what is sent when, what it was told, its end. */
#include "endpoints.h"

#include <string.h>

#include "base/parse.h"

#define FLUSH_TIMEOUT_MS  10000
#define AGENT_TIMEOUT_MS  5000
#define REMOTE_TIMEOUT_MS 9000

void control_flush(call *c)
{
    (void)c;
    (void)sonde_flush(FLUSH_TIMEOUT_MS);
    table_forget();
}

void control_flush_stats(call *c)
{
    (void)c;
    (void)sonde_flush_stats(FLUSH_TIMEOUT_MS);
}

void control_wait_for_agent(call *c)
{
    sonde_json_put_bool(c->out, "ready", sonde_wait_for_agent(AGENT_TIMEOUT_MS) == SONDE_OK);
}

/* Asks for remote configuration now and answers with all that is in force. */
void control_remote(call *c)
{
    sonde_status status = sonde_remote_poll(REMOTE_TIMEOUT_MS);
    sonde_remote_config config = { .struct_bytes = sizeof(config) };
    uint32_t i;

    if (status == SONDE_ERR_STATE || status == SONDE_ERR_NOT_FOUND)
        call_fail(c, 404, "no remote configuration");
    else if (status != SONDE_OK)
        call_fail(c, status == SONDE_ERR_TIMEOUT ? 504 : 500, sonde_status_str(status));
    if (status != SONDE_OK)
        return;
    sonde_json_key(c->out, SONDE_STR("applied_configs"));
    sonde_json_begin_array(c->out);
    for (i = 0; sonde_remote_config_at(i, &config) == SONDE_OK; i++) {
        sonde_json_begin_object(c->out);
        sonde_json_put_str(c->out, "config_id", sonde_str_from(config.config_id));
        sonde_json_put_str(c->out, "product", sonde_str_from(config.product));
        sonde_json_end_object(c->out);
    }
    sonde_json_end_array(c->out);
}

void control_crash(call *c)
{
    volatile int *volatile nowhere = NULL;

    (void)c;
    *nowhere = 1;
}

/* -- configuration -------------------------------------------------------------------------------- */

typedef struct config_key {
    const char *key;
    const char *setting;
} config_key;

static const config_key config_keys[] = {
    { "dd_service", "DD_SERVICE" },
    { "dd_env", "DD_ENV" },
    { "dd_version", "DD_VERSION" },
    { "dd_trace_sample_rate", "DD_TRACE_SAMPLE_RATE" },
    { "dd_trace_rate_limit", "DD_TRACE_RATE_LIMIT" },
    { "dd_trace_sample_ignore_parent", "DD_TRACE_SAMPLE_IGNORE_PARENT" },
    { "dd_trace_enabled", "DD_TRACE_ENABLED" },
    { "dd_trace_debug", "DD_TRACE_DEBUG" },
    { "dd_trace_otel_enabled", "DD_TRACE_OTEL_ENABLED" },
    { "dd_runtime_metrics_enabled", "DD_RUNTIME_METRICS_ENABLED" },
    { "dd_logs_injection", "DD_LOGS_INJECTION" },
    { "dd_profiling_enabled", "DD_PROFILING_ENABLED" },
    { "dd_data_streams_enabled", "DD_DATA_STREAMS_ENABLED" },
    { "dd_tags", "DD_TAGS" },
    { "dd_trace_propagation_style", "DD_TRACE_PROPAGATION_STYLE" },
    { "dd_trace_agent_url", "DD_TRACE_AGENT_URL" },
    { "dd_dogstatsd_host", "DD_DOGSTATSD_HOST" },
    { "dd_dogstatsd_port", "DD_DOGSTATSD_PORT" },
};

/* Booleans in lower case; http://host:port/ without its last slash; "a:1," without its last comma. */
static void tidy(char *value)
{
    size_t len = strlen(value);
    bool truth;

    if (len > 0 && (value[len - 1] == '/' || value[len - 1] == ','))
        value[len - 1] = '\0';
    if (len > 3 && sonde_parse_bool(sonde_str_from(value), &truth) == SONDE_OK)
        memcpy(value, truth ? "true" : "false", truth ? sizeof("true") : sizeof("false"));
}

/* Without a value, or without such a setting: "". */
static sonde_setting read_setting(const char *name)
{
    sonde_setting s = { .struct_bytes = sizeof(s) };

    if (sonde_setting_find(name, &s) == SONDE_OK)
        tidy(s.value);
    return s;
}

static void put_text_or_null(call *c, const char *key, const char *text)
{
    if (text[0]) {
        sonde_json_put_str(c->out, key, sonde_str_from(text));
    } else {
        sonde_json_key(c->out, sonde_str_from(key));
        sonde_json_null(c->out);
    }
}

static void put_level(call *c)
{
    bool debug = strcmp(read_setting("DD_TRACE_DEBUG").value, "true") == 0;

    put_text_or_null(c, "dd_log_level", debug ? "debug" : read_setting("DD_TRACE_LOG_LEVEL").value);
}

void control_config(call *c)
{
    size_t i;

    sonde_json_key(c->out, SONDE_STR("config"));
    sonde_json_begin_object(c->out);
    put_level(c);
    for (i = 0; i < sizeof(config_keys) / sizeof(config_keys[0]); i++)
        put_text_or_null(c, config_keys[i].key, read_setting(config_keys[i].setting).value);
    sonde_json_end_object(c->out);
}
