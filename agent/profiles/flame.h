/* agent/profiles/flame.h - one column of a profile as a tree of functions: what every view is made from.
 *
 *   profile, pprof file, collapsed stacks ──▶ flame ──▶ collapsed, speedscope, HTML, tables
 *
 * The tree is that of flame/flame.h, with a pair of columns for each of two sides: a profile goes to side 0; a
 * comparison puts the profile before there and the one after to side 1.
 *
 * Threads   none: one owner at a time.
 * Bounds    FLAME_* below; what finds no room is counted where its callers end, and in `tree.cut`.
 * Source    docs/guide/profiling.md
 */
#ifndef SONDE_AGENT_PROFILES_FLAME_H
#define SONDE_AGENT_PROFILES_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "flame/flame.h"
#include "sonde/status.h"

#include "profile.h"

#define FLAME_NODES_MAX      2097152u
#define FLAME_FRAMES_MAX     524288u
#define FLAME_TEXTS_MAX      1048576u
#define FLAME_PARTS_MAX      524288u
#define FLAME_TEXT_MAX_BYTES (64u * 1024 * 1024)
#define FLAME_SIDES          2

/* What a thread has of a node's own value; a node and a thread may be there more than once. */
typedef struct flame_part {
    uint32_t node;
    uint32_t thread; /* text */
    int64_t value;
} flame_part;

typedef struct flame {
    sonde_str type, unit; /* "cpu-time", "nanoseconds"; texts of the tree */
    sonde_flame tree;
    flame_part *parts; /* of side 0, from a profile; those there was no room for are in no thread */
    uint32_t parts_len, parts_cap;
} flame;

SONDE_MUST_USE sonde_status flame_open(flame **out_flame);
void flame_close(flame *f); /* NULL does nothing */

/* Copies: what is not UTF-8 becomes '?'. */
void flame_set_type(flame *f, sonde_str type, sonde_str unit);

/* The child of `parent` that is this function; `parent` itself, counted, when there is no room. */
uint32_t flame_child(flame *f, uint32_t parent, sonde_str name, sonde_str object, bool is_inlined);
void flame_count(flame *f, uint32_t node, unsigned side, int64_t value, int64_t events);

/* The rows of one column, with the names profile_symbolize() found.  SONDE_ERR_NOMEM: nothing was added. */
SONDE_MUST_USE sonde_status flame_add_profile(flame *f, const profile *p, const profile_column *c,
                                              unsigned side);

/* Totals, and the sums of everything in node 0; after the last row was added. */
void flame_sum(flame *f);

/* A node's own value; the samples behind it, 0 when nobody counted them; after flame_sum(), its total. */
static inline int64_t flame_self(const flame *f, uint32_t node, unsigned side)
{
    return sonde_flame_self(&f->tree, node, side);
}

static inline int64_t flame_events(const flame *f, uint32_t node, unsigned side)
{
    return sonde_flame_self(&f->tree, node, FLAME_SIDES + side);
}

static inline int64_t flame_total(const flame *f, uint32_t node, unsigned side)
{
    return sonde_flame_total(&f->tree, node, side);
}

static inline sonde_str flame_name(const flame *f, uint32_t node)
{
    return sonde_flame_name(&f->tree, f->tree.nodes[node].frame);
}

static inline sonde_str flame_object(const flame *f, uint32_t node)
{
    return sonde_flame_object(&f->tree, f->tree.nodes[node].frame);
}

/* ---- by function ---- */

typedef struct flame_function {
    uint32_t frame;
    int64_t self[FLAME_SIDES];
    int64_t total[FLAME_SIDES]; /* recursion counts once */
    int64_t events[FLAME_SIDES];
} flame_function;

/* Every function, the one with most on side 0 first; to be freed with sonde_free(). */
SONDE_MUST_USE sonde_status flame_functions(const flame *f, flame_function **out, size_t *out_len);

/* How sure it is that a function's share of the samples changed: the z of two proportions, below 2 in size is noise.
 * False: one side has no samples, or nobody counted them. */
bool flame_change_z(const flame *f, const flame_function *fn, double *out_z);

#endif /* SONDE_AGENT_PROFILES_FLAME_H */
