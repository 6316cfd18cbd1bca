/* speedscope.c - speedscope's own file format: frames of all trees, then a "sampled" profile of each column.
 *
 * Source    https://www.speedscope.app/file-format-schema.json */
#include "export.h"

#include <string.h>

#include "base/alloc.h"
#include "codec/json_write.h"

#define SCHEMA         "https://www.speedscope.app/file-format-schema.json"
#define NAME_MAX_BYTES (64u * 1024)

typedef struct scope {
    sonde_json_writer *w;
    /* room for the largest tree */
    uint32_t *stack; /* nodes */
    /* frame -> its number as an inlined one, counted from its tree's first; 0: it never is */
    uint32_t *inlined;
} scope;

/* How many frames a tree has here: functions that are called, behind them those that are inlined somewhere. */
static uint32_t number_frames(const scope *s, const sonde_flame *f)
{
    uint32_t next = f->frames_len - 1;

    memset(s->inlined, 0, f->frames_len * sizeof(*s->inlined));
    for (uint32_t i = 1; i < f->nodes_len; i++)
        if (f->nodes[i].is_inlined && s->inlined[f->nodes[i].frame] == 0)
            s->inlined[f->nodes[i].frame] = next++;
    return next;
}

static sonde_str or_else(sonde_str text, sonde_str other)
{
    return text.len ? text : other;
}

static void write_frame(const scope *s, const sonde_flame *f, uint32_t frame, const char *mark)
{
    sonde_str file = or_else(sonde_flame_file(f, frame), sonde_flame_object(f, frame));
    sonde_str name = sonde_flame_name(f, frame);
    sonde_buf marked;

    sonde_buf_init(&marked, NAME_MAX_BYTES);
    sonde_buf_append_str(&marked, name);
    sonde_buf_append_str(&marked, sonde_str_from(mark));
    sonde_json_begin_object(s->w);
    sonde_json_put_str(s->w, "name", marked.status == SONDE_OK ? sonde_buf_str(&marked) : name);
    if (file.len)
        sonde_json_put_str(s->w, "file", file);
    sonde_json_end_object(s->w);
    sonde_buf_done(&marked);
}

static void write_tree_frames(const scope *s, const sonde_flame *f)
{
    uint32_t next = f->frames_len - 1;

    (void)number_frames(s, f);
    for (uint32_t i = 1; i < f->frames_len; i++)
        write_frame(s, f, i, "");
    for (uint32_t i = 1; i < f->nodes_len; i++) {
        if (!f->nodes[i].is_inlined || s->inlined[f->nodes[i].frame] != next)
            continue;
        write_frame(s, f, f->nodes[i].frame, " (inlined)");
        next++;
    }
}

/* Whether a column is the first of its tree. */
static bool is_first(const sonde_flame_column *columns, size_t i)
{
    return i == 0 || columns[i].tree != columns[i - 1].tree;
}

static void write_frames(const scope *s, const sonde_flame_column *columns, size_t len)
{
    sonde_json_key(s->w, SONDE_STR("shared"));
    sonde_json_begin_object(s->w);
    sonde_json_key(s->w, SONDE_STR("frames"));
    sonde_json_begin_array(s->w);
    for (size_t i = 0; i < len; i++)
        if (is_first(columns, i))
            write_tree_frames(s, columns[i].tree);
    sonde_json_end_array(s->w);
    sonde_json_end_object(s->w);
}

static sonde_str known_unit(sonde_str unit)
{
    static const char *const known[] = { "nanoseconds", "microseconds", "milliseconds", "seconds",
                                         "bytes" };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq(unit, sonde_str_from(known[i])))
            return unit;
    return SONDE_STR("none");
}

