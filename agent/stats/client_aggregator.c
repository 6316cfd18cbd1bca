/* client_aggregator.c - tracers' buckets into ours, and ours out.
 *
 * Invariants
 *   every open bucket starts at or after oldest_unix_ns, at an odd second
 *   groups_in == groups_counted + groups_lost
 */
#include "client_aggregator.h"

#include "base/alloc.h"
#include "base/mutex.h"

#include "bucket.h"
#include "export.h"
#include "limits.h"
#include "process_tags.h"

#define SECOND_NS 1000000000

struct client_aggregator {
    sonde_mutex mu;
    bucket *buckets[STATS_CLIENT_BUCKETS_MAX]; /* all below guarded by mu */
    size_t buckets_len;
    int64_t oldest_unix_ns; /* start of the oldest bucket that takes groups */
    client_aggregator_counters counters;
    stats_sink sink; /* immutable, as the rest */
    size_t max_bytes;
};

/* One bucket of a tracer on its way into one of ours. */
typedef struct adding {
    client_aggregator *a;
    bucket *into;
    owner *owner;
    bool collapsed;
} adding;

/* The odd second that the two seconds of `unix_ns` are known by. */
static int64_t align(int64_t unix_ns)
{
    return unix_ns - unix_ns % CLIENT_BUCKET_NS + SECOND_NS;
}

sonde_status client_aggregator_open(stats_sink sink, size_t max_bytes, int64_t now_unix_ns,
                                    client_aggregator **out_aggregator)
{
    client_aggregator *a = sonde_calloc(1, sizeof(*a));

    if (!a)
        return SONDE_ERR_NOMEM;
    a->sink = sink;
    a->max_bytes = max_bytes ? max_bytes : STATS_CLIENT_MAX_BYTES;
    a->oldest_unix_ns = align(now_unix_ns + CLIENT_BUCKET_NS - CLIENT_HOLD_BACK_NS);
    sonde_mutex_init(&a->mu, SONDE_RANK_ROOM);
    *out_aggregator = a;
    return SONDE_OK;
}

void client_aggregator_close(client_aggregator *a)
{
    size_t i;

    if (!a)
        return;
    for (i = 0; i < a->buckets_len; i++)
        bucket_free(a->buckets[i]);
    sonde_mutex_done(&a->mu);
    sonde_free(a);
}

static size_t held_bytes_locked(const client_aggregator *a)
{
    size_t bytes = 0, i;

    for (i = 0; i < a->buckets_len; i++)
        bytes += bucket_bytes(a->buckets[i]);
    return bytes;
}

static int64_t start_for(client_aggregator *a, uint64_t start_unix_ns, int64_t now)
{
    int64_t start = start_unix_ns > INT64_MAX ? INT64_MAX : (int64_t)start_unix_ns;

    if (start < a->oldest_unix_ns) {
        a->counters.buckets_late++;
        return a->oldest_unix_ns;
    }
    if (start > now) {
        a->counters.buckets_ahead++;
        start = now;
    }
    start = align(start);
    return start > a->oldest_unix_ns ? start : a->oldest_unix_ns; /* a clock that went back */
}

/* Opened when new.  NULL: no memory. */
static bucket *bucket_for(client_aggregator *a, uint64_t start_unix_ns, int64_t now)
{
    int64_t start = start_for(a, start_unix_ns, now);
    bucket *b;
    size_t i;

    for (i = 0; i < a->buckets_len; i++)
        if (a->buckets[i]->start_unix_ns == start)
            return a->buckets[i];
    if (a->buckets_len == STATS_CLIENT_BUCKETS_MAX) /* nobody flushed for a while */
        return a->buckets[a->buckets_len - 1];
    b = bucket_new(start, a->max_bytes + STATS_OTHER_BYTES);
    if (b)
        a->buckets[a->buckets_len++] = b;
    return b;
}

static owner *owner_for(adding *x, const client_stats *s)
{
    owner_key k = {
        .env = s->env,
        .hostname = s->hostname,
        .version = s->version,
        .container_id = s->container_id,
        .git_commit_sha = s->git_commit_sha,
        .image_tag = s->image_tag,
        .lang = s->lang,
        .base_service = s->service,
        .process_tags = s->process_tags,
        .process_tags_hash = s->process_tags_hash,
    };

    if (k.process_tags.len && !k.process_tags_hash)
        k.process_tags_hash = process_tags_hash(k.process_tags);
    return bucket_owner(x->into, &k, owner_key_hash(&k), &x->collapsed);
}

static bool own_texts(sonde_arena *arena, const sonde_str *texts, uint32_t len, sonde_str **out)
{
    sonde_str *own;
    uint32_t i;

    *out = NULL;
    if (!len)
        return true;
    own = sonde_arena_zalloc(arena, len, sizeof(*own));
    if (!own)
        return false;
    for (i = 0; i < len; i++) {
        if (!texts[i].len)
            continue;
        own[i] = sonde_arena_copy(arena, texts[i]);
        if (!own[i].ptr)
            return false;
    }
    *out = own;
    return true;
}

static group *new_group(adding *x, const group_key *k, uint64_t hash, const stats_group *g)
{
    group_tags tags = { .peer_len = g->peer_tags_len, .metric_len = g->metric_tags_len };
    sonde_arena *arena = &x->into->arena;

    if (!own_texts(arena, g->peer_tags, g->peer_tags_len, &tags.peer) ||
        !own_texts(arena, g->metric_tags, g->metric_tags_len, &tags.metric))
        return NULL;
    return bucket_add(x->into, x->owner, k, hash, &tags);
}

