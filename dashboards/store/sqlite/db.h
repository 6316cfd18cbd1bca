/* dashboards/store/sqlite/db.h - a SQLite connection and its statements, with our statuses.
 *
 * Threads   none: a connection belongs to one thread at a time (SQLITE_OPEN_NOMUTEX).
 * Failure   SONDE_ERR_NOMEM, SONDE_ERR_SYS (db_error() has SQLite's words), SONDE_ERR_CONFIG (a file
 *           of another kind or version, with the reason).
 */
#ifndef SONDE_DASHBOARDS_STORE_SQLITE_DB_H
#define SONDE_DASHBOARDS_STORE_SQLITE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/str.h"
#include "sonde/status.h"

#define DB_PAGE_BYTES 8192

typedef enum db_mode { DB_WRITE, DB_READ } db_mode;

typedef struct db_kind {
    int32_t application_id; /* what kind of file */
    int32_t version;        /* PRAGMA user_version */
    const char *schema;     /* run once, on an empty file */
} db_kind;

/* Opens `path`; DB_WRITE creates it when missing.  A file of a newer or older version is refused with
 * a message that says what to do; nothing in it is touched. */
SONDE_MUST_USE sonde_status db_open(const char *path, const db_kind *kind, db_mode mode,
                                    bool sync_full, sqlite3 **out_db, sonde_error *out_error);
void db_close(sqlite3 *db); /* all statements must be finalized; NULL is fine */

sonde_status db_exec(sqlite3 *db, const char *sql);
sonde_status db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out); /* kept for long */
sonde_status db_run(sqlite3_stmt *stmt); /* steps to the end and resets */
bool db_next_row(sqlite3_stmt *stmt,
                 sonde_status *status); /* false: end, or *status set; resets then */

void db_bind_text(sqlite3_stmt *stmt, int at, sonde_str s); /* borrowed until the reset */
void db_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len);
sonde_str db_text(sqlite3_stmt *stmt, int column); /* valid until the next step */
sonde_str db_blob(sqlite3_stmt *stmt, int column);

/* Bytes in use: pages that are not free. */
uint64_t db_used_bytes(sqlite3 *db);

#endif /* SONDE_DASHBOARDS_STORE_SQLITE_DB_H */
