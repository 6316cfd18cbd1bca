/* day.c - a day file: schema, writing, reading; format: docs/spec/store.md. */
#include "day.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"

static const db_kind day_kind = {
    .application_id = 0x534f4e44, /* "SOND" */
    .version = 1,
    .schema = "CREATE TABLE frame(id INTEGER PRIMARY KEY, spans INT, chunks INT, min_start INT,"
              " max_start INT, filter BLOB, summary BLOB, crc INT, body BLOB);"
              "CREATE INDEX frame_time ON frame(max_start, min_start, spans);"
              "CREATE TABLE trace(run INT, lo INT, hi INT, frame INT,"
              " PRIMARY KEY(run, lo, hi, frame)) WITHOUT ROWID",
};

typedef enum day_statement {
    ADD_FRAME,
    ADD_TRACE,
    LIST,
    FILTER,
    SUMMARY,
    BODY,
    FIND_TRACE,
    CUT_TRACES,
    CUT_FRAMES,
    DAY_STATEMENTS,
} day_statement;

static const char *const statement_sql[DAY_STATEMENTS] = {
    [ADD_FRAME] = "INSERT INTO frame VALUES(?,?,?,?,?,?,?,?,?)",
    [ADD_TRACE] = "INSERT INTO trace VALUES(?,?,?,?)",
    [LIST] = ("SELECT id, min_start, max_start, spans FROM frame INDEXED BY frame_time"
              " WHERE max_start >= ? AND min_start <= ? ORDER BY max_start DESC"),
    [FILTER] = "SELECT filter FROM frame WHERE id=?",
    [SUMMARY] = "SELECT summary FROM frame WHERE id=?",
    [BODY] = "SELECT crc, body FROM frame WHERE id=?",
    [FIND_TRACE] = "SELECT hi, frame FROM trace WHERE run=? AND lo=? ORDER BY frame DESC",
    [CUT_TRACES] = "DELETE FROM trace WHERE run=?",
    [CUT_FRAMES] = "DELETE FROM frame WHERE id >= ? AND id < ?",
};

_Static_assert(DAY_STATEMENTS == sizeof(((day *)0)->statements) / sizeof(sqlite3_stmt *), "day.h");

/* The statement, ready to bind; NULL when it cannot be prepared. */
static sqlite3_stmt *get(day *d, day_statement which)
{
    if (!d->statements[which] &&
        db_prepare(d->db, statement_sql[which], &d->statements[which]) != SONDE_OK)
        return NULL;
    return d->statements[which];
}

bool day_path(const char *dir, int32_t date, char out[DAY_PATH_MAX])
{
    int n = snprintf(out, DAY_PATH_MAX, "%s/spans-%08d.db", dir, date);

    return n > 0 && n < DAY_PATH_MAX - 8; /* room for "-wal" */
}

int32_t day_of_unix_ns(int64_t unix_ns)
{
    char text[SONDE_RFC3339_LEN];
    int32_t date = 0;
    int i;

    sonde_format_rfc3339(unix_ns, text);
    for (i = 0; i < 10; i++)
        if (text[i] != '-')
            date = date * 10 + (text[i] - '0');
    return date;
}

static int64_t run_of(int64_t frame_id)
{
    return frame_id / RUN_FRAMES;
}

/* ---- opening ---- */

