/* keys.h - attribute keys that mean something to the mapping, told apart once per attribute.
 *
 * A key may also have another name in Datadog's vocabulary, under which it becomes a tag.
 *
 * Threads   pure.  Source: docs/spec/otlp.md, "Attributes". */
#ifndef SONDE_AGENT_OTLP_KEYS_H
#define SONDE_AGENT_OTLP_KEYS_H

#include <stdint.h>

#include "base/str.h"

/* clang-format off */
/* In the order of their length; keys.c finds them by it. */
#define OTLP_KEY_MAP(X)                                                                    \
    X(DB_NAME,             "db.name",                     NULL)                            \
    X(URL_FULL,            "url.full",                    "http.url")                      \
    X(DB_SYSTEM,           "db.system",                   NULL)                            \
    X(HOST_NAME,           "host.name",                   NULL)                            \
    X(SPAN_TYPE,           "span.type",                   NULL)                            \
    X(HTTP_ROUTE,          "http.route",                  NULL)                            \
    X(RPC_METHOD,          "rpc.method",                  NULL)                            \
    X(RPC_SYSTEM,          "rpc.system",                  NULL)                            \
    X(K8S_POD_UID,         "k8s.pod.uid",                 NULL)                            \
    X(HTTP_METHOD,         "http.method",                 NULL)                            \
    X(RPC_SERVICE,         "rpc.service",                 NULL)                            \
    X(SERVICE_NAME,        "service.name",                NULL)                            \
    X(CONTAINER_ID,        "container.id",                NULL)                            \
    X(DB_STATEMENT,        "db.statement",                NULL)                            \
    X(DB_NAMESPACE,        "db.namespace",                NULL)                            \
    X(FAAS_TRIGGER,        "faas.trigger",                NULL)                            \
    X(DB_QUERY_TEXT,       "db.query.text",               NULL)                            \
    X(RESOURCE_NAME,       "resource.name",               NULL)                            \
    X(OPERATION_NAME,      "operation.name",              NULL)                            \
    X(CLIENT_ADDRESS,      "client.address",              "http.client_ip")                \
    X(SERVER_ADDRESS,      "server.address",              "http.server_name")              \
    X(ANALYTICS_EVENT,     "analytics.event",             NULL)                            \
    X(SERVICE_VERSION,     "service.version",             NULL)                            \
    X(HTTP_STATUS_CODE,    "http.status_code",            NULL)                            \
    X(MESSAGING_SYSTEM,    "messaging.system",            NULL)                            \
    X(SAMPLING_PRIORITY,   "sampling.priority",           NULL)                            \
    X(DATADOG_HOST_NAME,   "datadog.host.name",           NULL)                            \
    X(FAAS_INVOKED_NAME,   "faas.invoked_name",           NULL)                            \
    X(STATS_COMPUTED,      "_dd.stats_computed",          NULL)                            \
    X(HTTP_REQUEST_METHOD, "http.request.method",         "http.method")                   \
    X(MESSAGING_OPERATION, "messaging.operation",         NULL)                            \
    X(USER_AGENT,          "user_agent.original",         "http.useragent")                \
    X(SDK_VERSION,         "telemetry.sdk.version",       NULL)                            \
    X(MESSAGING_DEST,      "messaging.destination",       NULL)                            \
    X(FAAS_PROVIDER,       "faas.invoked_provider",       NULL)                            \
    X(PROTOCOL_NAME,       "network.protocol.name",       NULL)                            \
    X(GRAPHQL_TYPE,        "graphql.operation.type",      NULL)                            \
    X(GRAPHQL_NAME,        "graphql.operation.name",      NULL)                            \
    X(SDK_LANGUAGE,        "telemetry.sdk.language",      NULL)                            \
    X(DEPLOYMENT_ENV,      "deployment.environment",      NULL)                            \
    X(HTTP_REQUEST_SIZE,   "http.request.body.size",      "http.request.content_length")   \
    X(HTTP_RESPONSE_SIZE,  "http.response.body.size",     "http.response.content_length")  \
    X(PROTOCOL_VERSION,    "network.protocol.version",    "http.version")                  \
    X(HTTP_RESPONSE_CODE,  "http.response.status_code",   "http.status_code")              \
    X(MESSAGING_DEST_NAME, "messaging.destination.name",  NULL)                            \
    X(DEPLOYMENT_ENV_NAME, "deployment.environment.name", NULL)                            \
    X(HTTP_REFERRER,       "http.request.header.referrer","http.referrer")
/* clang-format on */

typedef enum otlp_key {
    OTLP_KEY_OTHER,
#define X(name, key, renamed) OTLP_KEY_##name,
    OTLP_KEY_MAP(X)
#undef X
        OTLP_KEYS
} otlp_key;

otlp_key otlp_key_of(sonde_str key);
sonde_str otlp_key_text(otlp_key key);

/* What it is called as a tag; empty: by its own name. */
sonde_str otlp_key_renamed(otlp_key key);

#endif /* SONDE_AGENT_OTLP_KEYS_H */
