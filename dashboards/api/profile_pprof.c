/* profile_pprof.c - merged profiles as one pprof message: every node with a value of its own is a sample.
 *
 * Source    docs/spec/profile-batch.md, "pprof" */
#include "codec/pb_write.h"
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

    for (c = 0; c < m->f->tree.columns; c++) {
        size_t mark = sonde_pb_begin(m->out, 1);

        sonde_pb_varint(m->out, 1, type_text(c));
        sonde_pb_varint(m->out, 2, type_text(c) + 1);
        sonde_pb_end(m->out, mark);
    }
}

static void write_varint(sonde_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        sonde_buf_append_byte(b, (uint8_t)(v | 0x80));
    sonde_buf_append_byte(b, (uint8_t)v);
}

/* A frame is a function, a location and a mapping of the same number. */
static void write_sample(const message *m, size_t node)
{
    size_t sample = sonde_pb_begin(m->out, 2), mark = sonde_pb_begin(m->out, 1), at, c;

    for (at = node; at; at = m->f->tree.nodes[at].parent)
        write_varint(m->out, m->f->tree.nodes[at].frame);
    sonde_pb_end(m->out, mark);
    mark = sonde_pb_begin(m->out, 2);
    for (c = 0; c < m->f->tree.columns; c++)
        write_varint(m->out, (uint64_t)flametree_self(m->f, node, c));
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
    bool object = fr->object != 0;
    size_t mark, line;

    if (object) {
        mark = sonde_pb_begin(m->out, 3);
        sonde_pb_varint(m->out, 1, index);
        sonde_pb_varint(m->out, 5, tree_text(m, fr->object));
        sonde_pb_varint(m->out, 7, 1); /* it has functions */
        sonde_pb_end(m->out, mark);
    }
    mark = sonde_pb_begin(m->out, 4);
    sonde_pb_varint(m->out, 1, index);
    sonde_pb_varint(m->out, 2, object ? index : 0);
    line = sonde_pb_begin(m->out, 4);
    sonde_pb_varint(m->out, 1, index);
    sonde_pb_end(m->out, line);
    sonde_pb_end(m->out, mark);
    mark = sonde_pb_begin(m->out, 5);
    sonde_pb_varint(m->out, 1, index);
    sonde_pb_varint(m->out, 2, tree_text(m, fr->name));
    sonde_pb_varint(m->out, 3, tree_text(m, fr->name));
    sonde_pb_varint(m->out, 4, tree_text(m, fr->file));
    sonde_pb_end(m->out, mark);
}

static void write_texts(const message *m)
{
    size_t i;

    sonde_pb_str_always(m->out, 6, (sonde_str){ "", 0 });
    for (i = 0; i < m->f->tree.columns; i++) {
        sonde_pb_str_always(m->out, 6, m->types[i].type);
        sonde_pb_str_always(m->out, 6, m->types[i].unit);
    }
    for (i = 1; i < m->f->tree.texts_len; i++)
        sonde_pb_str_always(m->out, 6, m->f->tree.texts[i]);
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
    sonde_pb_int64(out, 9, start_unix_ns);
    sonde_pb_int64(out, 10, end_unix_ns - start_unix_ns);
}
