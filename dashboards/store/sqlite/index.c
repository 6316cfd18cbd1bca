/* index.c - statistics in index.db; format: docs/spec/store.md. */
#include "index.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#define GROUP_MAX_BYTES      (64u * 1024)
#define PACKED_MAX_BYTES     (2u * SONDE_SKETCH_BINS_MAX * 18)
#define EXPIRE_SLICE_BUCKETS 60

static const db_kind index_kind = {
    .application_id = 0x534f4e49, /* "SONI" */
    .version = 1,
    .schema = "CREATE TABLE stats_key(id INTEGER PRIMARY KEY, service TEXT, name TEXT,"
              " resource TEXT, type TEXT, kind TEXT, env TEXT, host TEXT, http_status INT);"
              "CREATE INDEX stats_key_service ON stats_key(service);"
              "CREATE TABLE stats(step INT, bucket INT, key INT, hits INT, errors INT,"
              " top_hits INT, duration INT, ok BLOB, err BLOB,"
              " PRIMARY KEY(step, bucket, key)) WITHOUT ROWID",
};

static const struct {
    uint32_t step_s;
    int64_t keep_s;
} resolutions[] = {
    { 10, 6 * 3600 },
    { 60, 3 * 86400 },
    { 3600, 30 * 86400 },
};

#define RESOLUTIONS (sizeof(resolutions) / sizeof(resolutions[0]))

typedef enum index_statement {
    ADD_KEY,
    KEYS,
    FIND,
    ADD,
    UPDATE,
    OLDEST,
    EXPIRE,
    SCAN,
    INDEX_STATEMENTS,
} index_statement;

static const char *const statement_sql[INDEX_STATEMENTS] = {
    [ADD_KEY] = "INSERT INTO stats_key VALUES(?,?,?,?,?,?,?,?,?)",
    [KEYS] = "SELECT id, service, name, resource, type, kind, env, host, http_status FROM stats_key"
             " ORDER BY id",
    [FIND] = "SELECT hits, errors, top_hits, duration, ok, err FROM stats"
             " WHERE step=?1 AND bucket=?2 AND key=?3",
    [ADD] = "INSERT INTO stats VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [UPDATE] = "UPDATE stats SET hits=?4, errors=?5, top_hits=?6, duration=?7, ok=?8, err=?9"
               " WHERE step=?1 AND bucket=?2 AND key=?3",
    [OLDEST] = "SELECT min(bucket) FROM stats WHERE step=?",
    [EXPIRE] = "DELETE FROM stats WHERE step=? AND bucket < ?",
    [SCAN] = "SELECT k.service, k.name, k.resource, k.type, k.kind, k.env, k.host, k.http_status,"
             " s.bucket, s.hits, s.errors, s.top_hits, s.duration, s.ok, s.err"
             " FROM stats s CROSS JOIN stats_key k ON k.id = s.key"
             " WHERE s.step=?1 AND s.bucket >= ?2 AND s.bucket < ?3"
             " AND (?4 = '' OR k.service = ?4) AND (?5 = '' OR k.env = ?5)",
};

_Static_assert(INDEX_STATEMENTS == sizeof(((index_db *)0)->statements) / sizeof(sqlite3_stmt *),
               "index.h");

static sqlite3_stmt *get(index_db *x, index_statement which)
{
    if (!x->statements[which] &&
        db_prepare(x->db, statement_sql[which], &x->statements[which]) != SONDE_OK)
        return NULL;
    return x->statements[which];
}

/* ---- groups ---- */

static void append_field(sonde_buf *b, sonde_str s)
{
    sonde_buf_append_str(b, s);
    sonde_buf_append_byte(b, 0);
}

/* The group as one byte string, the key of the table in memory. */
static sonde_str group_of(index_db *x, const stats_row *row)
{
    sonde_buf *b = &x->group;

    sonde_buf_reset(b);
    append_field(b, row->service);
    append_field(b, row->name);
    append_field(b, row->resource);
    append_field(b, row->type);
    append_field(b, row->kind);
    append_field(b, row->env);
    append_field(b, row->host);
    sonde_buf_append(b, &row->http_status, sizeof(row->http_status));
    return sonde_buf_str(b);
}

