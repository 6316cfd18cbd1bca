/* concentrator.c - adds spans to buckets and hands out full ones.
 *
 * Invariants
 *   every open bucket starts at or after oldest_unix_ns
 *   spans_in == spans_counted + spans_not_eligible + spans_lost
 */
#include "concentrator.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/str.h"
#include "vocab/tags.h"

#include "bucket.h"
#include "export.h"
#include "limits.h"
#include "peer_tags.h"
#include "process_tags.h"
#include "span_facts.h"

#define GIT_COMMIT "_dd.git.commit.sha"

#define CONTAINER_GIT_COMMIT "git.commit.sha"
#define CONTAINER_IMAGE_TAG  "image_tag"

#define SCRATCH_MAX_BYTES (256u * 1024) /* blanked addresses of one span */

struct concentrator {
    sonde_mutex mu;
    bucket *buckets[STATS_BUCKETS_MAX]; /* all below guarded by mu */
    size_t buckets_len;
    int64_t oldest_unix_ns; /* start of the oldest bucket that takes spans */
    sonde_arena scratch;
    concentrator_counters counters;
    concentrator_options options; /* immutable, as the rest */
    peer_tag_set peer_tags;
    size_t max_bytes;
};

/* What the spans of one chunk share, while it is being added. */
typedef struct chunk_context {
    concentrator *c;
    const payload_chunk *chunk;
    int64_t now_unix_ns;
    double weight;
    bool synthetics;
    owner_key owner;
    uint64_t owner_hash;
    owner *last_owner; /* of last_owner->bucket: spared look-ups */
    bool owner_collapsed;
} chunk_context;

static double random_unit(void *user)
{
    (void)user;
    return (double)(sonde_random_u64() >> 11) * 0x1.0p-53;
}

static int64_t align(const concentrator *c, int64_t unix_ns)
{
    return unix_ns - unix_ns % c->options.bucket_ns;
}

sonde_status concentrator_open(const concentrator_options *options, int64_t now_unix_ns,
                               concentrator **out_concentrator)
{
    concentrator *c = sonde_calloc(1, sizeof(*c));

    if (!c)
        return SONDE_ERR_NOMEM;
    c->options = *options;
    if (!c->options.random)
        c->options.random = random_unit;
    c->max_bytes = options->max_bytes ? options->max_bytes : STATS_MAX_BYTES;
    if (!c->options.bucket_ns)
        c->options.bucket_ns = STATS_BUCKET_NS;
    c->oldest_unix_ns = align(c, now_unix_ns);
    sonde_mutex_init(&c->mu, SONDE_RANK_ROOM);
    sonde_arena_init(&c->scratch, SCRATCH_MAX_BYTES);
    peer_tag_set_init(&c->peer_tags, options->peer_tags, options->peer_tags_len);
    *out_concentrator = c;
    return SONDE_OK;
}

void concentrator_close(concentrator *c)
{
    size_t i;

    if (!c)
        return;
    for (i = 0; i < c->buckets_len; i++)
        bucket_free(c->buckets[i]);
    sonde_arena_done(&c->scratch);
    sonde_mutex_done(&c->mu);
    sonde_free(c);
}

static bucket *find_bucket(concentrator *c, int64_t start, size_t *out_ahead, int64_t now)
{
    size_t i;

    *out_ahead = 0;
    for (i = 0; i < c->buckets_len; i++) {
        if (c->buckets[i]->start_unix_ns == start)
            return c->buckets[i];
        *out_ahead += c->buckets[i]->start_unix_ns > now;
    }
    return NULL;
}

