/* agent/stats/bucket.h - a span of time of statistics: groups of spans with the same key.
 *
 * A bucket owns every text of its keys (arena), its groups and their sketches; finding a group that
 * exists allocates nothing.  Groups hang on their payload key ("owner"): env, host, version, ... that
 * many groups share and that becomes one ClientStatsPayload.
 *
 * Threads   none: concentrator.c or client_aggregator.c guards it.
 * Bounds    limits.h; a key beyond them is counted in the owner's "other" group.
 */
#ifndef SONDE_AGENT_STATS_BUCKET_H
#define SONDE_AGENT_STATS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "codec/sketch.h"

typedef struct owner_key {
    sonde_str env;
    sonde_str hostname;
    sonde_str version;
    sonde_str container_id;
    sonde_str git_commit_sha;
    sonde_str image_tag;
    sonde_str lang;
    sonde_str base_service;
    sonde_str process_tags;
    uint64_t process_tags_hash; /* stands for process_tags in comparisons */
} owner_key;

typedef struct group_key {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str span_kind;
    sonde_str service_source;
    sonde_str grpc_status;
    sonde_str http_method; /* of tracers' statistics only, as the next */
    sonde_str http_endpoint;
    uint64_t peer_tags_hash;
    uint64_t metric_tags_hash;
    uint32_t http_status;
    uint8_t is_trace_root; /* stats_trace_root */
    bool synthetics;
} group_key;

/* "key:value" texts a hash in the key stands for; array and texts lie in the bucket's arena. */
typedef struct group_tags {
    sonde_str *peer;
    sonde_str *metric;
    uint32_t peer_len;
    uint32_t metric_len;
} group_tags;

typedef struct group {
    struct group *next; /* of the same owner */
    struct owner *owner;
    uint64_t hash;
    group_key key;
    double hits;
    double errors;
    double top_level_hits;
    double duration_ns;
    sonde_sketch ok;
    sonde_sketch error;
    group_tags tags;
} group;

typedef struct owner {
    uint64_t hash;
    owner_key key;
    struct bucket *bucket;
    group *groups;
    uint32_t groups_len;
    group *other; /* one of `groups`, once a ceiling was met */
} owner;

typedef struct group_slot {
    uint64_t hash;
    group *g; /* NULL: free */
} group_slot;

typedef struct bucket {
    int64_t start_unix_ns;
    sonde_arena arena;
    owner **owners; /* owned array; the owners live in the arena */
    uint32_t owners_len;
    uint32_t owners_cap;
    group_slot *slots;  /* owned */
    uint32_t slots_len; /* power of two */
    uint32_t groups_len;
    size_t sketch_bytes;
} bucket;

bucket *bucket_new(int64_t start_unix_ns, size_t max_bytes); /* NULL: no memory */
void bucket_free(bucket *b);                                 /* NULL does nothing */

size_t bucket_bytes(const bucket *b); /* what it holds */

uint64_t owner_key_hash(const owner_key *k);
bool owner_key_eq(const owner_key *a, const owner_key *b);
uint64_t group_key_hash(const group_key *k);

/* The owner of that key, made when new; beyond STATS_PAYLOAD_KEYS_MAX the first one (*out_collapsed).
 * NULL: no memory. */
owner *bucket_owner(bucket *b, const owner_key *k, uint64_t hash, bool *out_collapsed);

/* The group of that key, NULL when there is none yet. */
group *bucket_find(const bucket *b, const owner *o, const group_key *k, uint64_t hash);

/* Makes it.  NULL: no memory. */
group *bucket_add(bucket *b, owner *o, const group_key *k, uint64_t hash, const group_tags *tags);

/* The owner's group for everything beyond a ceiling.  NULL: no memory. */
group *bucket_other(bucket *b, owner *o);

#endif /* SONDE_AGENT_STATS_BUCKET_H */
