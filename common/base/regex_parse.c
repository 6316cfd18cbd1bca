/* regex_parse.c - RE2's syntax, as Go's regexp/syntax takes it with the flags of Perl.
 *
 * Groups are numbered as their brackets open. */
#include "base/regex_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/regex.h"
#include "base/regex_unicode.h"

#define REPEAT_MAX     1000
#define CLASS_MAX      2048 /* ranges while a class is read */
#define KELVIN_SIGN    0x212au
#define LONG_S         0x17fu
#define NO_SUCH_ESCAPE "an escape that is not one"

enum { FLAG_FOLD = 1, FLAG_MULTILINE = 2, FLAG_DOT_NL = 4, FLAG_UNGREEDY = 8 };

typedef struct parser {
    sonde_str rest;
    unsigned flags;
    unsigned depth;
    sonde_arena *arena;
    sonde_status status;
    const char *why;
    regex_range class_[CLASS_MAX];
    uint32_t class_len;
    regex_groups groups;
} parser;

static bool fail(parser *p, sonde_status status, const char *why)
{
    if (p->status == SONDE_OK) {
        p->status = status;
        p->why = why;
    }
    p->rest.len = 0;
    return false;
}

static regex_node *new_node(parser *p, regex_op op)
{
    regex_node *n = (regex_node *)sonde_arena_zalloc(p->arena, 1, sizeof(*n));

    if (!n) {
        (void)fail(p, SONDE_ERR_NOMEM, "no memory");
        return NULL;
    }
    n->op = op;
    n->weight = 1;
    return n;
}

/* -- reading -------------------------------------------------------------------------------------- */

static void step(parser *p, size_t bytes)
{
    p->rest = sonde_str_sub(p->rest, bytes, p->rest.len);
}

static int peek(const parser *p, size_t at) /* -1: the end */
{
    return at < p->rest.len ? (unsigned char)p->rest.ptr[at] : -1;
}

static bool take(parser *p, const char *text)
{
    sonde_str s = sonde_str_from(text);

    if (!sonde_str_starts(p->rest, s))
        return false;
    step(p, s.len);
    return true;
}

static bool take_rune(parser *p, uint32_t *out)
{
    unsigned rune = 0;
    size_t n = p->rest.len > 0 ? sonde_utf8_decode(p->rest, &rune) : 0;

    if (n == 0)
        return fail(p, SONDE_ERR_SYNTAX, "not UTF-8");
    step(p, n);
    *out = rune;
    return true;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -- classes -------------------------------------------------------------------------------------- */

static void add_range(parser *p, uint32_t lo, uint32_t hi)
{
    if (p->class_len == CLASS_MAX)
        (void)fail(p, SONDE_ERR_TOO_BIG, "a class of too many ranges");
    else
        p->class_[p->class_len++] = (regex_range){ lo, hi };
}

static void add_other_case(parser *p, uint32_t lo, uint32_t hi, char first, char last, int shift)
{
    uint32_t from = lo > (uint32_t)first ? lo : (uint32_t)first;
    uint32_t to = hi < (uint32_t)last ? hi : (uint32_t)last;

    if (from <= to)
        add_range(p, from + (uint32_t)shift, to + (uint32_t)shift);
}

static bool has(uint32_t lo, uint32_t hi, uint32_t rune)
{
    return lo <= rune && rune <= hi;
}

/* Two signs beyond ASCII are the same letter as k and s when case does not count. */
static void add_folded(parser *p, uint32_t lo, uint32_t hi)
{
    add_range(p, lo, hi);
    if (!(p->flags & FLAG_FOLD) || (lo == 0 && hi == REGEX_RUNE_MAX))
        return;
    if (hi > 0x7f)
        (void)fail(p, SONDE_ERR_INVALID, "case beyond ASCII is not known here");
    add_other_case(p, lo, hi, 'a', 'z', 'A' - 'a');
    add_other_case(p, lo, hi, 'A', 'Z', 'a' - 'A');
    if (has(lo, hi, 'k') || has(lo, hi, 'K'))
        add_range(p, KELVIN_SIGN, KELVIN_SIGN);
    if (has(lo, hi, 's') || has(lo, hi, 'S'))
        add_range(p, LONG_S, LONG_S);
}

static int compare_ranges(const void *a, const void *b)
{
    uint32_t x = ((const regex_range *)a)->lo;
    uint32_t y = ((const regex_range *)b)->lo;

    return x < y ? -1 : x > y;
}

/* Sorts the ranges from `from` on and joins those that touch. */
static void clean_class(parser *p, uint32_t from)
{
    regex_range *r = p->class_;
    uint32_t out = from;
    uint32_t i;

    qsort(r + from, p->class_len - from, sizeof(*r), compare_ranges);
    for (i = from; i < p->class_len; i++) {
        if (out > from && r[i].lo <= r[out - 1].hi + 1) {
            if (r[i].hi > r[out - 1].hi)
                r[out - 1].hi = r[i].hi;
        } else {
            r[out++] = r[i];
        }
    }
    p->class_len = out;
}

/* What is not in the ranges from `from` on takes their place. */
static void negate_class(parser *p, uint32_t from)
{
    regex_range *r = p->class_;
    uint32_t next = 0;
    uint32_t out = from;
    uint32_t i;

    clean_class(p, from);
    for (i = from; i < p->class_len; i++) {
        regex_range was = r[i];

        if (was.lo > next)
            r[out++] = (regex_range){ next, was.lo - 1 };
        next = was.hi + 1;
    }
    p->class_len = out;
    if (next <= REGEX_RUNE_MAX)
        add_range(p, next, REGEX_RUNE_MAX);
}

/* `pairs` is "azAZ": ranges of ASCII. */
static void add_pairs(parser *p, const char *pairs, size_t len, bool negated)
{
    uint32_t from = p->class_len;
    size_t i;

    for (i = 0; i + 1 < len; i += 2)
        add_folded(p, (unsigned char)pairs[i], (unsigned char)pairs[i + 1]);
    if (negated)
        negate_class(p, from);
}

/* \d \s \w and their opposites; false: it is none of them, nothing was taken. */
static bool take_perl_class(parser *p)
{
    static const struct {
        char letter;
        const char *pairs;
        size_t len;
    } classes[] = { { 'd', "09", 2 }, { 's', "\t\n\f\r  ", 6 }, { 'w', "09AZ__az", 8 } };
    int letter = peek(p, 1);
    size_t i;

    if (peek(p, 0) != '\\')
        return false;
    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if ((letter | 0x20) != classes[i].letter)
            continue;
        step(p, 2);
        add_pairs(p, classes[i].pairs, classes[i].len, letter < 'a');
        return true;
    }
    return false;
}

