/* agent_main.c - configuration to a running pipeline, and what the log says about it. */
#include "agent_main.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

#include "pipeline.h"

#define LOCAL_KEY "local" /* the intake in this process takes any key */

struct agent_main {
    agent_config *config;
    pipeline *pipeline;
};

typedef struct endpoint_list {
    forwarder_endpoint *items; /* owned */
    size_t len;
} endpoint_list;

static sonde_status list_endpoints(const agent_main_options *o, endpoint_list *out,
                                   sonde_error *out_error)
{
    const config_endpoints *from = &o->config->endpoints;
    size_t i;

    if (!from->len && !o->local_url)
        return sonde_fail(
            out_error, SONDE_ERR_CONFIG,
            "nowhere to send: set DD_API_KEY (and DD_APM_DD_URL for an intake of your own)");
    out->items = sonde_calloc(from->len + 1, sizeof(*out->items));
    if (!out->items)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "endpoints");
    for (i = 0; i < from->len; i++)
        out->items[out->len++] = (forwarder_endpoint){ from->items[i].url, from->items[i].api_key };
    if (o->local_url)
        out->items[out->len++] =
            (forwarder_endpoint){ sonde_str_from(o->local_url), SONDE_STR(LOCAL_KEY) };
    return SONDE_OK;
}

static void log_start(const agent_main *a, const endpoint_list *to)
{
    const agent_config *c = a->config;
    sonde_str socket = pipeline_socket_path(a->pipeline);
    size_t i;

    if (pipeline_port(a->pipeline))
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "traces: listening on http://%.*s:%u",
                         SONDE_STR_ARG(c->receiver_host), (unsigned)pipeline_port(a->pipeline));
    if (socket.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "traces: listening on unix://%.*s", SONDE_STR_ARG(socket));
    for (i = 0; i < to->len; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "forwarding to %.*s", SONDE_STR_ARG(to->items[i].url));
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "agent ready: version=%s hostname=%.*s env=%.*s workers=%d",
                     SONDE_VERSION, SONDE_STR_ARG(c->hostname), SONDE_STR_ARG(c->agent_env),
                     (int)c->workers);
}

sonde_status agent_main_open(const agent_main_options *options, agent_main **out_agent,
                             sonde_error *out_error)
{
    endpoint_list to = { NULL, 0 };
    agent_main *a = sonde_calloc(1, sizeof(*a));
    sonde_status status;

    if (!a)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "agent");
    a->config = config_get(options->config);
    status = list_endpoints(options, &to, out_error);
    if (status == SONDE_OK)
        status = pipeline_open(&(pipeline_options){ a->config, to.items, to.len, options->local_url,
                                                    options->supervisor },
                               &a->pipeline, out_error);
    if (status == SONDE_OK) {
        log_start(a, &to);
        *out_agent = a;
    } else {
        agent_main_close(a);
    }
    sonde_free(to.items);
    return status;
}

static void log_change(void *user, const char *key, bool reloads)
{
    unsigned *changes = user;

    (*changes)++;
    if (reloads)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "reload: %s changed", key);
    else
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "reload: %s changed, which takes a restart", key);
}

void agent_main_reload(agent_main *a, agent_config *config)
{
    unsigned changes = 0;

    config_compare(a->config, config, log_change, &changes);
    pipeline_reload(a->pipeline, config);
    config_put(a->config);
    a->config = config_get(config);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "reload done: changes=%u", changes);
}

void agent_main_stop(agent_main *a)
{
    pipeline_summary n;

    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "stopping, sending what is left: deadline_s=%.1f",
                     (double)a->config->shutdown_ns / SONDE_NS_PER_S);
    pipeline_stop(a->pipeline, sonde_deadline(sonde_mono_ns(), a->config->shutdown_ns));
    pipeline_summarize(a->pipeline, &n);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO,
                     "agent stopped: payloads=%llu spans=%llu delivered=%llu dropped=%llu",
                     (unsigned long long)n.payloads_accepted, (unsigned long long)n.spans_received,
                     (unsigned long long)n.spans_delivered, (unsigned long long)n.spans_dropped);
}

void agent_main_close(agent_main *a)
{
    if (!a)
        return;
    pipeline_close(a->pipeline);
    config_put(a->config);
    sonde_free(a);
}
