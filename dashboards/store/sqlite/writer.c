/* writer.c - the thread "store-write": queued batches into one transaction after another.
 *
 * Under light load a batch is committed at once when nothing was for BATCH_MAX_WAIT_NS; under heavy
 * load batches gather while the commit before is under way, up to BATCH_SPANS or that time.  `done`
 * of every batch is called after its commit, with the status its sender is told.
 *
 * Bounds    the queue's ceilings; COMMIT_SPANS_MAX spans in one transaction. */
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

#define BATCH_MAX_WAIT_NS   (100ull * SONDE_NS_PER_MS)
#define BATCH_ITEMS         5000u  /* spans and groups that are worth a commit at once */
#define COMMIT_ITEMS_MAX    50000u /* a transaction's pages stay in SQLite's cache */
#define COMMIT_BATCHES_MAX  256u
#define RETENTION_PERIOD_NS (1ull * SONDE_NS_PER_S)

typedef struct group {
    store_batch *batches[COMMIT_BATCHES_MAX];
    size_t len;
    uint64_t items;
} group;

static bool pop(store *s, group *g, uint64_t deadline_mono_ns, sonde_status *out_status)
{
    void *item;
    size_t bytes;

    *out_status = sonde_queue_pop(&s->queue, deadline_mono_ns, &item, &bytes);
    if (*out_status != SONDE_OK)
        return false;
    g->batches[g->len++] = (store_batch *)item;
    g->items += g->batches[g->len - 1]->spans + g->batches[g->len - 1]->stats_len +
                g->batches[g->len - 1]->profiles_len;
    return true;
}

/* Gathers what the next transaction takes.  False: closed and empty. */
static bool gather(store *s, group *g, uint64_t last_commit_mono_ns)
{
    uint64_t deadline = sonde_deadline(last_commit_mono_ns, BATCH_MAX_WAIT_NS);
    uint64_t idle = sonde_deadline(sonde_mono_ns(), RETENTION_PERIOD_NS);
    sonde_status status;

    g->len = 0;
    g->items = 0;
    if (!pop(s, g, idle, &status))
        return status != SONDE_ERR_CLOSED;
    while (g->len < COMMIT_BATCHES_MAX && g->items < BATCH_ITEMS && pop(s, g, deadline, &status))
        ;
    while (g->len < COMMIT_BATCHES_MAX && g->items < COMMIT_ITEMS_MAX && pop(s, g, 0, &status))
        ;
    return true;
}

sonde_status store_use_day(store *s, int32_t date, sonde_error *out_error)
{
    day *d;
    sonde_status status;

    if (s->today && s->today->date == date)
        return SONDE_OK;
    status = day_open(s->dir, date, DB_WRITE, s->sync_full, &d, out_error);
    if (status != SONDE_OK)
        return status;
    day_close(s->today);
    s->today = d;
    store_add_date(s, date);
    return SONDE_OK;
}

static sonde_status write_frames(store *s, const group *g)
{
    sonde_status status = store_use_day(s, day_of_unix_ns(s->clock->unix_ns(s->clock->user)), NULL);
    size_t i, k;

    if (status == SONDE_OK)
        status = day_begin(s->today);
    if (status != SONDE_OK)
        return status;
    for (i = 0; i < g->len && status == SONDE_OK; i++)
        for (k = 0; k < g->batches[i]->frames_len && status == SONDE_OK; k++)
            status = day_add_frame(s->today, &g->batches[i]->frames[k]);
    if (status == SONDE_OK)
        status = day_commit(s->today);
    if (status != SONDE_OK)
        day_rollback(s->today);
    return status;
}

static sonde_status write_stats(store *s, const group *g)
{
    sonde_status status = index_begin(s->index);
    size_t i, k;

    if (status != SONDE_OK)
        return status;
    for (i = 0; i < g->len && status == SONDE_OK; i++)
        for (k = 0; k < g->batches[i]->stats_len && status == SONDE_OK; k++)
            status = index_add(s->index, &g->batches[i]->stats[k]);
    if (status == SONDE_OK)
        status = index_commit(s->index);
    if (status != SONDE_OK)
        index_rollback(s->index);
    atomic_store_explicit(&s->collapsed_stats_groups, s->index->collapsed, memory_order_relaxed);
    return status;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void answer(store *s, store_batch *b, sonde_status frames, sonde_status stats,
                   sonde_status profiles)
{
    sonde_status status = b->frames_len && frames != SONDE_OK ? frames : SONDE_OK;
    size_t i;

    if (b->stats_len && stats != SONDE_OK)
        status = stats;
    if (b->profiles_len && profiles != SONDE_OK)
        status = profiles;
    for (i = 0; i < b->frames_len && frames == SONDE_OK; i++)
        add(&s->stored_chunks, b->frames[i].chunks);
    add(frames == SONDE_OK ? &s->stored_spans : &s->dropped_spans, b->spans);
    add(stats == SONDE_OK ? &s->stored_stats_groups : &s->dropped_stats_groups, b->stats_len);
    add(profiles == SONDE_OK ? &s->stored_profiles : &s->dropped_profiles, b->profiles_len);
    atomic_fetch_sub_explicit(&s->queued_spans, b->spans, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->queued_profiles, b->profiles_len, memory_order_relaxed);
    if (b->done)
        b->done(b->user, status);
    store_batch_free(b);
}

static void commit(store *s, group *g)
{
    sonde_status frames = SONDE_OK, stats = SONDE_OK, profiles = SONDE_OK;
    bool any_frames = false, any_stats = false, any_profiles = false;
    size_t i;

    for (i = 0; i < g->len; i++) {
        any_frames |= g->batches[i]->frames_len > 0;
        any_stats |= g->batches[i]->stats_len > 0;
        any_profiles |= g->batches[i]->profiles_len > 0;
    }
    if (any_frames)
        frames = write_frames(s, g);
    if (any_stats)
        stats = write_stats(s, g);
    if (any_profiles)
        profiles = store_write_profiles(s, g->batches, g->len);
    if (frames != SONDE_OK || stats != SONDE_OK || profiles != SONDE_OK)
        SONDE_LOG(SONDE_LOG_ERROR,
                  "store: commit failed, senders are asked to send again: status=%s",
                  sonde_status_name(frames != SONDE_OK  ? frames
                                    : stats != SONDE_OK ? stats
                                                        : profiles));
    add(&s->commits, 1);
    for (i = 0; i < g->len; i++)
        answer(s, g->batches[i], frames, stats, profiles);
}

void *store_writer_run(void *arg)
{
    store *s = (store *)arg;
    uint64_t last_commit_mono_ns = 0;
    group g;

    while (gather(s, &g, last_commit_mono_ns)) {
        uint64_t now = sonde_mono_ns();

        if (g.len) {
            last_commit_mono_ns = now;
            commit(s, &g);
        }
        if (now >= s->next_retention_mono_ns) {
            store_retain(s);
            s->next_retention_mono_ns = sonde_deadline(now, RETENTION_PERIOD_NS);
        }
    }
    return NULL;
}
