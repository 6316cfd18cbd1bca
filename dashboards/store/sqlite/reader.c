/* reader.c - a pool of read connections, each with the day files it has used so far.
 *
 * Threads   a reader belongs to the thread that took it; the pool is guarded by store->mu. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "internal.h"

/* Closes files that retention has removed, so that their space is given back. */
static void drop_retired(store_reader *r)
{
    size_t i, k, kept = 0;

    for (i = 0; i < r->days_len; i++) {
        for (k = 0; k < r->dates_len && r->dates[k] != r->days[i]->date; k++)
            ;
        if (k < r->dates_len)
            r->days[kept++] = r->days[i];
        else
            day_close(r->days[i]);
    }
    r->days_len = kept;
}

static void see_dates_locked(store_reader *r)
{
    r->dates_len = r->store->dates_len;
    memcpy(r->dates, r->store->dates, sizeof(r->dates));
    r->profile_dates_len = r->store->profile_dates_len;
    memcpy(r->profile_dates, r->store->profile_dates, sizeof(r->profile_dates));
}

store_reader *store_reader_get(store *s, uint64_t deadline_mono_ns)
{
    store_reader *found = NULL;
    size_t i;

    sonde_mutex_lock(&s->mu);
    for (;;) {
        for (i = 0; i < STORE_READERS && !found; i++)
            if (!s->readers[i].taken)
                found = &s->readers[i];
        if (found || sonde_mono_ns() >= deadline_mono_ns)
            break;
        sonde_cond_wait_until(&s->reader_free, &s->mu, deadline_mono_ns);
    }
    if (found) {
        found->taken = true;
        see_dates_locked(found);
    }
    sonde_mutex_unlock(&s->mu);
    if (found)
        drop_retired(found);
    return found;
}

void store_reader_put(store_reader *r)
{
    if (!r)
        return;
    sonde_mutex_lock(&r->store->mu);
    r->taken = false;
    pthread_cond_signal(&r->store->reader_free);
    sonde_mutex_unlock(&r->store->mu);
}

/* A day has been retired: readers that wait for work let go of it now, the others when they are taken
 * next. */
void store_readers_refresh(store *s)
{
    size_t i;

    for (i = 0; i < STORE_READERS; i++) {
        store_reader *r = &s->readers[i];
        bool idle;

        sonde_mutex_lock(&s->mu);
        idle = !r->taken;
        if (idle) {
            r->taken = true;
            see_dates_locked(r);
        }
        sonde_mutex_unlock(&s->mu);
        if (idle) {
            drop_retired(r);
            store_reader_put(r);
        }
    }
}

void store_reader_close(store_reader *r)
{
    size_t i;

    for (i = 0; i < r->days_len; i++)
        day_close(r->days[i]);
    r->days_len = 0;
    index_close(r->index);
    r->index = NULL;
}

/* The open file of that day; NULL: retired, or it cannot be opened. */
static day *use_day(store_reader *r, int32_t date)
{
    size_t i;
    day *d;

    for (i = 0; i < r->days_len; i++)
        if (r->days[i]->date == date)
            return r->days[i];
    if (r->days_len == STORE_DAYS_MAX ||
        day_open(r->store->dir, date, DB_READ, false, &d, NULL) != SONDE_OK)
        return NULL;
    r->days[r->days_len++] = d;
    return d;
}

typedef struct listing {
    store_frame_ref *items;
    size_t len;
    size_t cap;
    size_t of_day; /* listed from the file in hand */
    bool no_memory;
} listing;

static bool list_one(void *user, const store_frame_ref *ref)
{
    listing *l = (listing *)user;

    if (l->of_day++ == STORE_FRAMES_LISTED_MAX)
        return false;
    if (l->len == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        store_frame_ref *more = (store_frame_ref *)sonde_realloc(l->items, cap * sizeof(*more));

        if (!more) {
            l->no_memory = true;
            return false;
        }
        l->items = more;
        l->cap = cap;
    }
    l->items[l->len++] = *ref;
    return true;
}

