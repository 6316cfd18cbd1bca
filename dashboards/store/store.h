/* dashboards/store/store.h - where frames, statistics and profiles are kept, whatever the backend.
 *
 * Writing: a store_batch is what one request brought.  store_append() queues it; the writer commits
 * many batches together and then calls each batch's `done`, so that a request is acknowledged only
 * when it would survive a killed process.
 *
 * Reading: a store_reader is a private view, taken for the length of one query.  Frames are found by
 * time (store_list_frames), narrowed by their filters (store_may_hold), told by their summaries
 * (store_read_summary) and decoded (store_read_frame); the frames of a trace are found by its id
 * (store_find_trace).
 *
 * Threads   store_append, store_reader_get, counters: all.  A reader belongs to one thread at a time.
 *           `done` runs on the writer's thread and must not block.
 * Bounds    STORE_QUEUE_MAX_BYTES waiting (SONDE_ERR_FULL), STORE_READERS readers (get waits),
 *           STORE_DAYS_MAX day files, STORE_STATS_KEYS_MAX groups.
 */
#ifndef SONDE_DASHBOARDS_STORE_STORE_H
#define SONDE_DASHBOARDS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/stats.h"
#include "dashboards/model/summary.h"
#include "sonde/status.h"

#define STORE_QUEUE_MAX_BYTES      (16u * 1024 * 1024)
#define STORE_QUEUE_MAX_ITEMS      4096u
#define STORE_READERS              4
#define STORE_DAYS_MAX             64
#define STORE_STATS_KEYS_MAX       100000u
#define STORE_BATCH_TEXT_MAX_BYTES (64u * 1024 * 1024)
#define STORE_FRAMES_LISTED_MAX    200000u
#define STORE_PROFILES_PERCENT     15 /* of the size, at most, are profiles */

typedef struct store store;

typedef struct store_options {
    const char *dir;            /* made when missing */
    uint64_t max_bytes;         /* of all files; 0: 2 GiB */
    uint64_t max_age_s;         /* of traces; 0: 3 days */
    uint64_t max_profile_age_s; /* 0: 7 days */
    size_t max_stats_keys;      /* groups of statistics; 0: STORE_STATS_KEYS_MAX */
    bool sync_full;             /* fsync every commit */
    const sonde_clock *clock;   /* NULL: the system's */
} store_options;

SONDE_MUST_USE sonde_status store_open(const store_options *options, store **out_store,
                                       sonde_error *out_error);
void store_close(store *s); /* commits what is queued; readers must be back; NULL is fine */

/* ---- writing ---- */

/* One pprof message and what its upload said about it. */
typedef struct store_profile {
    sonde_str service, env, version, host, runtime_id;
    sonde_str family; /* of languages: "native", "go" */
    sonde_str name;   /* of the attachment */
    sonde_str types;  /* "cpu-time/nanoseconds,..." */
    sonde_str tags;   /* "key:value,..." as it came */
    int64_t start_unix_ns;
    int64_t end_unix_ns;
    uint64_t samples;
    uint8_t *body; /* zstd of the message */
    size_t body_len;
} store_profile;

typedef struct store_batch {
    frame *frames;
    size_t frames_len;
    store_profile *profiles; /* bodies are owned, text is in `text` */
    size_t profiles_len;
    stats_row *stats;
    size_t stats_len;
    sonde_arena text;                              /* of statistics and profiles */
    uint64_t spans;                                /* in frames */
    void (*done)(void *user, sonde_status status); /* may be NULL */
    void *user;
} store_batch;

store_batch *store_batch_new(void);    /* NULL: no memory */
void store_batch_free(store_batch *b); /* with its frames; does not call done */
SONDE_MUST_USE sonde_status store_batch_add_frame(store_batch *b, frame *f); /* empties *f on OK */
/* Copies the text, takes the body on OK. */
SONDE_MUST_USE sonde_status store_batch_add_profile(store_batch *b, const store_profile *p);
size_t store_batch_bytes(const store_batch *b);

/* The store owns the batch on SONDE_OK.  SONDE_ERR_FULL: try later; SONDE_ERR_TOO_BIG; CLOSED. */
SONDE_MUST_USE sonde_status store_append(store *s, store_batch *b);

