/* agent/profiles/flame.h - one column of a profile as a tree of functions: what every view is made from.
 *
 *   profile, pprof file, collapsed stacks ──▶ flame ──▶ collapsed, speedscope, HTML, tables
 *
 * A node is a function called along one way from the root, node 0, and has values of two sides: a profile goes to
 * side 0; a comparison puts the profile before there and the one after to side 1.  A parent's id is below those of
 * its children.
 *
 * Threads   none: one owner at a time.
 * Bounds    FLAME_* below; what finds no room is counted where its callers end, and in `cut`.
 * Source    docs/guide/profiling.md
 */
#ifndef SONDE_AGENT_PROFILES_FLAME_H
#define SONDE_AGENT_PROFILES_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#include "array.h"
#include "profile.h"

#define FLAME_NODES_MAX      2097152u
#define FLAME_FRAMES_MAX     524288u
#define FLAME_STRINGS_MAX    1048576u
#define FLAME_PARTS_MAX      524288u
#define FLAME_TEXT_MAX_BYTES (64u * 1024 * 1024)
#define FLAME_SIDES          2

/* A function: its name and the file it is in. */
typedef struct flame_frame {
    uint32_t name, object; /* strings */
} flame_frame;

typedef struct flame_node {
    uint32_t parent;
    uint32_t frame;
    bool is_inlined; /* into its parent */
    int64_t self[FLAME_SIDES];
    int64_t events[FLAME_SIDES]; /* samples behind `self`; 0: not known */
    int64_t total[FLAME_SIDES];  /* by flame_sum() */
} flame_node;

/* What a thread has of a node's own value; a node and a thread may be there more than once. */
typedef struct flame_part {
    uint32_t node;
    uint32_t thread; /* string */
    int64_t value;
} flame_part;

typedef struct flame {
    sonde_str type, unit; /* "cpu-time", "nanoseconds"; interned here */
    sonde_arena text;
    sonde_str *strings;
    uint32_t strings_len, strings_cap;
    id_index string_index;
    flame_frame *frames;
    uint32_t frames_len, frames_cap;
    id_index frame_index;
    flame_node *nodes;
    uint32_t nodes_len, nodes_cap;
    id_index node_index;
    flame_part *parts; /* of side 0, from a profile; those there was no room for are in no thread */
    uint32_t parts_len, parts_cap;
    uint64_t cut; /* frames for which there was no room */
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

sonde_str flame_text(const flame *f, uint32_t string);
sonde_str flame_name(const flame *f, uint32_t node);
sonde_str flame_object(const flame *f, uint32_t node);

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
