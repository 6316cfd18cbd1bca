/* dashboards/store/sqlite/profile_file.h - the profiles that arrived on one day.
 *
 * Threads   none: a file belongs to one thread at a time.
 */
#ifndef SONDE_DASHBOARDS_STORE_SQLITE_PROFILE_FILE_H
#define SONDE_DASHBOARDS_STORE_SQLITE_PROFILE_FILE_H

#include "dashboards/store/store.h"
#include "db.h"

#define PROFILE_PATH_MAX          1100
#define PROFILE_CUT_ROWS          64
#define PROFILE_MESSAGE_MAX_BYTES (64u * 1024 * 1024)

typedef struct profile_file {
    int32_t date; /* yyyymmdd */
    sqlite3 *db;
    sqlite3_stmt *add, *list, *read; /* prepared at first use */
} profile_file;

bool profile_file_path(const char *dir, int32_t date, char out[PROFILE_PATH_MAX]);

SONDE_MUST_USE sonde_status profile_file_open(const char *dir, int32_t date, db_mode mode,
                                              bool sync_full, profile_file **out_file,
                                              sonde_error *out_error);
void profile_file_close(profile_file *f);

/* Writing: between begin and commit or rollback. */
SONDE_MUST_USE sonde_status profile_file_begin(profile_file *f);
SONDE_MUST_USE sonde_status profile_file_add(profile_file *f, const store_profile *p);
SONDE_MUST_USE sonde_status profile_file_commit(profile_file *f);
void profile_file_rollback(profile_file *f);

/* Deletes the PROFILE_CUT_ROWS that arrived first, never the last one; *out_rows: how many. */
SONDE_MUST_USE sonde_status profile_file_cut(profile_file *f, uint64_t *out_rows);
uint64_t profile_file_used_bytes(profile_file *f);
uint64_t profile_file_rows(profile_file *f);

/* Reading, as in store.h. */
SONDE_MUST_USE sonde_status profile_file_list(profile_file *f, const store_profile_query *query,
                                              store_profile_fn each, void *user, bool *out_stopped);
SONDE_MUST_USE sonde_status profile_file_read(profile_file *f, int64_t id, sonde_buf *out);

#endif /* SONDE_DASHBOARDS_STORE_SQLITE_PROFILE_FILE_H */
