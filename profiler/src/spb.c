/* spb.c - records, each an array whose first element is its type. */
#include "spb.h"

#include "base/clock.h"
#include "codec/msgpack_write.h"

#define EARLY_NS (60 * (int64_t)SONDE_NS_PER_S)
#define LATE_NS  ((int64_t)SONDE_NS_PER_S)

static void begin(sonde_buf *b, uint32_t elements, enum sonde_prof__record type)
{
    sonde_mp_write_array(b, elements);
    sonde_mp_write_u64(b, type);
}

/* -- HELLO ------------------------------------------------------------------------------------------ */

typedef struct map_writer {
    sonde_buf *b;
    uint32_t len; /* keys so far */
} map_writer;

static void put_key(map_writer *m, uint32_t key)
{
    sonde_mp_write_u64(m->b, key);
    m->len++;
}

static void put_u64(map_writer *m, uint32_t key, uint64_t v)
{
    if (v == 0)
        return;
    put_key(m, key);
    sonde_mp_write_u64(m->b, v);
}

static void put_str(map_writer *m, uint32_t key, sonde_str s)
{
    if (s.len == 0)
        return;
    put_key(m, key);
    sonde_mp_write_str(m->b, sonde_str_sub(s, 0, sonde_utf8_cut(s, SONDE_PROF__STRING_BYTES)));
}

static void put_pids(map_writer *m, const sonde_prof__hello *h)
{
    uint32_t i;

    if (h->ns_pids_len == 0)
        return;
    put_key(m, 6);
    sonde_mp_write_array(m->b, h->ns_pids_len);
    for (i = 0; i < h->ns_pids_len; i++)
        sonde_mp_write_u64(m->b, h->ns_pids[i]);
}

static void put_tags(map_writer *m, const sonde_prof__hello *h)
{
    uint32_t i;

    if (h->tags_len == 0)
        return;
    put_key(m, 11);
    sonde_mp_write_array(m->b, h->tags_len);
    for (i = 0; i < h->tags_len; i++)
        sonde_mp_write_str(m->b, h->tags[i]);
}

static void put_intervals(map_writer *m, const sonde_prof__hello *h)
{
    uint32_t kind, len = 0;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++)
        len += h->interval[kind] != 0;
    if (len == 0)
        return;
    put_key(m, 17);
    sonde_mp_write_map(m->b, len);
    for (kind = 1; kind < SONDE_PROF__KINDS; kind++) {
        if (h->interval[kind] == 0)
            continue;
        sonde_mp_write_u64(m->b, kind);
        sonde_mp_write_u64(m->b, h->interval[kind]);
    }
}

static void put_identity(map_writer *m, const sonde_prof__hello *h)
{
    put_u64(m, 5, h->pid);
    put_pids(m, h);
    put_str(m, 7, h->service);
    put_str(m, 8, h->env);
    put_str(m, 9, h->version);
    put_str(m, 10, h->runtime_id);
    put_tags(m, h);
    put_str(m, 12, h->profiler_version);
    put_str(m, 13, h->arch);
    put_str(m, 14, h->exe);
    put_str(m, 15, h->hostname);
    if (h->prev) {
        put_key(m, 16);
        sonde_mp_write_bin(m->b, h->prev, SONDE_PROF__SESSION_BYTES);
    }
    put_intervals(m, h);
    put_u64(m, 18, h->flags);
    put_u64(m, 19, h->profile_seq);
    put_str(m, 20, h->libc);
    put_str(m, 21, h->process_tags);
}

static void put_hello(map_writer *m, const sonde_prof__hello *h, bool all)
{
    put_key(m, 0);
    sonde_mp_write_u64(m->b, SONDE_PROF__SPB_VERSION);
    put_key(m, 1);
    sonde_mp_write_bin(m->b, h->session, SONDE_PROF__SESSION_BYTES);
    put_key(m, 2);
    sonde_mp_write_u64(m->b, h->seq);
    put_key(m, 3);
    sonde_mp_write_u64(m->b, h->start_unix_ns);
    put_key(m, 4);
    sonde_mp_write_u64(m->b, h->end_unix_ns);
    if (all)
        put_identity(m, h);
    else
        put_intervals(m, h);
}

