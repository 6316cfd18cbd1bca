/* profile_tree.c - the flame graph of merged profiles as JSON: no more nodes than a screen can show.
 *
 * Source    docs/spec/sonde-api.md, "Profiles" */
#include <stdlib.h>

#include "base/alloc.h"
#include "profile_views.h"

typedef struct drawing {
    const flametree *f;
    sonde_json_writer *w;
    uint32_t *node_no;  /* node -> its number in the answer + 1 */
    uint32_t *frame_no; /* frame -> its number in the answer + 1 */
    uint32_t *frames;   /* numbers to frames */
    size_t nodes, frames_len;
    int64_t least;
    uint32_t depth;
} drawing;

/* How much of the screen it takes, whichever side has more of it. */
static int64_t weight(const flametree *f, size_t node)
{
    int64_t most = 0;
    size_t c;

    for (c = 0; c < f->tree.columns; c++) {
        int64_t v = flametree_total(f, node, c);

        most = v > most ? v : most;
    }
    return most;
}

static bool is_shown(const drawing *d, size_t node)
{
    return node == 0 || (d->f->tree.nodes[node].depth <= d->depth &&
                         weight(d->f, node) >= d->least && weight(d->f, node) > 0);
}

/* The least weight that leaves no more nodes than asked for. */
static void find_least(drawing *d, const profile_request *q)
{
    double least = 1.0;
    size_t shown, i;
    int64_t all = weight(d->f, 0);

    least = (double)all * q->min_share;
    for (;;) {
        d->least = (int64_t)least;
        for (shown = 0, i = 0; i < d->f->tree.nodes_len; i++)
            shown += is_shown(d, i);
        if (shown <= q->nodes || least >= (double)all)
            return;
        least = least < 1 ? 1 : least * 1.5;
    }
}

static uint32_t number_frame(drawing *d, uint32_t index)
{
    if (d->frame_no[index] == 0) {
        d->frames[d->frames_len++] = index;
        d->frame_no[index] = (uint32_t)d->frames_len;
    }
    return d->frame_no[index] - 1;
}

/* [parent, frame, self, total] and, with a base, its [self, total]. */
static void write_nodes(drawing *d)
{
    size_t i, c;

    sonde_json_key(d->w, SONDE_STR("nodes"));
    sonde_json_begin_array(d->w);
    for (i = 0; i < d->f->tree.nodes_len; i++) {
        const sonde_flame_node *n = &d->f->tree.nodes[i];

        /* a parent weighs no less than its child, so it is there, too */
        if (!is_shown(d, i) || (i && d->node_no[n->parent] == 0))
            continue;
        d->node_no[i] = (uint32_t)++d->nodes;
        sonde_json_begin_array(d->w);
        sonde_json_u64(d->w, i ? d->node_no[n->parent] - 1 : 0);
        sonde_json_u64(d->w, number_frame(d, n->frame));
        for (c = 0; c < d->f->tree.columns; c++) {
            sonde_json_i64(d->w, flametree_self(d->f, i, c));
            sonde_json_i64(d->w, flametree_total(d->f, i, c));
        }
        sonde_json_end_array(d->w);
    }
    sonde_json_end_array(d->w);
}

/* Numbers of the nodes that are inlined into their parents. */
static void write_inlined(drawing *d)
{
    size_t i;

    sonde_json_key(d->w, SONDE_STR("inlined"));
    sonde_json_begin_array(d->w);
    for (i = 0; i < d->f->tree.nodes_len; i++)
        if (d->node_no[i] && d->f->tree.nodes[i].is_inlined)
            sonde_json_u64(d->w, d->node_no[i] - 1);
    sonde_json_end_array(d->w);
}