static group *group_for(adding *x, stats_group *g)
{
    client_aggregator *a = x->a;
    const group_key k = {
        .service = g->service,
        .name = g->name,
        .resource = g->resource,
        .type = g->type,
        .span_kind = g->span_kind,
        .service_source = g->service_source,
        .grpc_status = g->grpc_status_code,
        .http_method = g->http_method,
        .http_endpoint = g->http_endpoint,
        .peer_tags_hash = tag_texts_hash(g->peer_tags, g->peer_tags_len),
        .metric_tags_hash = tag_texts_hash(g->metric_tags, g->metric_tags_len),
        .http_status = g->http_status_code,
        .is_trace_root = (uint8_t)g->is_trace_root,
        .synthetics = g->synthetics,
    };
    uint64_t hash = group_key_hash(&k);
    group *found = bucket_find(x->into, x->owner, &k, hash);
    bool full;

    if (found) {
        a->counters.groups_collapsed += x->collapsed;
        return found;
    }
    full = x->into->groups_len >= STATS_GROUPS_MAX || held_bytes_locked(a) >= a->max_bytes;
    a->counters.groups_collapsed += full || x->collapsed;
    return full ? bucket_other(x->into, x->owner) : new_group(x, &k, hash, g);
}

static void merge(adding *x, sonde_sketch *into, sonde_str bytes)
{
    uint32_t cap = into->cap;

    if (bytes.len && sonde_sketch_decode_merge(into, bytes) != SONDE_OK)
        x->a->counters.sketches_lost++;
    x->into->sketch_bytes += (into->cap - cap) * sizeof(*into->bins);
}

static void add_group(adding *x, stats_group *from)
{
    client_aggregator_counters *n = &x->a->counters;
    group *g = x->owner ? group_for(x, from) : NULL;

    n->groups_in++;
    n->hits_in += from->hits;
    if (!g) {
        n->groups_lost++;
        return;
    }
    n->groups_counted++;
    n->hits_counted += from->hits;
    g->hits += (double)from->hits;
    g->errors += (double)from->errors;
    g->top_level_hits += (double)from->top_level_hits;
    g->duration_ns += (double)from->duration_ns;
    merge(x, &g->ok, from->ok_summary);
    merge(x, &g->error, from->error_summary);
}

static void add_bucket_locked(client_aggregator *a, const client_stats *s, stats_bucket *from,
                              int64_t now)
{
    adding x = { .a = a, .into = bucket_for(a, from->start_unix_ns, now) };
    uint32_t i;

    if (x.into)
        x.owner = owner_for(&x, s);
    for (i = 0; i < from->groups_len; i++)
        add_group(&x, &from->groups[i]);
}

void client_aggregator_add(client_aggregator *a, client_stats *s, int64_t now_unix_ns)
{
    uint32_t i;

    sonde_mutex_lock(&a->mu);
    a->counters.payloads_in++;
    for (i = 0; i < s->buckets_len; i++)
        if (s->buckets[i].groups_len)
            add_bucket_locked(a, s, &s->buckets[i], now_unix_ns);
    sonde_mutex_unlock(&a->mu);
}

/* Takes the buckets that are due; returns how many.  All are after the clock was set back, as in the concentrator. */
static size_t take_locked(client_aggregator *a, int64_t now, client_flush_what what,
                          bucket *out[STATS_CLIENT_BUCKETS_MAX])
{
    int64_t due = align(now + CLIENT_BUCKET_NS - CLIENT_HOLD_BACK_NS);
    bool set_back = a->oldest_unix_ns - due > CLIENT_HOLD_BACK_NS;
    size_t i, kept = 0, taken = 0;

    for (i = 0; i < a->buckets_len; i++) {
        if (what == CLIENT_FLUSH_ALL || set_back || a->buckets[i]->start_unix_ns < due)
            out[taken++] = a->buckets[i];
        else
            a->buckets[kept++] = a->buckets[i];
    }
    a->buckets_len = kept;
    if (due > a->oldest_unix_ns || set_back)
        a->oldest_unix_ns = due;
    return taken;
}

void client_aggregator_flush(client_aggregator *a, int64_t now_unix_ns, client_flush_what what)
{
    const export_options how = { .client_computed = true };
    bucket *taken[STATS_CLIENT_BUCKETS_MAX];
    size_t len;

    sonde_mutex_lock(&a->mu);
    len = take_locked(a, now_unix_ns, what, taken);
    sonde_mutex_unlock(&a->mu);
    export_and_free(taken, len, &how, a->sink, &a->mu, &a->counters.flushed);
}

void client_aggregator_read_counters(client_aggregator *a, client_aggregator_counters *out)
{
    sonde_mutex_lock(&a->mu);
    *out = a->counters;
    out->flushed.open_buckets = a->buckets_len;
    out->flushed.held_bytes = held_bytes_locked(a);
    sonde_mutex_unlock(&a->mu);
}

void client_aggregator_write_json(void *arg, sonde_json_writer *w)
{
    client_aggregator_counters n;

    client_aggregator_read_counters(arg, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "payloads_in", n.payloads_in);
    sonde_json_put_u64(w, "groups_in", n.groups_in);
    sonde_json_put_u64(w, "groups_counted", n.groups_counted);
    sonde_json_put_u64(w, "groups_lost", n.groups_lost);
    sonde_json_put_u64(w, "hits_in", n.hits_in);
    sonde_json_put_u64(w, "hits_counted", n.hits_counted);
    sonde_json_put_u64(w, "sketches_lost", n.sketches_lost);
    sonde_json_put_u64(w, "groups_collapsed", n.groups_collapsed);
    sonde_json_put_u64(w, "buckets_late", n.buckets_late);
    sonde_json_put_u64(w, "buckets_ahead", n.buckets_ahead);
    export_write_counters(&n.flushed, w);
    sonde_json_end_object(w);
}
