/* yaml.c - one pass over the text, one function per construct.
 *
 * A block belongs together by the column its entries begin in; `at` always stands on a token or at the
 * end of what was read.  The first error sticks and ends everything: see fail(). */
#include "yaml.h"

#include <string.h>

typedef struct reader {
    const char *at;
    const char *end;
    const char *line; /* begin of the line `at` is in */
    sonde_arena *arena;
    uint32_t nodes;
    uint32_t depth;
    sonde_status status;
} reader;

static void *fail(reader *r, sonde_status status)
{
    if (r->status == SONDE_OK)
        r->status = status;
    r->at = r->end;
    return NULL;
}

static sonde__yaml *new_node(reader *r, sonde__yaml_kind kind)
{
    sonde__yaml *node;

    if (r->status != SONDE_OK)
        return NULL;
    if (r->nodes == SONDE__YAML_NODES_MAX)
        return (sonde__yaml *)fail(r, SONDE_ERR_TOO_BIG);
    node = (sonde__yaml *)sonde_arena_zalloc(r->arena, 1, sizeof(*node));
    if (!node)
        return (sonde__yaml *)fail(r, SONDE_ERR_NOMEM);
    r->nodes++;
    node->kind = kind;
    return node;
}

/* -- where we are --------------------------------------------------------------------------------- */

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

/* The character `n` further; a line end behind the last. */
static char peek(const reader *r, size_t n)
{
    return (size_t)(r->end - r->at) > n ? r->at[n] : '\n';
}

static bool at_end(const reader *r)
{
    return r->at == r->end;
}

static size_t column(const reader *r)
{
    return (size_t)(r->at - r->line);
}

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || is_break(c);
}

static void skip_spaces(reader *r)
{
    while (peek(r, 0) == ' ' || peek(r, 0) == '\t')
        r->at++;
}

/* To the next token, over comments and line ends; a tab before it is no indentation. */
static void skip_to_token(reader *r)
{
    while (!at_end(r)) {
        bool indented_by_tab = false;

        while (!at_end(r) && (*r->at == ' ' || *r->at == '\t'))
            indented_by_tab |= *r->at++ == '\t';
        if (at_end(r))
            return;
        if (*r->at == '#') {
            while (!at_end(r) && !is_break(*r->at))
                r->at++;
        } else if (is_break(*r->at)) {
            r->line = ++r->at;
        } else {
            if (indented_by_tab)
                (void)fail(r, SONDE_ERR_SYNTAX);
            return;
        }
    }
}

/* Nothing but a comment may follow a value on its line. */
static sonde__yaml *end_value(reader *r, sonde__yaml *value)
{
    skip_spaces(r);
    if (!is_break(peek(r, 0)) && (peek(r, 0) != '#' || !is_gap(r->at[-1])))
        return (sonde__yaml *)fail(r, SONDE_ERR_SYNTAX);
    skip_to_token(r);
    return value;
}

static bool at_dash(const reader *r)
{
    return !at_end(r) && *r->at == '-' && is_gap(peek(r, 1));
}

/* -- scalars -------------------------------------------------------------------------------------- */

/* The character an escape stands for, at the letter behind the backslash; NUL when there is none. */
static char escaped(char c)
{
    static const char letters[] = "nrt\"\\/ ";
    static const char meant[] = "\n\r\t\"\\/ ";
    const char *at = c ? strchr(letters, c) : NULL;

    return at ? meant[at - letters] : '\0';
}

/* One character of a quoted text: 1; 0 at its end; -1 when it is wrong or not closed on its line. */
static int next_quoted(reader *r, char quote, char *out)
{
    char c = peek(r, 0);

    if (is_break(c))
        return -1;
    r->at++;
    if (c == quote && (quote == '"' || peek(r, 0) != quote))
        return 0;
    if (c == quote || (c == '\\' && quote == '"')) {
        if (c == '\\')
            c = escaped(peek(r, 0));
        if (c == '\0')
            return -1;
        r->at++;
    }
    *out = c;
    return 1;
}

static size_t quoted_len(reader r, char quote)
{
    size_t len = 0;
    char c;

    while (next_quoted(&r, quote, &c) > 0)
        len++;
    return len;
}

static sonde_str read_quoted(reader *r)
{
    char quote = *r->at++;
    char *to = (char *)sonde_arena_alloc_aligned(r->arena, quoted_len(*r, quote) + 1, 1);
    size_t len = 0;
    int more = 1;

    if (!to)
        (void)fail(r, SONDE_ERR_NOMEM);
    while (to && (more = next_quoted(r, quote, &to[len])) > 0)
        len++;
    if (more < 0)
        (void)fail(r, SONDE_ERR_SYNTAX);
    return r->status == SONDE_OK ? (sonde_str){ to, len } : (sonde_str){ "", 0 };
}

