/* statsd_contexts.c - chains of contexts in a fixed number of buckets.
 *
 * A name is compared as the program wrote it and cleaned when it is emitted, so that an addition costs a
 * hash, a comparison and the sum. */
#include "statsd_contexts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#define WALK_CONTEXTS 8 /* of one step: their lines fit into the waiting datagrams */

typedef struct sonde__statsd_context {
    struct sonde__statsd_context *next;
    uint64_t hash;
    double rate;  /* part of the key */
    double value; /* sum of a count, last one of a gauge */
    int32_t type;
    uint32_t cardinality;
    uint32_t name_len;
    uint32_t tags_len;
    uint32_t member_len;
    uint32_t used;   /* additions since the last walk: of values how many are held */
    uint32_t idle;   /* walks */
    char *key;       /* name, tags, member; in the same allocation */
    double values[]; /* SONDE__STATSD_VALUES where the type has them */
} sonde__statsd_context;

static bool has_values(int32_t type)
{
    return type == SONDE_STATSD_HISTOGRAM || type == SONDE_STATSD_DISTRIBUTION ||
           type == SONDE_STATSD_TIMING;
}

sonde_status sonde__statsd_contexts_open(sonde__statsd_contexts *c, uint32_t max,
                                         sonde__statsd_emitter emit, void *user)
{
    sonde_status status = SONDE_OK;
    uint32_t i;

    memset(c, 0, sizeof(*c));
    c->max = max;
    c->emit = emit;
    c->user = user;
    c->buckets = 1;
    while (c->buckets * SONDE__STATSD_SHARDS < max)
        c->buckets *= 2;
    for (i = 0; i < SONDE__STATSD_SHARDS; i++) {
        sonde__statsd_shard *s = &c->shard[i];

        (void)pthread_mutex_init(&s->mu, NULL);
        s->buckets = (sonde__statsd_context **)sonde_calloc(c->buckets, sizeof(*s->buckets));
        if (!s->buckets)
            status = SONDE_ERR_NOMEM;
    }
    if (status != SONDE_OK)
        sonde__statsd_contexts_close(c);
    return status;
}

void sonde__statsd_contexts_close(sonde__statsd_contexts *c)
{
    uint32_t i;

    sonde__statsd_contexts_clear(c);
    for (i = 0; i < SONDE__STATSD_SHARDS; i++) {
        sonde_free(c->shard[i].buckets);
        (void)pthread_mutex_destroy(&c->shard[i].mu);
    }
}

/* -- adding --------------------------------------------------------------------------------------- */

static uint64_t hash_of(const sonde__statsd_line *line)
{
    uint64_t seed = (uint64_t)line->type << 8 | line->cardinality;

    if (has_values(line->type) && line->rate < 1)
        seed = sonde_hash(seed, &line->rate, sizeof(line->rate));
    seed = sonde_hash(seed, line->name.ptr, line->name.len);
    if (line->tags.len > 0) /* apart from the name's, so that the processor does both at once */
        seed += sonde_hash(1, line->tags.ptr, line->tags.len);
    return line->member.len > 0 ? sonde_hash(seed, line->member.ptr, line->member.len) : seed;
}

static bool is_same(const sonde__statsd_context *x, const sonde__statsd_line *line, uint64_t hash)
{
    sonde_str name = { x->key, x->name_len };
    sonde_str tags = { x->key + x->name_len, x->tags_len };
    sonde_str member = { x->key + x->name_len + x->tags_len, x->member_len };

    return x->hash == hash && x->type == line->type && x->cardinality == line->cardinality &&
           (x->rate >= line->rate && x->rate <= line->rate) && sonde_str_eq(name, line->name) &&
           sonde_str_eq(tags, line->tags) && sonde_str_eq(member, line->member);
}

