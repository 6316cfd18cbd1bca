/* export.c - buckets of groups under owners become client payloads of buckets of groups.
 *
 * An owner (payload key) exists once per bucket; owners with equal keys are brought together by
 * sorting, and each run becomes one ClientStatsPayload.
 */
#include "export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#include "concentrator.h"

#define SUMMARIES_MAX_BYTES (64u * 1024 * 1024) /* encoded sketches of one flush */

typedef struct exporter {
    owner **owners;
    size_t owners_len;
    client_stats *clients;
    size_t clients_len;
    stats_bucket *buckets; /* one per owner */
    stats_group *groups;   /* all of them, owner by owner */
    size_t groups_len;
    sonde_buf summaries; /* encoded sketches, back to back */
    export_random random;
    uint64_t bucket_ns;
} exporter;

/* Down, or up with the probability of the fraction, so that sums stay right on average. */
static uint64_t round_by_chance(double value, export_random random)
{
    double whole = floor(value);

    if (!(value > 0.0))
        return 0;
    if (value >= 18446744073709549568.0)
        return UINT64_MAX;
    if (!random.unit)
        return (uint64_t)whole;
    return (uint64_t)whole + (random.unit(random.user) < value - whole);
}

static int by_key_then_start(const void *a, const void *b)
{
    const owner *x = *(owner *const *)a, *y = *(owner *const *)b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->bucket->start_unix_ns > y->bucket->start_unix_ns) -
           (x->bucket->start_unix_ns < y->bucket->start_unix_ns);
}

static sonde_status gather(exporter *e, bucket *const *buckets, size_t len)
{
    size_t owners = 0, groups = 0, i, j;

    for (i = 0; i < len; i++) {
        owners += buckets[i]->owners_len;
        groups += buckets[i]->groups_len;
    }
    e->owners = sonde_calloc(owners, sizeof(*e->owners));
    e->clients = sonde_calloc(owners, sizeof(*e->clients));
    e->buckets = sonde_calloc(owners, sizeof(*e->buckets));
    e->groups = sonde_calloc(groups, sizeof(*e->groups));
    if (!e->owners || !e->clients || !e->buckets || !e->groups)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < len; i++)
        for (j = 0; j < buckets[i]->owners_len; j++)
            e->owners[e->owners_len++] = buckets[i]->owners[j];
    qsort(e->owners, e->owners_len, sizeof(owner *), by_key_then_start);
    return SONDE_OK;
}

/* Appends a sketch; until the buffer is final the view holds only an offset and a length. */
static sonde_str put_sketch(exporter *e, const sonde_sketch *s)
{
    size_t at = e->summaries.len;

    sonde_sketch_encode(s, &e->summaries);
    return (sonde_str){ (const char *)at, e->summaries.len - at };
}

static void put_group(exporter *e, const group *g)
{
    stats_group *out = &e->groups[e->groups_len++];

    *out = (stats_group){
        .service = g->key.service,
        .name = g->key.name,
        .resource = g->key.resource,
        .type = g->key.type,
        .span_kind = g->key.span_kind,
        .grpc_status_code = g->key.grpc_status,
        .http_method = g->key.http_method,
        .http_endpoint = g->key.http_endpoint,
        .service_source = g->key.service_source,
        .http_status_code = g->key.http_status,
        .is_trace_root = g->key.is_trace_root,
        .synthetics = g->key.synthetics,
        .hits = round_by_chance(g->hits, e->random),
        .errors = round_by_chance(g->errors, e->random),
        .top_level_hits = round_by_chance(g->top_level_hits, e->random),
        .duration_ns = round_by_chance(g->duration_ns, e->random),
        .ok_summary = put_sketch(e, &g->ok),
        .error_summary = put_sketch(e, &g->error),
        .peer_tags = g->tags.peer,
        .peer_tags_len = g->tags.peer_len,
        .metric_tags = g->tags.metric,
        .metric_tags_len = g->tags.metric_len,
    };
}

