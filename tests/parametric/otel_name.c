/* otel_name.c - a table of rules; the first one that holds makes the name. */
#include "otel_name.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define IS(kind)   (1u << SONDE_KIND_##kind)
#define IS_REMOTE  (IS(CLIENT) | IS(SERVER) | IS(PRODUCER) | IS(CONSUMER))
#define VALUE_ROOM 48

/* Both attributes have to be there, the first one equal to `equals`.  In the name $1 and $2 stand for their
 * values. */
typedef struct name_rule {
    unsigned kinds;
    const char *first;
    const char *equals; /* NULL: any value */
    const char *second; /* NULL: none is needed */
    const char *name;
} name_rule;

static const name_rule rules[] = {
    { IS(SERVER), "http.request.method", NULL, NULL, "http.server.request" },
    { IS(CLIENT), "http.request.method", NULL, NULL, "http.client.request" },
    { IS(CLIENT), "db.system", NULL, NULL, "$1.query" },
    { IS_REMOTE, "messaging.system", NULL, "messaging.operation", "$1.$2" },
    { IS(CLIENT), "rpc.system", "aws-api", "rpc.service", "aws.$2.request" },
    { IS(CLIENT), "rpc.system", "aws-api", NULL, "aws.client.request" },
    { IS(CLIENT), "rpc.system", NULL, NULL, "$1.client.request" },
    { IS(SERVER), "rpc.system", NULL, NULL, "$1.server.request" },
    { IS(CLIENT), "faas.invoked_provider", NULL, "faas.invoked_name", "$1.$2.invoke" },
    { IS(SERVER), "faas.trigger", NULL, NULL, "$1.invoke" },
    { IS(SERVER), "graphql.operation.type", NULL, NULL, "graphql.server.request" },
    { IS(SERVER), "network.protocol.name", NULL, NULL, "$1.server.request" },
    { IS(CLIENT), "network.protocol.name", NULL, NULL, "$1.client.request" },
    { IS(SERVER), NULL, NULL, NULL, "server.request" },
    { IS(CLIENT), NULL, NULL, NULL, "client.request" },
    { IS(PRODUCER), NULL, NULL, NULL, "producer" },
    { IS(CONSUMER), NULL, NULL, NULL, "consumer" },
    { ~0u, NULL, NULL, NULL, "internal" },
};

/* A NULL key is there, and empty. */
static bool get(const sonde_span *span, const char *key, char out[VALUE_ROOM])
{
    out[0] = '\0';
    return !key || sonde_span_get_str(span, key, out, VALUE_ROOM) > 0;
}

static bool holds(const name_rule *r, const sonde_span *span, char values[2][VALUE_ROOM])
{
    if (!get(span, r->first, values[0]) || !get(span, r->second, values[1]))
        return false;
    return !r->equals || sonde_str_eq_nocase(sonde_str_from(values[0]), sonde_str_from(r->equals));
}

static void put(char out[OTEL_NAME_ROOM], size_t *len, char byte)
{
    if (*len + 1 < OTEL_NAME_ROOM)
        out[(*len)++] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    out[*len] = '\0';
}

static void expand(const char *name, char values[2][VALUE_ROOM], char out[OTEL_NAME_ROOM])
{
    size_t len = 0;

    for (; *name; name++) {
        const char *value;

        if (*name != '$') {
            put(out, &len, *name);
            continue;
        }
        for (value = values[*++name - '1']; *value; value++)
            put(out, &len, *value);
    }
}

void otel_name(const sonde_span *span, enum sonde_kind kind, char out[OTEL_NAME_ROOM])
{
    char values[2][VALUE_ROOM];
    const name_rule *r = rules;

    while (!(r->kinds & 1u << kind) || !holds(r, span, values))
        r++; /* the last one holds always */
    expand(r->name, values, out);
}