/* [:alpha:] and [:^alpha:] in a class; false: it does not look like one. */
static bool take_named_class(parser *p)
{
    static const struct {
        const char *name;
        const char *pairs;
        size_t len;
    } classes[] = {
        { "alnum", "09AZaz", 6 },
        { "alpha", "AZaz", 4 },
        { "ascii", "\0\x7f", 2 },
        { "blank", "\t\t  ", 4 },
        { "cntrl", "\0\x1f\x7f\x7f", 4 },
        { "digit", "09", 2 },
        { "graph", "!~", 2 },
        { "lower", "az", 2 },
        { "print", " ~", 2 },
        { "punct", "!/:@[`{~", 8 },
        { "space", "\t\r  ", 4 },
        { "upper", "AZ", 2 },
        { "word", "09AZaz__", 8 },
        { "xdigit", "09AFaf", 6 },
    };
    sonde_str name = sonde_str_sub(p->rest, 2, p->rest.len);
    bool negated;
    size_t end, i;

    if (!sonde_str_starts(p->rest, SONDE_STR("[:")) || !sonde_str_find(name, SONDE_STR(":]"), &end))
        return false;
    name.len = end;
    step(p, end + 4);
    negated = name.len > 0 && name.ptr[0] == '^';
    name = sonde_str_sub(name, negated, name.len);
    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (!sonde_str_eq(name, sonde_str_from(classes[i].name)))
            continue;
        add_pairs(p, classes[i].pairs, classes[i].len, negated);
        return true;
    }
    (void)fail(p, SONDE_ERR_SYNTAX, "a class of an unknown name");
    return true;
}

static void take_range(void *parser_, uint32_t lo, uint32_t hi)
{
    parser *p = (parser *)parser_;

    if (p->class_len > 0 && lo == p->class_[p->class_len - 1].hi + 1)
        p->class_[p->class_len - 1].hi = hi;
    else
        add_range(p, lo, hi);
}

