/* bucket.c - a hash table of groups over texts in an arena. */
#include "bucket.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#include "agent/payload/stats.h"

#include "limits.h"

#define SLOTS_MIN 64u

bucket *bucket_new(int64_t start_unix_ns, size_t max_bytes)
{
    bucket *b = sonde_calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->start_unix_ns = start_unix_ns;
    sonde_arena_init(&b->arena, max_bytes);
    return b;
}

void bucket_free(bucket *b)
{
    uint32_t i;
    group *g;

    if (!b)
        return;
    for (i = 0; i < b->owners_len; i++)
        for (g = b->owners[i]->groups; g; g = g->next) {
            sonde_sketch_done(&g->ok);
            sonde_sketch_done(&g->error);
        }
    sonde_free(b->owners);
    sonde_free(b->slots);
    sonde_arena_done(&b->arena);
    sonde_free(b);
}

size_t bucket_bytes(const bucket *b)
{
    return sizeof(*b) + b->arena.held_bytes + b->slots_len * sizeof(*b->slots) +
           b->owners_cap * sizeof(*b->owners) + b->sketch_bytes;
}

uint64_t owner_key_hash(const owner_key *k)
{
    uint64_t h = k->process_tags_hash;

    h = sonde_hash_text(h, k->env);
    h = sonde_hash_text(h, k->hostname);
    h = sonde_hash_text(h, k->version);
    h = sonde_hash_text(h, k->container_id);
    h = sonde_hash_text(h, k->git_commit_sha);
    h = sonde_hash_text(h, k->image_tag);
    h = sonde_hash_text(h, k->lang);
    return sonde_hash_text(h, k->base_service);
}

bool owner_key_eq(const owner_key *a, const owner_key *b)
{
    return a->process_tags_hash == b->process_tags_hash && sonde_str_eq(a->env, b->env) &&
           sonde_str_eq(a->hostname, b->hostname) && sonde_str_eq(a->version, b->version) &&
           sonde_str_eq(a->container_id, b->container_id) &&
           sonde_str_eq(a->git_commit_sha, b->git_commit_sha) &&
           sonde_str_eq(a->image_tag, b->image_tag) && sonde_str_eq(a->lang, b->lang) &&
           sonde_str_eq(a->base_service, b->base_service);
}

uint64_t group_key_hash(const group_key *k)
{
    uint64_t h = k->peer_tags_hash ^ k->metric_tags_hash * 3 ^
                 ((uint64_t)k->http_status << 3 | (uint64_t)k->is_trace_root << 1 | k->synthetics);

    h = sonde_hash_text(h, k->service);
    h = sonde_hash_text(h, k->name);
    h = sonde_hash_text(h, k->resource);
    h = sonde_hash_text(h, k->type);
    h = sonde_hash_text(h, k->span_kind);
    h = sonde_hash_text(h, k->service_source);
    h = sonde_hash_text(h, k->grpc_status);
    h = sonde_hash_text(h, k->http_method);
    return sonde_hash_text(h, k->http_endpoint);
}

static bool group_key_eq(const group_key *a, const group_key *b)
{
    return a->peer_tags_hash == b->peer_tags_hash && a->metric_tags_hash == b->metric_tags_hash &&
           a->http_status == b->http_status && a->is_trace_root == b->is_trace_root &&
           a->synthetics == b->synthetics && sonde_str_eq(a->resource, b->resource) &&
           sonde_str_eq(a->name, b->name) && sonde_str_eq(a->service, b->service) &&
           sonde_str_eq(a->type, b->type) && sonde_str_eq(a->span_kind, b->span_kind) &&
           sonde_str_eq(a->service_source, b->service_source) &&
           sonde_str_eq(a->grpc_status, b->grpc_status) &&
           sonde_str_eq(a->http_method, b->http_method) &&
           sonde_str_eq(a->http_endpoint, b->http_endpoint);
}

/* Copies each text into the arena; false when that is full. */
static bool own_texts(sonde_arena *arena, sonde_str *const *texts, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (!texts[i]->len) {
            *texts[i] = (sonde_str){ NULL, 0 };
            continue;
        }
        *texts[i] = sonde_arena_copy(arena, *texts[i]);
        if (!texts[i]->ptr)
            return false;
    }
    return true;
}