/* The bucket of a span's end, opened when new.  NULL: no memory. */
static bucket *bucket_for(concentrator *c, int64_t end, int64_t now)
{
    int64_t start = align(c, end);
    size_t ahead;
    bucket *b;

    if (start < c->oldest_unix_ns) {
        start = c->oldest_unix_ns;
        c->counters.spans_late++;
    }
    b = find_bucket(c, start, &ahead, now);
    if (b)
        return b;
    if (start > now && ahead >= STATS_BUCKETS_AHEAD_MAX) {
        c->counters.spans_moved++;
        start = align(c, now) > c->oldest_unix_ns ? align(c, now) : c->oldest_unix_ns;
        b = find_bucket(c, start, &ahead, now);
        if (b)
            return b;
    }
    if (c->buckets_len == STATS_BUCKETS_MAX) { /* nobody flushed for minutes */
        c->counters.spans_moved++;
        return c->buckets[c->buckets_len - 1];
    }
    b = bucket_new(start, c->max_bytes + STATS_OTHER_BYTES);
    if (b)
        c->buckets[c->buckets_len++] = b;
    return b;
}

static size_t held_bytes_locked(const concentrator *c)
{
    size_t bytes = 0, i;

    for (i = 0; i < c->buckets_len; i++)
        bytes += bucket_bytes(c->buckets[i]);
    return bytes;
}

static owner *owner_for(chunk_context *x, bucket *b)
{
    if (!x->last_owner || x->last_owner->bucket != b) {
        x->owner_collapsed = false;
        x->last_owner = bucket_owner(b, &x->owner, x->owner_hash, &x->owner_collapsed);
    }
    return x->last_owner;
}

static group *new_group(concentrator *c, bucket *b, owner *o, const group_key *k, uint64_t hash,
                        const peer_tags *peers)
{
    group_tags tags = { .peer_len = (uint32_t)peers->len };

    if (peers->len && peer_tags_join(&c->peer_tags, peers, &b->arena, &tags.peer) != SONDE_OK)
        return NULL;
    return bucket_add(b, o, k, hash, &tags);
}

static group *group_for(chunk_context *x, bucket *b, owner *o, const group_key *k,
                        const peer_tags *peers)
{
    uint64_t hash = group_key_hash(k);
    group *g = bucket_find(b, o, k, hash);
    bool full;

    if (g) {
        x->c->counters.spans_collapsed += x->owner_collapsed;
        return g;
    }
    full = b->groups_len >= STATS_GROUPS_MAX || held_bytes_locked(x->c) >= x->c->max_bytes;
    x->c->counters.spans_collapsed += full || x->owner_collapsed;
    return full ? bucket_other(b, o) : new_group(x->c, b, o, k, hash, peers);
}

static void count(concentrator *c, bucket *b, group *g, const payload_span *s, bool top_level,
                  double weight)
{
    sonde_sketch *sketch = s->error ? &g->error : &g->ok;
    uint32_t cap = sketch->cap;

    g->hits += weight;
    if (top_level)
        g->top_level_hits += weight;
    if (s->error)
        g->errors += weight;
    g->duration_ns += (double)s->duration * weight;
    if (sonde_sketch_add(sketch, sonde_sketch_value_of_ns(s->duration), 1.0) != SONDE_OK) {
        c->counters.latencies_lost++;
        return;
    }
    b->sketch_bytes += (sketch->cap - cap) * sizeof(*sketch->bins);
}

static bool is_eligible(const concentrator *c, const span_facts *f, span_kind kind)
{
    if (facts_is_partial(f))
        return false;
    if (facts_is_top_level(f) || facts_is_measured(f))
        return true;
    return !c->options.no_stats_by_kind && (kind == KIND_SERVER || kind == KIND_CLIENT ||
                                            kind == KIND_PRODUCER || kind == KIND_CONSUMER);
}

/* start + duration, kept within the range of time. */
static int64_t end_of(const payload_span *s)
{
    int64_t end;

    if (__builtin_add_overflow(s->start, s->duration > 0 ? s->duration : 0, &end))
        return INT64_MAX;
    return end > 0 ? end : 0;
}

