/* peer_service.c - a table of which tags name the peer of which kind of client. */
#include "peer_service.h"

#include "vocab/tags.h"

#define SOURCES_MAX    5
#define NAME_MAX_BYTES 1024 /* of a peer that is looked up in the mapping */

/* The first whose tag is there says where to look. */
static const struct peer_rule {
    sonde_str tag;
    sonde_str value; /* "": any */
    sonde_str sources[SOURCES_MAX];
    bool alone; /* no other place is looked at */
} peer_rules[] = {
#define TEXT(s)                                                                                    \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }
#define AWS_SOURCES                                                                                \
    {                                                                                              \
        TEXT("queuename"), TEXT("topicname"), TEXT("streamname"), TEXT("tablename"),               \
            TEXT("bucketname")                                                                     \
    }
    { TEXT("aws_service"), TEXT(""), AWS_SOURCES, false },
    { TEXT("aws.service"), TEXT(""), AWS_SOURCES, false },
    { TEXT("db.system"), TEXT("cassandra"), { TEXT("db.cassandra.contact.points") }, true },
    { TEXT("db.system"), TEXT(""), { TEXT("db.name"), TEXT("db.instance") }, false },
    { TEXT("messaging.system"), TEXT(""), { TEXT("messaging.kafka.bootstrap.servers") }, false },
    { TEXT("rpc.system"), TEXT(""), { TEXT("rpc.service") }, false },
    { TEXT(SONDE_TAG_COMPONENT), TEXT("grpc"), { TEXT("rpc.service") }, false },
};

static const sonde_str hosts[] = { TEXT("network.destination.name"), TEXT("peer.hostname"),
                                   TEXT("out.host") };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A text that is not empty. */
static sonde__record *find(sonde__record *records, uint32_t len, sonde_str key)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        if (records[i].kind == SONDE__TEXT_STR && records[i].value_len > 0 &&
            sonde_str_eq(sonde__record_key(&records[i]), key))
            return &records[i];
    return NULL;
}

static bool is_value(const sonde__record *r, sonde_str value)
{
    return value.len == 0 || (r->rest == 0 && sonde_str_eq(sonde__record_head(r), value));
}

static bool has_peer(sonde__record *records, uint32_t len)
{
    const sonde__record *kind = find(records, len, SONDE_STR(SONDE_TAG_SPAN_KIND));

    return kind && (sonde_str_eq(sonde__record_head(kind), SONDE_STR("client")) ||
                    sonde_str_eq(sonde__record_head(kind), SONDE_STR("producer")));
}

static const struct peer_rule *find_rule(sonde__record *records, uint32_t len)
{
    size_t i;

    for (i = 0; i < COUNT(peer_rules); i++) {
        const sonde__record *r = find(records, len, peer_rules[i].tag);

        if (r && is_value(r, peer_rules[i].value))
            return &peer_rules[i];
    }
    return NULL;
}

static sonde__peer find_source(sonde__record *records, uint32_t len, const sonde_str *sources,
                               size_t count)
{
    sonde__peer peer = { .value = NULL };
    size_t i;

    for (i = 0; i < count && sources[i].len > 0 && !peer.value; i++) {
        peer.value = find(records, len, sources[i]);
        peer.source = sources[i];
    }
    return peer;
}

static sonde__peer find_default(sonde__record *records, uint32_t len)
{
    const struct peer_rule *rule = find_rule(records, len);
    sonde__peer peer = { .value = NULL };

    if (rule)
        peer = find_source(records, len, rule->sources, SOURCES_MAX);
    if (!peer.value && (!rule || !rule->alone))
        peer = find_source(records, len, hosts, COUNT(hosts));
    return peer;
}

static sonde_str map(sonde_str mapping, const sonde__record *r)
{
    char copy[NAME_MAX_BYTES];
    sonde_str name = { copy, r->value_len };

    if (mapping.len == 0 || r->value_len > sizeof(copy))
        return SONDE_STR("");
    sonde__text_copy(r, copy);
    while (mapping.len > 0) {
        sonde_str to = sonde_str_cut(&mapping, ',');
        sonde_str from = sonde_str_trim(sonde_str_cut(&to, ':'));

        to = sonde_str_trim(to);
        if (to.len > 0 && sonde_str_eq(from, name))
            return to;
    }
    return SONDE_STR("");
}

sonde__peer sonde__peer_find(const sonde__config *config, sonde__record *records, uint32_t len)
{
    static const sonde_str given = TEXT(SONDE_TAG_PEER_SERVICE);
    sonde__peer peer = find_source(records, len, &given, 1);

    if (!peer.value && config->peer_defaults && has_peer(records, len))
        peer = find_default(records, len);
    if (peer.value)
        peer.mapped = map(config->peer_mapping, peer.value);
    return peer;
}
