/* summary.c - packs and unpacks the parts of a frame; format: docs/spec/store.md.
 *
 * Threads   none.  Bounds: see summary.h; every count is checked before memory is asked for. */
#include "dashboards/model/summary.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "codec/compress/compress.h"
#include "dashboards/model/reader.h"
#include "dashboards/model/varint.h"

#define MAGIC            "SFS\1" /* the last byte is the version */
#define MAGIC_BYTES      4
#define JOINED_LOOK_BACK 32 /* lists of services looked through for the same one */

/* ---- writing ---- */

typedef struct writer {
    const sonde_str *strings;
    size_t strings_len;
    sonde_str *joined; /* lists of services, numbered behind `strings` */
    size_t joined_len;
    sonde_arena arena; /* of their text */
    uint32_t *numbers; /* of strings in the summary, + 1; 0: not used so far */
    uint32_t *used;    /* the strings, in order of number */
    size_t used_len;
    sonde_buf columns; /* written first, as they say which strings are used */
} writer;

static void put_string(writer *w, uint32_t id)
{
    if (!w->numbers[id]) {
        w->used[w->used_len++] = id;
        w->numbers[id] = (uint32_t)w->used_len;
    }
    varint_append(&w->columns, w->numbers[id] - 1);
}

static sonde_str string_of(const writer *w, uint32_t id)
{
    return id < w->strings_len ? w->strings[id] : w->joined[id - w->strings_len];
}

static sonde_str join(writer *w, const summary_row *row)
{
    size_t bytes = row->services_len;
    char *text, *at;
    uint32_t i;

    for (i = 0; i < row->services_len; i++)
        bytes += w->strings[row->services[i]].len;
    text = at = (char *)sonde_arena_alloc_aligned(&w->arena, bytes, 1);
    for (i = 0; text && i < row->services_len; i++) {
        sonde_str s = w->strings[row->services[i]];

        if (i)
            *at++ = '\n';
        if (s.len)
            memcpy(at, s.ptr, s.len);
        at += s.len;
    }
    return (sonde_str){ text, (size_t)(at - text) };
}

/* One service is its own list; of several the joined text becomes a string. */
static void put_services(writer *w, const summary_row *row)
{
    sonde_str list;
    size_t i;

    if (row->services_len == 1) {
        put_string(w, row->services[0]);
        return;
    }
    list = join(w, row);
    if (!list.ptr) {
        w->columns.status = SONDE_ERR_NOMEM;
        return;
    }
    for (i = w->joined_len; i > 0 && w->joined_len - i < JOINED_LOOK_BACK; i--)
        if (sonde_str_eq(w->joined[i - 1], list))
            break;
    if (i == 0 || w->joined_len - i == JOINED_LOOK_BACK) {
        w->joined[w->joined_len++] = list;
        i = w->joined_len;
    }
    put_string(w, (uint32_t)(w->strings_len + i - 1));
}

static void write_columns(writer *w, const summary_row *rows, size_t len)
{
    sonde_buf *out = &w->columns;
    int64_t before = 0;
    size_t i;

    for (i = 0; i < len; i++)
        varint_append_le64(out, rows[i].part.trace_lo);
    for (i = 0; i < len; i++)
        varint_append_le64(out, rows[i].part.trace_hi);
    for (i = 0; i < len; i++) {
        varint_append(
            out, varint_zigzag((int64_t)((uint64_t)rows[i].part.start_unix_ns - (uint64_t)before)));
        before = rows[i].part.start_unix_ns;
    }
    for (i = 0; i < len; i++)
        varint_append(out,
                      (uint64_t)rows[i].part.end_unix_ns - (uint64_t)rows[i].part.start_unix_ns);
    for (i = 0; i < len; i++)
        varint_append(out, (uint64_t)rows[i].part.spans * 2 + rows[i].part.has_root);
    for (i = 0; i < len; i++)
        varint_append(out, rows[i].part.errors);
    for (i = 0; i < len; i++) {
        put_string(w, rows[i].service);
        put_string(w, rows[i].name);
        put_string(w, rows[i].resource);
        put_string(w, rows[i].type);
        put_string(w, rows[i].env);
        put_string(w, rows[i].http_status);
        put_services(w, &rows[i]);
    }
}

static sonde_status write_raw(writer *w, const summary_row *rows, size_t len, sonde_buf *raw)
{
    size_t i;

    write_columns(w, rows, len);
    sonde_buf_append(raw, MAGIC, MAGIC_BYTES);
    varint_append(raw, len);
    varint_append(raw, w->used_len);
    for (i = 0; i < w->used_len; i++)
        varint_append(raw, string_of(w, w->used[i]).len);
    for (i = 0; i < w->used_len; i++)
        sonde_buf_append_str(raw, string_of(w, w->used[i]));
    sonde_buf_append_str(raw, sonde_buf_str(&w->columns));
    return w->columns.status != SONDE_OK ? w->columns.status : raw->status;
}