static bool may_begin_plain(const reader *r)
{
    char c = peek(r, 0);

    if (c == '-' || c == '?' || c == ':')
        return !is_gap(peek(r, 1));
    return c != '\0' && !is_gap(c) && !strchr(",[]{}#&*!|>'\"%@`", c);
}

static bool ends_plain(const reader *r, bool in_flow)
{
    char c = peek(r, 0);

    if (is_break(c))
        return true;
    if (c == ':')
        return is_gap(peek(r, 1)) || (in_flow && strchr(",[]{}", peek(r, 1)));
    if (c == '#')
        return r->at[-1] == ' ' || r->at[-1] == '\t';
    return in_flow && c != '\0' && strchr(",[]{}", c);
}

static sonde_str read_plain(reader *r, bool in_flow)
{
    const char *from = r->at;

    if (!may_begin_plain(r)) {
        (void)fail(r, SONDE_ERR_SYNTAX);
        return (sonde_str){ "", 0 };
    }
    for (r->at++; !ends_plain(r, in_flow); r->at++)
        ;
    return sonde_str_trim((sonde_str){ from, (size_t)(r->at - from) });
}

static sonde_str read_text(reader *r, bool in_flow)
{
    if (peek(r, 0) == '\'' || peek(r, 0) == '"')
        return read_quoted(r);
    return read_plain(r, in_flow);
}

static sonde__yaml *read_scalar(reader *r, bool in_flow)
{
    bool is_plain = peek(r, 0) != '\'' && peek(r, 0) != '"';
    sonde__yaml *node = new_node(r, SONDE__YAML_SCALAR);
    sonde_str text = read_text(r, in_flow);

    if (!node)
        return NULL;
    node->text = text;
    if (is_plain && (sonde_str_eq(text, SONDE_STR("~")) || sonde_str_eq(text, SONDE_STR("null"))))
        node->kind = SONDE__YAML_NULL;
    return node;
}

/* -- collections ---------------------------------------------------------------------------------- */

const sonde__yaml *sonde__yaml_get(const sonde__yaml *map, const char *key)
{
    const sonde__yaml *node = map && map->kind == SONDE__YAML_MAP ? map->child : NULL;

    while (node && !sonde_str_eq(node->key, sonde_str_from(key)))
        node = node->next;
    return node;
}

/* Appends at *tail and returns the new one.  A key that is there already is an error. */
static sonde__yaml **append(reader *r, sonde__yaml *parent, sonde__yaml **tail, sonde__yaml *node)
{
    const sonde__yaml *other;

    if (!node)
        return tail;
    if (parent->kind == SONDE__YAML_MAP)
        for (other = parent->child; other; other = other->next)
            if (sonde_str_eq(other->key, node->key))
                (void)fail(r, SONDE_ERR_SYNTAX);
    *tail = node;
    return &node->next;
}

static sonde__yaml *read_flow(reader *r);

static sonde__yaml *read_flow_value(reader *r)
{
    char c;

    skip_to_token(r);
    c = peek(r, 0);
    if (c == '[' || c == '{')
        return read_flow(r);
    if (c == ',' || c == ']' || c == '}')
        return new_node(r, SONDE__YAML_NULL);
    return read_scalar(r, true);
}

static sonde__yaml *read_flow_member(reader *r)
{
    sonde_str key = read_text(r, true);
    sonde__yaml *node;

    skip_to_token(r);
    if (peek(r, 0) == ':') {
        r->at++;
        node = read_flow_value(r);
    } else {
        node = new_node(r, SONDE__YAML_NULL);
    }
    if (node)
        node->key = key;
    return node;
}

/* `at` stands on the bracket. */
static sonde__yaml *read_flow(reader *r)
{
    bool is_map = *r->at == '{';
    char close = is_map ? '}' : ']';
    sonde__yaml *node = new_node(r, is_map ? SONDE__YAML_MAP : SONDE__YAML_LIST);
    sonde__yaml **tail = node ? &node->child : NULL;

    if (!node)
        return NULL;
    if (++r->depth > SONDE__YAML_DEPTH_MAX)
        return (sonde__yaml *)fail(r, SONDE_ERR_TOO_BIG);
    r->at++;
    for (skip_to_token(r); peek(r, 0) != close; skip_to_token(r)) {
        tail = append(r, node, tail, is_map ? read_flow_member(r) : read_flow_value(r));
        skip_to_token(r);
        if (peek(r, 0) == ',')
            r->at++;
        else if (peek(r, 0) != close)
            return (sonde__yaml *)fail(r, SONDE_ERR_SYNTAX);
    }
    r->at++;
    r->depth--;
    return node;
}

