/* sample_rows.c - sets of labels and rows, each found by what it is. */
#include "dashboards/model/sample_rows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

void sample_rows_init(sample_rows *r, sonde_flame *tree, uint32_t rows_max)
{
    *r = (sample_rows){ .tree = tree, .rows_max = rows_max };
}

void sample_rows_done(sample_rows *r)
{
    sonde_free(r->labels);
    sonde_free(r->sets);
    sonde_id_index_done(&r->set_index);
    sonde_free(r->rows);
    sonde_free(r->values);
    sonde_id_index_done(&r->row_index);
    memset(r, 0, sizeof(*r));
}

/* ---- sets ---- */

typedef struct set_key {
    const sample_rows *of;
    const sample_label *labels;
    uint32_t len;
} set_key;

static bool same_set(const void *of, uint32_t id, const void *key)
{
    const sample_rows *r = (const sample_rows *)of;
    const set_key *k = (const set_key *)key;
    const sample_set *set = &r->sets[id];

    return set->len == k->len &&
           memcmp(r->labels + set->first, k->labels, k->len * sizeof(*k->labels)) == 0;
}

/* Behind the labels of all other sets; false: no room. */
static bool keep_labels(sample_rows *r, const sample_label *labels, uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len; i++) {
        sample_label *items = (sample_label *)sonde_array_room(
            r->labels, r->labels_len + i, &r->labels_cap, sizeof(*items), SAMPLE_ROWS_LABELS_MAX);

        if (!items)
            return false;
        r->labels = items;
        items[r->labels_len + i] = labels[i];
    }
    return true;
}

static uint32_t use_set(sample_rows *r, const sample_label *labels, uint32_t len)
{
    const set_key key = { r, labels, len };
    uint64_t hash = sonde_hash(21, labels, len * sizeof(*labels));
    sample_set *items;
    uint32_t id;

    if (sonde_id_index_find(&r->set_index, hash, same_set, r, &key, &id))
        return id;
    items = (sample_set *)sonde_array_room(r->sets, r->sets_len, &r->sets_cap, sizeof(*items),
                                           r->rows_max);
    if (!items)
        return SAMPLE_ROWS_NONE;
    r->sets = items;
    if (!keep_labels(r, labels, len) || !sonde_id_index_add(&r->set_index, hash, r->sets_len))
        return SAMPLE_ROWS_NONE;
    items[r->sets_len] = (sample_set){ r->labels_len, len };
    r->labels_len += len;
    return r->sets_len++;
}

/* ---- rows ---- */

static bool same_row(const void *of, uint32_t id, const void *key)
{
    const sample_row *a = &((const sample_rows *)of)->rows[id], *b = (const sample_row *)key;

    return a->node == b->node && a->set == b->set;
}

static uint32_t use_row(sample_rows *r, const sample_row *what)
{
    uint64_t hash = sonde_hash(22, what, sizeof(*what));
    sample_row *rows;
    int64_t *values;
    uint32_t id;

    if (sonde_id_index_find(&r->row_index, hash, same_row, r, what, &id))
        return id;
    rows = (sample_row *)sonde_array_room(r->rows, r->rows_len, &r->rows_cap, sizeof(*rows),
                                          r->rows_max);
    if (!rows)
        return SAMPLE_ROWS_NONE;
    r->rows = rows;
    values = (int64_t *)sonde_array_room(r->values, r->rows_len, &r->values_cap,
                                         r->tree->columns * sizeof(*values), r->rows_max);
    if (!values)
        return SAMPLE_ROWS_NONE;
    r->values = values;
    if (!sonde_id_index_add(&r->row_index, hash, r->rows_len))
        return SAMPLE_ROWS_NONE;
    rows[r->rows_len] = *what;
    return r->rows_len++;
}

/* ---- a sample ---- */

static bool keeps_times(const sample_rows *r)
{
    return r->rows_len < r->rows_max / 2 && r->labels_len < SAMPLE_ROWS_LABELS_MAX / 2;
}

/* Functions need texts, too. */
static bool has_room_for_texts(const sonde_flame *tree)
{
    return tree->texts_len < tree->limits.texts / 2 &&
           tree->text.held_bytes < tree->limits.text_bytes / 2;
}

/* False: no room for its texts. */
static bool read_label(sample_rows *r, const sonde_pprof_label *l, sample_label *out)
{
    *out = (sample_label){ .key = sonde_flame_text_of(r->tree, l->key),
                           .text = sonde_flame_text_of(r->tree, l->text),
                           .unit = sonde_flame_text_of(r->tree, l->unit),
                           .number = l->text.len ? 0 : l->number };
    return out->key && (out->text || !l->text.len) && (out->unit || !l->unit.len);
}

uint32_t sample_rows_of(sample_rows *r, uint32_t node, const sonde_pprof_sample *s)
{
    sample_label labels[SONDE_PPROF_LABELS_MAX];
    sample_row what = { .node = node, .set = SAMPLE_ROWS_NONE };
    uint32_t row = SAMPLE_ROWS_NONE, len = 0;
    bool fits = has_room_for_texts(r->tree);
    size_t i;

    for (i = 0; i < s->labels_len && fits; i++) {
        if (!keeps_times(r) && sonde_str_eq(s->labels[i].key, SONDE_STR("end_timestamp_ns")))
            r->without_time++;
        else
            fits = read_label(r, &s->labels[i], &labels[len++]);
    }
    if (len == 0 && (fits || s->labels_len == 0))
        return SAMPLE_ROWS_NONE; /* it says nothing that is kept */
    if (fits)
        what.set = use_set(r, labels, len);
    if (what.set != SAMPLE_ROWS_NONE)
        row = use_row(r, &what);
    r->unlabelled += row == SAMPLE_ROWS_NONE;
    return row;
}