/* The way from the root as numbers of frames. */
static void write_stack(const scope *s, const sonde_flame *f, uint32_t node, uint32_t first)
{
    size_t len = 0;

    for (; node; node = f->nodes[node].parent)
        s->stack[len++] = node;
    sonde_json_begin_array(s->w);
    while (len-- > 0) {
        const sonde_flame_node *n = &f->nodes[s->stack[len]];

        sonde_json_u64(s->w, first + (n->is_inlined ? s->inlined[n->frame] : n->frame - 1));
    }
    sonde_json_end_array(s->w);
}

static void write_profile(const scope *s, const sonde_flame_column *c, uint32_t first)
{
    const sonde_flame *f = c->tree;
    int64_t sum = 0;

    sonde_json_begin_object(s->w);
    sonde_json_put_str(s->w, "type", SONDE_STR("sampled"));
    sonde_json_put_str(s->w, "name", c->type);
    sonde_json_put_str(s->w, "unit", known_unit(c->unit));
    sonde_json_put_i64(s->w, "startValue", 0);
    sonde_json_key(s->w, SONDE_STR("samples"));
    sonde_json_begin_array(s->w);
    for (uint32_t i = 0; i < f->nodes_len; i++)
        if (sonde_flame_self(f, i, c->column) > 0)
            write_stack(s, f, i, first);
    sonde_json_end_array(s->w);
    sonde_json_key(s->w, SONDE_STR("weights"));
    sonde_json_begin_array(s->w);
    for (uint32_t i = 0; i < f->nodes_len; i++) {
        int64_t value = sonde_flame_self(f, i, c->column);

        if (value <= 0)
            continue;
        sonde_json_i64(s->w, value);
        sum = sonde_flame_add(sum, value);
    }
    sonde_json_end_array(s->w);
    sonde_json_put_i64(s->w, "endValue", sum);
    sonde_json_end_object(s->w);
}

static void write_profiles(const scope *s, const sonde_flame_column *columns, size_t len)
{
    uint32_t first = 0, next = 0; /* frames of the tree in hand, of the next */

    sonde_json_key(s->w, SONDE_STR("profiles"));
    sonde_json_begin_array(s->w);
    for (size_t i = 0; i < len; i++) {
        if (is_first(columns, i)) {
            first = next;
            next += number_frames(s, columns[i].tree);
        }
        write_profile(s, &columns[i], first);
    }
    sonde_json_end_array(s->w);
}

static sonde_status make_room(scope *s, const sonde_flame_column *columns, size_t len)
{
    uint32_t nodes = 1, frames = 1;

    for (size_t i = 0; i < len; i++) {
        const sonde_flame *f = columns[i].tree;

        nodes = f->nodes_len > nodes ? f->nodes_len : nodes;
        frames = f->frames_len > frames ? f->frames_len : frames;
    }
    s->stack = (uint32_t *)sonde_calloc(nodes, sizeof(*s->stack));
    s->inlined = (uint32_t *)sonde_calloc(frames, sizeof(*s->inlined));
    return s->stack && s->inlined ? SONDE_OK : SONDE_ERR_NOMEM;
}

void sonde_flame_speedscope(const sonde_flame_column *columns, size_t len, size_t active,
                            sonde_str name, sonde_buf *out)
{
    sonde_json_writer w;
    scope s = { .w = &w };

    if (make_room(&s, columns, len) == SONDE_OK) {
        sonde_json_writer_init(&w, out);
        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "$schema", SONDE_STR(SCHEMA));
        sonde_json_put_str(&w, "version", SONDE_STR("0.0.1"));
        sonde_json_put_str(&w, "exporter", SONDE_STR("sonde@" SONDE_VERSION));
        sonde_json_put_str(&w, "name", name);
        sonde_json_put_u64(&w, "activeProfileIndex", active);
        write_frames(&s, columns, len);
        write_profiles(&s, columns, len);
        sonde_json_end_object(&w);
        sonde_buf_append_byte(out, '\n');
    } else {
        out->status = SONDE_ERR_NOMEM;
    }
    sonde_free(s.stack);
    sonde_free(s.inlined);
}
