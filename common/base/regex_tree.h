/* base/regex_tree.h - a pattern taken apart: between regex_parse.c and regex.c only.
 *
 * Threads   none.
 * Bounds    the arena of the tree, REGEX_TREE_MAX_BYTES. */
#ifndef SONDE_BASE_REGEX_TREE_H
#define SONDE_BASE_REGEX_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#define REGEX_TREE_MAX_BYTES (1u << 20)
#define REGEX_RUNE_MAX       0x10ffffu

typedef struct regex_range {
    uint32_t lo, hi; /* both in it */
} regex_range;

typedef enum regex_op {
    REGEX_SET,    /* one rune of `ranges` */
    REGEX_ASSERT, /* one of `where` holds */
    REGEX_CAT,    /* children, one after the other */
    REGEX_ALT,    /* children, one of them */
    REGEX_REPEAT, /* the child, min to max times */
    REGEX_GROUP,  /* the child, of which is asked where it was */
} regex_op;

/* Where in the text an assertion looks; bits. */
enum {
    REGEX_TEXT_BEGIN = 1,
    REGEX_TEXT_END = 2,
    REGEX_LINE_BEGIN = 4,
    REGEX_LINE_END = 8,
    REGEX_WORD_EDGE = 16,
    REGEX_NO_WORD_EDGE = 32
};

#define REGEX_UNBOUNDED UINT32_MAX

/* A set stands in the program once, however often its node does. */
typedef struct regex_set_cell {
    uint32_t number; /* in the program, + 1; 0: not yet */
    bool is_written;
} regex_set_cell;

typedef struct regex_node {
    regex_op op;
    bool lazy;
    uint8_t where;
    uint32_t group;           /* from 1 */
    uint32_t min, max;        /* REGEX_UNBOUNDED */
    uint32_t weight;          /* how often counted repetitions make it stand in the program */
    const regex_range *range; /* sorted, apart from each other */
    uint32_t ranges;
    regex_set_cell *set;
    struct regex_node *child; /* first one */
    struct regex_node *next;  /* of the parent */
} regex_node;

#define REGEX_NAMES_MAX 32

typedef struct regex_name {
    sonde_str text; /* a view of the pattern */
    uint32_t group;
} regex_name;

typedef struct regex_groups {
    uint32_t len;
    uint32_t names;
    regex_name name[REGEX_NAMES_MAX];
} regex_groups;

/* The tree lives in `arena`; statuses as sonde_regex_compile(). */
SONDE_MUST_USE sonde_status regex_parse(sonde_str pattern, sonde_arena *arena, regex_node **out,
                                        regex_groups *out_groups, const char **out_why);

#endif /* SONDE_BASE_REGEX_TREE_H */
