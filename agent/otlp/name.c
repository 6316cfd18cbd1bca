/* name.c - operation name, resource name and type of a span: rules in their order, the first applies.
 *
 * Source   docs/spec/otlp.md, "Operation name", "Resource name", "Type". */
#include "map.h"

#include "agent/payload/normalize.h"
#include "limits.h"

/* What an attribute says, as a tag value; empty: nothing. */
static bool find_clean(otlp_builder *b, otlp_key key, sonde_str *out)
{
    sonde_str raw;

    if (!otlp_find_text(b, key, &raw))
        return false;
    *out = (sonde_str){ NULL, 0 };
    if (raw.len == 0)
        return true;
    return normalize_tag_value(&b->p->arena, raw, out) == SONDE_OK ||
           otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
}

static bool has(const otlp_builder *b, otlp_key key)
{
    return otlp_find(b, key) != NULL;
}

/* A rule tries: it leaves `out` empty when it does not apply. */
typedef bool (*name_rule)(otlp_builder *b, sonde_str *out);

static bool name_as_asked(otlp_builder *b, sonde_str *out)
{
    return find_clean(b, OTLP_KEY_OPERATION_NAME, out);
}

static bool name_of_http(otlp_builder *b, sonde_str *out)
{
    if (!has(b, OTLP_KEY_HTTP_REQUEST_METHOD) && !has(b, OTLP_KEY_HTTP_METHOD))
        return true;
    if (b->span.kind == OTLP_SERVER)
        *out = SONDE_STR("http.server.request");
    else if (b->span.kind == OTLP_CLIENT)
        *out = SONDE_STR("http.client.request");
    return true;
}

static bool name_of_database(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[2] = { { NULL, 0 }, SONDE_STR(".query") };

    if (b->span.kind != OTLP_CLIENT || !has(b, OTLP_KEY_DB_SYSTEM))
        return true;
    return find_clean(b, OTLP_KEY_DB_SYSTEM, &parts[0]) && otlp_join(b, parts, 2, out);
}

static bool name_of_messaging(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[3] = { { NULL, 0 }, SONDE_STR("."), { NULL, 0 } };

    if (b->span.kind < OTLP_SERVER || b->span.kind > OTLP_CONSUMER ||
        !has(b, OTLP_KEY_MESSAGING_SYSTEM) || !has(b, OTLP_KEY_MESSAGING_OPERATION))
        return true;
    return find_clean(b, OTLP_KEY_MESSAGING_SYSTEM, &parts[0]) &&
           find_clean(b, OTLP_KEY_MESSAGING_OPERATION, &parts[2]) && otlp_join(b, parts, 3, out);
}

static bool name_of_aws(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[3] = { SONDE_STR("aws."), { NULL, 0 }, SONDE_STR(".request") };
    sonde_str system;

    if (b->span.kind != OTLP_CLIENT || !has(b, OTLP_KEY_RPC_SYSTEM))
        return true;
    if (!find_clean(b, OTLP_KEY_RPC_SYSTEM, &system))
        return false;
    if (!sonde_str_eq(system, SONDE_STR("aws-api")))
        return true;
    if (!find_clean(b, OTLP_KEY_RPC_SERVICE, &parts[1]))
        return false;
    if (parts[1].len == 0)
        parts[1] = SONDE_STR("client");
    return otlp_join(b, parts, 3, out);
}

static sonde_str request_of_side(const otlp_builder *b)
{
    return b->span.kind == OTLP_SERVER ? SONDE_STR(".server.request")
                                       : SONDE_STR(".client.request");
}

static bool name_of_rpc(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[2] = { { NULL, 0 }, request_of_side(b) };

    if ((b->span.kind != OTLP_CLIENT && b->span.kind != OTLP_SERVER) ||
        !has(b, OTLP_KEY_RPC_SYSTEM))
        return true;
    return find_clean(b, OTLP_KEY_RPC_SYSTEM, &parts[0]) && otlp_join(b, parts, 2, out);
}

static bool name_of_function_called(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[4] = { { NULL, 0 }, SONDE_STR("."), { NULL, 0 }, SONDE_STR(".invoke") };

    if (b->span.kind != OTLP_CLIENT || !has(b, OTLP_KEY_FAAS_PROVIDER) ||
        !has(b, OTLP_KEY_FAAS_INVOKED_NAME))
        return true;
    return find_clean(b, OTLP_KEY_FAAS_PROVIDER, &parts[0]) &&
           find_clean(b, OTLP_KEY_FAAS_INVOKED_NAME, &parts[2]) && otlp_join(b, parts, 4, out);
}

