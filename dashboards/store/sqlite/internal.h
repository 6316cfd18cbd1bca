/* dashboards/store/sqlite/internal.h - the store object its files share. */
#ifndef SONDE_DASHBOARDS_STORE_SQLITE_INTERNAL_H
#define SONDE_DASHBOARDS_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mutex.h"
#include "base/queue.h"
#include "dashboards/store/store.h"
#include "day.h"
#include "index.h"
#include "profile_file.h"

struct store_reader {
    store *store;              /* borrowed */
    bool taken;                /* guarded by store->mu */
    index_db *index;           /* NULL until first used */
    day *days[STORE_DAYS_MAX]; /* opened when first used */
    size_t days_len;
    int32_t dates[STORE_DAYS_MAX]; /* what there was when the reader was taken, oldest first */
    size_t dates_len;
    int32_t profile_dates[STORE_DAYS_MAX];
    size_t profile_dates_len;
};

struct store {
    char dir[1024];
    uint64_t max_bytes;
    uint64_t max_age_s;
    uint64_t max_profile_age_s;
    bool sync_full;
    const sonde_clock *clock; /* borrowed */

    sonde_queue queue; /* store_batch */
    pthread_t writer;
    bool writing; /* the thread was started */

    /* the writer's own */
    day *today;
    profile_file *profiles; /* of today; NULL until the first one */
    index_db *index;
    uint64_t next_retention_mono_ns;

    sonde_mutex mu; /* guards the block below */
    pthread_cond_t reader_free;
    store_reader readers[STORE_READERS];
    int32_t dates[STORE_DAYS_MAX]; /* day files, oldest first */
    size_t dates_len;
    int32_t profile_dates[STORE_DAYS_MAX];
    size_t profile_dates_len;

    _Atomic uint64_t stored_profiles, queued_profiles, dropped_profiles, retired_profiles;
    _Atomic uint64_t stored_chunks, stored_spans, stored_stats_groups;
    _Atomic uint64_t queued_spans, dropped_spans, dropped_stats_groups, collapsed_stats_groups;
    _Atomic uint64_t commits, retired_frames, bytes;
    _Atomic int64_t oldest_unix_s;
};

/* writer.c */
void *store_writer_run(void *arg);
sonde_status store_use_day(store *s, int32_t date,
                           sonde_error *out_error); /* opens it for writing */

/* profile_store.c; on the writer's thread, or before it runs */
sonde_status store_write_profiles(store *s, store_batch *const *batches, size_t len);
void store_add_profile_date(store *s, int32_t date);
void store_retain_profiles(store *s, int64_t now_unix_ns);
uint64_t store_profile_bytes(store *s); /* in use */

/* retention.c; on the writer's thread, or before it runs */
void store_retain(store *s);
sonde_status store_find_days(store *s, sonde_error *out_error); /* fills dates from the directory */
void store_add_date(store *s, int32_t date);

/* reader.c */
void store_reader_close(store_reader *r);
void store_readers_refresh(store *s); /* idle ones close files that were retired */

#endif /* SONDE_DASHBOARDS_STORE_SQLITE_INTERNAL_H */
