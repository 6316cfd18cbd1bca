/* store.c - opening, closing, the queue's door and the counters of the SQLite store. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/folder.h"
#include "base/thread.h"
#include "internal.h"

#define DEFAULT_MAX_BYTES  (2ull * 1024 * 1024 * 1024)
#define DEFAULT_MAX_AGE_S  (3ull * 86400)
#define DEFAULT_PROFILE_S  (7ull * 86400)
#define WRITER_STACK_BYTES (512u * 1024)

static sonde_status make_dir(const char *dir, sonde_error *out_error)
{
    sonde_status status = strlen(dir) < 1024 - 32 ? sonde_folder_make(dir) : SONDE_ERR_CONFIG;

    if (status == SONDE_ERR_CONFIG)
        return sonde_fail(out_error, status, "data folder \"%s\": empty or too long", dir);
    return status == SONDE_OK ? status : sonde_fail_sys(out_error, errno, "cannot make %s", dir);
}

static sonde_status open_files(store *s, size_t max_stats_keys, sonde_error *out_error)
{
    sonde_status status = make_dir(s->dir, out_error);

    if (status == SONDE_OK)
        status = index_open(s->dir, DB_WRITE, s->sync_full, max_stats_keys, &s->index, out_error);
    if (status == SONDE_OK)
        status = store_find_days(s, out_error);
    if (status == SONDE_OK)
        status = store_use_day(s, day_of_unix_ns(s->clock->unix_ns(s->clock->user)), out_error);
    if (status == SONDE_OK)
        store_retain(s);
    return status;
}

sonde_status store_open(const store_options *options, store **out_store, sonde_error *out_error)
{
    store *s = (store *)sonde_calloc(1, sizeof(*s));
    sonde_status status;
    size_t i;

    if (!s)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "store: out of memory");
    s->max_bytes = options->max_bytes ? options->max_bytes : DEFAULT_MAX_BYTES;
    s->max_age_s = options->max_age_s ? options->max_age_s : DEFAULT_MAX_AGE_S;
    s->max_profile_age_s =
        options->max_profile_age_s ? options->max_profile_age_s : DEFAULT_PROFILE_S;
    s->sync_full = options->sync_full;
    s->clock = options->clock ? options->clock : &sonde_system_clock;
    sonde_mutex_init(&s->mu, SONDE_RANK_STORE);
    sonde_cond_init(&s->reader_free);
    for (i = 0; i < STORE_READERS; i++)
        s->readers[i].store = s;
    snprintf(s->dir, sizeof(s->dir), "%s", options->dir);
    status = sonde_queue_init(&s->queue, STORE_QUEUE_MAX_ITEMS, STORE_QUEUE_MAX_BYTES);
    if (status == SONDE_OK)
        status = open_files(s, options->max_stats_keys, out_error);
    if (status == SONDE_OK)
        status =
            sonde_thread_start(&s->writer, "store-write", WRITER_STACK_BYTES, store_writer_run, s);
    if (status != SONDE_OK) {
        store_close(s);
        return status;
    }
    s->writing = true;
    *out_store = s;
    return SONDE_OK;
}

void store_close(store *s)
{
    size_t i;

    if (!s)
        return;
    if (s->writing) {
        sonde_queue_close(&s->queue);
        pthread_join(s->writer, NULL);
    }
    for (i = 0; i < STORE_READERS; i++)
        store_reader_close(&s->readers[i]);
    day_close(s->today);
    profile_file_close(s->profiles);
    index_close(s->index);
    sonde_queue_done(&s->queue);
    pthread_cond_destroy(&s->reader_free);
    sonde_mutex_done(&s->mu);
    sonde_free(s);
}

sonde_status store_append(store *s, store_batch *b)
{
    uint64_t spans = b->spans, profiles = b->profiles_len;
    sonde_status status;

    atomic_fetch_add_explicit(&s->queued_spans, spans, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->queued_profiles, profiles, memory_order_relaxed);
    status = sonde_queue_push(&s->queue, b, store_batch_bytes(b));
    if (status != SONDE_OK) {
        atomic_fetch_sub_explicit(&s->queued_spans, spans, memory_order_relaxed);
        atomic_fetch_sub_explicit(&s->queued_profiles, profiles, memory_order_relaxed);
    }
    return status;
}

#define READ(name) .name = atomic_load_explicit(&s->name, memory_order_relaxed)

store_counters store_read_counters(store *s)
{
    return (store_counters){
        READ(stored_chunks),   READ(stored_spans),           READ(stored_stats_groups),
        READ(queued_spans),    READ(dropped_spans),          READ(dropped_stats_groups),
        READ(commits),         READ(collapsed_stats_groups), READ(retired_frames),
        READ(bytes),           READ(oldest_unix_s),          READ(stored_profiles),
        READ(queued_profiles), READ(dropped_profiles),       READ(retired_profiles),
    };
}