/* A map is written twice: the first time to count its keys. */
void sonde_prof__spb_hello(sonde_buf *b, const sonde_prof__hello *h, bool all)
{
    map_writer m = { .b = b };
    size_t from;

    begin(b, 2, SONDE_PROF__HELLO);
    from = b->len;
    put_hello(&m, h, all);
    if (b->status != SONDE_OK)
        return;
    b->len = from;
    sonde_mp_write_map(b, m.len);
    put_hello(&m, h, all);
}

void sonde_prof__spb_end(sonde_buf *b, uint64_t seq)
{
    begin(b, 2, SONDE_PROF__END);
    sonde_mp_write_u64(b, seq);
}

/* -- dictionaries ----------------------------------------------------------------------------------- */

void sonde_prof__spb_strings(sonde_buf *b, const sonde_prof__dict *d)
{
    uint32_t i, from = d->mark.strings, len = (uint32_t)d->strings.count - from;

    if (len == 0)
        return;
    begin(b, 3, SONDE_PROF__STRINGS);
    sonde_mp_write_u64(b, (uint64_t)from + 1);
    sonde_mp_write_array(b, len);
    for (i = 1; i <= len; i++)
        sonde_mp_write_str(b, sonde_prof__dict_text(d, from + i));
}

static void put_mapping(sonde_buf *b, const sonde_prof__loaded *l, uint32_t path)
{
    sonde_mp_write_array(b, l->mtime_s ? 11 : 10);
    sonde_mp_write_u64(b, l->id);
    sonde_mp_write_u64(b, l->start);
    sonde_mp_write_u64(b, l->length);
    sonde_mp_write_u64(b, l->file_offset);
    sonde_mp_write_u64(b, l->bias);
    sonde_mp_write_u64(b, l->flags);
    sonde_mp_write_u64(b, path);
    if (l->build_id_len)
        sonde_mp_write_bin(b, l->build_id, l->build_id_len);
    else
        sonde_mp_write_nil(b);
    sonde_mp_write_u64(b, l->device);
    sonde_mp_write_u64(b, l->inode);
    if (l->mtime_s)
        sonde_mp_write_u64(b, l->mtime_s);
}

void sonde_prof__spb_mappings(sonde_buf *b, const sonde_prof__loaded *const *objects,
                              const uint32_t *paths, uint32_t len)
{
    uint32_t i;

    if (len == 0)
        return;
    begin(b, 2, SONDE_PROF__MAPPINGS);
    sonde_mp_write_array(b, len);
    for (i = 0; i < len; i++)
        put_mapping(b, objects[i], paths[i]);
}

void sonde_prof__spb_nodes(sonde_buf *b, const sonde_prof__dict *d)
{
    uint32_t i, from = d->mark.nodes;

    if (d->trie.len == from)
        return;
    begin(b, 3, SONDE_PROF__NODES);
    sonde_mp_write_u64(b, (uint64_t)from + 1);
    sonde_mp_write_array(b, (d->trie.len - from) * 3);
    for (i = from; i < d->trie.len; i++) {
        sonde_mp_write_u64(b, d->trie.nodes[i].parent);
        sonde_mp_write_u64(b, d->trie.nodes[i].map);
        sonde_mp_write_u64(b, d->trie.nodes[i].vaddr);
    }
}

static void put_thread(sonde_buf *b, uint32_t number, const sonde_prof__thread *t,
                       int64_t mono_to_unix)
{
    bool timed = t->start_mono_ns != 0 || t->cpu_ns != 0;

    sonde_mp_write_array(b, timed ? 6 : 4);
    sonde_mp_write_u64(b, number);
    sonde_mp_write_u64(b, t->tid);
    sonde_mp_write_u64(b, t->name);
    sonde_mp_write_u64(b, 0);
    if (!timed)
        return;
    sonde_mp_write_u64(b, t->start_mono_ns ? t->start_mono_ns + (uint64_t)mono_to_unix : 0);
    sonde_mp_write_u64(b, t->cpu_ns);
}

