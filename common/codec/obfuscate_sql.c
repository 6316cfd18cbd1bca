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
    const sonde_sql_options *options;
    sql_tokenizer *tokenizer;
    size_t begin; /* of the statement in `out` */
    sql_kind last;
    unsigned values; /* of the list at hand */
    unsigned groups;
} filter;

static void drop(token *t, sql_kind as)
{
    t->kind = as;
    t->is_shown = false;
}

bool sql_has_table(sonde_str tables, sonde_str name)
{
    while (tables.len > 0)
        if (sonde_str_eq(sonde_str_cut(&tables, ','), name))
            return true;
    return false;
}

static void append_without_digits(sonde_buf *out, sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        bool is_digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';

        if (!is_digit)
            sonde_buf_append_byte(out, (uint8_t)s.ptr[i]);
        else if (i == 0 || s.ptr[i - 1] < '0' || s.ptr[i - 1] > '9')
            sonde_buf_append_byte(out, '?');
    }
}

void sql_add_table(sonde_buf *tables, sonde_str name)
{
    if (name.len == 0 || sql_has_table(sonde_buf_str(tables), name))
        return;
    if (tables->len > 0)
        sonde_buf_append_byte(tables, ',');
    sonde_buf_append_str(tables, name);
}

/* What stands behind FROM and JOIN, if it is no subquery, and behind UPDATE and INTO. */
static bool is_table(const filter *f, const token *t)
{
    if (f->last == SQL_FROM || f->last == SQL_JOIN)
        return sql_begins_with_letter(t->text);
    return f->last == SQL_UPDATE || f->last == SQL_INTO;
}

static void collect_table(const filter *f, const token *t)
{
    sonde_buf *tables = f->options->tables;
    size_t before = tables->len;
    size_t from;
    sonde_str name;

    if (!(f->options->flags & SONDE_SQL_REPLACE_DIGITS)) {
        sql_add_table(tables, t->text);
        return;
    }
    if (before > 0)
        sonde_buf_append_byte(tables, ',');
    from = tables->len;
    append_without_digits(tables, t->text);
    name = sonde_str_sub(sonde_buf_str(tables), from, tables->len);
    if (tables->status == SONDE_OK &&
        (name.len == 0 || sql_has_table(sonde_str_sub(sonde_buf_str(tables), 0, before), name)))
        tables->len = before;
}

