/* stats.c - buckets of groups, and how they become payloads. */
#include "stats.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "codec/msgpack_write.h"
#include "codec/obfuscate.h"
#include "codec/sketch.h"

#include "counters.h"
#include "stats_key.h"
#include "wire_span.h"

#define HOLD_BACK_NS      (2 * SONDE__STATS_BUCKET_NS)
#define SCRATCH_MAX_BYTES 65536
#define KEY_MAX_BYTES     65536
#define SKETCH_MAX_BYTES  32768

/* What tables take for an entry, about. */
#define ENTRY_BYTES 96

#define EXTRA_KEY_MAX_BYTES 200

#define OBFUSCATION_VERSION 1 /* the only one we know */
#define RESOURCE_MAX_BYTES  5000

typedef struct group {
    uint64_t hits;
    uint64_t errors;
    uint64_t duration_ns;
    uint64_t top_level_hits;
    sonde_sketch ok;
    sonde_sketch error;
} group;

typedef struct bucket {
    uint64_t start_unix_ns;
    bool obfuscated;    /* all of its resources are, where they need it */
    sonde_table groups; /* key -> group */
    sonde_table resources;
    sonde_table endpoints;
    sonde_table peers;
    sonde_table extras;
    group *blocked; /* one of `groups`, once a ceiling was met */
    size_t sent;    /* cursor into `groups` */
    size_t bytes;
} bucket;

struct sonde__stats {
    const sonde__config *config; /* borrowed */
    char runtime_id[37];
    uint64_t sequence;
    uint64_t oldest_unix_ns;
    size_t max_bytes; /* of groups */
    size_t bytes;
    bucket *buckets[SONDE__STATS_BUCKETS_MAX]; /* owned */
    uint32_t len;
    sonde_arena scratch; /* of one span */
    sonde_buf key;
    sonde_buf sketch;
    sonde_buf resource;   /* of one span, obfuscated */
    bool literal_escapes; /* how SQL reads here, see codec/obfuscate.h */
    sonde_buf body;
    sonde__stats_key facts;
    sonde__texts extras; /* keys of additional tags, into the two arrays below */
    sonde_str extra[SONDE__STATS_EXTRAS_MAX];
    char extra_blocked[SONDE__STATS_EXTRAS_MAX]
                      [EXTRA_KEY_MAX_BYTES + sizeof(SONDE__STATS_BLOCKED) + 1];
};

static uint64_t align(uint64_t unix_ns)
{
    return unix_ns - unix_ns % SONDE__STATS_BUCKET_NS;
}

/* -- opening, closing ----------------------------------------------------------------------------- */

static void read_extras(sonde__stats *s)
{
    sonde_str rest = s->config->stats_extras;

    s->extras.item = s->extra;
    while (rest.len > 0 && s->extras.len < SONDE__STATS_EXTRAS_MAX) {
        sonde_str key = sonde_str_trim(sonde_str_cut(&rest, ','));

        if (key.len == 0 || key.len > EXTRA_KEY_MAX_BYTES)
            continue;
        (void)snprintf(s->extra_blocked[s->extras.len], sizeof(s->extra_blocked[0]), "%.*s:%s",
                       SONDE_STR_ARG(key), SONDE__STATS_BLOCKED);
        s->extra[s->extras.len++] = key;
    }
}

sonde_status sonde__stats_open(const sonde__config *config, const char *runtime_id,
                               size_t max_bytes, uint64_t now_unix_ns, sonde__stats **out)
{
    sonde__stats *s = (sonde__stats *)sonde_calloc(1, sizeof(*s));

    if (!s)
        return SONDE_ERR_NOMEM;
    s->config = config;
    memcpy(s->runtime_id, runtime_id, sizeof(s->runtime_id) - 1);
    read_extras(s);
    s->max_bytes = max_bytes / 2;
    s->oldest_unix_ns = align(now_unix_ns);
    sonde_arena_init(&s->scratch, SCRATCH_MAX_BYTES);
    sonde_buf_init(&s->key, KEY_MAX_BYTES);
    sonde_buf_init(&s->resource, KEY_MAX_BYTES);
    sonde_buf_init(&s->sketch, SKETCH_MAX_BYTES);
    sonde_buf_init(&s->body, max_bytes / 2);
    *out = s;
    return SONDE_OK;
}

