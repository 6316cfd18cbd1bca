/* search_parse.c - span search text to a tree, by recursive descent; see docs/spec/query-language.md.
 *
 *   or    = and { "OR" and }
 *   and   = not { [ "AND" ] not }
 *   not   = ( "-" | "NOT" ) not | "(" or ")" | term
 *   term  = [ key ":" ] value
 *   value = "(" or ")" | "[" bound "TO" bound "]" | "{" ... "}" | ( ">" | ">=" | "<" | "<=" ) number
 *         | quoted text | text with wildcards
 *
 * Inside a group that belongs to a key, terms have no key of their own. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "dashboards/query/search.h"
#include "dashboards/query/trace.h"

#define ARENA_MAX_BYTES (256u * 1024)

typedef struct parser {
    const char *start;
    const char *at;
    const char *end;
    char *room; /* for the words: twice the text, as an escape may become two bytes */
    search *out;
    search_error *error;
    sonde_status status;
    int depth;
    int terms;
    bool keyed; /* inside key:( ... ) */
    search_field field;
    sonde_str key;
} parser;

static const search_node *fail_at(parser *p, const char *at, const char *fmt, ...)
    SONDE_PRINTF(3, 4);

static const search_node *fail_at(parser *p, const char *at, const char *fmt, ...)
{
    va_list args;

    if (p->status != SONDE_OK)
        return NULL;
    p->status = SONDE_ERR_SYNTAX;
    p->error->at = (size_t)(at - p->start);
    va_start(args, fmt);
    vsnprintf(p->error->message, sizeof(p->error->message), fmt, args);
    va_end(args);
    return NULL;
}

static search_node *new_node(parser *p, search_kind kind)
{
    search_node *n = (search_node *)sonde_arena_zalloc(&p->out->arena, 1, sizeof(*n));

    if (!n && p->status == SONDE_OK)
        p->status = SONDE_ERR_NOMEM;
    if (n)
        n->kind = kind;
    return n;
}

static const search_node *pair(parser *p, search_kind kind, const search_node *left,
                               const search_node *right)
{
    search_node *n = left && right ? new_node(p, kind) : NULL;

    if (!n)
        return NULL;
    n->left = left;
    n->right = right;
    return n;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(parser *p)
{
    while (p->at < p->end && is_space(*p->at))
        p->at++;
}

static bool at_char(const parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

static bool ends_word(const parser *p, const char *at)
{
    return at == p->end || is_space(*at) || *at == '(' || *at == ')';
}

/* Takes a keyword when it stands alone. */
static bool take_word(parser *p, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(p->end - p->at) < len || memcmp(p->at, text, len) != 0 ||
        !ends_word(p, p->at + len))
        return false;
    p->at += len;
    skip_space(p);
    return true;
}

/* ---- words ---- */

typedef struct word {
    sonde_str text; /* escapes taken out; in a pattern literal * and ? are marked */
    bool quoted;
    bool pattern;
} word;

static bool take_quoted(parser *p, word *out)
{
    const char *open = p->at++;
    char *to = p->room;
    size_t n = 0;

    while (p->at < p->end && *p->at != '"') {
        if (*p->at == '\\' && p->at + 1 < p->end)
            p->at++;
        to[n++] = *p->at++;
    }
    if (p->at == p->end) {
        fail_at(p, open, "quote is not closed");
        return false;
    }
    p->at++;
    p->room += n;
    *out = (word){ .text = { to, n }, .quoted = true };
    return true;
}

/* A run of characters up to white space, a parenthesis, or one of `stops`. */
static bool take_plain(parser *p, const char *stops, word *out)
{
    char *to = p->room;
    size_t n = 0;

    *out = (word){ .text = { to, 0 } };
    while (!ends_word(p, p->at) && !strchr(stops, *p->at)) {
        char c = *p->at++;

        if (c == '\\') {
            if (p->at == p->end) {
                fail_at(p, p->at - 1, "nothing follows the backslash");
                return false;
            }
            c = *p->at++;
            if (c == '*' || c == '?')
                to[n++] = SEARCH_LITERAL;
        } else if (c == '*' || c == '?') {
            out->pattern = true;
        }
        to[n++] = c;
    }
    out->text.len = n;
    p->room += n;
    return true;
}

/* A text without wildcards has no use for the marks of literal ones. */
static void unmark(word *w)
{
    char *to = (char *)(uintptr_t)w->text.ptr;
    size_t i, n = 0;

    for (i = 0; i < w->text.len; i++)
        if (w->text.ptr[i] != SEARCH_LITERAL)
            to[n++] = w->text.ptr[i];
    w->text.len = n;
}

/* ---- fields ---- */

static const struct {
    const char *name;
    search_field field;
} reserved[] = {
    { "service", SEARCH_SERVICE },
    { "operation_name", SEARCH_NAME },
    { "resource_name", SEARCH_RESOURCE },
    { "type", SEARCH_TYPE },
    { "env", SEARCH_ENV },
    { "host", SEARCH_HOST },
    { "version", SEARCH_VERSION },
    { "status", SEARCH_STATUS },
    { "span_id", SEARCH_SPAN_ID },
    { "parent_id", SEARCH_PARENT_ID },
    { "trace_id", SEARCH_TRACE_ID },
    { "duration", SEARCH_DURATION },
    { "timestamp", SEARCH_TIMESTAMP },
    { "tags", SEARCH_TAGS },
};

static search_field field_of(sonde_str *key)
{
    bool attr = sonde_str_starts(*key, SONDE_STR("@"));
    size_t i;

    if (attr)
        *key = sonde_str_sub(*key, 1, key->len);
    if (sonde_str_eq(*key, SONDE_STR("duration")))
        return SEARCH_DURATION; /* @duration is the duration of the span, too */
    for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]) && !attr; i++)
        if (sonde_str_eq(*key, sonde_str_from(reserved[i].name)))
            return reserved[i].field;
    return sonde_str_eq(*key, SONDE_STR("*")) ? SEARCH_ANY : SEARCH_ATTR;
}

