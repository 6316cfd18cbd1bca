/* flame/flame.h - stacks, merged: a tree of functions with columns of values.
 *
 *     sonde_flame_init(&f, 2, &limits);
 *     node = sonde_flame_child(&f, node, sonde_flame_frame_of(&f, name, object, file), false);    of a stack, root first
 *     sonde_flame_count(&f, node, column, value);
 *     sonde_flame_sum(&f);                                                                        totals
 *
 * A frame is a function of an object: one with the same name and object is the same.  A node is a function called
 * along one way from the root, node 0; a parent's id is below those of its children.  Text 0 is "", frame 0 none.
 *
 * Threads   none: one owner at a time.
 * Bounds    the limits given; what finds no room is counted where its callers end, and in `cut`.
 * Failure   `no_memory` sticks; everything that is there stays usable.
 */
#ifndef SONDE_FLAME_FLAME_H
#define SONDE_FLAME_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/str.h"
#include "sonde/status.h"

typedef struct sonde_flame_limits {
    uint32_t nodes, frames, texts;
    size_t text_bytes;
} sonde_flame_limits;

typedef struct sonde_flame_frame {
    uint32_t name, object, file; /* texts; the file is of the first that came */
} sonde_flame_frame;

typedef struct sonde_flame_node {
    uint32_t parent; /* the root is its own */
    uint32_t frame;
    uint32_t depth;  /* of the root 0 */
    bool is_inlined; /* into its parent */
} sonde_flame_node;

typedef struct sonde_flame {
    sonde_flame_limits limits;
    uint32_t columns;
    sonde_arena text; /* of the texts; the owner may keep more there */
    sonde_str *texts;
    uint32_t texts_len, texts_cap;
    sonde_id_index text_index;
    sonde_flame_frame *frames;
    uint32_t frames_len, frames_cap;
    sonde_id_index frame_index;
    sonde_flame_node *nodes;
    uint32_t nodes_len, nodes_cap;
    uint32_t *node_slots; /* by parent and frame; 0: free */
    uint32_t node_slots_len;
    int64_t *values; /* nodes * columns * 2: self, total */
    uint32_t values_cap;
    uint64_t cut; /* frames for which there was no room */
    bool no_memory;
} sonde_flame;

/* done() also after a failure. */
SONDE_MUST_USE sonde_status sonde_flame_init(sonde_flame *f, uint32_t columns,
                                             const sonde_flame_limits *limits);
void sonde_flame_done(sonde_flame *f);

/* A copy: what is not UTF-8 becomes '?'.  0: the empty one, or no room. */
uint32_t sonde_flame_text_of(sonde_flame *f, sonde_str text);

/* 0: no room for it or its texts. */
uint32_t sonde_flame_frame_of(sonde_flame *f, sonde_str name, sonde_str object, sonde_str file);

/* The child of `parent` that is this frame; `parent` itself, counted, when there is no room or the frame is 0. */
uint32_t sonde_flame_child(sonde_flame *f, uint32_t parent, uint32_t frame, bool is_inlined);

/* Sums stay within the type. */
void sonde_flame_count(sonde_flame *f, uint32_t node, uint32_t column, int64_t value);
int64_t sonde_flame_add(int64_t a, int64_t b);

/* Totals of every node; once, after everything was counted. */
void sonde_flame_sum(sonde_flame *f);

static inline int64_t sonde_flame_self(const sonde_flame *f, size_t node, size_t column)
{
    return f->values[(node * f->columns + column) * 2];
}

static inline int64_t sonde_flame_total(const sonde_flame *f, size_t node, size_t column)
{
    return f->values[(node * f->columns + column) * 2 + 1];
}

static inline sonde_str sonde_flame_name(const sonde_flame *f, size_t frame)
{
    return f->texts[f->frames[frame].name];
}

static inline sonde_str sonde_flame_object(const sonde_flame *f, size_t frame)
{
    return f->texts[f->frames[frame].object];
}

static inline sonde_str sonde_flame_file(const sonde_flame *f, size_t frame)
{
    return f->texts[f->frames[frame].file];
}

#endif /* SONDE_FLAME_FLAME_H */
