/* dashboards/model/sample_rows.h - samples of a tree by their labels: thread, span, endpoint, time, whatever they say.
 *
 * A tree adds up all samples that end in a node.  Files keep them apart as far as there is room: a row is a node and a set
 * of labels.  What finds no row is in its node's own value only, without labels: self = rows + rest.
 *
 * Threads   none.
 * Bounds    rows_max rows; SAMPLE_ROWS_LABELS_MAX labels of all sets; half of the tree's texts.  When half of the rows or
 *           labels are used, times are left out from then on, since they are what keeps samples apart most.
 */
#ifndef SONDE_DASHBOARDS_MODEL_SAMPLE_ROWS_H
#define SONDE_DASHBOARDS_MODEL_SAMPLE_ROWS_H

#include "base/array.h"
#include "codec/pprof_read.h"
#include "flame/flame.h"

#define SAMPLE_ROWS_MAX        262144u
#define SAMPLE_ROWS_LABELS_MAX 1048576u
#define SAMPLE_ROWS_NONE       UINT32_MAX

typedef struct sample_label {
    uint32_t key, text, unit; /* texts of the tree; text 0: a number */
    uint32_t none;            /* 0: every byte counts */
    int64_t number;
} sample_label;

typedef struct sample_set {
    uint32_t first, len; /* labels */
} sample_set;

typedef struct sample_row {
    uint32_t node, set;
} sample_row;

typedef struct sample_rows {
    sonde_flame *tree; /* borrowed */
    uint32_t rows_max;
    sample_label *labels;
    uint32_t labels_len, labels_cap;
    sample_set *sets;
    uint32_t sets_len, sets_cap;
    sonde_id_index set_index;
    sample_row *rows;
    uint32_t rows_len, rows_cap;
    int64_t *values; /* rows * columns */
    uint32_t values_cap;
    sonde_id_index row_index;
    uint64_t without_time; /* samples whose time was left out */
    uint64_t unlabelled;   /* that found no row */
} sample_rows;

void sample_rows_init(sample_rows *r, sonde_flame *tree, uint32_t rows_max);
void sample_rows_done(sample_rows *r); /* zeroed is done, too */

/* The row of a sample that ends in a node; SAMPLE_ROWS_NONE: without labels, or no room. */
uint32_t sample_rows_of(sample_rows *r, uint32_t node, const sonde_pprof_sample *s);

static inline int64_t *sample_rows_value(const sample_rows *r, uint32_t row, size_t column)
{
    return &r->values[(size_t)row * r->tree->columns + column];
}

#endif /* SONDE_DASHBOARDS_MODEL_SAMPLE_ROWS_H */
