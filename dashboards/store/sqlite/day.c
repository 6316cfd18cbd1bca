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
    .schema =
        "CREATE TABLE frame(id INTEGER PRIMARY KEY, spans INT, chunks INT, min_start INT,"
        " max_start INT, crc INT, filter BLOB, body BLOB);"
        "CREATE INDEX frame_time ON frame(max_start, min_start, spans);"
        "CREATE TABLE part(run INT, trace_lo INT, trace_hi INT, frame INT, start INT, dur INT,"
        " spans INT, errors INT, root INT, service, name, resource, type, env, services,"
        " http_status, PRIMARY KEY(run, trace_lo, trace_hi, frame)) WITHOUT ROWID;"
        "CREATE TABLE str(id INTEGER PRIMARY KEY, s TEXT)",
};

#define PART_COLUMNS                                                                               \
    "trace_hi, trace_lo, frame, start, dur, spans, errors, root, service, name, resource, type,"   \
    " env, services, http_status"

typedef enum day_statement {
    ADD_FRAME,
    ADD_PART,
    ADD_STR,
    LIST,
    FILTER,
    BODY,
    FIND_TRACE,
    SCAN_RUN,
    STRINGS,
    CUT_PARTS,
    CUT_FRAMES,
    RUNS,
    DAY_STATEMENTS,
} day_statement;

static const char *const statement_sql[DAY_STATEMENTS] = {
    [ADD_FRAME] = "INSERT INTO frame VALUES(?,?,?,?,?,?,?,?)",
    [ADD_PART] = "INSERT INTO part VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [ADD_STR] = "INSERT INTO str VALUES(?,?)",
    [LIST] = "SELECT id, min_start, max_start, spans FROM frame INDEXED BY frame_time"
             " WHERE max_start >= ? AND min_start <= ? ORDER BY max_start DESC",
    [FILTER] = "SELECT filter FROM frame WHERE id=?",
    [BODY] = "SELECT crc, body FROM frame WHERE id=?",
    [FIND_TRACE] = "SELECT " PART_COLUMNS " FROM part WHERE run=? AND trace_lo=?",
    [SCAN_RUN] = "SELECT " PART_COLUMNS " FROM part WHERE run=?",
    [STRINGS] = "SELECT id, s FROM str WHERE id > ? ORDER BY id",
    [CUT_PARTS] = "DELETE FROM part WHERE run=?",
    [CUT_FRAMES] = "DELETE FROM frame WHERE id >= ? AND id < ?",
    [RUNS] = "SELECT (SELECT min(id) FROM frame), (SELECT max(id) FROM frame)",
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

static sonde_status remember_string(day *d, sonde_str s, int64_t id)
{
    return sonde_table_put(&d->ids, s, (void *)(uintptr_t)(id + 1));
}

static sonde_status load_writer(day *d)
{
    sqlite3_stmt *runs = get(d, RUNS), *strings = get(d, STRINGS);
    sonde_status status = SONDE_OK;

    if (!runs || !strings)
        return SONDE_ERR_SYS;
    d->next_frame = 1;
    while (db_next_row(runs, &status))
        d->next_frame = sqlite3_column_int64(runs, 1) + 1;
    if (status != SONDE_OK)
        return status;
    sqlite3_bind_int64(strings, 1, 0);
    while (status == SONDE_OK && db_next_row(strings, &status))
        status = remember_string(d, db_text(strings, 1), sqlite3_column_int64(strings, 0));
    sqlite3_reset(strings);
    return status;
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
    sonde_table_init(&d->ids, STRINGS_MAX);
    if (!day_path(dir, date, path))
        status = sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: path too long", dir);
    else
        status = db_open(path, &day_kind, mode, sync_full, &d->db, out_error);
    if (status == SONDE_OK && mode == DB_WRITE)
        status = load_writer(d);
    if (status != SONDE_OK) {
        day_close(d);
        return status;
    }
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
    sonde_table_done(&d->ids);
    for (i = 0; i < d->strings_len; i++)
        sonde_free((void *)(uintptr_t)d->strings[i].ptr);
    sonde_free(d->strings);
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
    /* Ids given out in the transaction are gone; what the file holds counts. */
    sonde_table_clear(&d->ids);
    if (load_writer(d) != SONDE_OK)
        d->next_frame = 0; /* day_add_frame() refuses until the file is opened again */
}

static sonde_status add_string(day *d, sonde_str s, int64_t id)
{
    sqlite3_stmt *stmt = get(d, ADD_STR);
    sonde_status status;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, id);
    db_bind_text(stmt, 2, s);
    status = db_run(stmt);
    return status == SONDE_OK ? remember_string(d, s, id) : status;
}