static void read_group(sqlite3_stmt *stmt, int column, stats_row *row)
{
    row->service = db_text(stmt, column);
    row->name = db_text(stmt, column + 1);
    row->resource = db_text(stmt, column + 2);
    row->type = db_text(stmt, column + 3);
    row->kind = db_text(stmt, column + 4);
    row->env = db_text(stmt, column + 5);
    row->host = db_text(stmt, column + 6);
    row->http_status = (uint32_t)sqlite3_column_int64(stmt, column + 7);
}

static sonde_status remember(index_db *x, const stats_row *row, int64_t id)
{
    sonde_str group = group_of(x, row);

    if (x->group.status != SONDE_OK)
        return x->group.status;
    return sonde_table_put(&x->keys, group, (void *)(uintptr_t)id);
}

static sonde_status load_keys(index_db *x)
{
    sqlite3_stmt *stmt = get(x, KEYS);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sonde_table_clear(&x->keys);
    x->next_key = 1;
    while (status == SONDE_OK && db_next_row(stmt, &status)) {
        stats_row row = { 0 };
        int64_t id = sqlite3_column_int64(stmt, 0);

        read_group(stmt, 1, &row);
        status = remember(x, &row, id);
        x->next_key = id + 1;
    }
    sqlite3_reset(stmt);
    return status;
}

static sonde_status add_key(index_db *x, const stats_row *row, int64_t id)
{
    sqlite3_stmt *stmt = get(x, ADD_KEY);
    sonde_status status;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, id);
    db_bind_text(stmt, 2, row->service);
    db_bind_text(stmt, 3, row->name);
    db_bind_text(stmt, 4, row->resource);
    db_bind_text(stmt, 5, row->type);
    db_bind_text(stmt, 6, row->kind);
    db_bind_text(stmt, 7, row->env);
    db_bind_text(stmt, 8, row->host);
    sqlite3_bind_int64(stmt, 9, row->http_status);
    status = db_run(stmt);
    if (status == SONDE_OK)
        status = remember(x, row, id);
    if (status == SONDE_OK)
        x->next_key = id + 1;
    return status;
}

static sonde_status key_of(index_db *x, const stats_row *row, int64_t *out_key)
{
    static const stats_row other = { .service = { "(other)", 7 } };
    sonde_str group = group_of(x, row);
    void *found;
    sonde_status status;

    if (x->group.status != SONDE_OK)
        return x->group.status;
    found = sonde_table_get(&x->keys, group);
    if (!found && x->keys.count >= x->max_keys && row != &other) {
        x->collapsed++;
        return key_of(x, &other, out_key);
    }
    *out_key = (int64_t)(uintptr_t)found;
    if (found)
        return SONDE_OK;
    *out_key = x->next_key;
    status = add_key(x, row, x->next_key);
    return status;
}

/* ---- opening ---- */

sonde_status index_open(const char *dir, db_mode mode, bool sync_full, size_t max_keys,
                        index_db **out_index, sonde_error *out_error)
{
    char path[1100];
    int n = snprintf(path, sizeof(path), "%s/index.db", dir);
    index_db *x = (index_db *)sonde_calloc(1, sizeof(*x));
    sonde_status status;

    if (!x)
        return SONDE_ERR_NOMEM;
    x->max_keys = max_keys ? max_keys : STORE_STATS_KEYS_MAX;
    sonde_table_init(&x->keys, x->max_keys + 1); /* and "(other)" */
    sonde_sketch_init(&x->sum);
    sonde_sketch_init(&x->scratch);
    sonde_buf_init(&x->packed, PACKED_MAX_BYTES);
    sonde_buf_init(&x->group, GROUP_MAX_BYTES);
    if (n < 0 || (size_t)n >= sizeof(path))
        status = sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: path too long", dir);
    else
        status = db_open(path, &index_kind, mode, sync_full, &x->db, out_error);
    if (status == SONDE_OK && mode == DB_WRITE)
        status = load_keys(x);
    if (status != SONDE_OK) {
        index_close(x);
        return status;
    }
    *out_index = x;
    return SONDE_OK;
}

