/* regex.c - a pattern's tree becomes a program; all threads of the program walk over the text together.
 *
 * A thread is a place in the program and where its match began.  Threads are kept in the order in which a
 * backtracking matcher would try them, at most one for each place: so the first that ends wins, and the
 * work for one rune is at most one step for each instruction. */
#include "base/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/regex_program.h"
#include "base/regex_tree.h"

/* -- tree to program ------------------------------------------------------------------------------ */

typedef struct maker {
    sonde_regex *re;
    bool counting; /* nothing is written, only counted */
    bool too_big;
} maker;

#define NO_STEP UINT32_MAX

static uint32_t emit(maker *m, step_op op, uint32_t x, uint32_t y)
{
    if (m->re->steps == SONDE_REGEX_STEPS_MAX) {
        m->too_big = true;
        return 0;
    }
    if (!m->counting)
        m->re->step[m->re->steps] = (program_step){ op, x, y };
    return m->re->steps++;
}

/* Sets the place to go on that was not known when step `at` was made. */
static void aim(maker *m, uint32_t at, bool first, uint32_t to)
{
    if (m->counting || m->too_big)
        return;
    if (first)
        m->re->step[at].x = to;
    else
        m->re->step[at].y = to;
}

/* A choice between the step behind it and one that is not known yet. */
static uint32_t emit_choice(maker *m, bool lazy)
{
    uint32_t behind = m->re->steps + 1;

    return lazy ? emit(m, STEP_SPLIT, NO_STEP, behind) : emit(m, STEP_SPLIT, behind, NO_STEP);
}

static void fill_ascii(rune_set *s, regex_range r)
{
    uint32_t i;

    for (i = r.lo; i <= r.hi && i < 128; i++)
        s->ascii[i / 64] |= UINT64_C(1) << (i % 64);
}

static uint32_t emit_set(maker *m, const regex_node *n)
{
    sonde_regex *re = m->re;
    rune_set s = { .first = re->ranges };
    uint32_t i;

    if (n->set->number && (m->counting || n->set->is_written))
        return emit(m, STEP_SET, n->set->number - 1, 0);
    if (re->ranges + n->ranges > SONDE_REGEX_RANGES_MAX) {
        m->too_big = true;
        return 0;
    }
    for (i = 0; i < n->ranges; i++) {
        fill_ascii(&s, n->range[i]);
        if (n->range[i].hi < 128)
            continue;
        if (!m->counting)
            re->range[re->ranges] = n->range[i];
        re->ranges++;
        s.len++;
    }
    if (!m->counting)
        re->set[re->sets] = s;
    n->set->is_written = !m->counting;
    n->set->number = ++re->sets;
    return emit(m, STEP_SET, n->set->number - 1, 0);
}

static void emit_node(maker *m, const regex_node *n);

static void emit_all(maker *m, const regex_node *n)
{
    for (; n && !m->too_big; n = n->next)
        emit_node(m, n);
}

/* The jumps to the end are chained by their `x` until the end is known. */
static void emit_alt(maker *m, const regex_node *n)
{
    uint32_t jumps = NO_STEP;

    for (; n->next && !m->too_big; n = n->next) {
        uint32_t choice = emit_choice(m, false);

        emit_node(m, n);
        jumps = emit(m, STEP_JUMP, jumps, 0);
        aim(m, choice, false, m->re->steps);
    }
    emit_node(m, n);
    while (!m->counting && !m->too_big && jumps != NO_STEP) {
        uint32_t earlier = m->re->step[jumps].x;

        m->re->step[jumps].x = m->re->steps;
        jumps = earlier;
    }
}

static void emit_loop(maker *m, const regex_node *n)
{
    uint32_t choice = emit_choice(m, n->lazy);

    emit_node(m, n->child);
    (void)emit(m, STEP_JUMP, choice, 0);
    aim(m, choice, n->lazy, m->re->steps);
}

/* The optional rest of {min,max}: each time it may end; the choices are chained like the jumps above. */
static void emit_optional(maker *m, const regex_node *n, uint32_t times)
{
    uint32_t choices = NO_STEP;

    for (; times > 0 && !m->too_big; times--) {
        uint32_t choice = emit_choice(m, n->lazy);

        aim(m, choice, n->lazy, choices);
        choices = choice;
        emit_node(m, n->child);
    }
    while (!m->counting && !m->too_big && choices != NO_STEP) {
        program_step *s = &m->re->step[choices];
        uint32_t earlier = n->lazy ? s->x : s->y;

        aim(m, choices, n->lazy, m->re->steps);
        choices = earlier;
    }
}