static char *append(char *to, sonde_str s)
{
    if (s.len > 0)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

static sonde__statsd_context *new_context(sonde__statsd_contexts *c, const sonde__statsd_line *line,
                                          uint64_t hash)
{
    size_t key_len = line->name.len + line->tags.len + line->member.len;
    size_t values = has_values(line->type) ? SONDE__STATSD_VALUES * sizeof(double) : 0;
    sonde__statsd_context *x;

    if (key_len > SONDE__STATSD_KEY_MAX)
        return NULL;
    if (atomic_fetch_add_explicit(&c->len, 1, memory_order_relaxed) >= c->max ||
        !(x = (sonde__statsd_context *)sonde_malloc(sizeof(*x) + values + key_len))) {
        atomic_fetch_sub_explicit(&c->len, 1, memory_order_relaxed);
        return NULL;
    }
    *x = (sonde__statsd_context){
        .hash = hash,
        .rate = line->rate,
        .type = line->type,
        .cardinality = line->cardinality,
        .name_len = (uint32_t)line->name.len,
        .tags_len = (uint32_t)line->tags.len,
        .member_len = (uint32_t)line->member.len,
        .key = (char *)x->values + values,
    };
    (void)append(append(append(x->key, line->name), line->tags), line->member);
    return x;
}

static sonde__statsd_context *find_locked(sonde__statsd_contexts *c, sonde__statsd_shard *s,
                                          const sonde__statsd_line *line, uint64_t hash)
{
    sonde__statsd_context **bucket = &s->buckets[hash >> 4 & (c->buckets - 1)];
    sonde__statsd_context *x = *bucket;

    while (x && !is_same(x, line, hash))
        x = x->next;
    if (x)
        return x;
    x = new_context(c, line, hash);
    if (x) {
        x->next = *bucket;
        *bucket = x;
    }
    return x;
}

static void emit_locked(sonde__statsd_contexts *c, sonde__statsd_context *x)
{
    sonde__statsd_line line = {
        .type = x->type,
        .cardinality = x->cardinality,
        .name = { x->key, x->name_len },
        .tags = { x->key + x->name_len, x->tags_len },
        .member = { x->key + x->name_len + x->tags_len, x->member_len },
        .values = has_values(x->type) ? x->values : &x->value,
        .values_len = has_values(x->type) ? x->used : 1,
        .rate = x->rate,
    };

    c->emit(c->user, &line);
    x->used = 0;
    x->value = 0;
}

static void add_locked(sonde__statsd_contexts *c, sonde__statsd_context *x, double value)
{
    if (has_values(x->type)) {
        if (x->used == SONDE__STATSD_VALUES)
            emit_locked(c, x);
        x->values[x->used] = value;
    } else if (x->type == SONDE_STATSD_COUNT) {
        x->value += value;
    } else {
        x->value = value;
    }
    if (x->used < SONDE__STATSD_VALUES) /* of the others only whether there was one matters */
        x->used++;
    x->idle = 0;
}

bool sonde__statsd_contexts_add(sonde__statsd_contexts *c, const sonde__statsd_line *line)
{
    uint64_t hash = hash_of(line);
    sonde__statsd_shard *s = &c->shard[hash % SONDE__STATSD_SHARDS];
    sonde__statsd_context *x;
    size_t i;

    (void)pthread_mutex_lock(&s->mu);
    x = find_locked(c, s, line, hash);
    if (x) {
        uint64_t added = atomic_load_explicit(&s->added, memory_order_relaxed);

        for (i = 0; i < line->values_len; i++)
            add_locked(c, x, line->values[i]);
        atomic_store_explicit(&s->added, added + 1, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&s->mu);
    return x != NULL;
}

uint64_t sonde__statsd_contexts_added(const sonde__statsd_contexts *c)
{
    uint64_t sum = 0;
    uint32_t i;

    for (i = 0; i < SONDE__STATSD_SHARDS; i++)
        sum += atomic_load_explicit(&c->shard[i].added, memory_order_relaxed);
    return sum;
}

/* -- walking -------------------------------------------------------------------------------------- */

static void drop_context(sonde__statsd_contexts *c, sonde__statsd_context **link)
{
    sonde__statsd_context *x = *link;

    *link = x->next;
    sonde_free(x);
    atomic_fetch_sub_explicit(&c->len, 1, memory_order_relaxed);
}

/* Emits what a bucket collected and forgets what was idle; returns how many were emitted. */
static uint32_t walk_bucket_locked(sonde__statsd_contexts *c, sonde__statsd_context **link)
{
    uint32_t emitted = 0;

    while (*link) {
        sonde__statsd_context *x = *link;

        if (x->used > 0) {
            emit_locked(c, x);
            emitted++;
        } else if (++x->idle >= SONDE__STATSD_IDLE_WALKS) {
            drop_context(c, link);
            continue;
        }
        link = &x->next;
    }
    return emitted;
}

/* A cursor counts buckets: those of the first shard, then of the second. */
bool sonde__statsd_contexts_next(sonde__statsd_contexts *c, uint32_t *cursor)
{
    uint32_t at = *cursor / c->buckets;
    uint32_t emitted = 0;
    sonde__statsd_shard *s;

    if (at >= SONDE__STATSD_SHARDS)
        return false;
    s = &c->shard[at];
    (void)pthread_mutex_lock(&s->mu);
    do
        emitted += walk_bucket_locked(c, &s->buckets[(*cursor)++ % c->buckets]);
    while (emitted < WALK_CONTEXTS && *cursor % c->buckets != 0);
    (void)pthread_mutex_unlock(&s->mu);
    return true;
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__statsd_contexts_lock(sonde__statsd_contexts *c)
{
    uint32_t i;

    for (i = 0; i < SONDE__STATSD_SHARDS; i++)
        (void)pthread_mutex_lock(&c->shard[i].mu);
}

SONDE_NO_TSA void sonde__statsd_contexts_unlock(sonde__statsd_contexts *c)
{
    uint32_t i;

    for (i = SONDE__STATSD_SHARDS; i-- > 0;)
        (void)pthread_mutex_unlock(&c->shard[i].mu);
}

void sonde__statsd_contexts_clear(sonde__statsd_contexts *c)
{
    uint32_t i, b;

    for (i = 0; i < SONDE__STATSD_SHARDS; i++) {
        for (b = 0; c->shard[i].buckets && b < c->buckets; b++)
            while (c->shard[i].buckets[b])
                drop_context(c, &c->shard[i].buckets[b]);
        atomic_store_explicit(&c->shard[i].added, 0, memory_order_relaxed);
    }
}