static void free_bucket(sonde__stats *s, uint32_t at)
{
    bucket *b = s->buckets[at];
    sonde_table_entry *e;
    size_t cursor = 0;

    while ((e = sonde_table_next(&b->groups, &cursor))) {
        group *g = (group *)e->value;

        sonde_sketch_done(&g->ok);
        sonde_sketch_done(&g->error);
        sonde_free(g);
    }
    sonde_table_done(&b->groups);
    sonde_table_done(&b->resources);
    sonde_table_done(&b->endpoints);
    sonde_table_done(&b->peers);
    sonde_table_done(&b->extras);
    s->bytes -= b->bytes;
    sonde_free(b);
    s->len--;
    memmove(&s->buckets[at], &s->buckets[at + 1], (s->len - at) * sizeof(s->buckets[0]));
}

void sonde__stats_close(sonde__stats *s)
{
    if (!s)
        return;
    while (s->len > 0)
        free_bucket(s, 0);
    sonde_arena_done(&s->scratch);
    sonde_buf_done(&s->key);
    sonde_buf_done(&s->sketch);
    sonde_buf_done(&s->resource);
    sonde_buf_done(&s->body);
    sonde_free(s);
}

/* -- counting ------------------------------------------------------------------------------------- */

static bucket *add_bucket(sonde__stats *s, uint64_t start_unix_ns, bool obfuscated)
{
    bucket *b = (bucket *)sonde_calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->start_unix_ns = start_unix_ns;
    b->obfuscated = obfuscated;
    sonde_table_init(&b->groups, s->config->stats_keys_max + 1); /* and the blocked one */
    sonde_table_init(&b->resources, s->config->stats_resources_max);
    sonde_table_init(&b->endpoints, s->config->stats_endpoints_max);
    sonde_table_init(&b->peers, s->config->stats_peers_max);
    sonde_table_init(&b->extras, s->config->stats_extras_max);
    b->bytes = sizeof(*b);
    s->bytes += b->bytes;
    s->buckets[s->len++] = b;
    return b;
}

/* What ended long ago belongs to the oldest bucket still open, what ends far in the future to now's. */
static bucket *find_bucket(sonde__stats *s, uint64_t end_unix_ns, uint64_t now_unix_ns,
                           bool obfuscated)
{
    uint64_t start = align(end_unix_ns);
    uint32_t i;

    if (start > align(now_unix_ns) + SONDE__STATS_BUCKET_NS)
        start = align(now_unix_ns);
    if (start < s->oldest_unix_ns)
        start = s->oldest_unix_ns;
    for (i = 0; i < s->len; i++)
        if (s->buckets[i]->start_unix_ns == start && s->buckets[i]->sent == 0 &&
            s->buckets[i]->obfuscated == obfuscated)
            return s->buckets[i];
    if (s->len < SONDE__STATS_BUCKETS_MAX)
        return add_bucket(s, start, obfuscated);
    for (i = s->len; i-- > 0;)
        if (s->buckets[i]->obfuscated == obfuscated)
            return s->buckets[i];
    return NULL;
}

static void charge(sonde__stats *s, bucket *b, size_t bytes)
{
    b->bytes += bytes;
    s->bytes += bytes;
}

/* True when the value had to collapse: the field's ceiling is met, or memory. */
static bool limit(sonde__stats *s, bucket *b, sonde_table *seen, sonde_str *field)
{
    if (field->len == 0 || sonde_table_get(seen, *field))
        return false;
    if (s->bytes < s->max_bytes && sonde_table_put(seen, *field, b) == SONDE_OK) {
        charge(s, b, ENTRY_BYTES + field->len);
        return false;
    }
    *field = SONDE_STR(SONDE__STATS_BLOCKED);
    return true;
}

