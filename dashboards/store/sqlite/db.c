/* db.c - the thin layer over SQLite; see db.h. */
#include "db.h"

#include "base/error.h"
#include "base/log.h"

static sonde_status db_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return SONDE_OK;
    case SQLITE_NOMEM:
        return SONDE_ERR_NOMEM;
    case SQLITE_TOOBIG:
        return SONDE_ERR_TOO_BIG;
    default:
        return SONDE_ERR_SYS;
    }
}

static sonde_status failed(sqlite3 *db, int rc, const char *what)
{
    sonde_status status = db_status(rc);

    if (status != SONDE_OK)
        SONDE_LOG(SONDE_LOG_ERROR, "store: sqlite failed: doing=%s code=%d reason=%s", what, rc,
                  SONDE_LOG_QUOTE(sonde_str_from(sqlite3_errmsg(db))));
    return status;
}

sonde_status db_exec(sqlite3 *db, const char *sql)
{
    return failed(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

sonde_status db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out)
{
    return failed(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL), sql);
}

sonde_status db_run(sqlite3_stmt *stmt)
{
    int rc;

    do {
        rc = sqlite3_step(stmt);
    } while (rc == SQLITE_ROW);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SONDE_OK : failed(sqlite3_db_handle(stmt), rc, sqlite3_sql(stmt));
}

bool db_next_row(sqlite3_stmt *stmt, sonde_status *status)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        *status = failed(sqlite3_db_handle(stmt), rc, sqlite3_sql(stmt));
    sqlite3_reset(stmt);
    return false;
}

void db_bind_text(sqlite3_stmt *stmt, int at, sonde_str s)
{
    sqlite3_bind_text64(stmt, at, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

void db_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
    sqlite3_bind_blob64(stmt, at, len ? data : "", len, SQLITE_STATIC);
}

sonde_str db_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return (sonde_str){ text, text ? (size_t)sqlite3_column_bytes(stmt, column) : 0 };
}

sonde_str db_blob(sqlite3_stmt *stmt, int column)
{
    const char *data = (const char *)sqlite3_column_blob(stmt, column);

    return (sonde_str){ data, data ? (size_t)sqlite3_column_bytes(stmt, column) : 0 };
}

/* The value of a pragma; `missing` when it cannot be read. */
static int64_t pragma(sqlite3 *db, const char *sql, int64_t missing)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = missing;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

uint64_t db_used_bytes(sqlite3 *db)
{
    int64_t pages = pragma(db, "PRAGMA page_count", 0),
            free = pragma(db, "PRAGMA freelist_count", 0);

    return pages > free ? (uint64_t)(pages - free) * DB_PAGE_BYTES : 0;
}

/* One transaction, so that a process killed here leaves an empty file and not half a schema. */
static sonde_status create(sqlite3 *db, const db_kind *kind)
{
    sonde_status status = db_exec(db, "BEGIN IMMEDIATE");
    char *sql;

    if (status != SONDE_OK)
        return status;
    sql = sqlite3_mprintf("%s; PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                          kind->schema, kind->application_id, kind->version);
    status = sql ? db_exec(db, sql) : SONDE_ERR_NOMEM;
    sqlite3_free(sql);
    return status;
}

static sonde_status check_kind(sqlite3 *db, const char *path, const db_kind *kind, db_mode mode,
                               sonde_error *out_error)
{
    int64_t id = pragma(db, "PRAGMA application_id", -1);
    int64_t version = pragma(db, "PRAGMA user_version", -1);
    int64_t tables = pragma(db, "SELECT count(*) FROM sqlite_master", -1);

    if (tables < 0)
        return sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: %s", path, sqlite3_errmsg(db));
    if (tables == 0 && mode == DB_WRITE)
        return create(db, kind);
    if (id != kind->application_id)
        return sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: not a file of Sonde's store", path);
    if (version != kind->version)
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "%s: has format %lld, this program reads %d only: move the data folder "
                          "away, or run the program that wrote it",
                          path, (long long)version, kind->version);
    return SONDE_OK;
}

static sonde_status set_up(sqlite3 *db, db_mode mode, bool sync_full)
{
    sonde_status status = SONDE_OK;

    sqlite3_busy_timeout(db, 5000);
    if (mode == DB_WRITE) {
        status = db_exec(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL;"
                             "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;"
                             "PRAGMA journal_size_limit=33554432");
        if (status == SONDE_OK)
            status =
                db_exec(db, sync_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    } else {
        status = db_exec(db, "PRAGMA query_only=1; PRAGMA cache_size=-8192;"
                             "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=268435456");
    }
    return status;
}

sonde_status db_open(const char *path, const db_kind *kind, db_mode mode, bool sync_full,
                     sqlite3 **out_db, sonde_error *out_error)
{
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (mode == DB_WRITE ? SQLITE_OPEN_CREATE : 0);
    sqlite3 *db = NULL;
    sonde_status status = db_status(sqlite3_open_v2(path, &db, flags, NULL));

    if (status == SONDE_OK)
        status = set_up(db, mode, sync_full);
    if (status != SONDE_OK)
        sonde_fail(out_error, status, "%s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
    else
        status = check_kind(db, path, kind, mode, out_error);
    if (status != SONDE_OK) {
        sqlite3_close(db);
        return status;
    }
    *out_db = db;
    return SONDE_OK;
}

void db_close(sqlite3 *db)
{
    sqlite3_close(db);
}
