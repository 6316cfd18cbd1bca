/* profile_pprof.c - merged profiles as one pprof message: a sample is a node and a set of labels, or what is left of a node.
 *
 * Source    docs/spec/profile-batch.md, "pprof" */
#include "base/alloc.h"
#include "codec/pprof_write.h"
#include "profile_views.h"

/* A function inlined into what stands at another location: a location of its own, with the lines of both. */
typedef struct inlining {
    uint32_t into;     /* location */
    uint32_t function; /* frame */
} inlining;

/* A location is the frame of its number or, from frames_len on, an inlining. */
typedef struct message {
    const flametree *f;
    const sonde_pprof_type *types;
    sonde_buf *out;
    int64_t *rest;         /* of each node and column: without what is in a row */
    bool is_upright;       /* else parents are the called: nothing is inlined into them */
    uint32_t *location_of; /* node */
    inlining *inlinings;
    size_t inlinings_len;
    sonde_table inlining_table; /* -> its location */
} message;

/* Numbers of texts: 0 "", then type and unit of each type, then those of the tree. */
static uint64_t type_text(size_t type)
{
    return 1 + type * 2;
}

static uint64_t tree_text(const message *m, uint32_t text)
{
    return text ? m->f->tree.columns * 2 + text : 0;
}

static void write_types(const message *m)
{
    size_t c;

    for (c = 0; c < m->f->tree.columns; c++)
        sonde_pprof_put_type(m->out, SONDE_PPROF_SAMPLE_TYPE, type_text(c), type_text(c) + 1);
}

/* What programs that show one begin with: else it is the last. */
static uint64_t default_type(const message *m)
{
    size_t c = 0;

    while (c < m->f->tree.columns && !sonde_str_eq(m->types[c].unit, SONDE_STR("nanoseconds")))
        c++;
    return type_text(c < m->f->tree.columns ? c : 0);
}

static bool is_inlined(const message *m, size_t node)
{
    const sonde_flame_node *n = &m->f->tree.nodes[node];

    return m->is_upright && n->is_inlined && n->parent;
}

static void write_labels(const message *m, const sample_set *set)
{
    const sample_label *l = m->f->rows.labels + set->first;
    uint32_t i;

    for (i = 0; i < set->len; i++) {
        if (l[i].text)
            sonde_pprof_put_text_label(m->out, tree_text(m, l[i].key), tree_text(m, l[i].text));
        else
            sonde_pprof_put_number_label(m->out, tree_text(m, l[i].key), (uint64_t)l[i].number,
                                         tree_text(m, l[i].unit));
    }
}

/* `values`: one a column; `set` NULL: no labels. */
static void write_sample(const message *m, size_t node, const int64_t *values,
                         const sample_set *set)
{
    size_t sample = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE), at, c;
    size_t mark = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE_LOCATIONS);

    for (at = node; at; at = m->f->tree.nodes[at].parent) {
        sonde_pb_packed(m->out, m->location_of[at]);
        while (is_inlined(m, at)) /* the location has them, too */
            at = m->f->tree.nodes[at].parent;
    }
    sonde_pb_end(m->out, mark);
    mark = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE_VALUES);
    for (c = 0; c < m->f->tree.columns; c++)
        sonde_pb_packed(m->out, (uint64_t)values[c]);
    sonde_pb_end(m->out, mark);
    if (set)
        write_labels(m, set);
    sonde_pb_end(m->out, sample);
}

static bool has_value(const message *m, const int64_t *values)
{
    size_t c;

    for (c = 0; c < m->f->tree.columns; c++)
        if (values[c])
            return true;
    return false;
}

static int64_t *rest_of(const message *m, size_t node)
{
    return m->rest + node * m->f->tree.columns;
}

static sonde_status find_rest(message *m)
{
    const sample_rows *r = &m->f->rows;
    size_t columns = m->f->tree.columns, i, c;

    m->rest = (int64_t *)sonde_calloc(m->f->tree.nodes_len, columns * sizeof(*m->rest));
    if (!m->rest)
        return SONDE_ERR_NOMEM;
    for (i = 1; i < m->f->tree.nodes_len; i++)
        for (c = 0; c < columns; c++)
            rest_of(m, i)[c] = flametree_self(m->f, i, c);
    for (i = 0; i < r->rows_len; i++) {
        int64_t *rest = rest_of(m, r->rows[i].node);

        for (c = 0; c < columns; c++)
            rest[c] = sonde_flame_add(rest[c], -*sample_rows_value(r, (uint32_t)i, c));
    }
    return SONDE_OK;
}

static void write_samples(const message *m)
{
    const sample_rows *r = &m->f->rows;
    size_t i;

    for (i = 0; i < r->rows_len; i++) {
        const int64_t *values = sample_rows_value(r, (uint32_t)i, 0);

        if (r->rows[i].node && has_value(m, values))
            write_sample(m, r->rows[i].node, values, &r->sets[r->rows[i].set]);
    }
    for (i = 1; i < m->f->tree.nodes_len; i++)
        if (has_value(m, rest_of(m, i)))
            write_sample(m, i, rest_of(m, i), NULL);
}

