/* sql_lexeme.c - each rule says where a piece ends; the statement is never changed. */
#include "codec/sql_lexeme.h"

#include <stdlib.h>
#include <string.h>

#include "codec/sql_token.h"

/* -- characters, `n` bytes behind the piece's begin; 0 is none --------------------------------------- */

static unsigned byte_at(const sql_lexer *l, size_t n)
{
    return n < l->rest.len ? (unsigned char)l->rest.ptr[n] : 0;
}

static size_t rune_length(const sql_lexer *l, size_t n)
{
    unsigned rune;
    size_t length = sonde_utf8_decode(sonde_str_sub(l->rest, n, 4), &rune);

    return length ? length : 1;
}

static bool is_blank(unsigned c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(unsigned c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(unsigned c, const char *set)
{
    return c != 0 && c < 0x80 && strchr(set, (int)c) != NULL;
}

static bool is_operator(unsigned c)
{
    return is_one_of(c, "+-*/=<>!&|^%~?@:#");
}

static bool is_punctuation(unsigned c)
{
    return is_one_of(c, "(),;.:[]{}");
}

static bool is_ascii_letter(unsigned c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

/* The length of a letter, 0 if it is none. */
static size_t letter_at(const sql_lexer *l, size_t n)
{
    unsigned c = byte_at(l, n);

    if (c < 0x80)
        return is_ascii_letter(c);
    return sql_begins_with_letter(sonde_str_sub(l->rest, n, 4)) ? rune_length(l, n) : 0;
}

static size_t letter_or_digit_at(const sql_lexer *l, size_t n)
{
    return is_digit(byte_at(l, n)) ? 1 : letter_at(l, n);
}

static size_t letters_or_digits_end(const sql_lexer *l, size_t n)
{
    size_t length;

    while ((length = letter_or_digit_at(l, n)) > 0)
        n += length;
    return n;
}

/* -- words ------------------------------------------------------------------------------------------- */

typedef struct sql_word {
    const char *text;
    sql_lexeme kind;
} sql_word;

/* In order. */
/* clang-format off */
static const sql_word words[] = {
    { "ADD", LEXEME_OTHER }, { "ALL", LEXEME_OTHER }, { "ALTER", LEXEME_OTHER }, { "ANALYZE", LEXEME_OTHER },
    { "AND", LEXEME_OTHER }, { "ANY", LEXEME_OTHER }, { "AS", LEXEME_AS }, { "ASC", LEXEME_OTHER },
    { "ASSERTION", LEXEME_OTHER }, { "BEGIN", LEXEME_OTHER }, { "BETWEEN", LEXEME_OTHER }, { "BY", LEXEME_OTHER },
    { "CASE", LEXEME_OTHER }, { "CHECK", LEXEME_OTHER }, { "CLONE", LEXEME_TABLE_WORD }, { "CLUSTER", LEXEME_OTHER },
    { "COLUMN", LEXEME_OTHER }, { "COMMIT", LEXEME_OTHER }, { "CONSTRAINT", LEXEME_OTHER }, { "COPY", LEXEME_OTHER },
    { "CREATE", LEXEME_OTHER }, { "CUBE", LEXEME_OTHER }, { "DATABASE", LEXEME_OTHER }, { "DECLARE", LEXEME_OTHER },
    { "DEFAULT", LEXEME_OTHER }, { "DELETE", LEXEME_OTHER }, { "DESC", LEXEME_OTHER }, { "DISTINCT", LEXEME_OTHER },
    { "DOMAIN", LEXEME_OTHER }, { "DROP", LEXEME_OTHER }, { "ELSE", LEXEME_OTHER }, { "END", LEXEME_OTHER },
    { "ESCAPE", LEXEME_OTHER }, { "EXEC", LEXEME_OTHER }, { "EXECUTE", LEXEME_OTHER }, { "EXISTS", LEXEME_TABLE_WORD },
    { "EXPLAIN", LEXEME_OTHER }, { "FALSE", LEXEME_VALUE }, { "FOREIGN", LEXEME_OTHER }, { "FROM", LEXEME_TABLE_WORD },
    { "GRANT", LEXEME_OTHER }, { "GROUP", LEXEME_OTHER }, { "HAVING", LEXEME_OTHER }, { "IF", LEXEME_OTHER },
    { "ILIKE", LEXEME_OTHER }, { "IN", LEXEME_OTHER }, { "INDEX", LEXEME_OTHER }, { "INNER", LEXEME_OTHER },
    { "INSERT", LEXEME_OTHER }, { "INTO", LEXEME_TABLE_WORD }, { "IS", LEXEME_OTHER }, { "JOIN", LEXEME_TABLE_WORD },
    { "KEY", LEXEME_OTHER }, { "LEFT", LEXEME_OTHER }, { "LIKE", LEXEME_OTHER }, { "LIMIT", LEXEME_OTHER },
    { "LITERAL", LEXEME_OTHER }, { "MERGE", LEXEME_OTHER }, { "NOT", LEXEME_OTHER }, { "NULL", LEXEME_VALUE },
    { "OF", LEXEME_OTHER }, { "OFFSET", LEXEME_OTHER }, { "ON", LEXEME_OTHER }, { "ONLY", LEXEME_TABLE_WORD },
    { "OR", LEXEME_OTHER }, { "ORDER", LEXEME_OTHER }, { "OUT", LEXEME_OTHER }, { "OUTER", LEXEME_OTHER },
    { "PLPGSQL", LEXEME_OTHER }, { "PRIMARY", LEXEME_OTHER }, { "PROC", LEXEME_OTHER }, { "PROCEDURE", LEXEME_OTHER },
    { "RECURSIVE", LEXEME_OTHER }, { "REPLACE", LEXEME_OTHER }, { "RETURNING", LEXEME_OTHER }, { "RETURNS", LEXEME_OTHER },
    { "REVOKE", LEXEME_OTHER }, { "RIGHT", LEXEME_OTHER }, { "ROLLBACK", LEXEME_OTHER }, { "ROLLUP", LEXEME_OTHER },
    { "ROWNUM", LEXEME_OTHER }, { "SELECT", LEXEME_OTHER }, { "SET", LEXEME_OTHER }, { "SKIP", LEXEME_OTHER },
    { "SOME", LEXEME_OTHER }, { "STRAIGHT_JOIN", LEXEME_TABLE_WORD }, { "TABLE", LEXEME_TABLE_WORD },
    { "TEMPORARY", LEXEME_OTHER }, { "TOP", LEXEME_OTHER }, { "TRIGGER", LEXEME_OTHER }, { "TRUE", LEXEME_VALUE },
    { "TRUNCATE", LEXEME_OTHER }, { "UNION", LEXEME_OTHER }, { "UNIQUE", LEXEME_OTHER }, { "UNLOGGED", LEXEME_OTHER },
    { "UPDATE", LEXEME_TABLE_WORD }, { "USE", LEXEME_OTHER }, { "USING", LEXEME_OTHER }, { "VACCUM", LEXEME_OTHER },
    { "VALUES", LEXEME_OTHER }, { "VIEW", LEXEME_OTHER }, { "WHERE", LEXEME_OTHER }, { "WINDOW", LEXEME_OTHER },
    { "WITH", LEXEME_WITH },
};
/* clang-format on */

/* A text against a word's capitals. */
static int compare_word(const void *key, const void *item)
{
    const sonde_str *text = key;
    const char *word = ((const sql_word *)item)->text;
    size_t i;

    for (i = 0; i < text->len; i++) {
        int c = (unsigned char)text->ptr[i];

        if (c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        if (c != (unsigned char)word[i])
            return c - (unsigned char)word[i];
    }
    return word[i] ? -1 : 0;
}

/* LEXEME_NAME: none.  A word ends at a blank, at punctuation or with the statement. */
static sql_lexeme word_kind(const sql_lexer *l, size_t *out_end)
{
    size_t end = 0;
    const sql_word *word;
    sonde_str text;

    while (is_ascii_letter(byte_at(l, end)))
        end++;
    if (byte_at(l, end) && !is_blank(byte_at(l, end)) && !is_punctuation(byte_at(l, end)))
        return LEXEME_NAME;
    text = sonde_str_sub(l->rest, 0, end);
    word = bsearch(&text, words, sizeof(words) / sizeof(words[0]), sizeof(words[0]), compare_word);
    *out_end = end;
    return word ? word->kind : LEXEME_NAME;
}

static size_t name_end(const sql_lexer *l, size_t n)
{
    size_t length;

    while ((length = is_one_of(byte_at(l, n), "\".?$#/@!") ? 1 : letter_or_digit_at(l, n)) > 0)
        n += length;
    return n;
}

/* Behind its first character, which need not be a letter. */
static sql_lexeme scan_name(const sql_lexer *l, size_t *out_end)
{
    sql_lexeme kind = LEXEME_NAME;

    if (is_ascii_letter(byte_at(l, 0)))
        kind = word_kind(l, out_end);
    if (kind != LEXEME_NAME)
        return kind;
    *out_end = name_end(l, rune_length(l, 0));
    return byte_at(l, *out_end) == '(' && byte_at(l, 0) < 0x80 ? LEXEME_FUNCTION : LEXEME_NAME;
}

/* From quote to quote; `"a"."b"` is one. */
static sql_lexeme scan_quoted_name(const sql_lexer *l, unsigned close, size_t *out_end)
{
    size_t n;

    for (n = 1; n < l->rest.len; n++) {
        if (byte_at(l, n) != close)
            continue;
        if (byte_at(l, n + 1) != '.' || byte_at(l, n + 2) != byte_at(l, 0)) {
            *out_end = n + 1;
            return LEXEME_QUOTED_NAME;
        }
        n += 2;
    }
    *out_end = l->rest.len;
    return LEXEME_OTHER;
}

/* -- values ------------------------------------------------------------------------------------------ */

static size_t string_end(const sql_lexer *l)
{
    size_t n;

    for (n = 1; n < l->rest.len; n++) {
        if (byte_at(l, n) == '\\')
            n++;
        else if (byte_at(l, n) == '\'')
            return n + 1;
    }
    return l->rest.len;
}

/* Behind a sign or a first digit. */
static size_t decimal_end(const sql_lexer *l, size_t n)
{
    for (;;) {
        unsigned c = byte_at(l, n);

        if (is_digit(c) || c == '.') {
            n++;
        } else if ((c | 0x20) == 'e') {
            n++;
            n += is_one_of(byte_at(l, n), "+-");
        } else {
            return n;
        }
    }
}

static size_t number_end(const sql_lexer *l)
{
    const char *digits = "01234567";
    size_t n = 2;

    if (byte_at(l, 0) == '0' && (byte_at(l, 1) | 0x20) == 'x')
        digits = "0123456789abcdefABCDEF";
    else if (byte_at(l, 0) != '0' || !is_one_of(byte_at(l, 1), digits))
        return decimal_end(l, 1);
    while (is_one_of(byte_at(l, n), digits))
        n++;
    return n;
}

/* What is open at the end is a value all the same. */
static sql_lexeme scan_dollar_quoted(const sql_lexer *l, size_t *out_end)
{
    size_t tag_end, at;
    sonde_str tag;

    *out_end = l->rest.len;
    if (!sonde_str_find(sonde_str_sub(l->rest, 1, l->rest.len), SONDE_STR("$"), &tag_end))
        return LEXEME_VALUE;
    tag = sonde_str_sub(l->rest, 0, tag_end + 2);
    if (!sonde_str_find(sonde_str_sub(l->rest, tag.len, l->rest.len), tag, &at))
        return LEXEME_VALUE;
    *out_end = tag.len + at + tag.len;
    return sonde_str_eq(tag, SONDE_STR("$func$")) ? LEXEME_FUNC : LEXEME_VALUE;
}

static sql_lexeme scan_dollar(const sql_lexer *l, size_t *out_end)
{
    size_t n = 1;

    if (l->dialect == SONDE_SQL_MSSQL && letter_at(l, 1))
        return scan_name(l, out_end);
    while (is_digit(byte_at(l, n)))
        n++;
    *out_end = n;
    return n > 1 ? LEXEME_VALUE : scan_dollar_quoted(l, out_end);
}

/* -- the rest ---------------------------------------------------------------------------------------- */

static sql_lexeme scan_line(const sql_lexer *l, size_t *out_end)
{
    if (!sonde_str_find(l->rest, SONDE_STR("\n"), out_end))
        *out_end = l->rest.len;
    return LEXEME_COMMENT;
}

static sql_lexeme scan_comment(const sql_lexer *l, size_t *out_end)
{
    size_t at;

    if (sonde_str_find(sonde_str_sub(l->rest, 2, l->rest.len), SONDE_STR("*/"), &at)) {
        *out_end = at + 4;
        return LEXEME_COMMENT;
    }
    *out_end = l->rest.len;
    return LEXEME_OTHER;
}

static bool begins_with(const sql_lexer *l, const char *text)
{
    return sonde_str_starts(l->rest, sonde_str_from(text));
}

/* Operators on JSON are themselves; of the others, all that follow each other are one, but for "=?" and "=@". */
static size_t operator_end(const sql_lexer *l)
{
    static const char *const of_json[] = { "->>", "->", "#>>", "#>", "#-", "?|", "?&", "<@" };
    size_t n = 1;
    size_t i;

    for (i = 0; i < sizeof(of_json) / sizeof(of_json[0]); i++)
        if (begins_with(l, of_json[i]))
            return strlen(of_json[i]);
    while (is_operator(byte_at(l, n)) &&
           !(byte_at(l, n - 1) == '=' && is_one_of(byte_at(l, n), "?@")))
        n++;
    return n;
}

/* A variable, of the session or of the system, or an operator. */
static sql_lexeme scan_at(const sql_lexer *l, size_t *out_end)
{
    if (byte_at(l, 1) == '@') {
        *out_end = letters_or_digits_end(l, 2);
        return LEXEME_OTHER;
    }
    if (letter_or_digit_at(l, 1) && l->dialect == SONDE_SQL_SNOWFLAKE)
        return scan_name(l, out_end);
    if (letter_or_digit_at(l, 1))
        *out_end = letters_or_digits_end(l, 1);
    else if (is_one_of(byte_at(l, 1), "?>"))
        *out_end = 2;
    else
        *out_end = operator_end(l);
    return LEXEME_OTHER;
}

/* Characters that are an operator in some dialects. */
static sql_lexeme scan_hash(const sql_lexer *l, size_t *out_end)
{
    if (l->dialect == SONDE_SQL_MSSQL)
        return scan_name(l, out_end);
    if (l->dialect == SONDE_SQL_MYSQL)
        return scan_line(l, out_end);
    *out_end = operator_end(l);
    return LEXEME_OTHER;
}

static sql_lexeme scan_colon(const sql_lexer *l, size_t *out_end)
{
    *out_end = l->dialect == SONDE_SQL_ORACLE && letter_or_digit_at(l, 1)
                   ? letters_or_digits_end(l, 1)
                   : operator_end(l);
    return LEXEME_OTHER;
}

static sql_lexeme scan_sign(const sql_lexer *l, size_t *out_end)
{
    if (is_digit(byte_at(l, 1)) || byte_at(l, 1) == '.') {
        *out_end = decimal_end(l, 1);
        return LEXEME_VALUE;
    }
    *out_end = operator_end(l);
    return LEXEME_OTHER;
}

static sql_lexeme scan_other(const sql_lexer *l, unsigned c, size_t *out_end)
{
    switch (c) {
    case '$':
        return scan_dollar(l, out_end);
    case '@':
        return scan_at(l, out_end);
    case '#':
        return scan_hash(l, out_end);
    case ':':
        return scan_colon(l, out_end);
    case '+':
    case '-':
        return scan_sign(l, out_end);
    case '`':
        if (l->dialect == SONDE_SQL_MYSQL)
            return scan_quoted_name(l, '`', out_end);
        break;
    case '[':
        if (l->dialect == SONDE_SQL_MSSQL)
            return scan_quoted_name(l, ']', out_end);
        break;
    default:
        break;
    }
    if (is_operator(c) && c != '*')
        *out_end = operator_end(l);
    else
        *out_end = rune_length(l, 0);
    return LEXEME_OTHER;
}

static sql_lexeme scan(const sql_lexer *l, size_t *out_end)
{
    unsigned c = byte_at(l, 0);

    if (is_blank(c)) {
        for (*out_end = 1; is_blank(byte_at(l, *out_end));)
            ++*out_end;
        return LEXEME_BLANK;
    }
    if (letter_at(l, 0))
        return scan_name(l, out_end);
    if (c == '"')
        return scan_quoted_name(l, '"', out_end);
    if (begins_with(l, "--"))
        return scan_line(l, out_end);
    if (begins_with(l, "/*"))
        return scan_comment(l, out_end);
    if (c != '\'' && !is_digit(c))
        return scan_other(l, c, out_end);
    *out_end = c == '\'' ? string_end(l) : number_end(l);
    return LEXEME_VALUE;
}

sql_lexeme sql_lex(sql_lexer *l, sonde_str *out_text)
{
    sql_lexeme kind;
    size_t end = 0;

    if (l->rest.len == 0)
        return LEXEME_END;
    kind = scan(l, &end);
    *out_text = sonde_str_sub(l->rest, 0, end);
    l->rest = sonde_str_sub(l->rest, end, l->rest.len);
    return kind;
}
