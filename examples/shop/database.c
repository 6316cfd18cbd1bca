/* database.c - SQLite behind spans named sqlite.query. */
#include "database.h"

#include <stdio.h>

#include <sonde/sonde.h>
#include <sqlite3.h>

static sqlite3 *db;

static const char *const schema =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, "
    "status INTEGER);"
    "CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY, cents INTEGER);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
    "  INSERT OR IGNORE INTO product SELECT i, 100 + i * 37 % 900 FROM n;";

int db_open(const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    int result = sqlite3_open_v2(path, &db, flags, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (result != SQLITE_OK)
        fprintf(stderr, "database: %s\n", sqlite3_errmsg(db));
    return result == SQLITE_OK ? 0 : -1;
}

void db_close(void)
{
    sqlite3_close(db);
    db = NULL;
}

/* Steps through every row, so that an INSERT ... RETURNING takes effect. */
static int run(sqlite3_stmt *statement, int64_t *out_value, int *out_rows)
{
    int result;

    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if (out_value && *out_rows == 0)
            *out_value = sqlite3_column_int64(statement, 0);
        ++*out_rows;
    }
    return result;
}

int db_query(const char *sql, int64_t a, int64_t b, int64_t *out_value)
{
    sqlite3_stmt *statement = NULL;
    int rows = 0;
    int result;

    SONDE_SPAN_WITH(span, "sqlite.query", &(sonde_span_options){ .resource = sql, .type = "sql" });
    sonde_span_set_str(span, "span.kind", "client");
    sonde_span_set_str(span, "component", "sqlite");
    sonde_span_set_str(span, "db.system", "sqlite");

    result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, a);
        if (sqlite3_bind_parameter_count(statement) > 1)
            sqlite3_bind_int64(statement, 2, b);
        result = run(statement, out_value, &rows);
    }
    sqlite3_finalize(statement);

    if (result != SQLITE_DONE)
        return sonde_span_error(span, "sqlite", sqlite3_errstr(result)), -1;
    sonde_span_set_int(span, "db.row_count", rows);
    return out_value && rows == 0 ? 1 : 0;
}