static void add_span(chunk_context *x, const payload_span *s)
{
    concentrator *c = x->c;
    char scratch[GRPC_STATUS_SCRATCH_BYTES];
    span_facts f;
    peer_tags peers;
    span_kind kind;
    bucket *b;
    owner *o;
    group *g = NULL;

    c->counters.spans_in++;
    span_facts_collect(&f, s);
    kind = facts_kind(&f);
    if (!is_eligible(c, &f, kind)) {
        c->counters.spans_not_eligible++;
        return;
    }
    peers.len = peers.hash = 0;
    if (!c->options.no_peer_tags)
        peer_tags_collect(&c->peer_tags, s, &f, kind, &c->scratch, &peers);

    b = bucket_for(c, end_of(s), x->now_unix_ns);
    o = b ? owner_for(x, b) : NULL;
    if (o) {
        const group_key k = {
            .service = s->service,
            .name = s->name,
            .resource = s->resource,
            .type = s->type,
            .span_kind = facts_meta(&f, STAT_TAG_KIND),
            .service_source = facts_meta(&f, STAT_TAG_SVC_SRC),
            .grpc_status = facts_grpc_status(&f, scratch),
            .peer_tags_hash = peers.hash,
            .http_status = facts_http_status(&f),
            .is_trace_root = s->parent_id ? STATS_ROOT_FALSE : STATS_ROOT_TRUE,
            .synthetics = x->synthetics,
        };

        g = group_for(x, b, o, &k, &peers);
    }
    if (!g) {
        c->counters.spans_lost++;
        return;
    }
    count(c, b, g, s, facts_is_top_level(&f), x->weight);
    c->counters.spans_counted++;
}

static sonde_str meta_or_empty(const payload_span *s, sonde_str key)
{
    const sonde_str *v = span_meta_get(s, key);

    return v ? *v : (sonde_str){ NULL, 0 };
}

static sonde_str first_of(sonde_str a, sonde_str b)
{
    return a.len ? a : b;
}

static const sonde_str *process_tags_of(const payload *p)
{
    static const sonde_str key = { "_dd.tags.process", 16 };
    const sonde_str *tags = payload_tag_get(p, key);

    if (!tags && p->chunks_len && p->chunks[0].spans_len)
        tags = span_meta_get(&p->chunks[0].spans[0], key);
    return tags;
}

static owner_key payload_owner(const concentrator *c, const payload *p)
{
    const sonde_str *process_tags = c->options.no_process_tags ? NULL : process_tags_of(p);
    const sonde_str *commit = payload_tag_get(p, SONDE_STR(GIT_COMMIT)); /* v1.0 */
    owner_key k = {
        .env = first_of(p->env, c->options.agent_env),
        .hostname = first_of(p->hostname, c->options.hostname),
        .version = p->app_version,
        .container_id = c->options.no_container_ids ? (sonde_str){ NULL, 0 } : p->container_id,
        .git_commit_sha =
            commit ? *commit : payload_container_tag(p, SONDE_STR(CONTAINER_GIT_COMMIT)),
        .image_tag = payload_container_tag(p, SONDE_STR(CONTAINER_IMAGE_TAG)),
        .lang = p->language_name,
    };

    if (process_tags && process_tags->len) {
        k.process_tags = *process_tags;
        k.process_tags_hash = process_tags_hash(*process_tags);
    }
    return k;
}

static double weight_of(const payload_span *root)
{
    const double *rate = span_metric_get(root, SONDE_STR(SONDE_TAG_SAMPLE_RATE));

    return rate && *rate > 0.0 && *rate <= 1.0 ? 1.0 / *rate : 1.0;
}

static void add_chunk(concentrator *c, const payload_chunk *chunk, const owner_key *of_payload,
                      int64_t now)
{
    const payload_span *root = &chunk->spans[chunk->root];
    chunk_context x = {
        .c = c,
        .chunk = chunk,
        .now_unix_ns = now,
        .weight = weight_of(root),
        .synthetics = sonde_str_starts(chunk->origin, SONDE_STR("synthetics")),
        .owner = *of_payload,
    };
    uint32_t i;

    x.owner.base_service = meta_or_empty(root, SONDE_STR(SONDE_TAG_BASE_SERVICE));
    x.owner.git_commit_sha =
        first_of(meta_or_empty(root, SONDE_STR(GIT_COMMIT)), of_payload->git_commit_sha);
    if (!x.owner.version.len)
        x.owner.version = meta_or_empty(root, SONDE_STR(SONDE_TAG_VERSION));
    x.owner_hash = owner_key_hash(&x.owner);
    for (i = 0; i < chunk->spans_len; i++)
        add_span(&x, &chunk->spans[i]);
}

