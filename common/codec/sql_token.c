/* sql_token.c - one rune of look-ahead, two where a minus or a dot may begin a number. */
#include "codec/sql_token.h"

#include <string.h>

#define END_OF_TEXT 0x110000u

enum { BLANK = 1, DIGIT = 2, LEADS = 4, GOES_ON = 8, STANDS_ALONE = 16 };

/* What ASCII characters are: blanks, digits, what an identifier begins with and goes on with, tokens of one
 * character.  Sixteen a row. */
/* clang-format off */
static const uint8_t classes[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,  1,  1,  1,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    1,  0,  0,  8,  8,  0,  16, 0,  16, 16, 24, 16, 16, 0,  8,  0,
    10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0,  16, 0,  16, 0,  16,
    12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
    12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 16, 0,  16, 16, 12,
    0,  12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
    12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 0,  16, 0,  0,  0,
};
/* clang-format on */

/* -- runes ---------------------------------------------------------------------------------------- */

/* Beyond ASCII most of what stands outside strings is a letter; these blocks are not. */
static bool is_other_letter(unsigned c)
{
    static const struct {
        unsigned lo, hi;
    } others[] = { { 0x80, 0xa9 },       { 0xab, 0xb4 },       { 0xb6, 0xb9 },
                   { 0xbb, 0xbf },       { 0xd7, 0xd7 },       { 0xf7, 0xf7 },
                   { 0x300, 0x36f },     { 0x1680, 0x1680 },   { 0x2000, 0x2070 },
                   { 0x2072, 0x207e },   { 0x2080, 0x208f },   { 0x20a0, 0x20ff },
                   { 0x2190, 0x2bff },   { 0x3000, 0x3004 },   { 0x3007, 0x3030 },
                   { 0xe000, 0xf8ff },   { 0xfe00, 0xfe6f },   { 0xff00, 0xff20 },
                   { 0xff3b, 0xff40 },   { 0xff5b, 0xff65 },   { 0xffe0, 0xffff },
                   { 0x1f000, 0x1faff }, { 0xe0000, 0x10ffff } };
    size_t i;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (c >= others[i].lo && c <= others[i].hi)
            return false;
    return c < END_OF_TEXT;
}

