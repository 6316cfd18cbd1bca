/* profile_file.c - a day's profiles: schema, writing, reading; format: docs/spec/store.md. */
#include "profile_file.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/error.h"
#include "codec/compress/compress.h"

static const db_kind profile_kind = {
    .application_id = 0x534f4e50, /* "SONP" */
    .version = 1,
    .schema = "CREATE TABLE profile(id INTEGER PRIMARY KEY, service TEXT, env TEXT, version TEXT,"
              " host TEXT, runtime TEXT, family TEXT, name TEXT, types TEXT, tags TEXT,"
              " start INT, end INT, samples INT, bytes INT, crc INT, body BLOB);"
              "CREATE INDEX profile_time ON profile(end, start, service, env)",
};

static const char add_sql[] = "INSERT INTO profile VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
static const char list_sql[] =
    "SELECT id, service, env, version, host, runtime, family, name, types, tags, start, end,"
    " samples, bytes FROM profile INDEXED BY profile_time"
    " WHERE end >= ?1 AND start <= ?2 AND (?3 = '' OR service = ?3) AND (?4 = '' OR env = ?4)"
    " ORDER BY end DESC, id DESC";
static const char read_sql[] = "SELECT crc, body FROM profile WHERE id=?";

static sqlite3_stmt *get(profile_file *f, sqlite3_stmt **kept, const char *sql)
{
    if (!*kept && db_prepare(f->db, sql, kept) != SONDE_OK)
        return NULL;
    return *kept;
}

bool profile_file_path(const char *dir, int32_t date, char out[PROFILE_PATH_MAX])
{
    int n = snprintf(out, PROFILE_PATH_MAX, "%s/profiles-%08d.db", dir, date);

    return n > 0 && n < PROFILE_PATH_MAX - 8; /* room for "-wal" */
}

sonde_status profile_file_open(const char *dir, int32_t date, db_mode mode, bool sync_full,
                               profile_file **out_file, sonde_error *out_error)
{
    char path[PROFILE_PATH_MAX];
    profile_file *f = (profile_file *)sonde_calloc(1, sizeof(*f));
    sonde_status status;

    if (!f)
        return SONDE_ERR_NOMEM;
    f->date = date;
    if (!profile_file_path(dir, date, path))
        status = sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: path too long", dir);
    else
        status = db_open(path, &profile_kind, mode, sync_full, &f->db, out_error);
    if (status != SONDE_OK) {
        profile_file_close(f);
        return status;
    }
    *out_file = f;
    return SONDE_OK;
}

void profile_file_close(profile_file *f)
{
    if (!f)
        return;
    sqlite3_finalize(f->add);
    sqlite3_finalize(f->list);
    sqlite3_finalize(f->read);
    db_close(f->db);
    sonde_free(f);
}

/* ---- writing ---- */

sonde_status profile_file_begin(profile_file *f)
{
    return db_exec(f->db, "BEGIN IMMEDIATE");
}

sonde_status profile_file_commit(profile_file *f)
{
    return db_exec(f->db, "COMMIT");
}

void profile_file_rollback(profile_file *f)
{
    (void)db_exec(f->db, "ROLLBACK");
}

sonde_status profile_file_add(profile_file *f, const store_profile *p)
{
    sqlite3_stmt *stmt = get(f, &f->add, add_sql);

    if (!stmt)
        return SONDE_ERR_SYS;
    db_bind_text(stmt, 1, p->service);
    db_bind_text(stmt, 2, p->env);
    db_bind_text(stmt, 3, p->version);
    db_bind_text(stmt, 4, p->host);
    db_bind_text(stmt, 5, p->runtime_id);
    db_bind_text(stmt, 6, p->family);
    db_bind_text(stmt, 7, p->name);
    db_bind_text(stmt, 8, p->types);
    db_bind_text(stmt, 9, p->tags);
    sqlite3_bind_int64(stmt, 10, p->start_unix_ns);
    sqlite3_bind_int64(stmt, 11, p->end_unix_ns);
    sqlite3_bind_int64(stmt, 12, (int64_t)p->samples);
    sqlite3_bind_int64(stmt, 13, (int64_t)p->body_len);
    sqlite3_bind_int64(stmt, 14, sonde_crc32c(0, p->body, p->body_len));
    db_bind_blob(stmt, 15, p->body, p->body_len);
    return db_run(stmt);
}