void sonde_prof__spb_threads(sonde_buf *b, const sonde_prof__dict *d, int64_t mono_to_unix)
{
    uint32_t i, len = 0;

    for (i = 0; i < d->threads_len; i++)
        len += d->threads[i].changed;
    if (len == 0)
        return;
    begin(b, 2, SONDE_PROF__THREADS);
    sonde_mp_write_array(b, len);
    for (i = 0; i < d->threads_len; i++)
        if (d->threads[i].changed)
            put_thread(b, i + 1, &d->threads[i], mono_to_unix);
}

void sonde_prof__spb_contexts(sonde_buf *b, const sonde_prof__contexts *g)
{
    uint32_t i;

    if (g->len == 0)
        return;
    begin(b, 2, SONDE_PROF__CONTEXTS);
    sonde_mp_write_array(b, g->len);
    for (i = 0; i < g->len; i++) {
        sonde_mp_write_array(b, 5);
        sonde_mp_write_u64(b, (uint64_t)g->first + i);
        sonde_mp_write_u64(b, g->items[i].trace_hi);
        sonde_mp_write_u64(b, g->items[i].trace_lo);
        sonde_mp_write_u64(b, g->items[i].span_id);
        sonde_mp_write_u64(b, g->items[i].local_root_id);
    }
}

void sonde_prof__spb_code(sonde_buf *b, const sonde_prof__code_row *rows, uint32_t len)
{
    uint32_t i;

    if (len == 0)
        return;
    begin(b, 2, SONDE_PROF__CODE);
    sonde_mp_write_array(b, len);
    for (i = 0; i < len; i++) {
        sonde_mp_write_array(b, 4);
        sonde_mp_write_u64(b, rows[i].map);
        sonde_mp_write_u64(b, rows[i].vaddr);
        sonde_mp_write_u64(b, rows[i].bytes);
        sonde_mp_write_u64(b, rows[i].name);
    }
}

void sonde_prof__spb_unmaps(sonde_buf *b, const sonde_prof__unmap *u, uint32_t len)
{
    uint32_t i;

    if (len == 0)
        return;
    begin(b, 2, SONDE_PROF__UNMAPS);
    sonde_mp_write_array(b, len);
    for (i = 0; i < len; i++) {
        sonde_mp_write_array(b, 2);
        sonde_mp_write_u64(b, u[i].map);
        sonde_mp_write_u64(b, u[i].unix_ns);
    }
}

void sonde_prof__spb_endpoints(sonde_buf *b, const sonde_prof__endpoint *e, uint32_t len)
{
    uint32_t i;

    if (len == 0)
        return;
    begin(b, 2, SONDE_PROF__ENDPOINTS);
    sonde_mp_write_array(b, len);
    for (i = 0; i < len; i++) {
        sonde_mp_write_array(b, 4);
        sonde_mp_write_u64(b, e[i].local_root_id);
        sonde_mp_write_u64(b, e[i].resource);
        sonde_mp_write_u64(b, e[i].type);
        sonde_mp_write_u64(b, e[i].finished);
    }
}

/* -- samples ---------------------------------------------------------------------------------------- */

static const uint8_t extras[SONDE_PROF__KINDS] = {
    [SONDE_PROF__WALL] = 1,      [SONDE_PROF__LOCK] = 2,   [SONDE_PROF__IO] = 2,
    [SONDE_PROF__EXCEPTION] = 1, [SONDE_PROF__CUSTOM] = 2, [SONDE_PROF__RELEASE] = 2,
};

#define COLUMNS_OF_ALL 5 /* dt, thread, context, node, events */

static uint64_t column(const sonde_prof__tally *r, unsigned i)
{
    if (r->key.kind == SONDE_PROF__ALLOC && i == 0)
        return sonde_prof__round_256(r->value[0]);
    return r->value[i] > 0 ? (uint64_t)r->value[i] : 0;
}

static void put_row(sonde_buf *b, const sonde_prof__tally *r, int64_t dt)
{
    unsigned i;

    sonde_mp_write_i64(b, dt);
    sonde_mp_write_u64(b, r->key.thread);
    sonde_mp_write_u64(b, r->key.context);
    sonde_mp_write_u64(b, r->key.node);
    sonde_mp_write_u64(b, r->events);
    for (i = 0; i < sonde_prof__sums_of(r->key.kind); i++)
        if (r->key.kind == SONDE_PROF__CUSTOM)
            sonde_mp_write_i64(b, r->value[i]);
        else
            sonde_mp_write_u64(b, column(r, i));
    for (i = 0; i < extras[r->key.kind]; i++)
        sonde_mp_write_u64(b, r->key.extra[i]);
}

