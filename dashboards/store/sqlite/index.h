/* dashboards/store/sqlite/index.h - index.db: statistics in three resolutions.
 *
 * Every group is added to its 10-second, its minute and its hour row at once, so that a table over
 * the last hour reads 60 rows a group and one over a month 720.  What two payloads say about the
 * same group (two agents, two processes) is added up, sketches included.
 *
 * Threads   none: an index belongs to one thread at a time.
 * Bounds    STORE_STATS_KEYS_MAX groups; a new one beyond it is stored as "(other)".
 *           10 s rows are kept 6 h, minutes 3 d, hours 30 d.
 */
#ifndef SONDE_DASHBOARDS_STORE_SQLITE_INDEX_H
#define SONDE_DASHBOARDS_STORE_SQLITE_INDEX_H

#include "base/table.h"
#include "dashboards/store/store.h"
#include "db.h"

typedef struct index_db {
    sqlite3 *db;
    sqlite3_stmt *statements[8]; /* index_statement, prepared at first use */
    sonde_table keys;            /* writer: group -> id as a pointer */
    size_t max_keys;
    int64_t next_key;
    sonde_sketch sum; /* scratch of merging */
    sonde_sketch scratch;
    sonde_buf packed;
    sonde_buf group;
    uint64_t collapsed; /* groups stored as "(other)" */
} index_db;

/* max_keys 0: STORE_STATS_KEYS_MAX. */
SONDE_MUST_USE sonde_status index_open(const char *dir, db_mode mode, bool sync_full,
                                       size_t max_keys, index_db **out_index,
                                       sonde_error *out_error);
void index_close(index_db *x);

SONDE_MUST_USE sonde_status index_begin(index_db *x);
SONDE_MUST_USE sonde_status index_add(index_db *x, const stats_row *row);
SONDE_MUST_USE sonde_status index_commit(index_db *x);
void index_rollback(index_db *x);

/* Deletes one slice of rows that are too old at `now_s`; *out_more: there is more to do. */
SONDE_MUST_USE sonde_status index_expire(index_db *x, int64_t now_s, bool *out_more);
uint64_t index_used_bytes(index_db *x);

SONDE_MUST_USE sonde_status index_scan(index_db *x, const store_stats_query *query,
                                       store_stats_fn each, void *user);

#endif /* SONDE_DASHBOARDS_STORE_SQLITE_INDEX_H */