/* [name, object, file] */
static void write_frames(drawing *d)
{
    size_t i;

    sonde_json_key(d->w, SONDE_STR("frames"));
    sonde_json_begin_array(d->w);
    for (i = 0; i < d->frames_len; i++) {
        sonde_json_begin_array(d->w);
        sonde_json_str(d->w, sonde_flame_name(&d->f->tree, d->frames[i]));
        sonde_json_str(d->w, sonde_flame_object(&d->f->tree, d->frames[i]));
        sonde_json_str(d->w, sonde_flame_file(&d->f->tree, d->frames[i]));
        sonde_json_end_array(d->w);
    }
    sonde_json_end_array(d->w);
}

sonde_status profile_write_tree(const flametree *f, const profile_request *q, sonde_json_writer *w)
{
    drawing d = { .f = f, .w = w, .depth = (uint32_t)q->depth };
    sonde_status status = SONDE_ERR_NOMEM;

    d.node_no = (uint32_t *)sonde_calloc(f->tree.nodes_len, sizeof(*d.node_no));
    d.frame_no = (uint32_t *)sonde_calloc(f->tree.frames_len, sizeof(*d.frame_no));
    d.frames = (uint32_t *)sonde_calloc(f->tree.frames_len, sizeof(*d.frames));
    if (d.node_no && d.frame_no && d.frames) {
        find_least(&d, q);
        write_nodes(&d);
        write_inlined(&d);
        write_frames(&d);
        status = SONDE_OK;
    }
    sonde_free(d.node_no);
    sonde_free(d.frame_no);
    sonde_free(d.frames);
    return status;
}

static int key_order(const void *a, const void *b)
{
    const flametree_key *x = (const flametree_key *)a, *y = (const flametree_key *)b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return sonde_str_cmp(x->text, y->text);
}

static void write_keys(sonde_json_writer *w, const char *name, flametree_keys *keys, size_t limit)
{
    size_t i;

    if (keys->len)
        qsort(keys->items, keys->len, sizeof(*keys->items), key_order);
    sonde_json_key(w, sonde_str_from(name));
    sonde_json_begin_array(w);
    for (i = 0; i < keys->len && i < limit; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "name", keys->items[i].text);
        sonde_json_put_i64(w, "value", keys->items[i].value);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

/* What every answer about merged profiles begins with. */
void profile_write_about(sonde_json_writer *w, const profile_answer *x, const profile_request *q)
{
    const flametree *f = &x->flame;

    sonde_json_put_str(w, "type", x->type);
    sonde_json_put_str(w, "unit", x->unit);
    profile_put_types(w, x->list.types, x->list.types_len);
    sonde_json_put_i64(w, "total", f->totals[0]);
    sonde_json_put_u64(w, "samples", f->samples[0]);
    sonde_json_put_u64(w, "profiles", f->profiles[0]);
    if (q->has_base) {
        sonde_json_key(w, SONDE_STR("base"));
        sonde_json_begin_object(w);
        sonde_json_put_i64(w, "total", f->totals[1]);
        sonde_json_put_u64(w, "samples", f->samples[1]);
        sonde_json_put_u64(w, "profiles", f->profiles[1]);
        sonde_json_end_object(w);
    }
    sonde_json_put_bool(w, "truncated",
                        f->truncated || x->list.truncated || x->base_list.truncated);
    sonde_json_put_bool(w, "timed_out", x->timed_out);
}

sonde_status profile_answer_flamegraph(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    sonde_json_writer w;
    sonde_status status;

    if (q->timeline)
        profile_want_timeline(q, &x);
    status = profile_request_run(r, q, &x);
    if (status == SONDE_OK) {
        api_begin_json(response, &w);
        sonde_json_begin_object(&w);
        profile_write_about(&w, &x, q);
        if (q->timeline)
            profile_write_timeline(&w, &x);
        write_keys(&w, "threads", &x.flame.threads, 100);
        write_keys(&w, "endpoints", &x.flame.endpoints, 100);
        write_keys(&w, "objects", &x.flame.objects, 100);
        write_keys(&w, "spans", &x.flame.spans, FLAMETREE_KEYS_MAX);
        status = profile_write_tree(&x.flame, q, &w);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}