static void emit_repeat(maker *m, const regex_node *n)
{
    uint32_t i;

    for (i = 0; i < n->min && !m->too_big; i++)
        emit_node(m, n->child);
    if (n->max == REGEX_UNBOUNDED)
        emit_loop(m, n);
    else
        emit_optional(m, n, n->max - n->min);
}

static void emit_group(maker *m, const regex_node *n)
{
    if (m->re->groups > 0)
        (void)emit(m, STEP_MARK, 2 * n->group - 2, 0);
    emit_node(m, n->child);
    if (m->re->groups > 0)
        (void)emit(m, STEP_MARK, 2 * n->group - 1, 0);
}

static void emit_node(maker *m, const regex_node *n)
{
    switch (n->op) {
    case REGEX_SET:
        if (n->ranges == 1 && n->range[0].lo == n->range[0].hi)
            (void)emit(m, STEP_RUNE, n->range[0].lo, 0);
        else
            (void)emit_set(m, n);
        break;
    case REGEX_ASSERT:
        (void)emit(m, STEP_ASSERT, n->where, 0);
        break;
    case REGEX_CAT:
        emit_all(m, n->child);
        break;
    case REGEX_ALT:
        emit_alt(m, n->child);
        break;
    case REGEX_REPEAT:
        emit_repeat(m, n);
        break;
    case REGEX_GROUP:
        emit_group(m, n);
        break;
    }
}

static void make(maker *m, const regex_node *tree)
{
    m->re->steps = m->re->sets = m->re->ranges = 0;
    emit_node(m, tree);
    (void)emit(m, STEP_MATCH, 0, 0);
}

static void *take_room(uint8_t **at, size_t count, size_t bytes)
{
    void *room = *at;

    *at += (count * bytes + 15) & ~(size_t)15;
    return room;
}

/* All arrays in one piece of memory behind the head; with `base` NULL only their size is found out. */
static size_t lay_out(sonde_regex *re, uint8_t *base)
{
    uint8_t *at = base;

    re->step = (program_step *)take_room(&at, re->steps, sizeof(*re->step));
    re->set = (rune_set *)take_room(&at, re->sets, sizeof(*re->set));
    re->range = (regex_range *)take_room(&at, re->ranges, sizeof(*re->range));
    re->now.item = (walker *)take_room(&at, re->steps, sizeof(walker));
    re->next.item = (walker *)take_room(&at, re->steps, sizeof(walker));
    re->now.place = (uint32_t *)take_room(&at, re->steps, sizeof(uint32_t));
    re->next.place = (uint32_t *)take_room(&at, re->steps, sizeof(uint32_t));
    re->stack = (uint32_t *)take_room(&at, 3 * (size_t)re->steps + 1, sizeof(uint32_t));
    re->bounds = (uint32_t *)take_room(&at, (size_t)re->steps * re->marks, sizeof(uint32_t));
    re->next_bounds = (uint32_t *)take_room(&at, (size_t)re->steps * re->marks, sizeof(uint32_t));
    re->marks_at = (uint32_t *)take_room(&at, re->marks, sizeof(uint32_t));
    re->name = (regex_name *)take_room(&at, re->names, sizeof(*re->name));
    re->pattern = (char *)take_room(&at, re->names ? SONDE_REGEX_PATTERN_MAX : 0, 1);
    return (size_t)(at - base);
}

static void add_walker(sonde_regex *re, walkers *w, uint32_t at, uint32_t from, unsigned where);

/* A byte that no match begins with need not be looked at: which those are follows from the steps that
 * can be reached at the beginning. */
static void find_first_bytes(sonde_regex *re)
{
    uint32_t i, c;

    re->never_empty = true;
    re->now.len = 0;
    add_walker(re, &re->now, 0, 0, ~0u);
    for (i = 0; i < re->now.len; i++) {
        const program_step *s = &re->step[re->now.item[i].at];

        if (s->op == STEP_MATCH)
            re->never_empty = false;
        if (s->op != STEP_RUNE && s->op != STEP_SET)
            continue;
        for (c = 0; c < 128; c++)
            if (regex_step_takes(re, s, c))
                re->first_byte[c / 8] |= (uint8_t)(1u << (c % 8));
        if (s->op == STEP_RUNE ? s->x >= 128 : re->set[s->x].len > 0)
            memset(re->first_byte + 16, 0xff, 16);
    }
    re->now.len = 0;
}

/* The last byte that stands in the pattern for itself, whatever way is taken; -1: none. */
static int find_needed_byte(const regex_node *n)
{
    int found = -1;

    switch (n->op) {
    case REGEX_SET:
        return n->ranges == 1 && n->range[0].lo == n->range[0].hi && n->range[0].lo < 128
                   ? (int)n->range[0].lo
                   : -1;
    case REGEX_CAT:
        for (n = n->child; n; n = n->next) {
            int of_child = find_needed_byte(n);

            found = of_child >= 0 ? of_child : found;
        }
        return found;
    case REGEX_REPEAT:
        return n->min > 0 ? find_needed_byte(n->child) : -1;
    case REGEX_GROUP:
        return find_needed_byte(n->child);
    default:
        return -1;
    }
}