typedef struct store_counters {
    uint64_t stored_chunks;
    uint64_t stored_spans;
    uint64_t stored_stats_groups;
    uint64_t queued_spans;
    uint64_t dropped_spans; /* a commit failed: their senders were told */
    uint64_t dropped_stats_groups;
    uint64_t collapsed_stats_groups; /* stored under resource "(other)": too many keys */
    uint64_t stored_profiles;
    uint64_t queued_profiles;
    uint64_t dropped_profiles; /* a commit failed */
    uint64_t retired_profiles; /* given up for age or size */
    uint64_t commits;
    uint64_t retired_frames; /* given up for age or size */
    uint64_t bytes;          /* of all files */
    int64_t oldest_unix_s;   /* start of the oldest span kept; 0: nothing */
} store_counters;

store_counters store_read_counters(store *s);

/* ---- reading ---- */

typedef struct store_reader store_reader;

/* Waits for a free reader until the deadline; NULL then. */
store_reader *store_reader_get(store *s, uint64_t deadline_mono_ns);
void store_reader_put(store_reader *r);

typedef struct store_frame_ref {
    int32_t day; /* yyyymmdd of arrival */
    int64_t id;
    int64_t min_start_unix_ns;
    int64_t max_start_unix_ns;
    uint32_t spans;
} store_frame_ref;

/* Frames with a span start in [from, to], the latest max_start first.  *out_refs is the caller's
 * (sonde_free).  At most STORE_FRAMES_LISTED_MAX, the latest. */
SONDE_MUST_USE sonde_status store_list_frames(store_reader *r, int64_t from_unix_ns,
                                              int64_t to_unix_ns, store_frame_ref **out_refs,
                                              size_t *out_len);

/* False when the filter of the frame excludes one of the tokens. */
bool store_may_hold(store_reader *r, const store_frame_ref *ref, const uint64_t *tokens,
                    size_t tokens_len);

/* SONDE_ERR_NOT_FOUND: retired meanwhile; SONDE_ERR_SYNTAX: damaged. */
SONDE_MUST_USE sonde_status store_read_frame(store_reader *r, int32_t day, int64_t id,
                                             frame_view *out);

/* The summary of a frame; the same failures. */
SONDE_MUST_USE sonde_status store_read_summary(store_reader *r, int32_t day, int64_t id,
                                               summary_view *out);

typedef bool (*store_place_fn)(void *user, int32_t day, int64_t frame); /* false: enough */

/* The frames that hold parts of a trace, latest first.  trace_hi 0 matches any high half. */
SONDE_MUST_USE sonde_status store_find_trace(store_reader *r, uint64_t trace_hi, uint64_t trace_lo,
                                             store_place_fn each, void *user);

typedef struct store_stats_query {
    int64_t from_s; /* buckets that start in [from, to) */
    int64_t to_s;
    uint32_t step_s;   /* 10, 60 or 3600: which resolution */
    sonde_str service; /* empty: all */
    sonde_str env;     /* empty: all */
} store_stats_query;

typedef bool (*store_stats_fn)(void *user, const stats_row *row);

SONDE_MUST_USE sonde_status store_scan_stats(store_reader *r, const store_stats_query *query,
                                             store_stats_fn each, void *user);

typedef struct store_profile_query {
    int64_t from_unix_ns; /* profiles that end at or after it */
    int64_t to_unix_ns;   /* and start at or before it */
    sonde_str service;    /* empty: all */
    sonde_str env;        /* empty: all */
} store_profile_query;

typedef struct store_profile_ref {
    int32_t day; /* yyyymmdd of arrival */
    int64_t id;
    uint64_t bytes;     /* of the body */
    store_profile info; /* without body; valid during the call */
} store_profile_ref;

typedef bool (*store_profile_fn)(void *user, const store_profile_ref *ref); /* false: enough */

/* Day by day, in each the latest end first. */
SONDE_MUST_USE sonde_status store_list_profiles(store_reader *r, const store_profile_query *query,
                                                store_profile_fn each, void *user);

/* Appends the pprof message.  SONDE_ERR_NOT_FOUND: retired meanwhile; SONDE_ERR_SYNTAX: damaged. */
SONDE_MUST_USE sonde_status store_read_profile(store_reader *r, int32_t day, int64_t id,
                                               sonde_buf *out);

#endif /* SONDE_DASHBOARDS_STORE_STORE_H */
