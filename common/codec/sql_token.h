/* codec/sql_token.h - a statement of SQL cut into tokens, for the files of obfuscate.h only.
 *
 * Without a dialect, what is a string, a comment or a number in any of them counts as one.
 *
 * Threads   none. */
#ifndef SONDE_CODEC_SQL_TOKEN_H
#define SONDE_CODEC_SQL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/obfuscate.h"

/* One-character tokens are their character. */
typedef enum sql_kind {
    SQL_END = 256,
    SQL_ERROR,
    SQL_ID,
    SQL_KEYWORD, /* those without a meaning of their own here */
    SQL_NULL,
    SQL_BOOLEAN,
    SQL_SAVEPOINT,
    SQL_AS,
    SQL_SELECT,
    SQL_UPDATE,
    SQL_DELETE,
    SQL_FROM,
    SQL_JOIN,
    SQL_INTO,
    SQL_STRING,
    SQL_DOUBLE_QUOTED,
    SQL_DOLLAR_QUOTED,
    SQL_DOLLAR_FUNC, /* tagged so, if asked for */
    SQL_NUMBER,
    SQL_COMMENT,
    SQL_VARIABLE,
    SQL_PREPARED,
    SQL_ESCAPE,
    SQL_OTHER, /* operators of several characters, bind variables, casts */
    /* what filters make of them */
    SQL_FILTERED,
    SQL_GROUPABLE,
    SQL_GROUPABLE_PARENTHESIS,
    SQL_BRACKETED
} sql_kind;

typedef struct sql_tokenizer {
    sonde_str rest;
    sonde_str all;
    unsigned curlys; /* open ones of an escape the statement begins with */
    sonde_sql_dialect dialect;
    bool literal_escapes;
    bool knows_func;
    bool takes_prefix; /* what is wrong with it ends the statement */
    bool seen_escape;
    sonde_buf text; /* of a quoted token */
    sonde_buf func; /* obfuscate_sql.c's: of a function's body */
} sql_tokenizer;

/* The next token; its text is a view of the statement or of `t->text`, valid until the next call. */
sql_kind sql_next(sql_tokenizer *t, sonde_str *out_text);

/* A letter of any script: not `_` or `@`. */
bool sql_begins_with_letter(sonde_str text);

/* -- obfuscate_sql.c ------------------------------------------------------------------------------- */

/* Names of tables, apart by commas, each once; an empty one is none. */
bool sql_has_table(sonde_str tables, sonde_str name);
void sql_add_table(sonde_buf *tables, sonde_str name);

/* In the default mode. */
SONDE_MUST_USE sonde_status sql_obfuscate(sonde_str statement, const sonde_sql_options *options,
                                          sonde_buf *out);

#endif /* SONDE_CODEC_SQL_TOKEN_H */