static void keep_names(sonde_regex *re, sonde_str pattern, const regex_groups *groups)
{
    uint32_t i;

    if (re->names == 0)
        return;
    memcpy(re->pattern, pattern.ptr, pattern.len);
    for (i = 0; i < re->names; i++) {
        re->name[i] = groups->name[i];
        re->name[i].text.ptr = re->pattern + (groups->name[i].text.ptr - pattern.ptr);
    }
}

static sonde_status make_program(const regex_node *tree, sonde_str pattern,
                                 const regex_groups *groups, sonde_regex **out)
{
    static uint8_t nowhere[1];
    sonde_regex sizes = { .groups = groups->len, .marks = 2 * groups->len };
    maker m = { .re = &sizes, .counting = true };
    size_t head = (sizeof(sizes) + 15) & ~(size_t)15;
    sonde_regex *re;

    sizes.names = groups->len ? groups->names : 0;
    make(&m, tree);
    if (m.too_big || (size_t)sizes.steps * sizes.marks > SONDE_REGEX_BOUNDS_MAX)
        return SONDE_ERR_TOO_BIG;
    sizes.bytes = head + lay_out(&sizes, nowhere);
    re = (sonde_regex *)sonde_calloc(1, sizes.bytes);
    if (!re)
        return SONDE_ERR_NOMEM;
    *re = sizes;
    (void)lay_out(re, (uint8_t *)re + head);
    m = (maker){ .re = re };
    make(&m, tree);
    re->at_begin_only = re->step[0].op == STEP_ASSERT && re->step[0].x == REGEX_TEXT_BEGIN;
    find_first_bytes(re);
    re->needed_byte = find_needed_byte(tree);
    keep_names(re, pattern, groups);
    *out = re;
    return SONDE_OK;
}

static sonde_status compile(sonde_str pattern, bool with_groups, sonde_regex **out,
                            sonde_error *out_error)
{
    const char *why = NULL;
    regex_groups groups = { .len = 0 };
    regex_node *tree;
    sonde_arena arena;
    sonde_status status;

    sonde_arena_init(&arena, REGEX_TREE_MAX_BYTES);
    status = regex_parse(pattern, &arena, &tree, &groups, &why);
    if (!with_groups)
        groups.len = 0;
    if (status == SONDE_OK)
        status = make_program(tree, pattern, &groups, out);
    sonde_arena_done(&arena);
    if (status == SONDE_OK)
        return SONDE_OK;
    return sonde_fail(out_error, status, "pattern \"%.*s\": %s",
                      (int)(pattern.len < 100 ? pattern.len : 100), pattern.ptr ? pattern.ptr : "",
                      why ? why : sonde_status_str(status));
}

sonde_status sonde_regex_compile(sonde_str pattern, sonde_regex **out, sonde_error *out_error)
{
    return compile(pattern, false, out, out_error);
}

sonde_status sonde_regex_compile_groups(sonde_str pattern, sonde_regex **out,
                                        sonde_error *out_error)
{
    return compile(pattern, true, out, out_error);
}

void sonde_regex_free(sonde_regex *re)
{
    sonde_free(re);
}

/* -- over the text -------------------------------------------------------------------------------- */

static bool is_word_at(sonde_str text, size_t at)
{
    unsigned char c = at < text.len ? (unsigned char)text.ptr[at] : 0;

    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

unsigned regex_places(sonde_str text, size_t at)
{
    bool before = at > 0 && is_word_at(text, at - 1);
    unsigned p = before != is_word_at(text, at) ? REGEX_WORD_EDGE : REGEX_NO_WORD_EDGE;

    if (at == 0)
        p |= REGEX_TEXT_BEGIN | REGEX_LINE_BEGIN;
    else if (text.ptr[at - 1] == '\n')
        p |= REGEX_LINE_BEGIN;
    if (at == text.len)
        p |= REGEX_TEXT_END | REGEX_LINE_END;
    else if (text.ptr[at] == '\n')
        p |= REGEX_LINE_END;
    return p;
}

/* Adds a walker, and those at all steps that can be reached from there without a rune. */
static void add_walker(sonde_regex *re, walkers *w, uint32_t at, uint32_t from, unsigned where)
{
    uint32_t depth = 0;

    re->stack[depth++] = at;
    while (depth > 0) {
        const program_step *s;

        at = re->stack[--depth];
        re->work++;
        if (regex_has_walker(w, at))
            continue;
        w->place[at] = w->len;
        w->item[w->len++] = (walker){ at, from };
        s = &re->step[at];
        if (s->op == STEP_SPLIT)
            re->stack[depth++] = s->y;
        if (s->op == STEP_SPLIT || s->op == STEP_JUMP)
            re->stack[depth++] = s->x;
        else if (s->op == STEP_MARK || (s->op == STEP_ASSERT && (s->x & where)))
            re->stack[depth++] = at + 1;
    }
}

static bool is_in_set(const sonde_regex *re, const rune_set *s, uint32_t rune)
{
    uint32_t lo = 0;
    uint32_t hi = s->len;

    if (rune < 128)
        return s->ascii[rune / 64] >> (rune % 64) & 1;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        regex_range r = re->range[s->first + mid];

        if (rune > r.hi)
            lo = mid + 1;
        else if (rune < r.lo)
            hi = mid;
        else
            return true;
    }
    return false;
}

