/* base/regex_program.h - what a pattern is turned into: between regex.c and regex_groups.c only.
 *
 * Threads   none. */
#ifndef SONDE_BASE_REGEX_PROGRAM_H
#define SONDE_BASE_REGEX_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/regex.h"
#include "base/regex_tree.h"

typedef enum step_op {
    STEP_RUNE,   /* `x` is the rune */
    STEP_SET,    /* `x` is the set */
    STEP_SPLIT,  /* go on at `x`, then at `y` */
    STEP_JUMP,   /* go on at `x` */
    STEP_ASSERT, /* `x` has the places of regex_tree.h */
    STEP_MARK,   /* a bound of a group is here; `x` says which */
    STEP_MATCH
} step_op;

typedef struct program_step {
    uint32_t op;
    uint32_t x, y;
} program_step;

typedef struct rune_set {
    uint64_t ascii[2];
    uint32_t first, len; /* its ranges beyond ASCII */
} rune_set;

typedef struct walker {
    uint32_t at;   /* in the program */
    uint32_t from; /* in the text */
} walker;

typedef struct walkers {
    walker *item;
    uint32_t *place; /* by step: index into item, if that one says so too */
    uint32_t len;
} walkers;

struct sonde_regex {
    program_step *step;
    uint32_t steps;
    rune_set *set;
    uint32_t sets;
    regex_range *range;
    uint32_t ranges;
    bool at_begin_only;
    bool never_empty;       /* a match has a first byte, one of: */
    uint8_t first_byte[32]; /* bits */
    int needed_byte;        /* every match has it somewhere; -1: none known */
    uint32_t groups;        /* 0: none asked for */
    uint32_t marks;         /* two a group */
    regex_name *name;       /* of groups; views of `pattern` */
    uint32_t names;
    char *pattern;
    uint32_t *bounds, *next_bounds; /* `marks` for each walker of now, next */
    uint32_t *marks_at;             /* of the walker at hand */
    walkers now, next;
    uint32_t *stack;
    size_t bytes;
    uint64_t work;
};

/* Which assertions hold between two bytes. */
unsigned regex_places(sonde_str text, size_t at);

/* Whether `w` has a walker at that step. */
static inline bool regex_has_walker(const walkers *w, uint32_t at)
{
    return w->place[at] < w->len && w->item[w->place[at]].at == at;
}

bool regex_step_takes(const sonde_regex *re, const program_step *s, uint32_t rune);

/* The rune at `at` and its bytes; what is not UTF-8 is U+FFFD, one byte of it at a time. */
size_t regex_read_rune(sonde_str text, size_t at, uint32_t *out);

#endif /* SONDE_BASE_REGEX_PROGRAM_H */