void concentrator_add(concentrator *c, const payload *p, int64_t now_unix_ns)
{
    owner_key of_payload;
    uint32_t i;

    if (p->client_computed_stats)
        return;
    of_payload = payload_owner(c, p);
    sonde_mutex_lock(&c->mu);
    for (i = 0; i < p->chunks_len; i++)
        if (p->chunks[i].spans_len)
            add_chunk(c, &p->chunks[i], &of_payload, now_unix_ns);
    sonde_arena_reset(&c->scratch);
    sonde_mutex_unlock(&c->mu);
}

/* Takes the buckets that are due out of the concentrator; returns how many.  After the clock was set back all are: else
 * they, and what is late for them, would wait until it has caught up. */
static size_t take_locked(concentrator *c, int64_t now, concentrator_flush_what what,
                          bucket *out[STATS_BUCKETS_MAX])
{
    int64_t width = c->options.bucket_ns;
    int64_t due = align(c, now) - STATS_HOLD_BACK_BUCKETS * width;
    int64_t oldest = align(c, now) - (STATS_HOLD_BACK_BUCKETS - 1) * width;
    bool set_back = c->oldest_unix_ns - oldest > STATS_HOLD_BACK_BUCKETS * width;
    size_t i, kept = 0, taken = 0;

    for (i = 0; i < c->buckets_len; i++) {
        if (what == CONCENTRATOR_FLUSH_ALL || set_back || c->buckets[i]->start_unix_ns <= due)
            out[taken++] = c->buckets[i];
        else
            c->buckets[kept++] = c->buckets[i];
    }
    c->buckets_len = kept;
    if (oldest > c->oldest_unix_ns || set_back)
        c->oldest_unix_ns = oldest;
    return taken;
}

void concentrator_flush(concentrator *c, int64_t now_unix_ns, concentrator_flush_what what)
{
    const export_options how = { .random = { c->options.random, c->options.random_user },
                                 .bucket_ns = (uint64_t)c->options.bucket_ns };
    bucket *taken[STATS_BUCKETS_MAX];
    size_t len;

    sonde_mutex_lock(&c->mu);
    len = take_locked(c, now_unix_ns, what, taken);
    sonde_mutex_unlock(&c->mu);
    export_and_free(taken, len, &how, c->options.sink, &c->mu, &c->counters.flushed);
}

const sonde_str *concentrator_peer_tags(const concentrator *c, size_t *out_len)
{
    *out_len = c->options.no_peer_tags ? 0 : c->peer_tags.len;
    return c->peer_tags.names;
}

void concentrator_read_counters(concentrator *c, concentrator_counters *out)
{
    sonde_mutex_lock(&c->mu);
    *out = c->counters;
    out->flushed.open_buckets = c->buckets_len;
    out->flushed.held_bytes = held_bytes_locked(c);
    sonde_mutex_unlock(&c->mu);
}

void concentrator_write_json(void *arg, sonde_json_writer *w)
{
    concentrator_counters n;

    concentrator_read_counters(arg, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "spans_in", n.spans_in);
    sonde_json_put_u64(w, "spans_counted", n.spans_counted);
    sonde_json_put_u64(w, "spans_not_eligible", n.spans_not_eligible);
    sonde_json_put_u64(w, "spans_lost", n.spans_lost);
    sonde_json_put_u64(w, "latencies_lost", n.latencies_lost);
    sonde_json_put_u64(w, "spans_collapsed", n.spans_collapsed);
    sonde_json_put_u64(w, "spans_late", n.spans_late);
    sonde_json_put_u64(w, "spans_moved", n.spans_moved);
    export_write_counters(&n.flushed, w);
    sonde_json_end_object(w);
}
