/* fuzz_flametree - samples of any pprof message that is one merge into a tree that adds up to its total. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dashboards/model/flametree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_rows(const flametree *f)
{
    const sample_rows *r = &f->rows;
    uint32_t i, k;

    for (i = 0; i < r->sets_len; i++) {
        check(r->sets[i].len > 0 && r->sets[i].first + r->sets[i].len <= r->labels_len);
        for (k = 0; k < r->sets[i].len; k++) {
            const sample_label *l = &r->labels[r->sets[i].first + k];

            check(l->key < f->tree.texts_len && l->text < f->tree.texts_len &&
                  l->unit < f->tree.texts_len);
        }
    }
    for (i = 0; i < r->rows_len; i++)
        check(r->rows[i].node < f->tree.nodes_len && r->rows[i].set < r->sets_len);
}

static void check_tree(sonde_pprof_view *v)
{
    const flametree_filter filter = { .inverted = (v->samples_len & 1) != 0 };
    const flametree_source source = { .column_of = { 0 } };
    flametree f;
    size_t i;

    check(flametree_init(&f, 1) == SONDE_OK);
    flametree_keep_labels(&f);
    flametree_add(&f, v, &filter, &source);
    check(flametree_finish(&f) == SONDE_OK);
    for (i = 1; i < f.tree.nodes_len; i++) {
        check(f.tree.nodes[i].parent < i && f.tree.nodes[i].frame < f.tree.frames_len);
        check(f.tree.nodes[i].depth == f.tree.nodes[f.tree.nodes[i].parent].depth + 1);
    }
    check_rows(&f);
    check(f.totals[0] == flametree_total(&f, 0, 0));
    flametree_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_pprof_view v;

    if (sonde_pprof_view_decode(&v, (sonde_str){ (const char *)data, size }) != SONDE_OK)
        return 0;
    check_tree(&v);
    sonde_pprof_view_done(&v);
    return 0;
}
