/* regex_groups.c - where the groups of a match are: a second walk, over the match only.
 *
 * As regex.c, but each walker has the bounds it came by.  Marks that are set while walkers are added are
 * taken back when the walk turns to the other branch. */
#include <string.h>

#include "base/regex_program.h"

#define UNDO     0x80000000u /* on the stack: a mark, below it the place it had */
#define NO_PLACE UINT32_MAX

static size_t row_bytes(const sonde_regex *re)
{
    return re->marks * sizeof(*re->bounds);
}

/* Adds a walker whose marks are re->marks_at, and all that can be reached from there without a rune. */
static void add_marked(sonde_regex *re, walkers *w, uint32_t *rows, uint32_t at, uint32_t place,
                       unsigned where)
{
    uint32_t depth = 0;

    re->stack[depth++] = at;
    while (depth > 0) {
        const program_step *s;

        at = re->stack[--depth];
        if (at & UNDO) {
            re->marks_at[at & ~UNDO] = re->stack[--depth];
            continue;
        }
        re->work++;
        if (regex_has_walker(w, at))
            continue;
        memcpy(rows + (size_t)w->len * re->marks, re->marks_at, row_bytes(re));
        w->place[at] = w->len;
        w->item[w->len++] = (walker){ at, 0 };
        s = &re->step[at];
        if (s->op == STEP_MARK) {
            re->stack[depth++] = re->marks_at[s->x];
            re->stack[depth++] = s->x | UNDO;
            re->marks_at[s->x] = place;
        }
        if (s->op == STEP_SPLIT)
            re->stack[depth++] = s->y;
        if (s->op == STEP_SPLIT || s->op == STEP_JUMP)
            re->stack[depth++] = s->x;
        else if (s->op == STEP_MARK || (s->op == STEP_ASSERT && (s->x & where)))
            re->stack[depth++] = at + 1;
    }
}

/* Moves the walkers over a rune to `to`; what the first one that ends came by goes to `best`. */
static void walk_marked(sonde_regex *re, size_t to, uint32_t rune, unsigned where, size_t *best)
{
    uint32_t i, k;

    re->next.len = 0;
    for (i = 0; i < re->now.len; i++) {
        const program_step *s = &re->step[re->now.item[i].at];
        const uint32_t *row = re->bounds + (size_t)i * re->marks;

        re->work++;
        if (s->op == STEP_MATCH) {
            for (k = 0; k < re->marks; k++)
                best[k] = row[k] == NO_PLACE ? SONDE_REGEX_NO_BOUND : row[k];
            return;
        }
        if (rune != NO_PLACE && regex_step_takes(re, s, rune)) {
            memcpy(re->marks_at, row, row_bytes(re));
            add_marked(re, &re->next, re->next_bounds, re->now.item[i].at + 1, (uint32_t)to, where);
        }
    }
}

static void find_bounds(sonde_regex *re, sonde_str text, size_t at, size_t end, size_t *out)
{
    re->now.len = 0;
    memset(re->marks_at, 0xff, row_bytes(re));
    add_marked(re, &re->now, re->bounds, 0, (uint32_t)at, regex_places(text, at));
    while (re->now.len > 0) {
        uint32_t rune = NO_PLACE;
        size_t bytes = at < end ? regex_read_rune(text, at, &rune) : 0;
        walkers walkers_swap;
        uint32_t *rows_swap;

        walk_marked(re, at + bytes, rune, regex_places(text, at + bytes), out);
        if (bytes == 0)
            return;
        at += bytes;
        walkers_swap = re->now;
        re->now = re->next;
        re->next = walkers_swap;
        rows_swap = re->bounds;
        re->bounds = re->next_bounds;
        re->next_bounds = rows_swap;
    }
}

bool sonde_regex_find_groups(sonde_regex *re, sonde_str text, size_t from, size_t *out_bounds)
{
    size_t at, len;

    if (!sonde_regex_find(re, text, from, &at, &len))
        return false;
    out_bounds[0] = at;
    out_bounds[1] = at + len;
    if (re->groups > 0)
        find_bounds(re, text, at, at + len, out_bounds + 2);
    return true;
}

uint32_t sonde_regex_groups(const sonde_regex *re)
{
    return re->groups;
}

uint32_t sonde_regex_group_named(const sonde_regex *re, sonde_str name)
{
    uint32_t i;

    for (i = 0; i < re->names; i++)
        if (sonde_str_eq(re->name[i].text, name))
            return re->name[i].group;
    return 0;
}