/* Nanoseconds of "20ms", "1.5s", "2min", "100"; another number as it is. */
static bool parse_number(search_field field, sonde_str s, double *out)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = { { "min", 6e10 }, { "ns", 1 },   { "us", 1e3 },   { "ms", 1e6 },
                  { "s", 1e9 },    { "m", 6e10 }, { "h", 3.6e12 }, { "d", 8.64e13 } };
    double scale = field == SEARCH_TIMESTAMP ? 1e6 : 1; /* milliseconds */
    size_t i;

    for (i = 0; field == SEARCH_DURATION && i < sizeof(units) / sizeof(units[0]); i++) {
        sonde_str unit = sonde_str_from(units[i].unit);

        if (s.len > unit.len && sonde_str_ends(s, unit)) {
            s.len -= unit.len;
            scale = units[i].ns;
            break;
        }
    }
    if (sonde_parse_double(s, out) != SONDE_OK)
        return false;
    *out *= scale;
    return true;
}

static const search_node *check_ids(parser *p, const char *at, search_node *n)
{
    bool is_trace = n->field == SEARCH_TRACE_ID;

    if (n->op == SEARCH_EXISTS)
        return n;
    if (n->op != SEARCH_EQUAL || trace_parse_id(n->text, &n->id_hi, &n->id_lo) != SONDE_OK ||
        (!is_trace && n->id_hi))
        return fail_at(p, at, "an id must be a decimal number or %s hex digits",
                       is_trace ? "16 or 32" : "16");
    return n;
}

/* What only numbers can do, and what ids need. */
static const search_node *check_term(parser *p, const char *at, search_node *n)
{
    switch (n->field) {
    case SEARCH_SPAN_ID:
    case SEARCH_PARENT_ID:
    case SEARCH_TRACE_ID:
        return check_ids(p, at, n);
    case SEARCH_DURATION:
    case SEARCH_TIMESTAMP:
        if (n->op == SEARCH_PATTERN || (n->op == SEARCH_EQUAL && !n->is_number))
            return fail_at(p, at,
                           n->field == SEARCH_DURATION ? "a duration must be a number like 20ms"
                                                       : "a time must be a number of milliseconds");
        return n;
    case SEARCH_ATTR:
        return n;
    default:
        return n->op == SEARCH_RANGE ? fail_at(p, at, "this field is text: no comparison") : n;
    }
}