/* The first column of the first row; `missing` when there is none, or it is NULL. */
static int64_t number(day *d, const char *sql, int64_t missing)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = missing;

    if (sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* Ids of the oldest and the newest frame; 0: none. */
static int64_t first_frame(day *d)
{
    return number(d, "SELECT min(id) FROM frame", 0);
}

static int64_t last_frame(day *d)
{
    return number(d, "SELECT max(id) FROM frame", 0);
}

sonde_status day_open(const char *dir, int32_t date, db_mode mode, bool sync_full, day **out_day,
                      sonde_error *out_error)
{
    char path[DAY_PATH_MAX];
    day *d = (day *)sonde_calloc(1, sizeof(*d));
    sonde_status status;

    if (!d)
        return SONDE_ERR_NOMEM;
    d->date = date;
    d->mode = mode;
    if (!day_path(dir, date, path))
        status = sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: path too long", dir);
    else
        status = db_open(path, &day_kind, mode, sync_full, &d->db, out_error);
    if (status != SONDE_OK) {
        day_close(d);
        return status;
    }
    d->next_frame = last_frame(d) + 1;
    *out_day = d;
    return SONDE_OK;
}

void day_close(day *d)
{
    size_t i;

    if (!d)
        return;
    for (i = 0; i < DAY_STATEMENTS; i++)
        sqlite3_finalize(d->statements[i]);
    db_close(d->db);
    sonde_free(d);
}

/* ---- writing ---- */

sonde_status day_begin(day *d)
{
    return db_exec(d->db, "BEGIN IMMEDIATE");
}

sonde_status day_commit(day *d)
{
    return db_exec(d->db, "COMMIT");
}

void day_rollback(day *d)
{
    (void)db_exec(d->db, "ROLLBACK");
    d->next_frame = last_frame(d) + 1;
}

static sonde_status add_traces(day *d, int64_t id, const frame *f)
{
    sqlite3_stmt *stmt = get(d, ADD_TRACE);
    sonde_status status = SONDE_OK;
    size_t i;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, run_of(id));
    sqlite3_bind_int64(stmt, 4, id);
    for (i = 0; i < f->traces_len && status == SONDE_OK; i++) {
        sqlite3_bind_int64(stmt, 2, (int64_t)f->traces[i].lo);
        sqlite3_bind_int64(stmt, 3, (int64_t)f->traces[i].hi);
        status = db_run(stmt);
    }
    return status;
}

sonde_status day_add_frame(day *d, const frame *f)
{
    sqlite3_stmt *stmt = get(d, ADD_FRAME);
    int64_t id = d->next_frame;
    sonde_status status;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int64(stmt, 2, f->spans);
    sqlite3_bind_int64(stmt, 3, f->chunks);
    sqlite3_bind_int64(stmt, 4, f->min_start_unix_ns);
    sqlite3_bind_int64(stmt, 5, f->max_start_unix_ns);
    db_bind_blob(stmt, 6, f->filter, f->filter_len);
    db_bind_blob(stmt, 7, f->summary, f->summary_len);
    sqlite3_bind_int64(stmt, 8, f->crc);
    db_bind_blob(stmt, 9, f->body, f->body_len);
    status = db_run(stmt);
    if (status == SONDE_OK)
        status = add_traces(d, id, f);
    d->next_frame = id + 1;
    return status;
}

/* ---- retention ---- */

static sonde_status cut_run(day *d, int64_t run, uint64_t *out_frames)
{
    sqlite3_stmt *traces = get(d, CUT_TRACES), *frames = get(d, CUT_FRAMES);
    sonde_status status;

    if (!traces || !frames)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(traces, 1, run);
    sqlite3_bind_int64(frames, 1, run * RUN_FRAMES);
    sqlite3_bind_int64(frames, 2, (run + 1) * RUN_FRAMES);
    status = db_run(traces);
    if (status == SONDE_OK)
        status = db_run(frames);
    *out_frames = (uint64_t)sqlite3_changes64(d->db);
    return status;
}

sonde_status day_cut_oldest(day *d, uint64_t *out_frames)
{
    int64_t first = first_frame(d);
    uint64_t frames = 0;
    sonde_status status = SONDE_OK;

    if (run_of(first) == run_of(last_frame(d)))
        return SONDE_ERR_STATE;
    if (status == SONDE_OK)
        status = day_begin(d);
    if (status != SONDE_OK)
        return status;
    status = cut_run(d, run_of(first), &frames);
    if (status == SONDE_OK)
        status = day_commit(d);
    if (status != SONDE_OK) {
        day_rollback(d);
        return status;
    }
    *out_frames = frames;
    return SONDE_OK;
}