void index_close(index_db *x)
{
    size_t i;

    if (!x)
        return;
    for (i = 0; i < INDEX_STATEMENTS; i++)
        sqlite3_finalize(x->statements[i]);
    db_close(x->db);
    sonde_table_done(&x->keys);
    sonde_sketch_done(&x->sum);
    sonde_sketch_done(&x->scratch);
    sonde_buf_done(&x->packed);
    sonde_buf_done(&x->group);
    sonde_free(x);
}

/* ---- writing ---- */

sonde_status index_begin(index_db *x)
{
    return db_exec(x->db, "BEGIN IMMEDIATE");
}

sonde_status index_commit(index_db *x)
{
    return db_exec(x->db, "COMMIT");
}

void index_rollback(index_db *x)
{
    (void)db_exec(x->db, "ROLLBACK");
    (void)load_keys(x);
}

static uint64_t add_u64(uint64_t a, int64_t stored)
{
    uint64_t sum;

    return __builtin_add_overflow(a, (uint64_t)stored, &sum) || sum > INT64_MAX ? INT64_MAX : sum;
}

/* Appends stored + new to x->packed; *out_at and the length say where. */
static sonde_status merge_sketch(index_db *x, sonde_str stored, sonde_str added, size_t *out_at)
{
    sonde_status status;

    *out_at = x->packed.len;
    if (stored.len == 0 || added.len == 0) {
        sonde_buf_append_str(&x->packed, stored.len ? stored : added);
        return x->packed.status;
    }
    status = stats_sketch_unpack(stored, &x->sum);
    if (status == SONDE_OK)
        status = stats_sketch_merge(&x->sum, added, &x->scratch);
    if (status == SONDE_OK)
        stats_sketch_pack(&x->sum, &x->packed);
    return status == SONDE_OK ? x->packed.status : status;
}

typedef struct sums {
    uint64_t hits, errors, top_hits, duration;
    size_t ok_at, err_at; /* in x->packed */
} sums;

static sonde_status merge_row(index_db *x, sqlite3_stmt *found, const stats_row *row, sums *out)
{
    sonde_status status;

    out->hits = add_u64(row->hits, sqlite3_column_int64(found, 0));
    out->errors = add_u64(row->errors, sqlite3_column_int64(found, 1));
    out->top_hits = add_u64(row->top_hits, sqlite3_column_int64(found, 2));
    out->duration = add_u64(row->duration_ns, sqlite3_column_int64(found, 3));
    status = merge_sketch(x, db_blob(found, 4), row->ok_sketch, &out->ok_at);
    if (status == SONDE_OK)
        status = merge_sketch(x, db_blob(found, 5), row->err_sketch, &out->err_at);
    return status;
}

static sonde_status write_row(index_db *x, sqlite3_stmt *stmt, int64_t step, int64_t bucket,
                              int64_t key, const sums *s)
{
    const uint8_t *packed = x->packed.data;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, step);
    sqlite3_bind_int64(stmt, 2, bucket);
    sqlite3_bind_int64(stmt, 3, key);
    sqlite3_bind_int64(stmt, 4, (int64_t)s->hits);
    sqlite3_bind_int64(stmt, 5, (int64_t)s->errors);
    sqlite3_bind_int64(stmt, 6, (int64_t)s->top_hits);
    sqlite3_bind_int64(stmt, 7, (int64_t)s->duration);
    db_bind_blob(stmt, 8, packed + s->ok_at, s->err_at - s->ok_at);
    db_bind_blob(stmt, 9, packed + s->err_at, x->packed.len - s->err_at);
    return db_run(stmt);
}

