/* profile_store.c - profiles: which files there are, writing into today's, keeping to their share.
 *
 * Profiles have files of their own, so that the large bodies of one kind do not push out the other: they
 * take STORE_PROFILES_PERCENT of the store at most, and traces what they leave.
 *
 * Threads   the store's writer.
 * Bounds    CUTS_PER_STEP cuts of today's file a step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "internal.h"

#define CUTS_PER_STEP 4

static int date_order(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

void store_add_profile_date(store *s, int32_t date)
{
    size_t i;

    sonde_mutex_lock(&s->mu);
    for (i = 0; i < s->profile_dates_len && s->profile_dates[i] != date; i++)
        ;
    if (i == s->profile_dates_len && s->profile_dates_len < STORE_DAYS_MAX)
        s->profile_dates[s->profile_dates_len++] = date;
    qsort(s->profile_dates, s->profile_dates_len, sizeof(s->profile_dates[0]), date_order);
    sonde_mutex_unlock(&s->mu);
}

static sonde_status use_today(store *s)
{
    int32_t date = day_of_unix_ns(s->clock->unix_ns(s->clock->user));
    profile_file *file;
    sonde_status status;

    if (s->profiles && s->profiles->date == date)
        return SONDE_OK;
    status = profile_file_open(s->dir, date, DB_WRITE, s->sync_full, &file, NULL);
    if (status != SONDE_OK)
        return status;
    profile_file_close(s->profiles);
    s->profiles = file;
    store_add_profile_date(s, date);
    return SONDE_OK;
}

sonde_status store_write_profiles(store *s, store_batch *const *batches, size_t len)
{
    sonde_status status = use_today(s);
    size_t i, k;

    if (status == SONDE_OK)
        status = profile_file_begin(s->profiles);
    if (status != SONDE_OK)
        return status;
    for (i = 0; i < len && status == SONDE_OK; i++)
        for (k = 0; k < batches[i]->profiles_len && status == SONDE_OK; k++)
            status = profile_file_add(s->profiles, &batches[i]->profiles[k]);
    if (status == SONDE_OK)
        status = profile_file_commit(s->profiles);
    if (status != SONDE_OK)
        profile_file_rollback(s->profiles);
    return status;
}

/* ---- retention ---- */

static uint64_t file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

static bool is_today(const store *s, int32_t date)
{
    return s->profiles && s->profiles->date == date;
}

uint64_t store_profile_bytes(store *s)
{
    char path[PROFILE_PATH_MAX];
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < s->profile_dates_len; i++) {
        if (is_today(s, s->profile_dates[i]))
            sum += profile_file_used_bytes(s->profiles);
        else if (profile_file_path(s->dir, s->profile_dates[i], path))
            sum += file_bytes(path);
    }
    return sum;
}

static uint64_t count_rows(store *s, int32_t date)
{
    profile_file *file;
    uint64_t rows;

    if (profile_file_open(s->dir, date, DB_READ, false, &file, NULL) != SONDE_OK)
        return 0;
    rows = profile_file_rows(file);
    profile_file_close(file);
    return rows;
}

static void unlink_file(store *s, int32_t date)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[PROFILE_PATH_MAX], name[PROFILE_PATH_MAX + 8];
    size_t i;

    if (!profile_file_path(s->dir, date, path))
        return;
    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void retire_oldest(store *s, const char *why)
{
    int32_t date = s->profile_dates[0]; /* only this thread changes dates */
    uint64_t rows = count_rows(s, date);

    sonde_mutex_lock(&s->mu);
    s->profile_dates_len--;
    memmove(s->profile_dates, s->profile_dates + 1,
            s->profile_dates_len * sizeof(s->profile_dates[0]));
    sonde_mutex_unlock(&s->mu);
    unlink_file(s, date);
    atomic_fetch_add_explicit(&s->retired_profiles, rows, memory_order_relaxed);
    SONDE_LOG(SONDE_LOG_INFO, "store: day of profiles retired: date=%d reason=%s profiles=%llu",
              date, why, (unsigned long long)rows);
}

static void retire_by_age(store *s, int64_t now_unix_ns)
{
    int64_t age_ns = (int64_t)sonde_s_to_ns(s->max_profile_age_s) & INT64_MAX;
    int32_t keep_from = day_of_unix_ns(now_unix_ns > age_ns ? now_unix_ns - age_ns : 0);

    while (s->profile_dates_len && s->profile_dates[0] < keep_from &&
           !is_today(s, s->profile_dates[0]))
        retire_oldest(s, "age");
    while (s->profile_dates_len >= STORE_DAYS_MAX && !is_today(s, s->profile_dates[0]))
        retire_oldest(s, "days");
}

static void retire_by_size(store *s)
{
    uint64_t max_bytes = s->max_bytes / 100 * STORE_PROFILES_PERCENT;
    int cuts = 0;

    while (s->profile_dates_len && store_profile_bytes(s) > max_bytes) {
        uint64_t rows = 0;

        if (!is_today(s, s->profile_dates[0])) {
            retire_oldest(s, "size");
            continue;
        }
        if (cuts++ == CUTS_PER_STEP || profile_file_cut(s->profiles, &rows) != SONDE_OK)
            return;
        atomic_fetch_add_explicit(&s->retired_profiles, rows, memory_order_relaxed);
    }
}

void store_retain_profiles(store *s, int64_t now_unix_ns)
{
    size_t len = s->profile_dates_len;

    /* after a start: today's file is cut, not unlinked */
    if (len && !s->profiles && s->profile_dates[len - 1] == day_of_unix_ns(now_unix_ns) &&
        use_today(s) != SONDE_OK)
        return;
    retire_by_age(s, now_unix_ns);
    retire_by_size(s);
}