/* The innermost function first; the object is the outermost's. */
static void write_location(const message *m, size_t id)
{
    size_t frames = m->f->tree.frames_len, outermost = id, at, mark;

    while (outermost >= frames)
        outermost = m->inlinings[outermost - frames].into;
    mark = sonde_pprof_begin_location(m->out, id,
                                      m->f->tree.frames[outermost].object ? outermost : 0, 0);
    for (at = id; at >= frames; at = m->inlinings[at - frames].into)
        sonde_pprof_put_line(m->out, m->inlinings[at - frames].function, 0);
    sonde_pprof_put_line(m->out, outermost, 0);
    sonde_pb_end(m->out, mark);
}

/* A frame is a function and, with an object, a mapping of the same number. */
static void write_frame(const message *m, size_t index)
{
    const sonde_flame_frame *fr = &m->f->tree.frames[index];
    const sonde_pprof_mapping mapping = {
        .id = index, .file = tree_text(m, fr->object), .has_functions = true, .has_inlines = true
    };
    const sonde_pprof_function fn = { .id = index,
                                      .name = tree_text(m, fr->name),
                                      .system_name = tree_text(m, fr->name),
                                      .file = tree_text(m, fr->file) };

    if (fr->object)
        sonde_pprof_put_mapping(m->out, &mapping);
    sonde_pprof_put_function(m->out, &fn);
}

static void write_texts(const message *m)
{
    size_t i;

    sonde_pb_str_always(m->out, SONDE_PPROF_TEXT, (sonde_str){ "", 0 });
    for (i = 0; i < m->f->tree.columns; i++) {
        sonde_pb_str_always(m->out, SONDE_PPROF_TEXT, m->types[i].type);
        sonde_pb_str_always(m->out, SONDE_PPROF_TEXT, m->types[i].unit);
    }
    for (i = 1; i < m->f->tree.texts_len; i++)
        sonde_pb_str_always(m->out, SONDE_PPROF_TEXT, m->f->tree.texts[i]);
}

/* ---- locations ---- */

/* The location of a function inlined into `into`; 0: no memory. */
static uint32_t use_inlining(message *m, uint32_t into, uint32_t function)
{
    const inlining what = { into, function };
    const sonde_str key = { (const char *)&what, sizeof(what) };
    void *known = sonde_table_get(&m->inlining_table, key);
    uint32_t id = (uint32_t)(m->f->tree.frames_len + m->inlinings_len);

    if (known)
        return (uint32_t)(uintptr_t)known;
    if (sonde_table_put(&m->inlining_table, key, (void *)(uintptr_t)id) != SONDE_OK)
        return 0;
    m->inlinings[m->inlinings_len++] = what;
    return id;
}

static sonde_status find_locations(message *m)
{
    const sonde_flame *tree = &m->f->tree;
    size_t i;

    m->location_of = (uint32_t *)sonde_calloc(tree->nodes_len, sizeof(*m->location_of));
    m->inlinings = (inlining *)sonde_calloc(tree->nodes_len, sizeof(*m->inlinings));
    if (!m->location_of || !m->inlinings)
        return SONDE_ERR_NOMEM;
    for (i = 1; i < tree->nodes_len; i++) { /* parents come first */
        const sonde_flame_node *n = &tree->nodes[i];

        m->location_of[i] =
            is_inlined(m, i) ? use_inlining(m, m->location_of[n->parent], n->frame) : n->frame;
        if (m->location_of[i] == 0)
            return SONDE_ERR_NOMEM;
    }
    return SONDE_OK;
}

static void write_message(const message *m)
{
    const sonde_flame *tree = &m->f->tree;
    size_t i;

    write_types(m);
    write_samples(m);
    for (i = 1; i < tree->frames_len; i++)
        write_frame(m, i);
    for (i = 1; i < tree->frames_len + m->inlinings_len; i++)
        write_location(m, i);
    write_texts(m);
}

void profile_write_pprof(const flametree *f, const sonde_pprof_type *types, bool is_upright,
                         int64_t start_unix_ns, int64_t end_unix_ns, sonde_buf *out)
{
    message m = { .f = f, .types = types, .out = out, .is_upright = is_upright };
    sonde_status status;

    sonde_table_init(&m.inlining_table, FLAMETREE_NODES_MAX);
    status = find_locations(&m);
    if (status == SONDE_OK)
        status = find_rest(&m);
    if (status == SONDE_OK) {
        write_message(&m);
        sonde_pb_int64(out, SONDE_PPROF_TIME, start_unix_ns);
        sonde_pb_int64(out, SONDE_PPROF_DURATION, end_unix_ns - start_unix_ns);
        sonde_pb_varint(out, SONDE_PPROF_DEFAULT_TYPE, default_type(&m));
    } else if (out->status == SONDE_OK) {
        out->status = status;
    }
    sonde_table_done(&m.inlining_table);
    sonde_free(m.rest);
    sonde_free(m.location_of);
    sonde_free(m.inlinings);
}