bool regex_step_takes(const sonde_regex *re, const program_step *s, uint32_t rune)
{
    return (s->op == STEP_RUNE && s->x == rune) ||
           (s->op == STEP_SET && is_in_set(re, &re->set[s->x], rune));
}

size_t regex_read_rune(sonde_str text, size_t at, uint32_t *out)
{
    unsigned rune = 0xfffd;
    unsigned char c = (unsigned char)text.ptr[at];
    size_t n = 1;

    if (c < 128)
        rune = c;
    else if ((n = sonde_utf8_decode(sonde_str_sub(text, at, 4), &rune)) == 0)
        rune = 0xfffd, n = 1;
    *out = rune;
    return n;
}

typedef struct found {
    bool any;
    uint32_t at, end;
} found;

/* Moves the walkers over `rune` (`end_at` is where it stands); those behind one that ends are given up. */
static void walk(sonde_regex *re, size_t at, bool has_rune, uint32_t rune, unsigned where, found *f)
{
    uint32_t i;

    re->next.len = 0;
    for (i = 0; i < re->now.len; i++) {
        walker w = re->now.item[i];
        const program_step *s = &re->step[w.at];

        re->work++;
        if (s->op == STEP_MATCH) {
            *f = (found){ true, w.from, (uint32_t)at };
            return;
        }
        if (has_rune && regex_step_takes(re, s, rune))
            add_walker(re, &re->next, w.at + 1, w.from, where);
    }
}

/* False: no match can begin from there on. */
static bool skip_to_first(const sonde_regex *re, sonde_str text, size_t *at)
{
    for (; *at < text.len; (*at)++) {
        unsigned char c = (unsigned char)text.ptr[*at];

        if (re->first_byte[c / 8] >> (c % 8) & 1)
            return true;
    }
    return false;
}

static found search(sonde_regex *re, sonde_str text, size_t at, bool first_is_enough)
{
    found f = { .any = false };
    walkers swap;

    re->work = 0;
    re->now.len = 0;
    if (re->needed_byte >= 0 &&
        (at == text.len || !memchr(text.ptr + at, re->needed_byte, text.len - at)))
        return f;
    for (;;) {
        size_t bytes = 0;
        uint32_t rune = 0;

        if (re->never_empty && !f.any && re->now.len == 0 && !skip_to_first(re, text, &at))
            return f;
        if (!f.any && (at == 0 || !re->at_begin_only))
            add_walker(re, &re->now, 0, (uint32_t)at, regex_places(text, at));
        if (re->now.len == 0)
            return f;
        if (at < text.len)
            bytes = regex_read_rune(text, at, &rune);
        walk(re, at, bytes > 0, rune, regex_places(text, at + bytes), &f);
        if (bytes == 0 || (f.any && first_is_enough))
            return f;
        swap = re->now;
        re->now = re->next;
        re->next = swap;
        at += bytes;
    }
}

bool sonde_regex_matches(sonde_regex *re, sonde_str text)
{
    return text.len < UINT32_MAX && search(re, text, 0, true).any;
}

bool sonde_regex_find(sonde_regex *re, sonde_str text, size_t from, size_t *out_at, size_t *out_len)
{
    found f = { .any = false };

    if (text.len < UINT32_MAX && from <= text.len)
        f = search(re, text, from, false);
    *out_at = f.at;
    *out_len = f.end - f.at;
    return f.any;
}

size_t sonde_regex_bytes(const sonde_regex *re)
{
    return re->bytes;
}

uint64_t sonde_regex_work(const sonde_regex *re)
{
    return re->work;
}

uint32_t sonde_regex_steps(const sonde_regex *re)
{
    return re->steps;
}
