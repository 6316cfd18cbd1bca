/* client_stats.c - the order of what happens to a tracer's groups, and the merge of equal ones. */
#include "client_stats.h"

#include <stdlib.h>
#include <string.h>

#include "agent/payload/normalize.h"
#include "base/digest.h"
#include "codec/obfuscate.h"

#include "stages.h"

void client_stats_stage_init(client_stats_stage *stage, sonde_str agent_env,
                             client_stats_rules rules)
{
    *stage = (client_stats_stage){ .agent_env = agent_env, .rules = rules };
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    if (n)
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static bool type_is(const stats_group *g, const char *a, const char *b)
{
    return sonde_str_eq(g->type, sonde_str_from(a)) || sonde_str_eq(g->type, sonde_str_from(b));
}

static sonde_status keep_text(run *r, sonde_buf *b, sonde_str *out)
{
    sonde_str text = sonde_arena_copy(&r->p->arena, sonde_buf_str(b));

    if (!text.ptr)
        return SONDE_ERR_NOMEM;
    *out = text;
    return SONDE_OK;
}

/* `b` is scratch; what is no statement gets the words that say so. */
static sonde_status obfuscate(run *r, stats_group *g, sonde_buf *b)
{
    const sonde_sql_options options = sql_options(r, g->db_type);
    sonde_status status;

    if (type_is(g, "redis", "valkey")) {
        status = sonde_obfuscate_redis(g->resource, b);
        return status == SONDE_OK ? keep_text(r, b, &g->resource) : SONDE_ERR_NOMEM;
    }
    if (!type_is(g, "sql", "cassandra"))
        return SONDE_OK;
    status = sonde_obfuscate_sql_with(g->resource, &options, b);
    if (status == SONDE_OK)
        return keep_text(r, b, &g->resource);
    if (status == SONDE_ERR_NOMEM)
        return status;
    g->resource = SONDE_STR(SONDE_SQL_NOT_PARSABLE);
    return SONDE_OK;
}

static sonde_status normalize_group(run *r, stats_group *g)
{
    if (normalize_service(r, &g->service) != SONDE_OK ||
        normalize_operation(r, &g->name) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (g->resource.len == 0)
        g->resource = g->name;
    return SONDE_OK;
}

static sonde_status finish_group(client_stats_stage *stage, run *r, stats_group *g, sonde_buf *b)
{
    const client_stats_rules *rules = &stage->rules;
    size_t max = rules->resource_max_bytes ? rules->resource_max_bytes : RESOURCE_MAX_BYTES;

    if (!r->p->stats->obfuscated && obfuscate(r, g, b) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (g->resource.len > max)
        g->resource.len = sonde_utf8_cut(g->resource, max);
    return rules->replace ? rules->replace(rules->user, &r->p->arena, g) : SONDE_OK;
}

/* Each group in turn; those that stay move up. */
static void run_groups(client_stats_stage *stage, run *r, stats_bucket *bucket, sonde_buf *scratch)
{
    const client_stats_rules *rules = &stage->rules;
    uint32_t kept = 0;

    add(&stage->groups_in, bucket->groups_len);
    for (uint32_t i = 0; i < bucket->groups_len; i++) {
        stats_group *g = &bucket->groups[i];
        sonde_status status = normalize_group(r, g);

        if (status == SONDE_OK && rules->keeps && !rules->keeps(rules->user, g)) {
            add(&stage->groups_ignored, 1);
            continue;
        }
        if (status == SONDE_OK)
            status = finish_group(stage, r, g, scratch);
        if (status != SONDE_OK) {
            add(&stage->groups_no_memory, 1);
            continue;
        }
        bucket->groups[kept++] = *g;
    }
    bucket->groups_len = kept;
    add(&stage->groups_out, kept);
}

typedef struct hashed_group {
    uint64_t hash;
    stats_group *g;
} hashed_group;

/* Of everything in a group's key but its type. */
static uint64_t hash_of(uint64_t seed, const stats_group *g)
{
    uint64_t h = seed ^ ((uint64_t)g->http_status_code << 3 | (uint64_t)g->is_trace_root << 1 |
                         (uint64_t)g->synthetics);

    h = sonde_hash_text(h, g->service);
    h = sonde_hash_text(h, g->name);
    h = sonde_hash_text(h, g->resource);
    h = sonde_hash_text(h, g->span_kind);
    h = sonde_hash_text(h, g->grpc_status_code);
    h = sonde_hash_text(h, g->http_method);
    h = sonde_hash_text(h, g->http_endpoint);
    h = sonde_hash_text(h, g->service_source);
    for (uint32_t i = 0; i < g->peer_tags_len; i++)
        h = sonde_hash_text(h, g->peer_tags[i]);
    for (uint32_t i = 0; i < g->metric_tags_len; i++)
        h = sonde_hash_text(h, g->metric_tags[i]);
    return h;
}

static bool same_texts(const sonde_str *a, uint32_t a_len, const sonde_str *b, uint32_t b_len)
{
    for (uint32_t i = 0; i < a_len && a_len == b_len; i++) {
        if (!sonde_str_eq(a[i], b[i]))
            return false;
    }
    return a_len == b_len;
}

static bool same_key(const stats_group *a, const stats_group *b)
{
    return a->http_status_code == b->http_status_code && a->is_trace_root == b->is_trace_root &&
           a->synthetics == b->synthetics && sonde_str_eq(a->service, b->service) &&
           sonde_str_eq(a->name, b->name) && sonde_str_eq(a->resource, b->resource) &&
           sonde_str_eq(a->span_kind, b->span_kind) &&
           sonde_str_eq(a->grpc_status_code, b->grpc_status_code) &&
           sonde_str_eq(a->http_method, b->http_method) &&
           sonde_str_eq(a->http_endpoint, b->http_endpoint) &&
           sonde_str_eq(a->service_source, b->service_source) &&
           same_texts(a->peer_tags, a->peer_tags_len, b->peer_tags, b->peer_tags_len) &&
           same_texts(a->metric_tags, a->metric_tags_len, b->metric_tags, b->metric_tags_len);
}

static int by_hash_then_place(const void *a_, const void *b_)
{
    const hashed_group *a = a_, *b = b_;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->g > b->g) - (a->g < b->g);
}

/* As Datadog's agent: hits, errors and duration go to the first of equal groups, whatever their types; what
 * else the later ones hold (top-level hits, sketches) stays with them. */
static void merge_into(stats_group *first, stats_group *g)
{
    first->hits += g->hits;
    first->errors += g->errors;
    first->duration_ns += g->duration_ns;
    g->hits = g->errors = g->duration_ns = 0;
}

static void merge_equal(client_stats_stage *stage, run *r, stats_bucket *bucket)
{
    uint32_t len = bucket->groups_len, first = 0;
    hashed_group *sorted = sonde_arena_alloc(&r->p->arena, len * sizeof(*sorted));

    if (!sorted)
        return; /* the aggregator brings those of one type together */
    for (uint32_t i = 0; i < len; i++)
        sorted[i] = (hashed_group){ hash_of(r->seed, &bucket->groups[i]), &bucket->groups[i] };
    qsort(sorted, len, sizeof(*sorted), by_hash_then_place);
    for (uint32_t i = 1; i < len; i++) {
        if (sorted[i].hash != sorted[first].hash || !same_key(sorted[first].g, sorted[i].g)) {
            first = i;
            continue;
        }
        merge_into(sorted[first].g, sorted[i].g);
        add(&stage->groups_merged, 1);
    }
}

void client_stats_run(client_stats_stage *stage, payload *p)
{
    client_stats *c = p->stats;
    run r = { .p = p, .seed = 0x9e3779b97f4a7c15u, .sql = stage->rules.sql };
    sonde_buf scratch;

    add(&stage->payloads, 1);
    if (c->env.len == 0)
        c->env = stage->agent_env;
    if (normalize_tag_value(&p->arena, c->env, &c->env) != SONDE_OK)
        c->env = stage->agent_env;
    if (c->git_commit_sha.len == 0)
        c->git_commit_sha = payload_container_tag(p, SONDE_STR("git.commit.sha"));
    if (c->image_tag.len == 0)
        c->image_tag = payload_container_tag(p, SONDE_STR("image_tag"));
    sql_recall(&r, &stage->sql_memory);
    sonde_buf_init(&scratch, p->body.len + SONDE_SQL_TEXT_MAX_BYTES);
    for (uint32_t i = 0; i < c->buckets_len; i++) {
        run_groups(stage, &r, &c->buckets[i], &scratch);
        if (c->buckets[i].groups_len > 1)
            merge_equal(stage, &r, &c->buckets[i]);
    }
    sonde_buf_done(&scratch);
    sql_remember(&r, &stage->sql_memory);
}

static uint64_t read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void client_stats_write_json(void *stage_, sonde_json_writer *w)
{
    const client_stats_stage *stage = stage_;

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "payloads", read(&stage->payloads));
    sonde_json_put_u64(w, "groups_in", read(&stage->groups_in));
    sonde_json_put_u64(w, "groups_out", read(&stage->groups_out));
    sonde_json_put_u64(w, "groups_ignored", read(&stage->groups_ignored));
    sonde_json_put_u64(w, "groups_no_memory", read(&stage->groups_no_memory));
    sonde_json_put_u64(w, "groups_merged", read(&stage->groups_merged));
    sonde_json_end_object(w);
}