/* Binds the dictionary's number of `s`; the text itself when the dictionary is full. */
static sonde_status bind_string(day *d, sqlite3_stmt *stmt, int at, sonde_str s)
{
    int64_t id = (int64_t)(uintptr_t)sonde_table_get(&d->ids, s) - 1;
    sonde_status status = SONDE_OK;

    if (id < 0 && d->ids.count < STRINGS_MAX) {
        id = (int64_t)d->ids.count + 1;
        status = add_string(d, s, id);
    }
    if (id >= 0)
        sqlite3_bind_int64(stmt, at, id);
    else
        db_bind_text(stmt, at, s);
    return status;
}

static sonde_status add_part(day *d, int64_t id, const frame_part *p)
{
    sqlite3_stmt *stmt = get(d, ADD_PART);
    const sonde_str *text[] = { &p->service, &p->name,     &p->resource,   &p->type,
                                &p->env,     &p->services, &p->http_status };
    int64_t length;
    size_t i;

    if (!stmt)
        return SONDE_ERR_SYS;
    if (__builtin_sub_overflow(p->end_unix_ns, p->start_unix_ns, &length))
        length = INT64_MAX;
    sqlite3_bind_int64(stmt, 1, run_of(id));
    sqlite3_bind_int64(stmt, 2, (int64_t)p->trace_lo);
    sqlite3_bind_int64(stmt, 3, (int64_t)p->trace_hi);
    sqlite3_bind_int64(stmt, 4, id);
    sqlite3_bind_int64(stmt, 5, p->start_unix_ns);
    sqlite3_bind_int64(stmt, 6, length);
    sqlite3_bind_int64(stmt, 7, p->spans);
    sqlite3_bind_int64(stmt, 8, p->errors);
    sqlite3_bind_int64(stmt, 9, p->has_root);
    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        sonde_status status = bind_string(d, stmt, 10 + (int)i, *text[i]);

        if (status != SONDE_OK)
            return status;
    }
    return db_run(stmt);
}

sonde_status day_add_frame(day *d, const frame *f)
{
    sqlite3_stmt *stmt = get(d, ADD_FRAME);
    int64_t id = d->next_frame;
    sonde_status status;
    size_t i;

    if (!stmt || id == 0)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int64(stmt, 2, f->spans);
    sqlite3_bind_int64(stmt, 3, f->chunks);
    sqlite3_bind_int64(stmt, 4, f->min_start_unix_ns);
    sqlite3_bind_int64(stmt, 5, f->max_start_unix_ns);
    sqlite3_bind_int64(stmt, 6, f->crc);
    db_bind_blob(stmt, 7, f->filter, f->filter_len);
    db_bind_blob(stmt, 8, f->body, f->body_len);
    status = db_run(stmt);
    for (i = 0; i < f->parts_len && status == SONDE_OK; i++)
        status = add_part(d, id, &f->parts[i]);
    d->next_frame = id + 1;
    return status;
}

/* ---- retention ---- */

/* Ids of the oldest and the newest frame; 0 and 0: none. */
static sonde_status frame_range(day *d, int64_t *out_first, int64_t *out_last)
{
    sqlite3_stmt *stmt = get(d, RUNS);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    *out_first = *out_last = 0;
    while (db_next_row(stmt, &status)) {
        *out_first = sqlite3_column_int64(stmt, 0);
        *out_last = sqlite3_column_int64(stmt, 1);
    }
    return status;
}

static sonde_status cut_run(day *d, int64_t run, uint64_t *out_frames)
{
    sqlite3_stmt *parts = get(d, CUT_PARTS), *frames = get(d, CUT_FRAMES);
    sonde_status status;

    if (!parts || !frames)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(parts, 1, run);
    sqlite3_bind_int64(frames, 1, run * RUN_FRAMES);
    sqlite3_bind_int64(frames, 2, (run + 1) * RUN_FRAMES);
    status = db_run(parts);
    if (status == SONDE_OK)
        status = db_run(frames);
    *out_frames = (uint64_t)sqlite3_changes64(d->db);
    return status;
}