static void put_owner(exporter *e, size_t index)
{
    const owner *o = e->owners[index];
    size_t first = e->groups_len;
    const group *g;

    for (g = o->groups; g; g = g->next)
        put_group(e, g);
    e->buckets[index] = (stats_bucket){
        .start_unix_ns = (uint64_t)o->bucket->start_unix_ns,
        .duration_ns = e->bucket_ns,
        .groups = e->groups + first,
        .groups_len = o->groups_len,
    };
}

static void put_client(exporter *e, size_t index)
{
    const owner_key *k = &e->owners[index]->key;

    e->clients[e->clients_len++] = (client_stats){
        .hostname = k->hostname,
        .env = k->env,
        .version = k->version,
        .lang = k->lang,
        .service = k->base_service,
        .container_id = k->container_id,
        .git_commit_sha = k->git_commit_sha,
        .image_tag = k->image_tag,
        .process_tags = k->process_tags,
        .process_tags_hash = k->process_tags_hash,
        .buckets = e->buckets + index,
    };
}

static void put_all(exporter *e)
{
    size_t i;

    for (i = 0; i < e->owners_len; i++) {
        if (i == 0 || !owner_key_eq(&e->owners[i - 1]->key, &e->owners[i]->key))
            put_client(e, i);
        put_owner(e, i);
        e->clients[e->clients_len - 1].buckets_len++;
    }
    for (i = 0; i < e->groups_len; i++) {
        stats_group *g = &e->groups[i];

        g->ok_summary.ptr = (const char *)e->summaries.data + (size_t)g->ok_summary.ptr;
        g->error_summary.ptr = (const char *)e->summaries.data + (size_t)g->error_summary.ptr;
    }
}

/* Gathers the buckets by owner, encodes the sketches and pushes one stats_payload.  *out_groups is the
 * number of groups in it.  SONDE_ERR_NOMEM, or what the sink said. */
static sonde_status export_buckets(bucket *const *buckets, size_t len, const export_options *how,
                                   stats_sink sink, uint64_t *out_groups)
{
    exporter e = { .random = how->random,
                   .bucket_ns = how->bucket_ns ? how->bucket_ns : STATS_BUCKET_NS };
    sonde_status status;

    sonde_buf_init(&e.summaries, SUMMARIES_MAX_BYTES);
    status = gather(&e, buckets, len);
    if (status == SONDE_OK)
        put_all(&e);
    if (status == SONDE_OK)
        status = e.summaries.status;
    if (status == SONDE_OK) {
        const stats_payload s = { .stats = e.clients,
                                  .stats_len = (uint32_t)e.clients_len,
                                  .client_computed = how->client_computed };

        status = sink.push(sink.stage, &s);
        *out_groups = e.groups_len;
    }
    sonde_buf_done(&e.summaries);
    sonde_free(e.groups);
    sonde_free(e.buckets);
    sonde_free(e.clients);
    sonde_free(e.owners);
    return status;
}

void export_and_free(bucket *const *buckets, size_t len, const export_options *how, stats_sink sink,
                     sonde_mutex *mu, flush_counters *n)
{
    uint64_t groups = 0;
    sonde_status status;

    if (!len)
        return;
    status = export_buckets(buckets, len, how, sink, &groups);
    for (size_t i = 0; i < len; i++)
        bucket_free(buckets[i]);
    sonde_mutex_lock(mu);
    if (status == SONDE_OK) {
        n->buckets_out += len;
        n->groups_out += groups;
    } else {
        n->flush_failed += len;
    }
    sonde_mutex_unlock(mu);
}

void export_write_counters(const flush_counters *n, sonde_json_writer *w)
{
    sonde_json_put_u64(w, "groups_out", n->groups_out);
    sonde_json_put_u64(w, "buckets_out", n->buckets_out);
    sonde_json_put_u64(w, "flush_failed", n->flush_failed);
    sonde_json_put_u64(w, "open_buckets", n->open_buckets);
    sonde_json_put_u64(w, "held_bytes", n->held_bytes);
}
