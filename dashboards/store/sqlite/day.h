/* dashboards/store/sqlite/day.h - one day file: the frames that arrived on one day, and their index.
 *
 * Everything a day's traces need is in its file, so a commit is one transaction and retention is one
 * unlink.  Trace ids are indexed by (run, trace id): a run is RUN_FRAMES neighbouring frames, so that
 * inserts of random ids touch the few pages of the newest run instead of the whole tree, and the
 * oldest run can be cut off as one range.  A look-up asks run after run.
 *
 * Threads   none: a day belongs to one thread at a time.
 */
#ifndef SONDE_DASHBOARDS_STORE_SQLITE_DAY_H
#define SONDE_DASHBOARDS_STORE_SQLITE_DAY_H

#include "dashboards/store/store.h"
#include "db.h"

#define RUN_FRAMES   256
#define STRINGS_MAX  65536u
#define DAY_PATH_MAX 1100

typedef struct day {
    int32_t date; /* yyyymmdd */
    db_mode mode;
    sqlite3 *db;
    sqlite3_stmt *statements[9]; /* day_statement, prepared at first use */
    int64_t next_frame;          /* writer */
} day;

bool day_path(const char *dir, int32_t date, char out[DAY_PATH_MAX]); /* false: too long */
int32_t day_of_unix_ns(int64_t unix_ns);                              /* yyyymmdd, UTC */

SONDE_MUST_USE sonde_status day_open(const char *dir, int32_t date, db_mode mode, bool sync_full,
                                     day **out_day, sonde_error *out_error);
void day_close(day *d);

/* Writing: between day_begin() and day_commit() or day_rollback(). */
SONDE_MUST_USE sonde_status day_begin(day *d);
SONDE_MUST_USE sonde_status day_add_frame(day *d, const frame *f);
SONDE_MUST_USE sonde_status day_commit(day *d);
void day_rollback(day *d);

/* Deletes the oldest run; *out_frames is how many frames went.  Not the newest run: SONDE_ERR_STATE. */
SONDE_MUST_USE sonde_status day_cut_oldest(day *d, uint64_t *out_frames);
uint64_t day_used_bytes(day *d);
int64_t day_frames(day *d);         /* how many */
int64_t day_oldest_unix_ns(day *d); /* start of the oldest frame; INT64_MAX: empty */

/* Reading, as in store.h. */
typedef bool (*day_frame_fn)(void *user, const store_frame_ref *ref);
SONDE_MUST_USE sonde_status day_list(day *d, int64_t from_unix_ns, int64_t to_unix_ns,
                                     day_frame_fn each, void *user);
bool day_may_hold(day *d, int64_t frame, const uint64_t *tokens, size_t tokens_len);
SONDE_MUST_USE sonde_status day_read(day *d, int64_t frame, frame_view *out);
SONDE_MUST_USE sonde_status day_read_summary(day *d, int64_t frame, summary_view *out);
SONDE_MUST_USE sonde_status day_find_trace(day *d, uint64_t trace_hi, uint64_t trace_lo,
                                           store_place_fn each, void *user, bool *out_stopped);

#endif /* SONDE_DASHBOARDS_STORE_SQLITE_DAY_H */