static int latest_first(const void *a, const void *b)
{
    const store_frame_ref *x = (const store_frame_ref *)a, *y = (const store_frame_ref *)b;

    if (x->max_start_unix_ns != y->max_start_unix_ns)
        return x->max_start_unix_ns > y->max_start_unix_ns ? -1 : 1;
    if (x->day != y->day)
        return x->day > y->day ? -1 : 1;
    return (x->id < y->id) - (x->id > y->id);
}

sonde_status store_list_frames(store_reader *r, int64_t from_unix_ns, int64_t to_unix_ns,
                               store_frame_ref **out_refs, size_t *out_len)
{
    listing l = { 0 };
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = r->dates_len; i-- > 0 && status == SONDE_OK && l.len < STORE_FRAMES_LISTED_MAX;) {
        day *d = use_day(r, r->dates[i]);

        l.of_day = 0;
        if (d)
            status = day_list(d, from_unix_ns, to_unix_ns, list_one, &l);
        if (l.no_memory)
            status = SONDE_ERR_NOMEM;
    }
    if (status != SONDE_OK) {
        sonde_free(l.items);
        return status;
    }
    if (l.len)
        qsort(l.items, l.len, sizeof(*l.items), latest_first);
    *out_refs = l.items;
    *out_len = l.len < STORE_FRAMES_LISTED_MAX ? l.len : STORE_FRAMES_LISTED_MAX;
    return SONDE_OK;
}

bool store_may_hold(store_reader *r, const store_frame_ref *ref, const uint64_t *tokens,
                    size_t tokens_len)
{
    day *d = tokens_len ? use_day(r, ref->day) : NULL;

    return !d || day_may_hold(d, ref->id, tokens, tokens_len);
}

sonde_status store_read_frame(store_reader *r, int32_t date, int64_t id, frame_view *out)
{
    day *d = use_day(r, date);

    return d ? day_read(d, id, out) : SONDE_ERR_NOT_FOUND;
}

sonde_status store_read_summary(store_reader *r, int32_t date, int64_t id, summary_view *out)
{
    day *d = use_day(r, date);

    return d ? day_read_summary(d, id, out) : SONDE_ERR_NOT_FOUND;
}

sonde_status store_find_trace(store_reader *r, uint64_t trace_hi, uint64_t trace_lo,
                              store_place_fn each, void *user)
{
    sonde_status status = SONDE_OK;
    bool stopped = false;
    size_t i;

    for (i = r->dates_len; i-- > 0 && status == SONDE_OK && !stopped;) {
        day *d = use_day(r, r->dates[i]);

        if (d)
            status = day_find_trace(d, trace_hi, trace_lo, each, user, &stopped);
    }
    return status;
}

sonde_status store_scan_stats(store_reader *r, const store_stats_query *query, store_stats_fn each,
                              void *user)
{
    sonde_status status = SONDE_OK;

    if (!r->index)
        status = index_open(r->store->dir, DB_READ, false, 0, &r->index, NULL);
    return status == SONDE_OK ? index_scan(r->index, query, each, user) : status;
}

sonde_status store_list_profiles(store_reader *r, const store_profile_query *query,
                                 store_profile_fn each, void *user)
{
    sonde_status status = SONDE_OK;
    bool stopped = false;
    size_t i;

    for (i = r->profile_dates_len; i-- > 0 && status == SONDE_OK && !stopped;) {
        profile_file *file;

        /* a file that went meanwhile is not an error */
        if (profile_file_open(r->store->dir, r->profile_dates[i], DB_READ, false, &file, NULL) !=
            SONDE_OK)
            continue;
        status = profile_file_list(file, query, each, user, &stopped);
        profile_file_close(file);
    }
    return status;
}

sonde_status store_read_profile(store_reader *r, int32_t date, int64_t id, sonde_buf *out)
{
    profile_file *file;
    sonde_status status = SONDE_ERR_NOT_FOUND;
    size_t i;

    for (i = 0; i < r->profile_dates_len && r->profile_dates[i] != date; i++)
        ;
    if (i < r->profile_dates_len &&
        profile_file_open(r->store->dir, date, DB_READ, false, &file, NULL) == SONDE_OK) {
        status = profile_file_read(file, id, out);
        profile_file_close(file);
    }
    return status;
}