static owner *owner_new(bucket *b, const owner_key *k, uint64_t hash)
{
    owner *o = sonde_arena_zalloc(&b->arena, 1, sizeof(*o));
    sonde_str *texts[9];

    if (!o)
        return NULL;
    o->key = *k;
    texts[0] = &o->key.env;
    texts[1] = &o->key.hostname;
    texts[2] = &o->key.version;
    texts[3] = &o->key.container_id;
    texts[4] = &o->key.git_commit_sha;
    texts[5] = &o->key.lang;
    texts[6] = &o->key.base_service;
    texts[7] = &o->key.process_tags;
    texts[8] = &o->key.image_tag;
    if (!own_texts(&b->arena, texts, 9))
        return NULL;
    o->hash = hash;
    o->bucket = b;
    return o;
}

owner *bucket_owner(bucket *b, const owner_key *k, uint64_t hash, bool *out_collapsed)
{
    uint32_t i;
    owner *o;

    for (i = 0; i < b->owners_len; i++)
        if (b->owners[i]->hash == hash && owner_key_eq(&b->owners[i]->key, k))
            return b->owners[i];
    if (b->owners_len == STATS_PAYLOAD_KEYS_MAX) {
        *out_collapsed = true;
        return b->owners[0];
    }
    if (b->owners_len == b->owners_cap) {
        uint32_t cap = b->owners_cap ? b->owners_cap * 2 : 4;
        owner **owners = sonde_realloc(b->owners, cap * sizeof(*owners));

        if (!owners)
            return NULL;
        b->owners = owners;
        b->owners_cap = cap;
    }
    o = owner_new(b, k, hash);
    if (o)
        b->owners[b->owners_len++] = o;
    return o;
}

/* The hash two owners' equal keys do not share. */
static uint64_t owned_hash(const owner *o, uint64_t hash)
{
    return hash ^ (o->hash | 1) * 0x9e3779b97f4a7c15u;
}

static group_slot *slot_of(const bucket *b, const owner *o, const group_key *k, uint64_t hash)
{
    uint32_t mask = b->slots_len - 1, at = (uint32_t)hash & mask;

    while (b->slots[at].g) {
        const group_slot *s = &b->slots[at];

        if (s->hash == hash && s->g->owner == o && group_key_eq(&s->g->key, k))
            break;
        at = (at + 1) & mask;
    }
    return &b->slots[at];
}

group *bucket_find(const bucket *b, const owner *o, const group_key *k, uint64_t hash)
{
    return b->slots_len ? slot_of(b, o, k, owned_hash(o, hash))->g : NULL;
}

static bool grow_slots(bucket *b)
{
    uint32_t len = b->slots_len ? b->slots_len * 2 : SLOTS_MIN, i, at;
    group_slot *slots = sonde_calloc(len, sizeof(*slots));

    if (!slots)
        return false;
    for (i = 0; i < b->slots_len; i++) {
        if (!b->slots[i].g)
            continue;
        for (at = (uint32_t)b->slots[i].hash & (len - 1); slots[at].g;)
            at = (at + 1) & (len - 1);
        slots[at] = b->slots[i];
    }
    sonde_free(b->slots);
    b->slots = slots;
    b->slots_len = len;
    return true;
}

group *bucket_add(bucket *b, owner *o, const group_key *k, uint64_t hash, const group_tags *tags)
{
    sonde_str *texts[9];
    group_slot *slot;
    group *g;

    if (b->groups_len >= b->slots_len / 2 && !grow_slots(b))
        return NULL;
    g = sonde_arena_zalloc(&b->arena, 1, sizeof(*g));
    if (!g)
        return NULL;
    g->key = *k;
    texts[0] = &g->key.service;
    texts[1] = &g->key.name;
    texts[2] = &g->key.resource;
    texts[3] = &g->key.type;
    texts[4] = &g->key.span_kind;
    texts[5] = &g->key.service_source;
    texts[6] = &g->key.grpc_status;
    texts[7] = &g->key.http_method;
    texts[8] = &g->key.http_endpoint;
    if (!own_texts(&b->arena, texts, 9))
        return NULL;
    g->tags = *tags;
    sonde_sketch_init(&g->ok);
    sonde_sketch_init(&g->error);
    g->owner = o;
    g->hash = owned_hash(o, hash);
    g->next = o->groups;
    o->groups = g;
    o->groups_len++;
    slot = slot_of(b, o, k, g->hash);
    *slot = (group_slot){ g->hash, g };
    b->groups_len++;
    return g;
}

group *bucket_other(bucket *b, owner *o)
{
    static const sonde_str text = { "other", 5 };
    static const group_tags no_tags = { 0 };
    const group_key k = {
        .service = text, .name = text, .resource = text, .is_trace_root = STATS_ROOT_FALSE
    };

    if (!o->other)
        o->other = bucket_find(b, o, &k, group_key_hash(&k));
    if (!o->other)
        o->other = bucket_add(b, o, &k, group_key_hash(&k), &no_tags);
    return o->other;
}