static void add_unicode_class(parser *p, sonde_str name, bool negated)
{
    const uint32_t *more = regex_unicode_folded(name);
    uint32_t from = p->class_len;

    if (!regex_unicode_walk(name, take_range, p))
        (void)fail(p, SONDE_ERR_INVALID, "this class of Unicode is not known here");
    else if (!more && (p->flags & FLAG_FOLD))
        (void)fail(p, SONDE_ERR_INVALID, "case beyond ASCII is not known here");
    for (; more && *more && (p->flags & FLAG_FOLD); more++)
        add_range(p, *more, *more);
    if (negated)
        negate_class(p, from);
}

/* \pL \p{Greek} \p{^L} and their opposites with \P; false: it is none of them, nothing was taken. */
static bool take_unicode_class(parser *p)
{
    sonde_str name = sonde_str_sub(p->rest, 2, p->rest.len);
    bool negated = peek(p, 1) == 'P';
    size_t len = 1, i;

    if (peek(p, 0) != '\\' || (peek(p, 1) | 0x20) != 'p')
        return false;
    if (peek(p, 2) == '{') {
        name = sonde_str_sub(name, 1, name.len);
        if (!sonde_str_find(name, SONDE_STR("}"), &len))
            return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
        step(p, 2);
    }
    step(p, 2 + len);
    name = sonde_str_sub(name, 0, len);
    if (name.len > 1 && name.ptr[0] == '^') {
        negated = !negated;
        name = sonde_str_sub(name, 1, name.len);
    }
    for (i = 0; i < name.len && is_word((unsigned char)name.ptr[i]); i++)
        ;
    if (name.len == 0 || i < name.len)
        return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
    add_unicode_class(p, name, negated);
    return true;
}

/* -- escapes -------------------------------------------------------------------------------------- */

static bool take_hex(parser *p, uint32_t *out)
{
    uint32_t value = 0;
    size_t digits = 0;

    if (!take(p, "{")) {
        if (hex_value(peek(p, 0)) < 0 || hex_value(peek(p, 1)) < 0)
            return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
        *out = (uint32_t)(hex_value(peek(p, 0)) << 4 | hex_value(peek(p, 1)));
        step(p, 2);
        return true;
    }
    for (; hex_value(peek(p, 0)) >= 0 && value <= REGEX_RUNE_MAX; digits++) {
        value = value << 4 | (uint32_t)hex_value(peek(p, 0));
        step(p, 1);
    }
    if (digits == 0 || value > REGEX_RUNE_MAX || !take(p, "}"))
        return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
    *out = value;
    return true;
}

/* Behind \0, or \1 to \7 with another octal digit: a lone one would be a reference back. */
static void take_octal(parser *p, int first, uint32_t *out)
{
    int i;

    *out = (uint32_t)(first - '0');
    for (i = 0; i < 2 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; i++) {
        *out = *out << 3 | (uint32_t)(peek(p, 0) - '0');
        step(p, 1);
    }
}

/* An escape that stands for one rune. */
static bool take_escape(parser *p, uint32_t *out)
{
    static const char letters[] = "aftnrv";
    static const char controls[] = "\a\f\t\n\r\v";
    int c = peek(p, 1);
    const char *at;

    step(p, 2);
    if (c < 0)
        return fail(p, SONDE_ERR_SYNTAX, "a backslash at the end");
    if (c >= 0x80)
        return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
    if (c == 'x')
        return take_hex(p, out);
    if (c == '0' || (c >= '1' && c <= '7' && peek(p, 0) >= '0' && peek(p, 0) <= '7')) {
        take_octal(p, c, out);
        return true;
    }
    at = c ? strchr(letters, c) : NULL;
    if (at) {
        *out = (unsigned char)controls[at - letters];
        return true;
    }
    if (is_word(c) && c != '_')
        return fail(p, SONDE_ERR_SYNTAX, NO_SUCH_ESCAPE);
    *out = (uint32_t)c;
    return true;
}

/* -- atoms ---------------------------------------------------------------------------------------- */

/* The class that was read becomes a node. */
static regex_node *set_node(parser *p)
{
    regex_node *n = new_node(p, REGEX_SET);
    regex_range *copy;

    clean_class(p, 0);
    copy = (regex_range *)sonde_arena_zalloc(p->arena, p->class_len + 1, sizeof(*copy));
    if (n)
        n->set = (regex_set_cell *)sonde_arena_zalloc(p->arena, 1, sizeof(*n->set));
    if (!n || !copy || !n->set) {
        (void)fail(p, SONDE_ERR_NOMEM, "no memory");
        return NULL;
    }
    memcpy(copy, p->class_, p->class_len * sizeof(*copy));
    n->range = copy;
    n->ranges = p->class_len;
    return n;
}