static int64_t clamp(int64_t t, int64_t lo, int64_t hi)
{
    return t < lo ? lo : t > hi ? hi : t;
}

bool sonde_prof__spb_samples(sonde_buf *b, const sonde_prof__window *w, uint32_t kind,
                             uint32_t *cursor, const sonde_prof__span_of_time *time)
{
    uint32_t i, from = *cursor, len = 0, rows = 0;
    int64_t last = (int64_t)time->start_unix_ns;

    for (i = from; i < w->len && len < SONDE_PROF__SPB_ROWS_MAX; i++)
        len += w->rows[i].key.kind == kind;
    if (len == 0)
        return false;
    begin(b, 4, SONDE_PROF__SAMPLES);
    sonde_mp_write_u64(b, kind);
    sonde_mp_write_u64(b, time->start_unix_ns);
    sonde_mp_write_array(b, len * (COLUMNS_OF_ALL + sonde_prof__sums_of(kind) + extras[kind]));
    for (i = from; rows < len; i++) {
        const sonde_prof__tally *r = &w->rows[i];
        int64_t t;

        if (r->key.kind != kind)
            continue;
        t = clamp((int64_t)r->mono_ns + time->mono_to_unix, (int64_t)time->start_unix_ns - EARLY_NS,
                  (int64_t)time->end_unix_ns + LATE_NS);
        put_row(b, r, t - last);
        last = t;
        rows++;
    }
    *cursor = i;
    return true;
}

/* -- the rest --------------------------------------------------------------------------------------- */

static void put_by_number(map_writer *m, uint32_t key, const uint64_t *by, uint32_t len)
{
    uint32_t i, set = 0;

    for (i = 0; i < len; i++)
        set += by[i] != 0;
    if (set == 0)
        return;
    put_key(m, key);
    sonde_mp_write_map(m->b, set);
    for (i = 0; i < len; i++) {
        if (by[i] == 0)
            continue;
        sonde_mp_write_u64(m->b, i);
        sonde_mp_write_u64(m->b, by[i]);
    }
}

static void put_stats(map_writer *m, const sonde_prof__stats *s)
{
    uint32_t i;

    put_by_number(m, SONDE_PROF__STAT_SAMPLES, s->samples, SONDE_PROF__KINDS);
    put_by_number(m, SONDE_PROF__STAT_LOST, s->lost, SONDE_PROF__KINDS);
    put_by_number(m, SONDE_PROF__STAT_LOST_VALUE, s->lost_value, SONDE_PROF__KINDS);
    put_by_number(m, SONDE_PROF__STAT_UNWIND, s->ends, SONDE_PROF__ENDS);
    for (i = SONDE_PROF__STAT_HANDLER_NS; i < SONDE_PROF__STATS_LEN; i++)
        put_u64(m, i, s->value[i]);
}

void sonde_prof__spb_stats(sonde_buf *b, const sonde_prof__stats *s)
{
    map_writer m = { .b = b };
    size_t from;

    begin(b, 2, SONDE_PROF__STATS);
    from = b->len;
    put_stats(&m, s);
    if (b->status != SONDE_OK)
        return;
    b->len = from;
    sonde_mp_write_map(b, m.len);
    put_stats(&m, s);
}

void sonde_prof__spb_live_begin(sonde_buf *b, uint64_t unix_ns, uint32_t len)
{
    begin(b, 3, SONDE_PROF__LIVE);
    sonde_mp_write_u64(b, unix_ns);
    sonde_mp_write_array(b, len * 5);
}

void sonde_prof__spb_live_entry(sonde_buf *b, uint32_t node, uint32_t thread, uint64_t objects,
                                uint64_t bytes, uint64_t oldest_age_s)
{
    sonde_mp_write_u64(b, node);
    sonde_mp_write_u64(b, thread);
    sonde_mp_write_u64(b, objects);
    sonde_mp_write_u64(b, bytes);
    sonde_mp_write_u64(b, oldest_age_s);
}
