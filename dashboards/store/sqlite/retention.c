/* retention.c - keeps the store within its age and its size.
 *
 * Whole day files go first, oldest first: one unlink each.  When today's file alone is above the
 * ceiling its oldest run is deleted; SQLite reuses the pages, so the file stops growing.  Statistics
 * expire by age in slices.  All of it happens on the writer's thread, between commits, in steps of
 * bounded size.
 *
 * Bounds    CUTS_PER_STEP runs a step. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "internal.h"

#define CUTS_PER_STEP 4

static uint64_t file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* The database and its write-ahead log. */
static uint64_t day_file_bytes(const store *s, int32_t date)
{
    char path[DAY_PATH_MAX], wal[DAY_PATH_MAX + 8];

    if (!day_path(s->dir, date, path))
        return 0;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    return file_bytes(path) + file_bytes(wal);
}

static void unlink_day(store *s, int32_t date)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[DAY_PATH_MAX], name[DAY_PATH_MAX + 8];
    size_t i;

    if (!day_path(s->dir, date, path))
        return;
    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static int date_order(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

void store_add_date(store *s, int32_t date)
{
    size_t i;

    sonde_mutex_lock(&s->mu);
    for (i = 0; i < s->dates_len && s->dates[i] != date; i++)
        ;
    if (i == s->dates_len && s->dates_len < STORE_DAYS_MAX)
        s->dates[s->dates_len++] = date;
    qsort(s->dates, s->dates_len, sizeof(s->dates[0]), date_order);
    sonde_mutex_unlock(&s->mu);
}

sonde_status store_find_days(store *s, sonde_error *out_error)
{
    DIR *dir = opendir(s->dir);
    struct dirent *entry;

    if (!dir)
        return sonde_fail(out_error, SONDE_ERR_SYS, "%s: cannot be read", s->dir);
    while ((entry = readdir(dir)) != NULL) {
        sonde_str name = sonde_str_from(entry->d_name);
        uint64_t date;

        if (name.len == 17 && sonde_str_starts(name, SONDE_STR("spans-")) &&
            sonde_str_ends(name, SONDE_STR(".db")) &&
            sonde_parse_u64(sonde_str_sub(name, 6, 8), &date) == SONDE_OK)
            store_add_date(s, (int32_t)date);
        if (name.len == 20 && sonde_str_starts(name, SONDE_STR("profiles-")) &&
            sonde_str_ends(name, SONDE_STR(".db")) &&
            sonde_parse_u64(sonde_str_sub(name, 9, 8), &date) == SONDE_OK)
            store_add_profile_date(s, (int32_t)date);
    }
    closedir(dir);
    return SONDE_OK;
}

/* Counts the frames of a day that is about to go. */
static uint64_t count_frames(store *s, int32_t date)
{
    day *d;
    uint64_t frames;

    if (day_open(s->dir, date, DB_READ, false, &d, NULL) != SONDE_OK)
        return 0;
    frames = (uint64_t)day_frames(d);
    day_close(d);
    return frames;
}

static void retire_oldest_day(store *s, const char *why)
{
    int32_t date = s->dates[0]; /* only this thread changes dates */
    uint64_t frames = count_frames(s, date);

    sonde_mutex_lock(&s->mu);
    s->dates_len--;
    memmove(s->dates, s->dates + 1, s->dates_len * sizeof(s->dates[0]));
    sonde_mutex_unlock(&s->mu);
    unlink_day(s, date);
    atomic_fetch_add_explicit(&s->retired_frames, frames, memory_order_relaxed);
    SONDE_LOG(SONDE_LOG_INFO, "store: day retired: date=%d reason=%s frames=%llu", date, why,
              (unsigned long long)frames);
}

static bool is_today(const store *s, int32_t date)
{
    return s->today && s->today->date == date;
}

static void retire_by_age(store *s, int64_t now_unix_ns)
{
    int64_t age_ns = (int64_t)sonde_s_to_ns(s->max_age_s) & INT64_MAX;
    int32_t keep_from = day_of_unix_ns(now_unix_ns > age_ns ? now_unix_ns - age_ns : 0);

    while (s->dates_len && s->dates[0] < keep_from && !is_today(s, s->dates[0]))
        retire_oldest_day(s, "age");
    while (s->dates_len >= STORE_DAYS_MAX && !is_today(s, s->dates[0]))
        retire_oldest_day(s, "days");
}

static uint64_t used_bytes(store *s)
{
    uint64_t sum = index_used_bytes(s->index) + store_profile_bytes(s);
    size_t i;

    for (i = 0; i < s->dates_len; i++)
        sum += is_today(s, s->dates[i]) ? day_used_bytes(s->today) : day_file_bytes(s, s->dates[i]);
    return sum;
}

static void retire_by_size(store *s)
{
    int cuts = 0;

    while (used_bytes(s) > s->max_bytes) {
        uint64_t frames = 0;

        if (s->dates_len && !is_today(s, s->dates[0])) {
            retire_oldest_day(s, "size");
            continue;
        }
        if (!s->today || cuts++ == CUTS_PER_STEP || day_cut_oldest(s->today, &frames) != SONDE_OK)
            return;
        atomic_fetch_add_explicit(&s->retired_frames, frames, memory_order_relaxed);
    }
}

/* The oldest span kept is that of the oldest file with any. */
static int64_t oldest_unix_s(store *s)
{
    int64_t oldest = INT64_MAX;
    size_t i;

    for (i = 0; i < s->dates_len && oldest == INT64_MAX; i++) {
        day *d = is_today(s, s->dates[i]) ? s->today : NULL;

        if (!d && day_open(s->dir, s->dates[i], DB_READ, false, &d, NULL) != SONDE_OK)
            continue;
        oldest = day_oldest_unix_ns(d);
        if (d != s->today)
            day_close(d);
    }
    return oldest == INT64_MAX ? 0 : oldest / (int64_t)SONDE_NS_PER_S;
}

static void measure(store *s)
{
    char path[sizeof(s->dir) + 16];
    uint64_t bytes = store_profile_bytes(s);
    size_t i;

    for (i = 0; i < s->dates_len; i++)
        bytes += day_file_bytes(s, s->dates[i]);
    snprintf(path, sizeof(path), "%s/index.db", s->dir);
    bytes += file_bytes(path);
    snprintf(path, sizeof(path), "%s/index.db-wal", s->dir);
    bytes += file_bytes(path);
    atomic_store_explicit(&s->bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&s->oldest_unix_s, oldest_unix_s(s), memory_order_relaxed);
}

void store_retain(store *s)
{
    int64_t now = s->clock->unix_ns(s->clock->user);
    size_t days = s->dates_len;
    bool more; /* the rest waits for the next step */

    store_retain_profiles(s, now); /* within their share, so that traces have the rest */
    retire_by_age(s, now);
    retire_by_size(s);
    if (s->dates_len < days)
        store_readers_refresh(s);
    if (index_expire(s->index, now / (int64_t)SONDE_NS_PER_S, &more) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "store: old statistics could not be deleted, trying again");
    measure(s);
}
