/* top_table.c - rows from a flame of each kind, or from labels; their text. */
#include "top_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/profiles/flame.h"
#include "base/alloc.h"
#include "base/array.h"

#define ROWS_MAX     524288u
#define TEXT_MAX     (64u * 1024 * 1024)
#define NAME_MAX_LEN 1024u
#define MIB          (1024.0 * 1024)

const char *const top_kind_names[TOP_KINDS] = { "cpu", "wall", "alloc", "heap", "lock" };

static const struct {
    profile_kind kind;
    int8_t value;
} columns[TOP_KINDS] = {
    [TOP_CPU] = { PROFILE_CPU, 0 },     [TOP_WALL] = { PROFILE_WALL, 0 },
    [TOP_ALLOC] = { PROFILE_ALLOC, 1 }, [TOP_LIVE] = { PROFILE_LIVE, 1 },
    [TOP_LOCK] = { PROFILE_LOCK, 1 },
};

static profile_column column_of(top_kind kind)
{
    return (profile_column){ .kind = (uint8_t)columns[kind].kind, .value = columns[kind].value };
}

void top_table_init(top_table *t)
{
    memset(t, 0, sizeof(*t));
    sonde_table_init(&t->by_name, ROWS_MAX);
    sonde_arena_init(&t->text, TEXT_MAX);
}

void top_table_done(top_table *t)
{
    sonde_free(t->rows);
    sonde_table_done(&t->by_name);
    sonde_arena_done(&t->text);
}

/* ---- rows ---- */

/* "object\0name" in the table's memory. */
static sonde_str key_of(top_table *t, sonde_str name, sonde_str object)
{
    size_t len = object.len + 1 + name.len;
    char *text = sonde_arena_alloc_aligned(&t->text, len, 1);

    if (!text)
        return (sonde_str){ NULL, 0 };
    if (object.len)
        memcpy(text, object.ptr, object.len);
    text[object.len] = '\0';
    if (name.len)
        memcpy(text + object.len + 1, name.ptr, name.len);
    return (sonde_str){ text, len };
}

/* NULL: no room. */
static top_row *row_of(top_table *t, sonde_str name, sonde_str object)
{
    sonde_str key = key_of(t, sonde_str_sub(name, 0, NAME_MAX_LEN), object);
    uintptr_t place = key.ptr ? (uintptr_t)sonde_table_get(&t->by_name, key) : 0;
    top_row *rows;

    if (place)
        return &t->rows[place - 1];
    rows = key.ptr ? sonde_array_room(t->rows, t->len, &t->cap, sizeof(*rows), ROWS_MAX) : NULL;
    if (!rows)
        return NULL;
    t->rows = rows;
    if (sonde_table_put(&t->by_name, key, (void *)(uintptr_t)(t->len + 1)) != SONDE_OK)
        return NULL;
    rows[t->len] = (top_row){ .name = sonde_str_sub(key, object.len + 1, key.len),
                              .object = sonde_str_sub(key, 0, object.len) };
    return &t->rows[t->len++];
}

static sonde_status add_functions(top_table *t, const flame *f, top_kind kind)
{
    flame_function *functions;
    size_t len;
    sonde_status status = flame_functions(f, &functions, &len);

    if (status != SONDE_OK)
        return status;
    for (size_t i = 0; i < len && status == SONDE_OK; i++) {
        top_row *row = row_of(t, sonde_flame_name(&f->tree, functions[i].frame),
                              sonde_flame_object(&f->tree, functions[i].frame));

        if (!row) {
            status = SONDE_ERR_NOMEM;
            break;
        }
        row->self[kind] += functions[i].self[0];
        row->total[kind] += functions[i].total[0];
    }
    sonde_free(functions);
    return status;
}

static sonde_status add_flame(top_table *t, const profile *p, top_kind kind)
{
    const profile_column c = column_of(kind);
    flame *f = NULL;
    sonde_status status = flame_open(&f);

    if (status == SONDE_OK)
        status = flame_add_profile(f, p, &c, 0);
    if (status == SONDE_OK) {
        flame_sum(f);
        t->all[kind] = flame_total(f, 0, 0);
        status = add_functions(t, f, kind);
    }
    flame_close(f);
    return status;
}

/* ---- by label ---- */

static top_row *label_row(top_table *t, const profile *p, const profile_sample *s, top_view view)
{
    const profile_endpoint *e = profile_endpoint_of(p, s->local_root_id);
    const profile_thread *thread = &p->threads[s->thread];
    char tid[32];

    if (view == TOP_ENDPOINTS)
        return row_of(t, e ? profile_text(p, e->endpoint) : SONDE_STR("(no request)"),
                      (sonde_str){ NULL, 0 });
    (void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)thread->tid);
    return row_of(t, profile_text(p, thread->name), sonde_str_from(tid));
}