/* Comments, semicolons, aliases.  False: not a statement. */
static bool discard(const filter *f, token *t)
{
    bool keeps_alias = (f->options->flags & SONDE_SQL_KEEP_ALIAS) != 0;

    if (f->last == SQL_BRACKETED && t->kind != (sql_kind)']') {
        bool is_name = t->kind == SQL_ID;

        drop(t, SQL_BRACKETED);
        return is_name;
    }
    if (!keeps_alias && (f->last == SQL_AS || f->last == SQL_BRACKETED))
        drop(t, f->last == SQL_AS && t->kind == (sql_kind)'[' ? SQL_BRACKETED : SQL_FILTERED);
    else if (t->kind == SQL_COMMENT)
        drop(t, SQL_FILTERED);
    else if (t->kind == (sql_kind)';')
        drop(t, SQL_GROUPABLE);
    else if (t->kind == SQL_AS && !keeps_alias)
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

static sonde_status attempt(sql_tokenizer *tokenizer, const sonde_sql_options *options,
                            sonde_buf *out);

/* A function's body is a statement of its own between its tags; where it is none, it is a value. */
static void read_func(const filter *f, token *t)
{
    const sonde_str tag = SONDE_STR("$func$");
    const sonde_str body = sonde_str_sub(t->text, tag.len, t->text.len - 2 * tag.len);
    const sonde_sql_options options = { .flags = f->options->flags };
    sql_tokenizer inner = { .rest = body,
                            .all = body,
                            .dialect = f->tokenizer->dialect,
                            .literal_escapes = f->tokenizer->literal_escapes };
    sonde_buf *func = &f->tokenizer->func;
    sonde_status status;

    sonde_buf_reset(func);
    sonde_buf_append_str(func, tag);
    sonde_buf_init(&inner.text, SONDE_SQL_TEXT_MAX_BYTES);
    status = attempt(&inner, &options, func);
    sonde_buf_append_str(func, tag);
    if (inner.text.status == SONDE_ERR_NOMEM)
        func->status = SONDE_ERR_NOMEM;
    sonde_buf_done(&inner.text);
    t->text = sonde_buf_str(func);
    if (status != SONDE_OK)
        t->kind = SQL_DOLLAR_QUOTED;
}

static void write(filter *f, const token *t)
{
    bool is_glued =
        t->kind == (sql_kind)',' || (t->kind == (sql_kind)'=' && f->last == (sql_kind)':');

    if (!t->is_shown)
        return;
    if (f->out->len > f->begin && !is_glued)
        sonde_buf_append_byte(f->out, ' ');
    if (t->text.len == 1)
        sonde_buf_append_byte(f->out, (uint8_t)t->text.ptr[0]);
    else if (t->kind == SQL_ID && (f->options->flags & SONDE_SQL_REPLACE_DIGITS))
        append_without_digits(f->out, t->text);
    else
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

/* What was read makes a statement that ends here, or none. */
static sonde_status at_fault(const filter *f)
{
    if (!f->tokenizer->takes_prefix || f->out->len == f->begin)
        return SONDE_ERR_SYNTAX;
    sonde_buf_append_str(f->out, SONDE_STR("..."));
    return f->out->status;
}

/* Appends to `out`. */
static sonde_status attempt(sql_tokenizer *tokenizer, const sonde_sql_options *options,
                            sonde_buf *out)
{
    filter f = { .out = out,
                 .options = options,
                 .tokenizer = tokenizer,
                 .begin = out->len,
                 .last = SQL_FILTERED };
    token t;

    while ((t.kind = sql_next(tokenizer, &t.text)) != SQL_END) {
        t.is_shown = true;
        if (t.kind == SQL_ERROR)
            return at_fault(&f);
        if (t.kind == SQL_DOLLAR_FUNC)
            read_func(&f, &t);
        if (options->tables && is_table(&f, &t)) {
            collect_table(&f, &t);
            if (t.kind == SQL_DOUBLE_QUOTED)
                t.kind = SQL_ID;
        }
        if (!discard(&f, &t))
            return at_fault(&f);
        replace(&f, &t);
        group(&f, &t);
        write(&f, &t);
        f.last = t.kind;
    }
    return out->len > f.begin || out->status != SONDE_OK ? out->status : SONDE_ERR_SYNTAX;
}

static sonde_status begin(sql_tokenizer *t, sonde_str statement, const sonde_sql_options *options,
                          sonde_buf *out)
{
    sonde_buf_reset(out);
    if (options->tables)
        sonde_buf_reset(options->tables);
    t->rest = statement;
    t->curlys = 0;
    return attempt(t, options, out);
}

sonde_status sql_obfuscate(sonde_str statement, const sonde_sql_options *options, sonde_buf *out)
{
    sql_tokenizer t = { .all = statement,
                        .dialect = options->dialect,
                        .literal_escapes = *options->literal_escapes,
                        .knows_func = (options->flags & SONDE_SQL_DOLLAR_FUNC) != 0 };
    sonde_status status;

    if (statement.len == 0 || !sonde_utf8_valid(statement))
        return SONDE_ERR_SYNTAX;
    sonde_buf_init(&t.text, SONDE_SQL_TEXT_MAX_BYTES);
    sonde_buf_init(&t.func, 3 * statement.len + 16);
    status = begin(&t, statement, options, out);
    if (status == SONDE_ERR_SYNTAX && t.seen_escape) {
        t.literal_escapes = !t.literal_escapes;
        status = begin(&t, statement, options, out);
        if (status == SONDE_OK)
            *options->literal_escapes = t.literal_escapes;
    }
    if (status == SONDE_ERR_SYNTAX && (options->flags & SONDE_SQL_PREFIX)) {
        t.literal_escapes = *options->literal_escapes;
        t.takes_prefix = true;
        status = begin(&t, statement, options, out);
    }
    if (t.text.status == SONDE_ERR_NOMEM || t.func.status == SONDE_ERR_NOMEM)
        status = SONDE_ERR_NOMEM;
    else if (status == SONDE_OK && options->tables)
        status = options->tables->status;
    sonde_buf_done(&t.text);
    sonde_buf_done(&t.func);
    return status;
}

sonde_status sonde_obfuscate_sql(sonde_str statement, bool *literal_escapes, sonde_buf *out)
{
    return sql_obfuscate(statement, &(sonde_sql_options){ .literal_escapes = literal_escapes },
                         out);
}