static regex_node *rune_node(parser *p, uint32_t rune)
{
    p->class_len = 0;
    if (rune > 0x7f && (p->flags & FLAG_FOLD))
        (void)fail(p, SONDE_ERR_INVALID, "case beyond ASCII is not known here");
    add_folded(p, rune, rune);
    return set_node(p);
}

static regex_node *assert_node(parser *p, unsigned where)
{
    regex_node *n = new_node(p, REGEX_ASSERT);

    if (n)
        n->where = (uint8_t)where;
    return n;
}

static regex_node *dot_node(parser *p)
{
    p->class_len = 0;
    add_range(p, 0, p->flags & FLAG_DOT_NL ? REGEX_RUNE_MAX : '\n' - 1);
    if (!(p->flags & FLAG_DOT_NL))
        add_range(p, '\n' + 1, REGEX_RUNE_MAX);
    return set_node(p);
}

static bool take_class_rune(parser *p, uint32_t *out)
{
    if (p->rest.len == 0)
        return fail(p, SONDE_ERR_SYNTAX, "a class without its end");
    return peek(p, 0) == '\\' ? take_escape(p, out) : take_rune(p, out);
}

static bool take_class_range(parser *p)
{
    uint32_t lo, hi;

    if (!take_class_rune(p, &lo))
        return false;
    hi = lo;
    if (peek(p, 0) == '-' && peek(p, 1) >= 0 && peek(p, 1) != ']') {
        step(p, 1);
        if (!take_class_rune(p, &hi))
            return false;
    }
    if (hi < lo)
        return fail(p, SONDE_ERR_SYNTAX, "a range from high to low");
    add_folded(p, lo, hi);
    return true;
}

static regex_node *class_node(parser *p)
{
    bool negated;
    bool first = true;

    step(p, 1);
    negated = take(p, "^");
    p->class_len = 0;
    while (p->status == SONDE_OK && (first || peek(p, 0) != ']')) {
        first = false;
        if (p->rest.len == 0)
            (void)fail(p, SONDE_ERR_SYNTAX, "a class without its end");
        else if (!take_named_class(p) && !take_perl_class(p) && !take_unicode_class(p) &&
                 p->status == SONDE_OK)
            (void)take_class_range(p);
    }
    step(p, 1);
    if (negated)
        negate_class(p, 0);
    return p->status == SONDE_OK ? set_node(p) : NULL;
}

/* \A \z \b \B; NULL without a failure: another escape. */
static regex_node *edge_node(parser *p)
{
    if (take(p, "\\A"))
        return assert_node(p, REGEX_TEXT_BEGIN);
    if (take(p, "\\z"))
        return assert_node(p, REGEX_TEXT_END);
    if (take(p, "\\b"))
        return assert_node(p, REGEX_WORD_EDGE);
    return take(p, "\\B") ? assert_node(p, REGEX_NO_WORD_EDGE) : NULL;
}

static regex_node *escape_node(parser *p)
{
    regex_node *edge = edge_node(p);
    uint32_t rune;

    if (edge || p->status != SONDE_OK)
        return edge;
    p->class_len = 0;
    if (take_perl_class(p) || take_unicode_class(p))
        return p->status == SONDE_OK ? set_node(p) : NULL;
    if (p->status != SONDE_OK)
        return NULL;
    return take_escape(p, &rune) ? rune_node(p, rune) : NULL;
}

/* -- groups --------------------------------------------------------------------------------------- */

static regex_node *parse_alt(parser *p);

/* Behind "(?P<" or "(?<". */
static void take_name(parser *p)
{
    sonde_str name = p->rest;
    uint32_t i;

    for (name.len = 0; is_word(peek(p, name.len)); name.len++)
        ;
    if (name.len == 0 || peek(p, name.len) != '>') {
        (void)fail(p, SONDE_ERR_SYNTAX, "a group of no good name");
        return;
    }
    step(p, name.len + 1);
    for (i = 0; i < p->groups.names; i++)
        if (sonde_str_eq(p->groups.name[i].text, name))
            (void)fail(p, SONDE_ERR_SYNTAX, "two groups of one name");
    if (p->groups.names < REGEX_NAMES_MAX)
        p->groups.name[p->groups.names++] = (regex_name){ name, p->groups.len + 1 };
    else
        (void)fail(p, SONDE_ERR_TOO_BIG, "too many names of groups");
}