uint64_t day_used_bytes(day *d)
{
    return db_used_bytes(d->db);
}

int64_t day_frames(day *d)
{
    return number(d, "SELECT count(*) FROM frame", 0);
}

int64_t day_oldest_unix_ns(day *d)
{
    return number(d, "SELECT min_start FROM frame ORDER BY id LIMIT 1", INT64_MAX);
}

/* ---- reading ---- */

sonde_status day_list(day *d, int64_t from_unix_ns, int64_t to_unix_ns, day_frame_fn each,
                      void *user)
{
    sqlite3_stmt *stmt = get(d, LIST);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, from_unix_ns);
    sqlite3_bind_int64(stmt, 2, to_unix_ns);
    while (db_next_row(stmt, &status)) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        store_frame_ref ref = {
            .day = d->date,
            .id = id,
            .min_start_unix_ns = sqlite3_column_int64(stmt, 1),
            .max_start_unix_ns = sqlite3_column_int64(stmt, 2),
            .spans = (uint32_t)sqlite3_column_int64(stmt, 3),
        };

        if (!each(user, &ref))
            break;
    }
    sqlite3_reset(stmt);
    return status;
}

bool day_may_hold(day *d, int64_t frame_id, const uint64_t *tokens, size_t tokens_len)
{
    sqlite3_stmt *stmt = get(d, FILTER);
    sonde_status status = SONDE_OK;
    bool may = true;

    if (!stmt)
        return true;
    sqlite3_bind_int64(stmt, 1, frame_id);
    if (db_next_row(stmt, &status)) {
        sonde_str filter = db_blob(stmt, 0);
        size_t i;

        for (i = 0; i < tokens_len && may; i++)
            may = filter_may_hold((const uint8_t *)filter.ptr, filter.len, tokens[i]);
    }
    sqlite3_reset(stmt);
    return may;
}

sonde_status day_read(day *d, int64_t frame_id, frame_view *out)
{
    sqlite3_stmt *stmt = get(d, BODY);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, frame_id);
    if (db_next_row(stmt, &status)) {
        sonde_str body = db_blob(stmt, 1);

        if (sonde_crc32c(0, body.ptr, body.len) != (uint32_t)sqlite3_column_int64(stmt, 0))
            status = SONDE_ERR_SYNTAX;
        else
            status = frame_view_decode(out, body);
    } else if (status == SONDE_OK) {
        status = SONDE_ERR_NOT_FOUND;
    }
    sqlite3_reset(stmt);
    return status;
}

sonde_status day_read_summary(day *d, int64_t frame_id, summary_view *out)
{
    sqlite3_stmt *stmt = get(d, SUMMARY);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, frame_id);
    if (db_next_row(stmt, &status))
        status = summary_view_decode(out, db_blob(stmt, 0));
    else if (status == SONDE_OK)
        status = SONDE_ERR_NOT_FOUND;
    sqlite3_reset(stmt);
    return status;
}

sonde_status day_find_trace(day *d, uint64_t trace_hi, uint64_t trace_lo, store_place_fn each,
                            void *user, bool *out_stopped)
{
    sqlite3_stmt *stmt = get(d, FIND_TRACE);
    int64_t first = first_frame(d), run = run_of(last_frame(d));
    sonde_status status = SONDE_OK;

    *out_stopped = false;
    if (!stmt)
        return SONDE_ERR_SYS;
    for (; run >= run_of(first) && status == SONDE_OK && !*out_stopped; run--) {
        sqlite3_bind_int64(stmt, 1, run);
        sqlite3_bind_int64(stmt, 2, (int64_t)trace_lo);
        while (!*out_stopped && db_next_row(stmt, &status))
            if (trace_hi == 0 || (uint64_t)sqlite3_column_int64(stmt, 0) == trace_hi)
                *out_stopped = !each(user, d->date, sqlite3_column_int64(stmt, 1));
        sqlite3_reset(stmt);
    }
    return status;
}