static sonde_status add_at(index_db *x, const stats_row *row, int64_t step, int64_t key)
{
    sqlite3_stmt *find = get(x, FIND);
    int64_t bucket = row->bucket_s - row->bucket_s % step;
    sonde_status status = SONDE_OK;
    sums s = { 0 };
    bool found;

    if (!find)
        return SONDE_ERR_SYS;
    sonde_buf_reset(&x->packed);
    sqlite3_bind_int64(find, 1, step);
    sqlite3_bind_int64(find, 2, bucket);
    sqlite3_bind_int64(find, 3, key);
    found = db_next_row(find, &status);
    if (found) {
        status = merge_row(x, find, row, &s);
    } else if (status == SONDE_OK) {
        s = (sums){ .hits = add_u64(row->hits, 0),
                    .errors = add_u64(row->errors, 0),
                    .top_hits = add_u64(row->top_hits, 0),
                    .duration = add_u64(row->duration_ns, 0),
                    .err_at = row->ok_sketch.len };
        sonde_buf_append_str(&x->packed, row->ok_sketch);
        sonde_buf_append_str(&x->packed, row->err_sketch);
        status = x->packed.status;
    }
    sqlite3_reset(find);
    if (status == SONDE_OK)
        status = write_row(x, get(x, found ? UPDATE : ADD), step, bucket, key, &s);
    return status;
}

sonde_status index_add(index_db *x, const stats_row *row)
{
    int64_t key;
    sonde_status status = key_of(x, row, &key);
    size_t i;

    for (i = 0; i < RESOLUTIONS && status == SONDE_OK; i++)
        status = add_at(x, row, resolutions[i].step_s, key);
    return status;
}

/* ---- retention ---- */

static sonde_status expire(index_db *x, size_t which, int64_t now_s, bool *out_more)
{
    sqlite3_stmt *oldest = get(x, OLDEST), *expire_stmt = get(x, EXPIRE);
    int64_t step = resolutions[which].step_s, before = now_s - resolutions[which].keep_s;
    int64_t slice_end = INT64_MAX;
    sonde_status status = SONDE_OK;

    if (!oldest || !expire_stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(oldest, 1, step);
    while (db_next_row(oldest, &status))
        if (sqlite3_column_type(oldest, 0) == SQLITE_INTEGER)
            slice_end = sqlite3_column_int64(oldest, 0) + step * EXPIRE_SLICE_BUCKETS;
    if (status != SONDE_OK || slice_end - step * EXPIRE_SLICE_BUCKETS >= before)
        return status;
    *out_more |= slice_end < before;
    sqlite3_bind_int64(expire_stmt, 1, step);
    sqlite3_bind_int64(expire_stmt, 2, slice_end < before ? slice_end : before);
    return db_run(expire_stmt);
}

sonde_status index_expire(index_db *x, int64_t now_s, bool *out_more)
{
    sonde_status status = SONDE_OK;
    size_t i;

    *out_more = false;
    for (i = 0; i < RESOLUTIONS && status == SONDE_OK; i++)
        status = expire(x, i, now_s, out_more);
    return status;
}

uint64_t index_used_bytes(index_db *x)
{
    return db_used_bytes(x->db);
}

/* ---- reading ---- */

sonde_status index_scan(index_db *x, const store_stats_query *query, store_stats_fn each,
                        void *user)
{
    sqlite3_stmt *stmt = get(x, SCAN);
    sonde_status status = SONDE_OK;

    if (!stmt)
        return SONDE_ERR_SYS;
    sqlite3_bind_int64(stmt, 1, query->step_s);
    sqlite3_bind_int64(stmt, 2, query->from_s);
    sqlite3_bind_int64(stmt, 3, query->to_s);
    db_bind_text(stmt, 4, query->service);
    db_bind_text(stmt, 5, query->env);
    while (db_next_row(stmt, &status)) {
        stats_row row;

        read_group(stmt, 0, &row);
        row.bucket_s = sqlite3_column_int64(stmt, 8);
        row.hits = (uint64_t)sqlite3_column_int64(stmt, 9);
        row.errors = (uint64_t)sqlite3_column_int64(stmt, 10);
        row.top_hits = (uint64_t)sqlite3_column_int64(stmt, 11);
        row.duration_ns = (uint64_t)sqlite3_column_int64(stmt, 12);
        row.ok_sketch = db_blob(stmt, 13);
        row.err_sketch = db_blob(stmt, 14);
        if (!each(user, &row))
            break;
    }
    sqlite3_reset(stmt);
    return status;
}
