/* obfuscate_sql_modes.c - what sql_obfuscation_mode selects: values alone, the layout alone, or both. */
#include "codec/sql_lexeme.h"

#include <string.h>

#include "codec/sql_token.h"

typedef enum head {
    HEAD_NOT_READ,
    HEAD_NONE,
    HEAD_OPEN,  /* in parentheses the statement begins with */
    HEAD_CLOSED /* behind them: they go if anything follows */
} head;

typedef struct rewriter {
    const sonde_sql_options *options;
    sonde_buf *out;
    size_t begin; /* of the statement in `out` */
    head head;
    sonde_buf text;  /* of a piece that is not shown as it is */
    sonde_buf named; /* by WITH: no tables */
    /* the piece before, but for blanks and comments */
    sql_lexeme last;
    sonde_str last_as;
    char last_char;   /* what was made of it, if that is one character */
    bool is_grouping; /* in a list that begins with ? */
} rewriter;

static bool hides(const rewriter *r)
{
    return r->options->mode != SONDE_SQL_NORMALIZE_ONLY;
}

static bool lays_out(const rewriter *r)
{
    return r->options->mode != SONDE_SQL_OBFUSCATE_ONLY;
}

static bool is_name(sql_lexeme kind)
{
    return kind == LEXEME_NAME || kind == LEXEME_QUOTED_NAME;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* -- pieces ------------------------------------------------------------------------------------------ */

static sonde_str show_name(rewriter *r, sql_lexeme kind, sonde_str text)
{
    bool no_digits = hides(r) && (r->options->flags & SONDE_SQL_REPLACE_DIGITS);
    bool no_quotes = kind == LEXEME_QUOTED_NAME && lays_out(r);
    size_t i;

    if (!no_digits && !no_quotes)
        return text;
    sonde_buf_reset(&r->text);
    for (i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (no_quotes && strchr("\"[]`", c))
            continue;
        if (!no_digits || !is_digit(c))
            sonde_buf_append_byte(&r->text, (uint8_t)c);
        else if (i == 0 || !is_digit(text.ptr[i - 1]))
            sonde_buf_append_byte(&r->text, '?');
    }
    return sonde_buf_str(&r->text);
}

static void rewrite(sonde_str statement, const sonde_sql_options *options, sonde_buf *out);

/* A function's body is a statement of its own. */
static sonde_str show_func(rewriter *r, sonde_str text)
{
    const sonde_str tag = SONDE_STR("$func$");
    const sonde_sql_options options = { .mode = r->options->mode,
                                        .dialect = r->options->dialect,
                                        .flags = r->options->flags };

    if (hides(r) && !(r->options->flags & SONDE_SQL_DOLLAR_FUNC))
        return SONDE_STR("?");
    sonde_buf_reset(&r->text);
    sonde_buf_append_str(&r->text, tag);
    rewrite(sonde_str_sub(text, tag.len, text.len - 2 * tag.len), &options, &r->text);
    sonde_buf_append_str(&r->text, tag);
    return sonde_buf_str(&r->text);
}

static sonde_str show(rewriter *r, sql_lexeme kind, sonde_str text)
{
    if (kind == LEXEME_VALUE && hides(r))
        return SONDE_STR("?");
    if (kind == LEXEME_FUNC)
        return show_func(r, text);
    return is_name(kind) ? show_name(r, kind, text) : text;
}

/* -- tables ------------------------------------------------------------------------------------------ */

static void collect_table(rewriter *r, sql_lexeme kind, sonde_str name)
{
    if (!is_name(kind) && kind != LEXEME_FUNCTION)
        return;
    if (r->last == LEXEME_WITH)
        sql_add_table(&r->named, name);
    else if (r->last == LEXEME_TABLE_WORD && !sql_has_table(sonde_buf_str(&r->named), name))
        sql_add_table(r->options->tables, name);
}

/* -- the layout -------------------------------------------------------------------------------------- */

static void write_piece(rewriter *r, sonde_str text, char next)
{
    bool is_glued = next == ',' || next == ';' || (next == '=' && r->last_char == ':');

    if (r->out->len > r->begin && !is_glued)
        sonde_buf_append_byte(r->out, ' ');
    sonde_buf_append_str(r->out, text);
}

/* A list of ? is one.  True: not to be written. */
static bool is_grouped(rewriter *r, char c)
{
    if (c == '?' && (r->last_char == '(' || r->last_char == '['))
        r->is_grouping = true;
    if (!r->is_grouping)
        return false;
    if ((c == '?' && r->last_char == ',') || (c == ',' && r->last_char == '?'))
        return true;
    if (c == ')' || c == ']')
        r->is_grouping = false;
    else if (c != '?' && r->last_char == ',') /* it was left out too early */
        sonde_buf_append_byte(r->out, ',');
    return false;
}

/* AS and the name behind it.  True: not to be written. */
static bool is_alias(rewriter *r, sql_lexeme kind, char c)
{
    if (r->options->flags & SONDE_SQL_KEEP_ALIAS)
        return false;
    if (kind == LEXEME_AS)
        return true;
    if (r->last != LEXEME_AS)
        return false;
    if (!is_name(kind))
        write_piece(r, r->last_as, c);
    return is_name(kind);
}

/* What parameters are declared in, for one. */
static void drop_head(rewriter *r, char c)
{
    if (r->head == HEAD_NOT_READ)
        r->head = c == '(' ? HEAD_OPEN : HEAD_NONE;
    if (r->head == HEAD_CLOSED) {
        r->out->len = r->begin;
        r->head = HEAD_NONE;
    }
}

static void lay_out(rewriter *r, sql_lexeme kind, sonde_str raw)
{
    sonde_str text = show(r, kind, raw);
    char c = text.len == 1 ? text.ptr[0] : '\0';

    if (r->options->tables)
        collect_table(r, kind, text);
    drop_head(r, c);
    if (!is_alias(r, kind, c) && !is_grouped(r, c)) {
        write_piece(r, text, c);
        if (r->head == HEAD_OPEN && c == ')')
            r->head = HEAD_CLOSED;
    }
    r->last = kind;
    r->last_as = raw;
    r->last_char = c;
}

/* -- statements -------------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(sonde_buf *out, size_t begin)
{
    size_t from = begin;

    while (out->len > begin && is_space(out->data[out->len - 1]))
        out->len--;
    while (from < out->len && is_space(out->data[from]))
        from++;
    if (from > begin)
        memmove(out->data + begin, out->data + from, out->len - from);
    out->len -= from - begin;
}

/* Appends to `out`. */
static void rewrite(sonde_str statement, const sonde_sql_options *options, sonde_buf *out)
{
    const char *nul = statement.len ? memchr(statement.ptr, '\0', statement.len) : NULL;
    rewriter r = { .options = options, .out = out, .begin = out->len };
    sql_lexer lexer = { .rest = statement, .dialect = options->dialect };
    sql_lexeme kind;
    sonde_str text;

    if (nul)
        lexer.rest.len = (size_t)(nul - statement.ptr);
    sonde_buf_init(&r.text, 3 * statement.len + 16);
    sonde_buf_init(&r.named, 3 * statement.len + 16);
    while ((kind = sql_lex(&lexer, &text)) != LEXEME_END && out->status == SONDE_OK) {
        if (!lays_out(&r))
            sonde_buf_append_str(out, show(&r, kind, text));
        else if (kind != LEXEME_BLANK && kind != LEXEME_COMMENT)
            lay_out(&r, kind, text);
    }
    if (lays_out(&r) && out->len > r.begin && out->data[out->len - 1] == ';')
        out->len--;
    trim(out, r.begin);
    if (out->status == SONDE_OK && r.text.status != SONDE_OK)
        out->status = r.text.status;
    if (out->status == SONDE_OK && r.named.status != SONDE_OK)
        out->status = r.named.status;
    sonde_buf_done(&r.text);
    sonde_buf_done(&r.named);
}

/* -- the modes --------------------------------------------------------------------------------------- */

sonde_sql_dialect sonde_sql_dialect_of(sonde_str db_type)
{
    static const struct {
        const char *name;
        sonde_sql_dialect dialect;
    } known[] = { { "mssql", SONDE_SQL_MSSQL },         { "sql-server", SONDE_SQL_MSSQL },
                  { "sqlserver", SONDE_SQL_MSSQL },     { "postgresql", SONDE_SQL_POSTGRESQL },
                  { "postgres", SONDE_SQL_POSTGRESQL }, { "mysql", SONDE_SQL_MYSQL },
                  { "oracle", SONDE_SQL_ORACLE },       { "snowflake", SONDE_SQL_SNOWFLAKE } };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq(db_type, sonde_str_from(known[i].name)))
            return known[i].dialect;
    return SONDE_SQL_NO_DIALECT;
}