/* ---- values ---- */

static search_node *new_term(parser *p, search_op op)
{
    search_node *n;

    if (++p->terms > SEARCH_TERMS_MAX) {
        fail_at(p, p->at, "more than %d terms", SEARCH_TERMS_MAX);
        return NULL;
    }
    n = new_node(p, SEARCH_TERM);
    if (!n)
        return NULL;
    n->field = p->field;
    n->key = p->key;
    n->op = op;
    n->low = -INFINITY;
    n->high = INFINITY;
    return n;
}

static bool take_number(parser *p, const char *stops, double *out)
{
    const char *at = p->at;
    word w;

    if (!take_plain(p, stops, &w))
        return false;
    if (parse_number(p->field, w.text, out))
        return true;
    fail_at(p, at, "must be a number");
    return false;
}

static const search_node *parse_comparison(parser *p)
{
    const char *at = p->at;
    bool greater = *p->at++ == '>', included = at_char(p, '=');
    search_node *n = new_term(p, SEARCH_RANGE);

    if (included)
        p->at++;
    skip_space(p);
    if (!n || !take_number(p, "", greater ? &n->low : &n->high))
        return NULL;
    n->low_included = n->high_included = included;
    return check_term(p, at, n);
}

static bool take_bound(parser *p, double *out)
{
    skip_space(p);
    if (at_char(p, '*')) { /* open: stays infinite */
        p->at++;
        return true;
    }
    return take_number(p, "]}", out);
}

static const search_node *parse_range(parser *p)
{
    const char *at = p->at;
    search_node *n = new_term(p, SEARCH_RANGE);

    if (!n)
        return NULL;
    n->low_included = *p->at++ == '[';
    if (!take_bound(p, &n->low))
        return NULL;
    skip_space(p);
    if (!take_word(p, "TO"))
        return fail_at(p, p->at, "a range is [low TO high]");
    if (!take_bound(p, &n->high))
        return NULL;
    skip_space(p);
    if (!at_char(p, ']') && !at_char(p, '}'))
        return fail_at(p, at, "range is not closed");
    n->high_included = *p->at++ == ']';
    return check_term(p, at, n);
}

static const search_node *term_of_word(parser *p, const char *at, word *w)
{
    search_node *n = new_term(p, SEARCH_EQUAL);

    if (!n)
        return NULL;
    if (w->pattern)
        n->op = sonde_str_eq(w->text, SONDE_STR("*")) ? SEARCH_EXISTS : SEARCH_PATTERN;
    else if (!w->quoted)
        unmark(w);
    n->text = w->text;
    n->is_number = n->op == SEARCH_EQUAL && parse_number(p->field, w->text, &n->number);
    return check_term(p, at, n);
}

static const search_node *parse_or(parser *p);

static const search_node *parse_group(parser *p)
{
    const char *open = p->at++;
    const search_node *n;

    if (++p->depth > SEARCH_DEPTH_MAX)
        return fail_at(p, open, "nested deeper than %d", SEARCH_DEPTH_MAX);
    n = parse_or(p);
    p->depth--;
    if (!n)
        return NULL;
    if (!at_char(p, ')'))
        return fail_at(p, open, "parenthesis is not closed");
    p->at++;
    return n;
}

static const search_node *parse_value(parser *p)
{
    const char *at = p->at;
    word w;

    if (at_char(p, '>') || at_char(p, '<'))
        return parse_comparison(p);
    if (at_char(p, '[') || at_char(p, '{'))
        return parse_range(p);
    if (at_char(p, '"') ? !take_quoted(p, &w) : !take_plain(p, "", &w))
        return NULL;
    if (w.text.len == 0 && !w.quoted)
        return fail_at(p, at, "a value is missing");
    return term_of_word(p, at, &w);
}