sonde_status summary_write(const sonde_str *strings, size_t strings_len, const summary_row *rows,
                           size_t rows_len, sonde_buf *out)
{
    writer w = { .strings = strings, .strings_len = strings_len };
    size_t all = strings_len + rows_len + 1;
    sonde_status status = SONDE_ERR_NOMEM;
    sonde_buf raw;

    sonde_buf_init(&raw, SUMMARY_RAW_MAX_BYTES);
    sonde_buf_init(&w.columns, SUMMARY_RAW_MAX_BYTES);
    sonde_arena_init(&w.arena, SUMMARY_RAW_MAX_BYTES);
    w.numbers = (uint32_t *)sonde_calloc(all, sizeof(*w.numbers));
    w.used = (uint32_t *)sonde_calloc(all, sizeof(*w.used));
    w.joined = (sonde_str *)sonde_calloc(rows_len + 1, sizeof(*w.joined));
    if (w.numbers && w.used && w.joined)
        status = write_raw(&w, rows, rows_len, &raw);
    if (status == SONDE_OK)
        status = sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&raw), out);
    sonde_free(w.numbers);
    sonde_free(w.used);
    sonde_free(w.joined);
    sonde_arena_done(&w.arena);
    sonde_buf_done(&w.columns);
    sonde_buf_done(&raw);
    return status;
}

/* ---- reading ---- */

static void read_strings(reader *r, summary_view *v, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        uint64_t bytes = reader_take(r);

        if (bytes > SUMMARY_RAW_MAX_BYTES)
            reader_bad(r);
        v->strings[i].len = (size_t)bytes;
    }
    for (i = 0; i < len && r->status == SONDE_OK; i++)
        v->strings[i] = reader_take_bytes(r, v->strings[i].len);
}

static void read_numbers(reader *r, summary_view *v)
{
    frame_part *p = v->parts;
    uint64_t start = 0;
    size_t i;

    for (i = 0; i < v->parts_len; i++)
        p[i].trace_lo = reader_take_u64(r);
    for (i = 0; i < v->parts_len; i++)
        p[i].trace_hi = reader_take_u64(r);
    for (i = 0; i < v->parts_len; i++) {
        start += (uint64_t)varint_unzigzag(reader_take(r));
        p[i].start_unix_ns = (int64_t)start;
    }
    for (i = 0; i < v->parts_len; i++)
        p[i].end_unix_ns = (int64_t)((uint64_t)p[i].start_unix_ns + reader_take(r));
    for (i = 0; i < v->parts_len; i++) {
        uint64_t code = reader_take(r);

        p[i].has_root = code & 1;
        p[i].spans = (uint32_t)(code >> 1);
    }
    for (i = 0; i < v->parts_len; i++)
        p[i].errors = (uint32_t)reader_take(r);
}

static sonde_str read_string(reader *r, const summary_view *v, size_t strings_len)
{
    uint32_t id = reader_take_index(r, strings_len);

    return r->status == SONDE_OK ? v->strings[id] : (sonde_str){ NULL, 0 };
}

static void read_texts(reader *r, summary_view *v, size_t strings_len)
{
    size_t i;

    for (i = 0; i < v->parts_len && r->status == SONDE_OK; i++) {
        frame_part *p = &v->parts[i];

        p->service = read_string(r, v, strings_len);
        p->name = read_string(r, v, strings_len);
        p->resource = read_string(r, v, strings_len);
        p->type = read_string(r, v, strings_len);
        p->env = read_string(r, v, strings_len);
        p->http_status = read_string(r, v, strings_len);
        p->services = read_string(r, v, strings_len);
    }
}

static sonde_status read_raw(summary_view *v)
{
    reader r = { .status = SONDE_OK };
    size_t strings_len;

    if (v->raw.len < MAGIC_BYTES || memcmp(v->raw.data, MAGIC, MAGIC_BYTES) != 0)
        return SONDE_ERR_SYNTAX;
    r.at = v->raw.data + MAGIC_BYTES;
    r.end = v->raw.data + v->raw.len;
    v->parts_len = reader_take_count(&r);
    strings_len = reader_take_count(&r);
    if (r.status != SONDE_OK)
        return r.status;
    v->strings = (sonde_str *)sonde_calloc(strings_len + 1, sizeof(*v->strings));
    v->parts = (frame_part *)sonde_calloc(v->parts_len + 1, sizeof(*v->parts));
    if (!v->strings || !v->parts)
        return SONDE_ERR_NOMEM;
    read_strings(&r, v, strings_len);
    read_numbers(&r, v);
    read_texts(&r, v, strings_len);
    if (r.at != r.end)
        reader_bad(&r);
    return r.status;
}

void summary_view_init(summary_view *v)
{
    memset(v, 0, sizeof(*v));
    sonde_buf_init(&v->raw, SUMMARY_RAW_MAX_BYTES);
}

void summary_view_done(summary_view *v)
{
    sonde_buf_done(&v->raw);
    sonde_free(v->strings);
    sonde_free(v->parts);
    summary_view_init(v);
}

sonde_status summary_view_decode(summary_view *v, sonde_str packed)
{
    sonde_status status;

    summary_view_done(v);
    status = sonde_decompress(SONDE_ENCODING_ZSTD, packed, &v->raw);
    if (status == SONDE_OK)
        status = read_raw(v);
    if (status != SONDE_OK)
        summary_view_done(v);
    return status == SONDE_OK || status == SONDE_ERR_NOMEM ? status : SONDE_ERR_SYNTAX;
}

const frame_part *summary_view_find(const summary_view *v, uint64_t trace_hi, uint64_t trace_lo)
{
    size_t low = 0, high = v->parts_len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (v->parts[mid].trace_lo < trace_lo)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < v->parts_len && v->parts[low].trace_lo == trace_lo; low++)
        if (trace_hi == 0 || v->parts[low].trace_hi == trace_hi)
            return &v->parts[low];
    return NULL;
}