sonde_sql_mode sonde_sql_mode_of(sonde_str name)
{
    if (name.len == 0)
        return SONDE_SQL_DEFAULT_MODE;
    if (sonde_str_eq(name, SONDE_STR("obfuscate_only")))
        return SONDE_SQL_OBFUSCATE_ONLY;
    if (sonde_str_eq(name, SONDE_STR("normalize_only")))
        return SONDE_SQL_NORMALIZE_ONLY;
    if (sonde_str_eq(name, SONDE_STR("obfuscate_and_normalize")))
        return SONDE_SQL_OBFUSCATE_AND_NORMALIZE;
    return SONDE_SQL_UNKNOWN_MODE;
}

sonde_status sonde_obfuscate_sql_with(sonde_str statement, const sonde_sql_options *options,
                                      sonde_buf *out)
{
    if (options->mode == SONDE_SQL_DEFAULT_MODE)
        return sql_obfuscate(statement, options, out);
    if (options->mode == SONDE_SQL_UNKNOWN_MODE || !sonde_utf8_valid(statement))
        return SONDE_ERR_SYNTAX;
    sonde_buf_reset(out);
    if (options->tables)
        sonde_buf_reset(options->tables);
    rewrite(statement, options, out);
    if (out->status == SONDE_OK && options->tables)
        return options->tables->status;
    return out->status;
}