static sonde_status add_labels(top_table *t, const profile *p, top_kind kind, top_view view)
{
    const profile_column c = column_of(kind);
    const profile_sample *rows = kind == TOP_LIVE ? p->live : p->samples;
    uint32_t len = kind == TOP_LIVE ? p->live_len : p->samples_len;

    for (uint32_t i = 0; i < len; i++) {
        int64_t value = profile_value(&c, &rows[i]);
        top_row *row = value > 0 ? label_row(t, p, &rows[i], view) : NULL;

        if (value <= 0)
            continue;
        if (!row)
            return SONDE_ERR_NOMEM;
        t->all[kind] += value;
        row->self[kind] += value;
        row->total[kind] += value;
    }
    return SONDE_OK;
}

/* ---- order ---- */

static int by_value(const void *a, const void *b, void *of)
{
    const top_row *x = a, *y = b;
    const top_kind *kind = of;
    int by_name;

    if (x->self[*kind] != y->self[*kind])
        return x->self[*kind] < y->self[*kind] ? 1 : -1;
    if (x->total[*kind] != y->total[*kind])
        return x->total[*kind] < y->total[*kind] ? 1 : -1;
    by_name = sonde_str_cmp(x->name, y->name);
    return by_name ? by_name : sonde_str_cmp(x->object, y->object);
}

sonde_status top_table_make(top_table *t, const profile *p, top_view view, top_kind sort_by)
{
    sonde_status status = SONDE_OK;

    for (top_kind k = 0; k < TOP_KINDS && status == SONDE_OK; k++)
        status = view == TOP_FUNCTIONS ? add_flame(t, p, k) : add_labels(t, p, k, view);
    if (t->len)
        qsort_r(t->rows, t->len, sizeof(*t->rows), by_value, &sort_by);
    return status;
}

/* ---- text ---- */

/* Cut to `cap` letters; control characters do not reach a terminal. */
static void append_text(sonde_buf *out, sonde_str text, size_t cap)
{
    size_t len = sonde_utf8_cut(text, cap);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        sonde_buf_append_byte(out, c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static double share(int64_t part, int64_t all)
{
    return all > 0 ? 100 * (double)part / (double)all : 0;
}

/* Nothing instead of zero: what is there can be seen. */
static void append_rate(sonde_buf *out, double value)
{
    if (value >= 0.05)
        sonde_buf_printf(out, " %9.1f", value);
    else
        sonde_buf_append_str(out, SONDE_STR("          "));
}

#define HEADING "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s"

static void write_row(const top_table *t, const top_row *r, const top_layout *l, sonde_buf *out)
{
    double per_ms = l->seconds > 0 ? 1e6 * l->seconds : 1e6;
    size_t begin = out->len, room;

    sonde_buf_printf(out, "%5.1f%% %5.1f%%  ", share(r->self[l->kind], t->all[l->kind]),
                     share(r->total[l->kind], t->all[l->kind]));
    append_rate(out, (double)r->self[TOP_CPU] / per_ms);
    append_rate(out, (double)r->self[TOP_ALLOC] / (per_ms / 1e6) / MIB);
    append_rate(out, (double)r->self[TOP_LIVE] / MIB);
    append_rate(out, (double)r->self[TOP_LOCK] / per_ms);
    sonde_buf_append_str(out, SONDE_STR("  "));
    room = l->columns == 0                 ? NAME_MAX_LEN
           : l->columns > out->len - begin ? l->columns - (out->len - begin)
                                           : 0;
    append_text(out, r->name, room);
    room -= sonde_utf8_cut(r->name, room);
    if (r->object.len && room > r->object.len + 2) {
        sonde_buf_append_str(out, SONDE_STR("  "));
        if (l->colour)
            sonde_buf_append_str(out, SONDE_STR("\033[2m"));
        append_text(out, r->object, room);
        if (l->colour)
            sonde_buf_append_str(out, SONDE_STR("\033[0m"));
    }
    sonde_buf_append_str(out, sonde_str_from(l->newline));
}

void top_table_write(const top_table *t, const top_layout *l, sonde_buf *out)
{
    sonde_str heading = SONDE_STR(HEADING);

    if (l->colour)
        sonde_buf_append_str(out, SONDE_STR("\033[7m"));
    append_text(out, heading, l->columns ? l->columns : heading.len);
    if (l->colour)
        sonde_buf_append_str(out, SONDE_STR("\033[0m"));
    sonde_buf_append_str(out, sonde_str_from(l->newline));
    for (uint32_t i = 0; i < t->len && i < l->rows && t->rows[i].total[l->kind] > 0; i++)
        write_row(t, &t->rows[i], l, out);
}