static sonde__yaml *read_block(reader *r, size_t min_column);

/* What stands behind "key:" or "-": on this line, or as a block below that is indented further. */
static sonde__yaml *read_entry(reader *r, size_t parent_column, bool in_list)
{
    const char *line = r->line;
    bool list_may_stand_here = !in_list;

    skip_spaces(r);
    if (!is_break(peek(r, 0)) && peek(r, 0) != '#') {
        if (in_list)
            return read_block(r, parent_column + 1);
        if (peek(r, 0) == '[' || peek(r, 0) == '{')
            return end_value(r, read_flow(r));
        return end_value(r, read_scalar(r, false));
    }
    skip_to_token(r);
    if (!at_end(r) && r->line != line &&
        (column(r) > parent_column ||
         (list_may_stand_here && column(r) == parent_column && at_dash(r))))
        return read_block(r, column(r));
    return new_node(r, SONDE__YAML_NULL);
}

static sonde__yaml *read_list(reader *r)
{
    size_t here = column(r);
    sonde__yaml *list = new_node(r, SONDE__YAML_LIST);
    sonde__yaml **tail = list ? &list->child : NULL;

    while (list && at_dash(r) && column(r) == here) {
        r->at++;
        tail = append(r, list, tail, read_entry(r, here, true));
    }
    return list;
}

static bool at_colon(const reader *r)
{
    return !at_end(r) && *r->at == ':' && is_gap(peek(r, 1));
}

/* `key` was read already, `at` is on its colon. */
static sonde__yaml *read_map(reader *r, size_t here, sonde_str key)
{
    sonde__yaml *map = new_node(r, SONDE__YAML_MAP);
    sonde__yaml **tail = map ? &map->child : NULL;

    while (map) {
        sonde__yaml *node;

        r->at++;
        node = read_entry(r, here, false);
        if (node)
            node->key = key;
        tail = append(r, map, tail, node);
        if (at_end(r) || column(r) != here)
            return map;
        key = read_text(r, false);
        skip_spaces(r);
        if (!at_colon(r))
            return (sonde__yaml *)fail(r, SONDE_ERR_SYNTAX);
    }
    return NULL;
}

/* A list, a map, or one value; `at` stands on its first token. */
static sonde__yaml *read_node(reader *r)
{
    size_t here = column(r);
    reader before = *r;
    sonde_str key;

    if (at_dash(r))
        return read_list(r);
    if (*r->at == '[' || *r->at == '{')
        return end_value(r, read_flow(r));
    key = read_text(r, false);
    skip_spaces(r);
    if (at_colon(r))
        return read_map(r, here, key);
    if (r->status != SONDE_OK)
        return NULL;
    *r = before;
    return end_value(r, read_scalar(r, false));
}

static sonde__yaml *read_block(reader *r, size_t min_column)
{
    sonde__yaml *node;

    if (column(r) < min_column)
        return (sonde__yaml *)fail(r, SONDE_ERR_SYNTAX);
    if (++r->depth > SONDE__YAML_DEPTH_MAX)
        return (sonde__yaml *)fail(r, SONDE_ERR_TOO_BIG);
    node = read_node(r);
    r->depth--;
    return node;
}

/* "---" may begin the document. */
static void skip_marker(reader *r)
{
    skip_to_token(r);
    if (column(r) == 0 && peek(r, 0) == '-' && peek(r, 1) == '-' && peek(r, 2) == '-' &&
        is_break(peek(r, 3))) {
        r->at = r->end - r->at > 3 ? r->at + 3 : r->end;
        skip_to_token(r);
    }
}

sonde_status sonde__yaml_parse(sonde_str text, sonde_arena *arena, sonde__yaml **out_root)
{
    const char *begin = text.len > 0 ? text.ptr : "";
    reader r = { .at = begin, .end = begin + text.len, .line = begin, .arena = arena };
    sonde__yaml *root;

    skip_marker(&r);
    root = at_end(&r) ? new_node(&r, SONDE__YAML_NULL) : read_block(&r, 0);
    if (r.status == SONDE_OK && !at_end(&r))
        r.status = SONDE_ERR_SYNTAX; /* indented less than the first line, or between two blocks */
    if (r.status == SONDE_OK)
        *out_root = root;
    return r.status;
}