/* Behind "(?": flags up to ')' or ':'.  True: a group begins. */
static bool take_flags(parser *p)
{
    static const char letters[] = "imsU";
    unsigned on = p->flags;
    bool minus = false;
    bool any = false;

    for (; p->rest.len > 0; step(p, 1)) {
        int c = peek(p, 0);
        const char *at = c ? strchr(letters, c) : NULL;

        if (at) {
            unsigned bit = 1u << (at - letters);

            on = minus ? on & ~bit : on | bit;
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else if ((c == ')' || c == ':') && (any || !minus)) {
            step(p, 1);
            p->flags = on;
            return c == ':';
        } else {
            break;
        }
    }
    return fail(p, SONDE_ERR_SYNTAX, "flags that are none");
}

static regex_node *parse_group(parser *p, unsigned outer_flags)
{
    regex_node *n;

    if (++p->depth > SONDE_REGEX_DEPTH_MAX)
        (void)fail(p, SONDE_ERR_TOO_BIG, "groups nested too deeply");
    n = p->status == SONDE_OK ? parse_alt(p) : NULL;
    p->depth--;
    if (!take(p, ")"))
        (void)fail(p, SONDE_ERR_SYNTAX, "a group without its end");
    p->flags = outer_flags;
    return n;
}

/* At "(".  NULL without a failure: only flags stood there. */
static regex_node *group_node(parser *p)
{
    unsigned outer_flags = p->flags;
    regex_node *n, *child;
    uint32_t group;

    if (take(p, "(?P<") || (peek(p, 1) == '?' && take(p, "(?<")))
        take_name(p);
    else if (take(p, "(?"))
        return take_flags(p) ? parse_group(p, outer_flags) : NULL;
    else
        step(p, 1);
    group = ++p->groups.len;
    n = new_node(p, REGEX_GROUP);
    child = parse_group(p, outer_flags);
    if (!n || !child)
        return NULL;
    n->group = group;
    n->child = child;
    n->weight = child->weight;
    return n;
}

/* -- repetition ----------------------------------------------------------------------------------- */

static bool take_number(parser *p, uint32_t *out)
{
    bool lone_zero = peek(p, 0) == '0' && is_digit(peek(p, 1));

    if (!is_digit(peek(p, 0)) || lone_zero)
        return false;
    *out = 0;
    for (; is_digit(peek(p, 0)); step(p, 1))
        if (*out <= REPEAT_MAX)
            *out = *out * 10 + (uint32_t)(peek(p, 0) - '0');
    return true;
}

/* {n} {n,} {n,m}; false: a brace that stands for itself, nothing was taken. */
static bool take_counts(parser *p, regex_node *repeat)
{
    sonde_str was = p->rest;
    bool ok;

    step(p, 1);
    ok = take_number(p, &repeat->min);
    repeat->max = repeat->min;
    if (ok && take(p, ",")) {
        repeat->max = REGEX_UNBOUNDED;
        if (peek(p, 0) != '}')
            ok = take_number(p, &repeat->max);
    }
    if (ok && take(p, "}"))
        return true;
    p->rest = was;
    return false;
}

static bool take_operator(parser *p, regex_node *repeat)
{
    int c = peek(p, 0);

    if (c == '{')
        return take_counts(p, repeat);
    if (c != '*' && c != '+' && c != '?')
        return false;
    repeat->min = c == '+';
    repeat->max = c == '?' ? 1 : REGEX_UNBOUNDED;
    step(p, 1);
    return true;
}

/* Counted repetitions in one another stand for at most REPEAT_MAX, as in Go. */
static void weigh(parser *p, regex_node *repeat)
{
    uint32_t times = repeat->max == REGEX_UNBOUNDED ? repeat->min : repeat->max;
    bool counted = repeat->max != REGEX_UNBOUNDED ? repeat->max > 1 : repeat->min > 1;

    if (repeat->min > REPEAT_MAX || (repeat->max != REGEX_UNBOUNDED && repeat->max > REPEAT_MAX) ||
        repeat->min > repeat->max)
        (void)fail(p, SONDE_ERR_SYNTAX, "a repetition count out of range");
    repeat->weight = repeat->child->weight * (counted && p->status == SONDE_OK ? times : 1);
    if (repeat->weight > REPEAT_MAX)
        (void)fail(p, SONDE_ERR_SYNTAX, "repetitions of repetitions beyond the limit");
}

/* Puts a repetition around the last node of a sequence where an operator follows it. */
static bool parse_repeat(parser *p, regex_node **last)
{
    regex_node operator_ = { .op = REGEX_REPEAT };
    regex_node *repeat;

    if (!take_operator(p, &operator_))
        return false;
    if (!*last)
        return fail(p, SONDE_ERR_SYNTAX, "nothing to repeat");
    repeat = new_node(p, REGEX_REPEAT);
    if (!repeat)
        return false;
    *repeat = operator_;
    repeat->lazy = take(p, "?") != ((p->flags & FLAG_UNGREEDY) != 0);
    repeat->child = *last;
    weigh(p, repeat);
    *last = repeat;
    if (take_operator(p, &operator_))
        return fail(p, SONDE_ERR_SYNTAX, "a repetition right behind another");
    return true;
}

/* -- sequences ------------------------------------------------------------------------------------ */

static regex_node *line_edge(parser *p, unsigned of_text, unsigned of_line)
{
    step(p, 1);
    return assert_node(p, p->flags & FLAG_MULTILINE ? of_line : of_text);
}

/* One atom; NULL: flags, or a failure. */
static regex_node *parse_atom(parser *p)
{
    uint32_t rune;

    switch (peek(p, 0)) {
    case '(':
        return group_node(p);
    case '[':
        return class_node(p);
    case '\\':
        return escape_node(p);
    case '.':
        step(p, 1);
        return dot_node(p);
    case '^':
        return line_edge(p, REGEX_TEXT_BEGIN, REGEX_LINE_BEGIN);
    case '$':
        return line_edge(p, REGEX_TEXT_END, REGEX_LINE_END);
    default:
        return take_rune(p, &rune) ? rune_node(p, rune) : NULL;
    }
}

/* Appends behind `*tail` and makes that the place for the next one. */
static void append(regex_node *parent, regex_node ***tail, regex_node *n)
{
    **tail = n;
    *tail = &n->next;
    if (n->weight > parent->weight)
        parent->weight = n->weight;
}

/* \Q up to \E or the end: each rune an atom, the last one may be repeated. */
static void parse_quoted(parser *p, regex_node *cat, regex_node ***tail, regex_node **last)
{
    uint32_t rune;

    while (p->rest.len > 0 && !take(p, "\\E")) {
        if (*last)
            append(cat, tail, *last);
        *last = take_rune(p, &rune) ? rune_node(p, rune) : NULL;
    }
}

static regex_node *parse_cat(parser *p)
{
    regex_node *cat = new_node(p, REGEX_CAT);
    regex_node **tail = cat ? &cat->child : NULL;
    regex_node *last = NULL; /* not in the list yet */

    while (cat && p->rest.len > 0 && peek(p, 0) != '|' && peek(p, 0) != ')') {
        regex_node *atom;

        if (take(p, "\\Q")) {
            parse_quoted(p, cat, &tail, &last);
            continue;
        }
        if (parse_repeat(p, &last) || p->status != SONDE_OK)
            continue;
        atom = parse_atom(p);
        if (atom && last)
            append(cat, &tail, last);
        if (atom)
            last = atom;
    }
    if (last)
        append(cat, &tail, last);
    return cat;
}

static regex_node *parse_alt(parser *p)
{
    regex_node *alt = new_node(p, REGEX_ALT);
    regex_node **tail = alt ? &alt->child : NULL;

    while (alt) {
        regex_node *cat = parse_cat(p);

        if (!cat)
            return NULL;
        append(alt, &tail, cat);
        if (!take(p, "|"))
            break;
    }
    return alt && !alt->child->next ? alt->child : alt;
}

sonde_status regex_parse(sonde_str pattern, sonde_arena *arena, regex_node **out,
                         regex_groups *out_groups, const char **out_why)
{
    parser p = { .rest = pattern, .arena = arena };

    if (pattern.len > SONDE_REGEX_PATTERN_MAX)
        (void)fail(&p, SONDE_ERR_TOO_BIG, "a pattern too long");
    else if (!sonde_utf8_valid(pattern))
        (void)fail(&p, SONDE_ERR_SYNTAX, "not UTF-8");
    *out = parse_alt(&p);
    if (p.status == SONDE_OK && p.rest.len > 0)
        (void)fail(&p, SONDE_ERR_SYNTAX, "an end of a group that did not begin");
    *out_groups = p.groups;
    *out_why = p.why;
    return p.status;
}