static bool limit_peers(sonde__stats *s, bucket *b, sonde__stats_key *k)
{
    sonde_str joined;
    uint32_t i;

    if (k->peers_len == 0)
        return false;
    sonde_buf_reset(&s->key);
    for (i = 0; i < k->peers_len; i++) {
        sonde_buf_append_str(&s->key, k->peers[i]);
        sonde_buf_append_byte(&s->key, '\0');
    }
    joined = sonde_buf_str(&s->key);
    if (!limit(s, b, &b->peers, &joined))
        return false;
    k->peers[0] = SONDE_STR(SONDE__STATS_BLOCKED);
    k->peers_len = 1;
    return true;
}

/* One that is blocked still names its key. */
static bool limit_extras(sonde__stats *s, bucket *b, sonde__stats_key *k)
{
    bool collapsed = false;
    uint32_t i;

    for (i = 0; i < k->extras_len; i++) {
        if (!(k->extras_too_long >> i & 1) && !limit(s, b, &b->extras, &k->extras[i]))
            continue;
        k->extras[i] = sonde_str_from(s->extra_blocked[i]);
        collapsed = true;
    }
    return collapsed;
}

static void block_key(sonde__stats_key *k)
{
    sonde_str blocked = SONDE_STR(SONDE__STATS_BLOCKED);
    bool synthetics = k->synthetics;
    uint32_t extras_len = k->extras_len;

    memset(k, 0, sizeof(*k));
    k->service = k->name = k->resource = k->type = k->kind = blocked;
    k->grpc_status = k->http_method = k->http_endpoint = k->service_source = blocked;
    k->synthetics = synthetics;
    k->extras_len = extras_len;
}

/* The group of the key in s->key, made when it is new; NULL: no memory. */
static group *take_group(sonde__stats *s, bucket *b)
{
    sonde_str key = sonde_buf_str(&s->key);
    group *g = (group *)sonde_table_get(&b->groups, key);

    if (g)
        return g;
    g = (group *)sonde_calloc(1, sizeof(*g));
    if (!g || sonde_table_put(&b->groups, key, g) != SONDE_OK) {
        sonde_free(g);
        return NULL;
    }
    sonde_sketch_init(&g->ok);
    sonde_sketch_init(&g->error);
    charge(s, b, sizeof(*g) + ENTRY_BYTES + key.len);
    return g;
}

static bool write_key(sonde__stats *s)
{
    sonde_buf_reset(&s->key);
    sonde__stats_key_write(&s->facts, &s->key);
    return s->key.status == SONDE_OK;
}

static group *blocked_group(sonde__stats *s, bucket *b)
{
    if (b->blocked)
        return b->blocked;
    block_key(&s->facts);
    if (write_key(s))
        b->blocked = take_group(s, b);
    return b->blocked;
}

static group *find_group(sonde__stats *s, bucket *b, bool *out_collapsed)
{
    sonde__stats_key *k = &s->facts;
    group *g = NULL;

    *out_collapsed = limit(s, b, &b->resources, &k->resource);
    *out_collapsed |= limit(s, b, &b->endpoints, &k->http_endpoint);
    *out_collapsed |= limit_peers(s, b, k);
    *out_collapsed |= limit_extras(s, b, k);
    if (s->bytes < s->max_bytes && write_key(s) &&
        (b->groups.count < s->config->stats_keys_max ||
         sonde_table_get(&b->groups, sonde_buf_str(&s->key))))
        g = take_group(s, b);
    if (g)
        return g;
    *out_collapsed = true;
    return blocked_group(s, b);
}

static void count_in(sonde__stats *s, bucket *b, group *g, const sonde__wire_span *span)
{
    sonde_sketch *sketch = span->error ? &g->error : &g->ok;
    int64_t duration = span->duration_ns > INT64_MAX ? INT64_MAX : (int64_t)span->duration_ns;
    size_t was = sketch->cap;

    g->hits++;
    g->errors += span->error != 0;
    g->duration_ns += (uint64_t)duration;
    g->top_level_hits += s->facts.top_level;
    /* without memory the point is missing in the distribution, not in the counts */
    (void)!sonde_sketch_add(sketch, sonde_sketch_value_of_ns(duration), 1);
    charge(s, b, (sketch->cap - was) * sizeof(*sketch->bins));
}

