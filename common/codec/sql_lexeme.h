/* codec/sql_lexeme.h - a statement of SQL cut into pieces none of which is lost, for obfuscate_sql_modes.c only.
 *
 * Every text is made of such pieces: what is open at the end ends there, what is unknown stands for itself.
 *
 * Threads   none. */
#ifndef SONDE_CODEC_SQL_LEXEME_H
#define SONDE_CODEC_SQL_LEXEME_H

#include "base/str.h"
#include "codec/obfuscate.h"

typedef enum sql_lexeme {
    LEXEME_END,
    LEXEME_BLANK,
    LEXEME_COMMENT,
    LEXEME_VALUE, /* strings, numbers, $1, NULL, TRUE, FALSE */
    LEXEME_FUNC,  /* $func$...$func$ */
    LEXEME_NAME,
    LEXEME_QUOTED_NAME,
    LEXEME_FUNCTION,   /* a name at "(" */
    LEXEME_TABLE_WORD, /* what the name of a table follows */
    LEXEME_WITH,
    LEXEME_AS,
    LEXEME_OTHER /* keywords, operators, punctuation, bind variables */
} sql_lexeme;

typedef struct sql_lexer {
    sonde_str rest; /* UTF-8 without NUL */
    sonde_sql_dialect dialect;
} sql_lexer;

/* The next piece; its text is a view of the statement. */
sql_lexeme sql_lex(sql_lexer *l, sonde_str *out_text);

#endif /* SONDE_CODEC_SQL_LEXEME_H */