static bool name_of_function(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[2] = { { NULL, 0 }, SONDE_STR(".invoke") };

    if (b->span.kind != OTLP_SERVER || !has(b, OTLP_KEY_FAAS_TRIGGER))
        return true;
    return find_clean(b, OTLP_KEY_FAAS_TRIGGER, &parts[0]) && otlp_join(b, parts, 2, out);
}

static bool name_of_graphql(otlp_builder *b, sonde_str *out)
{
    if (has(b, OTLP_KEY_GRAPHQL_TYPE))
        *out = SONDE_STR("graphql.server.request");
    return true;
}

static bool name_of_protocol(otlp_builder *b, sonde_str *out)
{
    sonde_str parts[2] = { { NULL, 0 }, request_of_side(b) };

    if (b->span.kind != OTLP_CLIENT && b->span.kind != OTLP_SERVER)
        return true;
    if (!find_clean(b, OTLP_KEY_PROTOCOL_NAME, &parts[0]))
        return false;
    if (parts[0].len)
        return otlp_join(b, parts, 2, out);
    *out = sonde_str_sub(parts[1], 1, parts[1].len); /* without the dot */
    return true;
}

static bool name_of_kind(otlp_builder *b, sonde_str *out)
{
    switch (b->span.kind) {
    case OTLP_PRODUCER:
        *out = SONDE_STR("Producer");
        break;
    case OTLP_CONSUMER:
        *out = SONDE_STR("Consumer");
        break;
    default:
        *out = SONDE_STR("Internal");
        break;
    }
    return true;
}

bool otlp_operation_name(otlp_builder *b, sonde_str *out)
{
    static const name_rule rules[] = {
        name_as_asked,           name_of_http,     name_of_database,
        name_of_messaging,       name_of_aws,      name_of_rpc,
        name_of_function_called, name_of_function, name_of_graphql,
        name_of_protocol,        name_of_kind,
    };

    *out = (sonde_str){ NULL, 0 };
    for (size_t i = 0; out->len == 0 && i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i](b, out))
            return false;
    }
    return true;
}

/* One text, and behind a space another one when there is one. */
static bool join_two(otlp_builder *b, sonde_str first, sonde_str second, sonde_str *out)
{
    const sonde_str parts[3] = { first, SONDE_STR(" "), second };

    *out = first;
    return second.len == 0 || otlp_join(b, parts, 3, out);
}

/* The first of two keys that says something. */
static bool find_either(otlp_builder *b, otlp_key first, otlp_key second, sonde_str *out)
{
    return otlp_find_text(b, first, out) && (out->len || otlp_find_text(b, second, out));
}

static bool resource_as_asked(otlp_builder *b, sonde_str *out)
{
    return otlp_find_text(b, OTLP_KEY_RESOURCE_NAME, out);
}

static bool resource_of_http(otlp_builder *b, sonde_str *out)
{
    sonde_str method, route = { NULL, 0 };

    if (!find_either(b, OTLP_KEY_HTTP_REQUEST_METHOD, OTLP_KEY_HTTP_METHOD, &method))
        return false;
    if (method.len == 0)
        return true;
    if (sonde_str_eq(method, SONDE_STR("_OTHER")))
        method = SONDE_STR("HTTP");
    if (b->span.kind == OTLP_SERVER && !otlp_find_text(b, OTLP_KEY_HTTP_ROUTE, &route))
        return false;
    return join_two(b, method, route, out);
}

static bool resource_of_messaging(otlp_builder *b, sonde_str *out)
{
    sonde_str operation, destination;

    if (!otlp_find_text(b, OTLP_KEY_MESSAGING_OPERATION, &operation))
        return false;
    if (operation.len == 0)
        return true;
    return find_either(b, OTLP_KEY_MESSAGING_DEST, OTLP_KEY_MESSAGING_DEST_NAME, &destination) &&
           join_two(b, operation, destination, out);
}

static bool resource_of_pair(otlp_builder *b, otlp_key first, otlp_key second, sonde_str *out)
{
    sonde_str a, z;

    if (!otlp_find_text(b, first, &a))
        return false;
    if (a.len == 0)
        return true;
    return otlp_find_text(b, second, &z) && join_two(b, a, z, out);
}

static bool resource_of_rpc(otlp_builder *b, sonde_str *out)
{
    return resource_of_pair(b, OTLP_KEY_RPC_METHOD, OTLP_KEY_RPC_SERVICE, out);
}

static bool resource_of_graphql(otlp_builder *b, sonde_str *out)
{
    return resource_of_pair(b, OTLP_KEY_GRAPHQL_TYPE, OTLP_KEY_GRAPHQL_NAME, out);
}