/* The agent's rules; what it would do itself were the resource sent as it is. */
static void obfuscate(sonde__stats *s, sonde__stats_key *k)
{
    bool is_sql =
        sonde_str_eq(k->type, SONDE_STR("sql")) || sonde_str_eq(k->type, SONDE_STR("cassandra"));
    bool is_redis =
        sonde_str_eq(k->type, SONDE_STR("redis")) || sonde_str_eq(k->type, SONDE_STR("valkey"));
    sonde_status status;

    if (!is_sql && !is_redis)
        return;
    status = is_sql ? sonde_obfuscate_sql(k->resource, &s->literal_escapes, &s->resource)
                    : sonde_obfuscate_redis(k->resource, &s->resource);
    k->resource = sonde_buf_str(&s->resource);
    k->resource.len = sonde_utf8_cut(k->resource, RESOURCE_MAX_BYTES);
    if (status != SONDE_OK)
        k->resource = SONDE_STR(SONDE_SQL_NOT_PARSABLE);
}

static void add_span(sonde__stats *s, const sonde__wire_span *span, const sonde__agent_info *agent,
                     uint64_t now_unix_ns)
{
    bool top_level, collapsed = false;
    group *g = NULL;
    bucket *b;

    sonde_arena_reset(&s->scratch);
    if (!sonde__stats_key_of(span, agent, &s->extras, &s->scratch, &s->facts))
        return;
    top_level = s->facts.top_level;
    sonde__count(SONDE__STATS_SPANS, 1);
    if (agent->obfuscation_version == OBFUSCATION_VERSION)
        obfuscate(s, &s->facts);
    b = find_bucket(s, span->start_unix_ns + span->duration_ns, now_unix_ns,
                    agent->obfuscation_version == OBFUSCATION_VERSION);
    if (b)
        g = find_group(s, b, &collapsed);
    if (!g) {
        sonde__count(SONDE__STATS_SPANS_LOST, 1);
        return;
    }
    s->facts.top_level = top_level;
    count_in(s, b, g, span);
    if (collapsed)
        sonde__count(SONDE__STATS_SPANS_COLLAPSED, 1);
}

static void add_some(sonde__stats *s, sonde_str chunk, const sonde_buf *spots,
                     const sonde__agent_info *agent, uint64_t now_unix_ns)
{
    sonde__wire_span span;
    sonde_mp_reader r;
    size_t i, at;

    for (i = 0; i < spots->len; i += sizeof(at)) {
        memcpy(&at, spots->data + i, sizeof(at));
        sonde_mp_reader_init(&r, chunk.ptr + at, chunk.len - at);
        if (sonde__wire_span_read(&r, &span))
            add_span(s, &span, agent, now_unix_ns);
    }
}

void sonde__stats_add(sonde__stats *s, sonde_str chunk, const sonde_buf *spots,
                      const sonde__agent_info *agent, uint64_t now_unix_ns)
{
    sonde__wire_span span;
    sonde_mp_reader r;
    uint32_t len = 0;

    if (spots && spots->status == SONDE_OK) {
        add_some(s, chunk, spots, agent, now_unix_ns);
        return;
    }
    sonde_mp_reader_init(&r, chunk.ptr, chunk.len);
    (void)sonde_mp_read_array(&r, &len);
    for (; len > 0 && sonde__wire_span_read(&r, &span); len--)
        add_span(s, &span, agent, now_unix_ns);
}

bool sonde__stats_is_full(const sonde__stats *s)
{
    return s->bytes > s->max_bytes / 4 * 3;
}

size_t sonde__stats_bytes(const sonde__stats *s)
{
    return s->bytes + s->body.cap;
}

/* -- payloads ------------------------------------------------------------------------------------- */

static void write_text(sonde_buf *b, const char *key, sonde_str value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, value);
}

