/* obfuscate_sql.c - three filters, one after the other, on each token; what they make of it is what the
 * next token sees as the one before it. */
#include "codec/obfuscate.h"

#include "codec/sql_token.h"

typedef struct token {
    sql_kind kind;
    sonde_str text;
    bool is_shown;
} token;

typedef struct filter {
    sonde_buf *out;
    sql_kind last;
    unsigned values; /* of the list at hand */
    unsigned groups;
} filter;

static void drop(token *t, sql_kind as)
{
    t->kind = as;
    t->is_shown = false;
}

/* Comments, semicolons, aliases.  False: not a statement. */
static bool discard(const filter *f, token *t)
{
    if (f->last == SQL_BRACKETED && t->kind != (sql_kind)']') {
        bool is_name = t->kind == SQL_ID;

        drop(t, SQL_BRACKETED);
        return is_name;
    }
    if (f->last == SQL_AS || f->last == SQL_BRACKETED)
        drop(t, f->last == SQL_AS && t->kind == (sql_kind)'[' ? SQL_BRACKETED : SQL_FILTERED);
    else if (t->kind == SQL_COMMENT)
        drop(t, SQL_FILTERED);
    else if (t->kind == (sql_kind)';')
        drop(t, SQL_GROUPABLE);
    else if (t->kind == SQL_AS)
        drop(t, SQL_AS);
    return true;
}

static bool is_value(const filter *f, sql_kind kind)
{
    if (f->last == SQL_SAVEPOINT)
        return true;
    switch ((int)kind) {
    case SQL_DOUBLE_QUOTED:
        return f->last == (sql_kind)'=';
    case SQL_DOLLAR_QUOTED:
    case SQL_STRING:
    case SQL_NUMBER:
    case SQL_NULL:
    case SQL_BOOLEAN:
    case SQL_VARIABLE:
    case SQL_PREPARED:
    case SQL_ESCAPE:
    case '?':
        return true;
    default:
        return false;
    }
}

static void replace(const filter *f, token *t)
{
    if (is_value(f, t->kind))
        *t = (token){ SQL_GROUPABLE, SONDE_STR("?"), true };
}

static bool is_groupable(sql_kind kind)
{
    return kind == SQL_GROUPABLE || kind == SQL_GROUPABLE_PARENTHESIS;
}

static bool begins_subquery(sql_kind kind)
{
    return kind == SQL_SELECT || kind == SQL_DELETE || kind == SQL_UPDATE || kind == SQL_ID;
}

static void write(filter *f, const token *t)
{
    bool is_glued =
        t->kind == (sql_kind)',' || (t->kind == (sql_kind)'=' && f->last == (sql_kind)':');

    if (!t->is_shown)
        return;
    if (f->out->len > 0 && !is_glued)
        sonde_buf_append_byte(f->out, ' ');
    sonde_buf_append_str(f->out, t->text);
}

/* Lists of values become one value, lists of such lists one list. */
static void group(filter *f, token *t)
{
    bool is_open = t->kind == (sql_kind)'(';

    if ((f->last == (sql_kind)'(' && is_groupable(t->kind)) || (is_open && f->groups > 0))
        f->groups++;
    if (f->groups > 0 && f->last == SQL_GROUPABLE_PARENTHESIS && begins_subquery(t->kind)) {
        f->values = f->groups = 0;
        write(f, &(token){ SQL_OTHER, SONDE_STR("("), true });
    } else if (is_groupable(t->kind)) {
        if (++f->values > 1)
            drop(t, SQL_GROUPABLE);
    } else if (f->values > 0 && t->kind == (sql_kind)',') {
        drop(t, SQL_GROUPABLE);
    } else if (f->groups > 1) {
        drop(t, is_open ? SQL_GROUPABLE_PARENTHESIS : SQL_GROUPABLE);
    } else if (t->kind != (sql_kind)',' && !is_open && t->kind != (sql_kind)')') {
        f->values = f->groups = 0;
    }
}

static sonde_status attempt(sql_tokenizer *tokenizer, sonde_buf *out)
{
    filter f = { .out = out, .last = SQL_FILTERED };
    token t;

    sonde_buf_reset(out);
    while ((t.kind = sql_next(tokenizer, &t.text)) != SQL_END) {
        t.is_shown = true;
        if (t.kind == SQL_ERROR || !discard(&f, &t))
            return SONDE_ERR_SYNTAX;
        replace(&f, &t);
        group(&f, &t);
        write(&f, &t);
        f.last = t.kind;
    }
    return out->len > 0 || out->status != SONDE_OK ? out->status : SONDE_ERR_SYNTAX;
}

sonde_status sonde_obfuscate_sql(sonde_str statement, bool *literal_escapes, sonde_buf *out)
{
    sql_tokenizer t = { .rest = statement, .all = statement, .literal_escapes = *literal_escapes };
    sonde_status status = SONDE_ERR_SYNTAX;

    if (!sonde_utf8_valid(statement))
        return SONDE_ERR_SYNTAX;
    sonde_buf_init(&t.text, SONDE_SQL_TEXT_MAX_BYTES);
    status = attempt(&t, out);
    if (status == SONDE_ERR_SYNTAX && t.seen_escape) {
        t.rest = statement;
        t.curlys = 0;
        t.literal_escapes = !*literal_escapes;
        status = attempt(&t, out);
        if (status == SONDE_OK)
            *literal_escapes = t.literal_escapes;
    }
    if (t.text.status == SONDE_ERR_NOMEM)
        status = SONDE_ERR_NOMEM;
    sonde_buf_done(&t.text);
    return status;
}
