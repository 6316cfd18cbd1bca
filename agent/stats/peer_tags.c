/* peer_tags.c - a small perfect-enough hash set, so that a span's tags are each looked up once. */
#include "peer_tags.h"

#include <string.h>

#include "base/digest.h"
#include "base/peer_ip.h"
#include "base/str.h"
#include "vocab/tags.h"

static const char *const base_list[] = {
    "_dd.base_service",
    "active_record.db.vendor",
    "amqp.destination",
    "amqp.exchange",
    "amqp.queue",
    "aws.queue.name",
    "aws.s3.bucket",
    "bucketname",
    "cassandra.keyspace",
    "db.cassandra.contact.points",
    "db.couchbase.seed.nodes",
    "db.hostname",
    "db.instance",
    "db.name",
    "db.namespace",
    "db.system",
    "db.type",
    "dns.hostname",
    "grpc.host",
    "hostname",
    "http.host",
    "http.server_name",
    "messaging.destination",
    "messaging.destination.name",
    "messaging.kafka.bootstrap.servers",
    "messaging.rabbitmq.exchange",
    "messaging.system",
    "mongodb.db",
    "msmq.queue.path",
    "net.peer.name",
    "network.destination.ip",
    "network.destination.name",
    "out.host",
    "peer.hostname",
    "peer.service",
    "queuename",
    "rpc.service",
    "rpc.system",
    "sequel.db.vendor",
    "server.address",
    "streamname",
    "tablename",
    "topicname",
};

static size_t slot_of(sonde_str key)
{
    size_t h = key.len * 131u;

    if (key.len)
        h += (uint8_t)key.ptr[0] * 7u + (uint8_t)key.ptr[key.len - 1] * 31u +
             (uint8_t)key.ptr[key.len / 2] * 17u;
    return h & (PEER_TAG_SLOTS - 1);
}

static void insert_sorted(peer_tag_set *set, sonde_str name)
{
    size_t at = set->len;

    if (!name.len || set->len == STATS_PEER_TAGS_MAX)
        return;
    while (at > 0 && sonde_str_cmp(set->names[at - 1], name) >= 0) {
        if (sonde_str_eq(set->names[at - 1], name))
            return;
        at--;
    }
    memmove(&set->names[at + 1], &set->names[at], (set->len - at) * sizeof(set->names[0]));
    set->names[at] = name;
    set->len++;
}

void peer_tag_set_init(peer_tag_set *set, const sonde_str *more, size_t more_len)
{
    size_t i, at;

    memset(set, 0, sizeof(*set));
    for (i = 0; i < sizeof(base_list) / sizeof(base_list[0]); i++)
        insert_sorted(set, sonde_str_from(base_list[i]));
    for (i = 0; i < more_len; i++)
        insert_sorted(set, more[i]);
    for (i = 0; i < set->len; i++) {
        for (at = slot_of(set->names[i]); set->slots[at];)
            at = (at + 1) & (PEER_TAG_SLOTS - 1);
        set->slots[at] = (uint8_t)(i + 1);
    }
}

/* Index + 1 of a name, 0 when it is none of the set. */
static uint8_t find(const peer_tag_set *set, sonde_str key)
{
    size_t at = slot_of(key);

    while (set->slots[at] && !sonde_str_eq(set->names[set->slots[at] - 1], key))
        at = (at + 1) & (PEER_TAG_SLOTS - 1);
    return set->slots[at];
}

uint64_t peer_tags_hash(const peer_tag_set *set, const peer_tag *items, size_t len)
{
    uint64_t h = SONDE_FNV1A64_INIT;
    size_t i;

    if (!len)
        return 0;
    for (i = 0; i < len; i++) {
        sonde_str name = set->names[items[i].name];

        if (i)
            h = sonde_fnv1a64(h, "", 1);
        h = sonde_fnv1a64(h, name.ptr, name.len);
        h = sonde_fnv1a64(h, ":", 1);
        h = sonde_fnv1a64(h, items[i].value.ptr, items[i].value.len);
    }
    return h;
}

static void add(peer_tags *out, uint8_t name, sonde_str value, sonde_arena *arena)
{
    size_t at = out->len;

    if (out->len == STATS_PEER_TAGS_MAX || sonde_peer_ip_blank(arena, value, &value) != SONDE_OK)
        return;
    while (at > 0 && out->items[at - 1].name > name) {
        out->items[at] = out->items[at - 1];
        at--;
    }
    out->items[at] = (peer_tag){ name, value };
    out->len++;
}

void peer_tags_collect(const peer_tag_set *set, const payload_span *s, const span_facts *f,
                       span_kind kind, sonde_arena *arena, peer_tags *out)
{
    sonde_str base = facts_meta(f, STAT_TAG_BASE_SERVICE);
    uint32_t i;

    out->len = 0;
    if (kind == KIND_CLIENT || kind == KIND_PRODUCER || kind == KIND_CONSUMER) {
        for (i = 0; i < s->meta_len; i++) {
            uint8_t found = s->meta[i].value.len ? find(set, s->meta[i].key) : 0;

            if (found)
                add(out, (uint8_t)(found - 1), s->meta[i].value, arena);
        }
    } else if ((kind == KIND_NONE || kind == KIND_INTERNAL) && base.len) {
        add(out, (uint8_t)(find(set, SONDE_STR(SONDE_TAG_BASE_SERVICE)) - 1), base, arena);
    }
    out->hash = peer_tags_hash(set, out->items, out->len);
}

static sonde_str join(sonde_arena *arena, sonde_str name, sonde_str value)
{
    char *text = sonde_arena_alloc_aligned(arena, name.len + 1 + value.len, 1);

    if (!text)
        return (sonde_str){ NULL, 0 };
    memcpy(text, name.ptr, name.len);
    text[name.len] = ':';
    memcpy(text + name.len + 1, value.ptr, value.len);
    return (sonde_str){ text, name.len + 1 + value.len };
}

sonde_status peer_tags_join(const peer_tag_set *set, const peer_tags *tags, sonde_arena *arena,
                            sonde_str **out_texts)
{
    sonde_str *texts = sonde_arena_zalloc(arena, tags->len, sizeof(*texts));
    size_t i;

    if (!texts)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < tags->len; i++) {
        texts[i] = join(arena, set->names[tags->items[i].name], tags->items[i].value);
        if (!texts[i].ptr)
            return SONDE_ERR_NOMEM;
    }
    *out_texts = texts;
    return SONDE_OK;
}