/* ---- retention ---- */

/* The first column of the first row; 0: none. */
static int64_t number(profile_file *f, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;

    if (sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

sonde_status profile_file_cut(profile_file *f, uint64_t *out_rows)
{
    int64_t first = number(f, "SELECT min(id) FROM profile");
    int64_t last = number(f, "SELECT max(id) FROM profile");
    sqlite3_stmt *stmt = NULL;
    sonde_status status;

    if (first == last)
        return SONDE_ERR_STATE;
    if (first + PROFILE_CUT_ROWS < last)
        last = first + PROFILE_CUT_ROWS;
    status = db_prepare(f->db, "DELETE FROM profile WHERE id < ?", &stmt);
    if (status != SONDE_OK)
        return status;
    sqlite3_bind_int64(stmt, 1, last);
    status = db_run(stmt);
    *out_rows = (uint64_t)sqlite3_changes64(f->db);
    sqlite3_finalize(stmt);
    return status;
}

uint64_t profile_file_used_bytes(profile_file *f)
{
    return db_used_bytes(f->db);
}

uint64_t profile_file_rows(profile_file *f)
{
    return (uint64_t)number(f, "SELECT count(*) FROM profile");
}

/* ---- reading ---- */

static void read_row(sqlite3_stmt *stmt, int32_t date, store_profile_ref *ref)
{
    *ref = (store_profile_ref){
        .day = date,
        .id = sqlite3_column_int64(stmt, 0),
        .bytes = (uint64_t)sqlite3_column_int64(stmt, 13),
        .info = { .service = db_text(stmt, 1),
                  .env = db_text(stmt, 2),
                  .version = db_text(stmt, 3),
                  .host = db_text(stmt, 4),
                  .runtime_id = db_text(stmt, 5),
                  .family = db_text(stmt, 6),
                  .name = db_text(stmt, 7),
                  .types = db_text(stmt, 8),
                  .tags = db_text(stmt, 9),
                  .start_unix_ns = sqlite3_column_int64(stmt, 10),
                  .end_unix_ns = sqlite3_column_int64(stmt, 11),
                  .samples = (uint64_t)sqlite3_column_int64(stmt, 12) },
    };
}

sonde_status profile_file_list(profile_file *f, const store_profile_query *query,
                               store_profile_fn each, void *user, bool *out_stopped)
{
    sqlite3_stmt *stmt = get(f, &f->list, list_sql);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, query->from_unix_ns);
    sqlite3_bind_int64(stmt, 2, query->to_unix_ns);
    db_bind_text(stmt, 3, query->service);
    db_bind_text(stmt, 4, query->env);
    while (!*out_stopped && db_next_row(stmt, &status)) {
        store_profile_ref ref;

        read_row(stmt, f->date, &ref);
        *out_stopped = !each(user, &ref);
    }
    sqlite3_reset(stmt);
    return status;
}

sonde_status profile_file_read(profile_file *f, int64_t id, sonde_buf *out)
{
    sqlite3_stmt *stmt = get(f, &f->read, read_sql);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, id);
    if (db_next_row(stmt, &status)) {
        sonde_str body = db_blob(stmt, 1);

        if (sonde_crc32c(0, body.ptr, body.len) != (uint32_t)sqlite3_column_int64(stmt, 0))
            status = SONDE_ERR_SYNTAX;
        else
            status = sonde_decompress(SONDE_ENCODING_ZSTD, body, out);
    } else if (status == SONDE_OK) {
        status = SONDE_ERR_NOT_FOUND;
    }
    sqlite3_reset(stmt);
    return status;
}