/* key: has been read; its value, or a group of values. */
static const search_node *parse_keyed(parser *p)
{
    const search_node *n;

    if (!at_char(p, '('))
        return parse_value(p);
    p->keyed = true;
    n = parse_group(p);
    p->keyed = false;
    return n;
}

static const search_node *parse_free_text(parser *p, const char *at, word *w)
{
    p->field = SEARCH_TEXT;
    p->key = (sonde_str){ NULL, 0 };
    if (!w->quoted && (w->text.len == 0 || sonde_str_eq(w->text, SONDE_STR("AND")) ||
                       sonde_str_eq(w->text, SONDE_STR("OR"))))
        return fail_at(p, at, "a term is missing");
    return term_of_word(p, at, w);
}

static const search_node *parse_term(parser *p)
{
    const char *at = p->at;
    word w;

    if (p->keyed)
        return parse_value(p);
    if (at_char(p, '"'))
        return take_quoted(p, &w) ? parse_free_text(p, at, &w) : NULL;
    if (!take_plain(p, ":", &w))
        return NULL;
    if (!at_char(p, ':'))
        return parse_free_text(p, at, &w);
    p->at++;
    unmark(&w);
    p->key = w.text;
    p->field = field_of(&p->key);
    if (p->key.len == 0)
        return fail_at(p, at, "a name is missing before the colon");
    return parse_keyed(p);
}

static const search_node *parse_not(parser *p)
{
    const char *at = p->at;
    bool negated = false;
    const search_node *n;
    search_node *not_node;

    while (at_char(p, '-') || take_word(p, "NOT")) {
        if (at_char(p, '-'))
            p->at++;
        negated = !negated;
        skip_space(p);
    }
    if (p->at == p->end)
        return fail_at(p, at, "a term is missing");
    n = at_char(p, '(') ? parse_group(p) : parse_term(p);
    skip_space(p);
    if (!n || !negated)
        return n;
    not_node = new_node(p, SEARCH_NOT);
    if (not_node)
        not_node->left = n;
    return not_node;
}

static bool is_word(const parser *p, const char *text)
{
    parser copy = *p;

    return take_word(&copy, text);
}

static const search_node *parse_and(parser *p)
{
    const search_node *n = parse_not(p);

    while (n && p->at < p->end && !at_char(p, ')') && !is_word(p, "OR")) {
        (void)take_word(p, "AND");
        n = pair(p, SEARCH_AND, n, parse_not(p));
    }
    return n;
}

static const search_node *parse_or(parser *p)
{
    const search_node *n;

    skip_space(p);
    n = parse_and(p);
    while (n && take_word(p, "OR"))
        n = pair(p, SEARCH_OR, n, parse_and(p));
    return n;
}

sonde_status search_parse(sonde_str text, search *out, search_error *out_error)
{
    search s;
    const char *start = text.len ? text.ptr : "";
    parser p = {
        .start = start, .at = start, .end = start + text.len, .out = &s, .error = out_error
    };

    sonde_arena_init(&s.arena, ARENA_MAX_BYTES);
    s.root = NULL;
    if (text.len > SEARCH_TEXT_MAX_BYTES) {
        fail_at(&p, p.start, "longer than %u bytes", SEARCH_TEXT_MAX_BYTES);
        return SONDE_ERR_TOO_BIG;
    }
    p.room = (char *)sonde_arena_alloc_aligned(&s.arena, text.len * 2 + 1, 1);
    if (!p.room)
        p.status = SONDE_ERR_NOMEM;
    skip_space(&p);
    if (p.status == SONDE_OK)
        s.root = p.at == p.end ? new_node(&p, SEARCH_ALL) : parse_or(&p);
    if (s.root && p.status == SONDE_OK && p.at != p.end)
        fail_at(&p, p.at, "unexpected \"%c\"", *p.at);
    if (p.status != SONDE_OK) {
        sonde_arena_done(&s.arena);
        if (p.status == SONDE_ERR_NOMEM)
            *out_error = (search_error){ .message = "out of memory" };
        return p.status;
    }
    *out = s;
    return SONDE_OK;
}

void search_done(search *s)
{
    if (s->root)
        sonde_arena_done(&s->arena);
    s->root = NULL;
}
