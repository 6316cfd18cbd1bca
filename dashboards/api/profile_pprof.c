/* profile_pprof.c - merged profiles as one pprof message: every node with a value of its own is a sample.
 *
 * Source    docs/spec/profile-batch.md, "pprof" */
#include "codec/pprof_write.h"
#include "profile_views.h"

typedef struct message {
    const flametree *f;
    const pprof_type *types;
    sonde_buf *out;
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

/* A frame is a function, a location and a mapping of the same number. */
static void write_sample(const message *m, size_t node)
{
    size_t sample = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE), at, c;
    size_t mark = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE_LOCATIONS);

    for (at = node; at; at = m->f->tree.nodes[at].parent)
        sonde_pb_packed(m->out, m->f->tree.nodes[at].frame);
    sonde_pb_end(m->out, mark);
    mark = sonde_pb_begin(m->out, SONDE_PPROF_SAMPLE_VALUES);
    for (c = 0; c < m->f->tree.columns; c++)
        sonde_pb_packed(m->out, (uint64_t)flametree_self(m->f, node, c));
    sonde_pb_end(m->out, mark);
    sonde_pb_end(m->out, sample);
}

static bool has_self(const flametree *f, size_t node)
{
    size_t c;

    for (c = 0; c < f->tree.columns; c++)
        if (flametree_self(f, node, c))
            return true;
    return false;
}

static void write_frame(const message *m, size_t index)
{
    const sonde_flame_frame *fr = &m->f->tree.frames[index];
    const sonde_pprof_mapping mapping = { .id = index,
                                          .file = tree_text(m, fr->object),
                                          .has_functions = true };
    const sonde_pprof_function fn = { .id = index,
                                      .name = tree_text(m, fr->name),
                                      .system_name = tree_text(m, fr->name),
                                      .file = tree_text(m, fr->file) };
    size_t mark;

    if (fr->object)
        sonde_pprof_put_mapping(m->out, &mapping);
    mark = sonde_pprof_begin_location(m->out, index, fr->object ? index : 0, 0);
    sonde_pprof_put_line(m->out, index, 0);
    sonde_pb_end(m->out, mark);
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

void profile_write_pprof(const flametree *f, const pprof_type *types, int64_t start_unix_ns,
                         int64_t end_unix_ns, sonde_buf *out)
{
    const message m = { f, types, out };
    size_t i;

    write_types(&m);
    for (i = 1; i < f->tree.nodes_len; i++)
        if (has_self(f, i))
            write_sample(&m, i);
    for (i = 1; i < f->tree.frames_len; i++)
        write_frame(&m, i);
    write_texts(&m);
    sonde_pb_int64(out, SONDE_PPROF_TIME, start_unix_ns);
    sonde_pb_int64(out, SONDE_PPROF_DURATION, end_unix_ns - start_unix_ns);
}