static void write_number(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void write_sketch(sonde__stats *s, const char *key, const sonde_sketch *sketch)
{
    sonde_buf_reset(&s->sketch);
    sonde_sketch_encode(sketch, &s->sketch);
    if (s->sketch.status != SONDE_OK && s->body.status == SONDE_OK)
        s->body.status = s->sketch.status;
    sonde_mp_write_str(&s->body, sonde_str_from(key));
    sonde_mp_write_bin(&s->body, s->sketch.data, s->sketch.len);
}

static void write_group(sonde__stats *s, sonde_str key, const group *g)
{
    sonde_mp_write_map(&s->body, SONDE__STATS_KEY_MEMBERS + 6 + (s->extras.len > 0));
    sonde_buf_append_str(&s->body, key);
    write_number(&s->body, "Hits", g->hits);
    write_number(&s->body, "Errors", g->errors);
    write_number(&s->body, "Duration", g->duration_ns);
    write_number(&s->body, "TopLevelHits", g->top_level_hits);
    write_sketch(s, "OkSummary", &g->ok);
    write_sketch(s, "ErrorSummary", &g->error);
}

static void write_process(sonde__stats *s)
{
    const sonde__config *c = s->config;
    sonde_buf *b = &s->body;

    sonde_mp_write_map(b, 12);
    write_text(b, "Hostname",
               c->report_hostname || c->source_hostname.len > 0 ? c->hostname : SONDE_STR(""));
    write_text(b, "Env", c->env.len > 0 ? c->env : SONDE_STR("unknown-env"));
    write_text(b, "Version", c->version);
    write_text(b, "Service", c->service);
    write_text(b, "Lang", c->language);
    write_text(b, "TracerVersion", c->tracer_version);
    write_text(b, "RuntimeID", sonde_str_from(s->runtime_id));
    write_number(b, "Sequence", s->sequence + 1);
    write_text(b, "ProcessTags", c->process_tags);
    write_text(b, "GitCommitSha", c->git_commit);
    sonde_mp_write_str(b, SONDE_STR("Tags"));
    sonde_mp_write_array(b, 0);
    sonde_mp_write_str(b, SONDE_STR("Stats"));
}

/* Groups of `b` from its cursor on, as many as go well into one request. */
static uint64_t write_bucket(sonde__stats *s, bucket *b)
{
    const sonde_table_entry *e = NULL;
    uint64_t spans = 0;
    uint32_t groups = 0;
    size_t mark;

    sonde_buf_reset(&s->body);
    write_process(s);
    sonde_mp_write_array(&s->body, 1);
    sonde_mp_write_map(&s->body, 4);
    write_number(&s->body, "Start", b->start_unix_ns);
    write_number(&s->body, "Duration", SONDE__STATS_BUCKET_NS);
    write_number(&s->body, "AgentTimeShift", 0);
    sonde_mp_write_str(&s->body, SONDE_STR("Stats"));
    mark = sonde_mp_begin_array32(&s->body);
    while (s->body.len < s->body.max_bytes / 2 && (e = sonde_table_next(&b->groups, &b->sent))) {
        const group *g = (const group *)e->value;

        write_group(s, e->key, g);
        spans += g->hits;
        groups++;
    }
    sonde_mp_patch32(&s->body, mark, groups);
    return spans;
}

static bool is_sent(const bucket *b)
{
    size_t cursor = b->sent;

    return b->sent > 0 && !sonde_table_next(&b->groups, &cursor);
}

static bool is_due(const bucket *b, uint64_t now_unix_ns, bool all)
{
    return all || b->sent > 0 || b->start_unix_ns + HOLD_BACK_NS <= now_unix_ns;
}

bool sonde__stats_next(sonde__stats *s, uint64_t now_unix_ns, bool all, sonde__stats_payload *out)
{
    uint64_t oldest = align(now_unix_ns) - SONDE__STATS_BUCKET_NS;
    uint32_t i = 0;

    if (oldest > s->oldest_unix_ns)
        s->oldest_unix_ns = oldest;
    while (i < s->len) {
        bucket *b = s->buckets[i];

        if (is_sent(b)) {
            free_bucket(s, i);
        } else if (!is_due(b, now_unix_ns, all)) {
            i++;
        } else {
            out->spans = write_bucket(s, b);
            out->obfuscated = b->obfuscated;
            out->body =
                s->body.status == SONDE_OK ? sonde_buf_str(&s->body) : (sonde_str){ NULL, 0 };
            s->sequence += out->body.len > 0;
            return true;
        }
    }
    return false;
}