static bool is_blank(unsigned c)
{
    if (c < 0x80)
        return (classes[c] & BLANK) != 0;
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_digit(unsigned c)
{
    return c >= '0' && c <= '9';
}

static bool is_leading_letter(unsigned c)
{
    return c < 0x80 ? (classes[c] & LEADS) != 0 : is_other_letter(c);
}

static bool is_letter(unsigned c)
{
    return is_leading_letter(c) || c == '#';
}

static size_t rune_at(sonde_str s, unsigned *out)
{
    *out = END_OF_TEXT;
    if (s.len == 0)
        return 0;
    if ((unsigned char)s.ptr[0] < 0x80) {
        *out = (unsigned char)s.ptr[0];
        return 1;
    }
    return sonde_utf8_decode(s, out);
}

static unsigned peek(const sql_tokenizer *t)
{
    unsigned c;

    (void)rune_at(t->rest, &c);
    return c;
}

static unsigned peek_second(const sql_tokenizer *t)
{
    return t->rest.len > 1 ? (unsigned char)t->rest.ptr[1] : END_OF_TEXT;
}

static unsigned take(sql_tokenizer *t)
{
    unsigned c;
    size_t n = rune_at(t->rest, &c);

    t->rest = (sonde_str){ t->rest.ptr + n, t->rest.len - n };
    return c;
}

static bool take_if(sql_tokenizer *t, unsigned c)
{
    if (peek(t) != c)
        return false;
    (void)take(t);
    return true;
}

/* -- identifiers, numbers ------------------------------------------------------------------------- */

typedef struct sql_keyword {
    const char *word;
    sql_kind kind;
} sql_keyword;

/* Those of one length, with an end. */
static const sql_keyword keywords_4[] = { { "FROM", SQL_FROM },    { "NULL", SQL_NULL },
                                          { "TRUE", SQL_BOOLEAN }, { "INTO", SQL_INTO },
                                          { "JOIN", SQL_JOIN },    { "DROP", SQL_KEYWORD },
                                          { NULL, SQL_ID } };
static const sql_keyword keywords_5[] = { { "FALSE", SQL_BOOLEAN }, { "LIMIT", SQL_KEYWORD },
                                          { "ALTER", SQL_KEYWORD }, { "GRANT", SQL_KEYWORD },
                                          { "BEGIN", SQL_KEYWORD }, { NULL, SQL_ID } };
static const sql_keyword keywords_6[] = { { "SELECT", SQL_SELECT },  { "UPDATE", SQL_UPDATE },
                                          { "DELETE", SQL_DELETE },  { "INSERT", SQL_KEYWORD },
                                          { "CREATE", SQL_KEYWORD }, { "REVOKE", SQL_KEYWORD },
                                          { "COMMIT", SQL_KEYWORD }, { NULL, SQL_ID } };
static const sql_keyword keywords_8[] = { { "TRUNCATE", SQL_KEYWORD }, { NULL, SQL_ID } };
static const sql_keyword keywords_9[] = { { "SAVEPOINT", SQL_SAVEPOINT }, { NULL, SQL_ID } };
static const sql_keyword keywords_2[] = { { "AS", SQL_AS }, { NULL, SQL_ID } };

static sql_kind keyword_of(sonde_str word)
{
    static const sql_keyword *const by_length[] = { NULL,       NULL,       keywords_2, NULL,
                                                    keywords_4, keywords_5, keywords_6, NULL,
                                                    keywords_8, keywords_9 };
    const sql_keyword *k = word.len < 10 ? by_length[word.len] : NULL;

    for (; k && k->word; k++)
        if ((word.ptr[0] & 0x5f) == k->word[0] &&
            sonde_str_eq_nocase(word, (sonde_str){ k->word, word.len }))
            return k->kind;
    return SQL_ID;
}

/* Over ASCII characters of that class. */
static void skip_class(sql_tokenizer *t, unsigned class_)
{
    const char *at = t->rest.ptr;
    const char *end = at + t->rest.len;

    while (at < end && (classes[(unsigned char)*at] & class_))
        at++;
    t->rest = (sonde_str){ at, (size_t)(end - at) };
}

static void skip_identifier(sql_tokenizer *t)
{
    unsigned c;

    for (;;) {
        skip_class(t, GOES_ON);
        c = peek(t);
        if (c < 0x80 || !is_letter(c))
            return;
        (void)take(t);
    }
}

static void skip_digits(sql_tokenizer *t, bool hex)
{
    unsigned c = peek(t);

    while (is_digit(c) || (hex && (c | 0x20) - 'a' < 6)) {
        (void)take(t);
        c = peek(t);
    }
}

static sql_kind skip_exponent(sql_tokenizer *t)
{
    if ((peek(t) | 0x20) == 'e') {
        (void)take(t);
        if (!take_if(t, '+'))
            (void)take_if(t, '-');
        skip_digits(t, false);
    }
    return SQL_NUMBER;
}

static sql_kind skip_number(sql_tokenizer *t)
{
    if (peek(t) == '0' && (peek_second(t) | 0x20) == 'x') {
        (void)take(t);
        (void)take(t);
        skip_digits(t, true);
        return SQL_NUMBER;
    }
    skip_digits(t, false);
    if (take_if(t, '.'))
        skip_digits(t, false);
    return skip_exponent(t);
}

/* -- comments, strings ---------------------------------------------------------------------------- */

static sql_kind skip_line(sql_tokenizer *t)
{
    const char *end = t->rest.len ? (const char *)memchr(t->rest.ptr, '\n', t->rest.len) : NULL;

    t->rest =
        sonde_str_sub(t->rest, end ? (size_t)(end - t->rest.ptr) + 1 : t->rest.len, t->rest.len);
    return SQL_COMMENT;
}

/* Behind what begins it; `end` ends it. */
static sql_kind skip_to(sql_tokenizer *t, sonde_str end, sql_kind kind)
{
    size_t at;

    if (!sonde_str_find(t->rest, end, &at))
        return SQL_ERROR;
    t->rest = sonde_str_sub(t->rest, at + end.len, t->rest.len);
    return kind;
}

static bool is_blank_text(sonde_str s)
{
    unsigned c;

    while (s.len > 0) {
        size_t n = rune_at(s, &c);

        if (!is_blank(c))
            return false;
        s = sonde_str_sub(s, n, s.len);
    }
    return true;
}

/* Behind the opening quote: over the text and the closing one, `quote`.  `plain` says whether the text is what
 * it stands for: no quote in it is doubled, no backslash means something. */
static bool skip_quoted(sql_tokenizer *t, char quote, bool *plain)
{
    const char *at = t->rest.ptr;
    const char *end = at + t->rest.len;

    *plain = true;
    for (; at < end; at++) {
        if (*at == quote) {
            if (at + 1 == end || at[1] != quote) {
                t->rest = sonde_str_sub(t->rest, (size_t)(at - t->rest.ptr) + 1, t->rest.len);
                return true;
            }
            *plain = false;
            at++;
        } else if (*at == '\\') {
            t->seen_escape = true;
            if (!t->literal_escapes) {
                *plain = false;
                at++;
            }
        }
    }
    t->rest.len = 0;
    return false;
}

/* What quoted text stands for, quotes left as they are, into t->text; it was skipped before. */
static void unquote(sql_tokenizer *t, sonde_str quoted)
{
    char quote = quoted.ptr[quoted.len - 1];
    size_t i;

    sonde_buf_reset(&t->text);
    sonde_buf_append_byte(&t->text, (uint8_t)quote);
    for (i = 1; i + 1 < quoted.len; i++) {
        if (quoted.ptr[i] == quote || (quoted.ptr[i] == '\\' && !t->literal_escapes))
            i++;
        sonde_buf_append_byte(&t->text, (uint8_t)quoted.ptr[i]);
    }
    sonde_buf_append_byte(&t->text, (uint8_t)quote);
}

/* Of blank text nothing but these is left. */
static sonde_str empty_quotes(char quote)
{
    switch (quote) {
    case ']':
        return SONDE_STR("]]");
    case '`':
        return SONDE_STR("``");
    default:
        return SONDE_STR("\"\"");
    }
}

/* A token from `from` to the closing quote. */
static sql_kind next_quoted(sql_tokenizer *t, const char *from, sql_kind kind, sonde_str *out_text)
{
    char quote = *from == '[' ? ']' : *from;
    bool plain;
    sonde_str all;

    if (!skip_quoted(t, quote, &plain))
        return SQL_ERROR;
    all = (sonde_str){ from, (size_t)(t->rest.ptr - from) };
    *out_text = all;
    if (kind == SQL_STRING)
        return kind;
    if (!plain) {
        unquote(t, all);
        if (t->text.status != SONDE_OK)
            return SQL_ERROR;
        all = sonde_buf_str(&t->text);
    }
    *out_text = sonde_str_sub(all, 1, all.len - 2);
    if (is_blank_text(*out_text))
        *out_text = empty_quotes(quote);
    return kind;
}

/* Behind `$`: a tag, another `$`, then text up to the same once more.  What looked like the end but was not
 * is not looked at again: so does the agent. */
static sql_kind skip_dollar_quoted(sql_tokenizer *t)
{
    const char *from = t->rest.ptr - 1;
    sonde_str end;
    size_t got = 0;
    bool plain;

    if (!skip_quoted(t, '$', &plain))
        return SQL_ERROR;
    end = (sonde_str){ from, (size_t)(t->rest.ptr - from) };
    if (!plain) {
        unquote(t, end);
        if (t->text.status != SONDE_OK)
            return SQL_ERROR;
        end = sonde_buf_str(&t->text);
    }
    if (is_blank_text(sonde_str_sub(end, 1, end.len - 2)))
        end = SONDE_STR("$$");
    while (got < end.len) {
        if (t->rest.len == 0)
            return SQL_ERROR;
        got = t->rest.ptr[0] == end.ptr[got] ? got + 1 : 0;
        t->rest = sonde_str_sub(t->rest, 1, t->rest.len);
    }
    if (t->knows_func && sonde_str_eq(end, SONDE_STR("$func$")))
        return SQL_DOLLAR_FUNC;
    return SQL_DOLLAR_QUOTED;
}

/* -- the rest ------------------------------------------------------------------------------------- */

static sql_kind next_colon(sql_tokenizer *t)
{
    unsigned c = peek(t);

    if (take_if(t, ':'))
        return SQL_OTHER;
    if (is_blank(c) || c == ']' || c == '$' || c == '=')
        return (sql_kind)':';
    if (!is_letter(c) && !is_digit(c))
        return SQL_ERROR;
    while (is_letter(c) || is_digit(c) || c == '.') {
        (void)take(t);
        c = peek(t);
    }
    return SQL_OTHER;
}

static sql_kind next_percent(sql_tokenizer *t)
{
    if (peek(t) == '(') {
        bool ends = skip_to(t, SONDE_STR(")"), SQL_VARIABLE) != SQL_ERROR;

        return ends && is_letter(take(t)) ? SQL_VARIABLE : SQL_ERROR;
    }
    if (!is_letter(peek(t)))
        return (sql_kind)'%';
    (void)take(t);
    return SQL_VARIABLE;
}

static sql_kind next_dollar(sql_tokenizer *t)
{
    if (take_if(t, '?'))
        return SQL_PREPARED;
    if (!is_digit(peek(t)))
        return skip_dollar_quoted(t);
    (void)skip_number(t);
    return SQL_PREPARED;
}

/* PostgreSQL, at ">" of "->" or "#>": one or two. */
static sql_kind next_arrow(sql_tokenizer *t)
{
    (void)take(t);
    (void)take_if(t, '>');
    return SQL_OTHER;
}

static sql_kind next_minus(sql_tokenizer *t)
{
    unsigned c = peek(t);

    if (take_if(t, '-'))
        return skip_line(t);
    if (c == '>' && t->dialect == SONDE_SQL_POSTGRESQL)
        return next_arrow(t);
    if (c == '>')
        return SQL_NUMBER;
    if (is_digit(c) || (c == '.' && is_digit(peek_second(t))))
        return skip_number(t);
    return (sql_kind)'-';
}

static sql_kind next_slash(sql_tokenizer *t)
{
    if (take_if(t, '/'))
        return skip_line(t);
    if (take_if(t, '*'))
        return skip_to(t, SONDE_STR("*/"), SQL_COMMENT);
    return (sql_kind)'/';
}

static sql_kind next_hash(sql_tokenizer *t)
{
    if (t->dialect == SONDE_SQL_POSTGRESQL) {
        if (peek(t) == '>')
            return next_arrow(t);
        return take_if(t, '-') ? SQL_OTHER : (sql_kind)'#';
    }
    (void)take(t);
    return skip_line(t);
}

/* PostgreSQL: operators on JSON. */
static sql_kind next_question_mark(sql_tokenizer *t)
{
    if (!take_if(t, '|'))
        (void)take_if(t, '&');
    return SQL_OTHER;
}

static sql_kind next_bang(sql_tokenizer *t)
{
    unsigned c = peek(t);

    if (take_if(t, '='))
        return SQL_OTHER;
    if (take_if(t, '~')) {
        (void)take_if(t, '*');
        return SQL_OTHER;
    }
    if (is_blank(c) || is_letter(c) || is_digit(c) || c == '(' || c == '`' || c == '\'' ||
        c == '"' || c == '+' || c == '-')
        return (sql_kind)'!';
    return SQL_ERROR;
}

static sql_kind next_less(sql_tokenizer *t)
{
    if (take_if(t, '>') || (t->dialect == SONDE_SQL_POSTGRESQL && take_if(t, '@')))
        return SQL_OTHER;
    if (!take_if(t, '='))
        return (sql_kind)'<';
    (void)take_if(t, '>');
    return SQL_OTHER;
}

static sql_kind next_open_curly(sql_tokenizer *t)
{
    bool is_first = t->rest.ptr == t->all.ptr + 1;

    if (!is_first && t->curlys == 0)
        return skip_to(t, SONDE_STR("}"), SQL_ESCAPE);
    t->curlys++;
    return (sql_kind)'{';
}

static sql_kind next_close_curly(sql_tokenizer *t)
{
    if (t->curlys == 0)
        return SQL_ERROR;
    t->curlys--;
    return (sql_kind)'}';
}

/* Behind the character `c`, which begins neither an identifier nor a number. */
static sql_kind next_other(sql_tokenizer *t, unsigned c)
{
    switch (c) {
    case ':':
        return next_colon(t);
    case '%':
        return next_percent(t);
    case '$':
        return next_dollar(t);
    case '-':
        return next_minus(t);
    case '/':
        return next_slash(t);
    case '#':
        return next_hash(t);
    case '@':
        return take_if(t, '>') ? SQL_OTHER : (sql_kind)'@';
    case '?':
        return next_question_mark(t);
    case '!':
        return next_bang(t);
    case '<':
        return next_less(t);
    case '>':
        return take_if(t, '=') ? SQL_OTHER : (sql_kind)'>';
    case '~':
        return take_if(t, '*') ? SQL_OTHER : (sql_kind)'~';
    case '.':
        if (!is_digit(peek(t)))
            return (sql_kind)'.';
        skip_digits(t, false);
        return skip_exponent(t);
    case '{':
        return next_open_curly(t);
    case '}':
        return next_close_curly(t);
    default:
        return SQL_ERROR;
    }
}

static sql_kind quoted_kind(unsigned quote)
{
    if (quote == '\'')
        return SQL_STRING;
    return quote == '`' ? SQL_ID : SQL_DOUBLE_QUOTED;
}

/* `c` is what stands at t->rest. */
static bool begins_identifier(const sql_tokenizer *t, unsigned c)
{
    switch (t->dialect) {
    case SONDE_SQL_MSSQL:
        return c == '#' || (c == '$' && is_letter(peek_second(t))) || is_leading_letter(c);
    case SONDE_SQL_POSTGRESQL:
        return c != '@' && is_leading_letter(c);
    default:
        return is_leading_letter(c);
    }
}

/* Of the characters that stand alone elsewhere, those that need not in that dialect. */
static bool begins_more(sonde_sql_dialect dialect, unsigned c)
{
    if (dialect == SONDE_SQL_NO_DIALECT)
        return false;
    return (dialect == SONDE_SQL_MSSQL && c == '[') ||
           (dialect == SONDE_SQL_POSTGRESQL && c == '?');
}

sql_kind sql_next(sql_tokenizer *t, sonde_str *out_text)
{
    const char *from;
    sql_kind kind;
    unsigned c;

    skip_class(t, BLANK);
    while (is_blank(c = peek(t)))
        (void)take(t);
    from = t->rest.ptr;
    if (c == END_OF_TEXT)
        return SQL_END;
    if (c < 0x80 && (classes[c] & STANDS_ALONE) && !begins_more(t->dialect, c)) {
        *out_text = sonde_str_sub(t->rest, 0, 1);
        t->rest = (sonde_str){ from + 1, t->rest.len - 1 };
        return (sql_kind)c;
    }
    if (is_digit(c)) {
        kind = skip_number(t);
    } else if (begins_identifier(t, c)) {
        (void)take(t);
        skip_identifier(t);
        kind = SQL_ID;
    } else {
        (void)take(t);
        if (c == '\'' || c == '"' || c == '`' || c == '[')
            return next_quoted(t, from, quoted_kind(c), out_text);
        kind = next_other(t, c);
    }
    *out_text = (sonde_str){ from, (size_t)(t->all.ptr + t->all.len - from) - t->rest.len };
    return kind == SQL_ID ? keyword_of(*out_text) : kind;
}

bool sql_begins_with_letter(sonde_str text)
{
    unsigned c;

    (void)rune_at(text, &c);
    return is_leading_letter(c) && c != '_' && c != '@';
}