sonde_status day_cut_oldest(day *d, uint64_t *out_frames)
{
    int64_t first, last;
    uint64_t frames = 0;
    sonde_status status = frame_range(d, &first, &last);

    if (status == SONDE_OK && run_of(first) == run_of(last))
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
            .run = (int32_t)run_of(id),
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

static sonde_status add_known(day *d, sonde_str s)
{
    char *copy = sonde_strndup(s.ptr, s.len);

    if (!copy)
        return SONDE_ERR_NOMEM;
    if (d->strings_len == d->strings_cap) {
        size_t cap = d->strings_cap ? d->strings_cap * 2 : 256;
        sonde_str *more = (sonde_str *)sonde_realloc(d->strings, cap * sizeof(*more));

        if (!more) {
            sonde_free(copy);
            return SONDE_ERR_NOMEM;
        }
        d->strings = more;
        d->strings_cap = cap;
    }
    d->strings[d->strings_len++] = (sonde_str){ copy, s.len };
    return SONDE_OK;
}

/* Reads what the writer added since the last time.  Ids start at 1 without gaps. */
static sonde_status load_strings(day *d)
{
    sqlite3_stmt *stmt = get(d, STRINGS);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, (int64_t)d->strings_len);
    while (status == SONDE_OK && d->strings_len < STRINGS_MAX && db_next_row(stmt, &status))
        status = add_known(d, db_text(stmt, 1));
    sqlite3_reset(stmt);
    return status;
}

static sonde_str column_string(day *d, sqlite3_stmt *stmt, int column)
{
    int64_t id;

    if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER)
        return db_text(stmt, column);
    id = sqlite3_column_int64(stmt, column);
    if (id > (int64_t)d->strings_len)
        (void)load_strings(d);
    return id >= 1 && id <= (int64_t)d->strings_len ? d->strings[id - 1] : SONDE_STR("");
}

static void read_part(day *d, sqlite3_stmt *stmt, store_part *out)
{
    frame_part *p = &out->part;

    out->day = d->date;
    p->trace_hi = (uint64_t)sqlite3_column_int64(stmt, 0);
    p->trace_lo = (uint64_t)sqlite3_column_int64(stmt, 1);
    out->frame = sqlite3_column_int64(stmt, 2);
    p->start_unix_ns = sqlite3_column_int64(stmt, 3);
    if (__builtin_add_overflow(p->start_unix_ns, sqlite3_column_int64(stmt, 4), &p->end_unix_ns))
        p->end_unix_ns = INT64_MAX;
    p->spans = (uint32_t)sqlite3_column_int64(stmt, 5);
    p->errors = (uint32_t)sqlite3_column_int64(stmt, 6);
    p->has_root = sqlite3_column_int(stmt, 7) != 0;
    p->service = column_string(d, stmt, 8);
    p->name = column_string(d, stmt, 9);
    p->resource = column_string(d, stmt, 10);
    p->type = column_string(d, stmt, 11);
    p->env = column_string(d, stmt, 12);
    p->services = column_string(d, stmt, 13);
    p->http_status = column_string(d, stmt, 14);
}

sonde_status day_find_trace(day *d, uint64_t trace_hi, uint64_t trace_lo, store_part_fn each,
                            void *user, bool *out_stopped)
{
    sqlite3_stmt *stmt = get(d, FIND_TRACE);
    int64_t first, last, run;
    sonde_status status = frame_range(d, &first, &last);

    *out_stopped = false;
    if (status != SONDE_OK || !stmt)
        return status != SONDE_OK ? status : SONDE_ERR_SYS;
    for (run = run_of(last); last && run >= run_of(first) && status == SONDE_OK; run--) {
        sqlite3_bind_int64(stmt, 1, run);
        sqlite3_bind_int64(stmt, 2, (int64_t)trace_lo);
        while (!*out_stopped && db_next_row(stmt, &status)) {
            store_part part;

            read_part(d, stmt, &part);
            if (trace_hi == 0 || part.part.trace_hi == trace_hi)
                *out_stopped = !each(user, &part);
        }
        sqlite3_reset(stmt);
    }
    return status;
}

sonde_status day_scan_run(day *d, int32_t run, store_part_fn each, void *user)
{
    sqlite3_stmt *stmt = get(d, SCAN_RUN);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, run);
    while (db_next_row(stmt, &status)) {
        store_part part;

        read_part(d, stmt, &part);
        if (!each(user, &part))
            break;
    }
    sqlite3_reset(stmt);
    return status;
}