static bool resource_of_database(otlp_builder *b, sonde_str *out)
{
    if (!has(b, OTLP_KEY_DB_SYSTEM))
        return true;
    return find_either(b, OTLP_KEY_DB_STATEMENT, OTLP_KEY_DB_QUERY_TEXT, out);
}

static bool resource_of_span(otlp_builder *b, sonde_str *out)
{
    *out = b->span.name;
    return true;
}

bool otlp_resource_name(otlp_builder *b, sonde_str *out)
{
    static const name_rule rules[] = {
        resource_as_asked,   resource_of_http,     resource_of_messaging, resource_of_rpc,
        resource_of_graphql, resource_of_database, resource_of_span,
    };

    *out = (sonde_str){ NULL, 0 };
    for (size_t i = 0; out->len == 0 && i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i](b, out))
            return false;
    }
    if (out->len > OTLP_RESOURCE_MAX_BYTES)
        out->len = sonde_utf8_cut(*out, OTLP_RESOURCE_MAX_BYTES);
    return true;
}

static bool is_one_of(sonde_str text, const char *const *list, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (sonde_str_eq(text, sonde_str_from(list[i])))
            return true;
    }
    return false;
}

static sonde_str type_of_database(sonde_str system)
{
    static const char *const relational[] = {
        "postgresql", "mysql",       "mariadb",    "mssql",     "oracle",     "sqlite",
        "db2",        "other_sql",   "redshift",   "hsqldb",    "h2",         "hanadb",
        "maxdb",      "cockroachdb", "clickhouse", "derby",     "firebird",   "informix",
        "sybase",     "teradata",    "vertica",    "trino",     "cloudscape", "ingres",
        "firstsql",   "edb",         "cache",      "progress",  "adabas",     "filemaker",
        "netezza",    "pervasive",   "pointbase",  "instantdb", "interbase",
    };
    static const char *const themselves[] = { "cassandra", "redis",         "memcached",
                                              "mongodb",   "elasticsearch", "opensearch" };

    if (is_one_of(system, relational, sizeof(relational) / sizeof(relational[0])))
        return SONDE_STR("sql");
    if (is_one_of(system, themselves, sizeof(themselves) / sizeof(themselves[0])))
        return system;
    return SONDE_STR("db");
}

bool otlp_span_type(otlp_builder *b, sonde_str *out)
{
    sonde_str system;

    if (!otlp_find_text(b, OTLP_KEY_SPAN_TYPE, out))
        return false;
    if (out->len)
        return true;
    *out = SONDE_STR("custom");
    if (b->span.kind == OTLP_SERVER)
        *out = SONDE_STR("web");
    if (b->span.kind != OTLP_CLIENT)
        return true;
    if (!otlp_find_text(b, OTLP_KEY_DB_SYSTEM, &system))
        return false;
    *out = system.len ? type_of_database(system) : SONDE_STR("http");
    return true;
}

/* clang-format off */
static const struct {
    uint16_t status;
    const char *phrase;
} phrases[] = { /* RFC 9110 and the registry */
    { 100, "Continue" }, { 101, "Switching Protocols" }, { 102, "Processing" }, { 103, "Early Hints" },
    { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 203, "Non-Authoritative Information" },
    { 204, "No Content" }, { 205, "Reset Content" }, { 206, "Partial Content" }, { 207, "Multi-Status" },
    { 208, "Already Reported" }, { 226, "IM Used" },
    { 300, "Multiple Choices" }, { 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" },
    { 304, "Not Modified" }, { 305, "Use Proxy" }, { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" }, { 401, "Unauthorized" }, { 402, "Payment Required" }, { 403, "Forbidden" },
    { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" }, { 408, "Request Timeout" }, { 409, "Conflict" },
    { 410, "Gone" }, { 411, "Length Required" }, { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" }, { 414, "Request URI Too Long" },
    { 415, "Unsupported Media Type" }, { 416, "Requested Range Not Satisfiable" },
    { 417, "Expectation Failed" }, { 418, "I'm a teapot" }, { 421, "Misdirected Request" },
    { 422, "Unprocessable Entity" }, { 423, "Locked" }, { 424, "Failed Dependency" },
    { 425, "Too Early" }, { 426, "Upgrade Required" }, { 428, "Precondition Required" },
    { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
    { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
    { 506, "Variant Also Negotiates" }, { 507, "Insufficient Storage" }, { 508, "Loop Detected" },
    { 510, "Not Extended" }, { 511, "Network Authentication Required" },
};
/* clang-format on */

sonde_str otlp_reason_phrase(int64_t http_status)
{
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (phrases[i].status == http_status)
            return sonde_str_from(phrases[i].phrase);
    }
    return (sonde_str){ NULL, 0 };
}
