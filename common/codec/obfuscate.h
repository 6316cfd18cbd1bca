/* codec/obfuscate.h - resources of database spans without the values in them, as Datadog's agent has them.
 *
 * Statements of SQL keep their shape: literals become `?`, lists of them one, comments and aliases go, one
 * blank between the rest, unless a mode says otherwise.  Redis keeps its commands.  The results feed monitors and dashboards, so they
 * agree byte for byte.
 *
 * Threads   none: pure but for what the caller owns.
 * Failure   SONDE_ERR_SYNTAX: not a statement this tokenizer takes, for which the agent writes
 *           SONDE_SQL_NOT_PARSABLE; otherwise the status of `out`.
 * Bounds    those of `out`; a quoted identifier SONDE_SQL_TEXT_MAX_BYTES.
 * Source    docs/spec/obfuscation.md */
#ifndef SONDE_CODEC_OBFUSCATE_H
#define SONDE_CODEC_OBFUSCATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define SONDE_SQL_NOT_PARSABLE   "Non-parsable SQL query"
#define SONDE_SQL_TEXT_MAX_BYTES 65536

/* Fills `out` (reset first).  `literal_escapes` says whether a backslash in a string stands for itself; when the
 * statement makes sense only the other way, that is how it is read, and remembered there. */
SONDE_MUST_USE sonde_status sonde_obfuscate_sql(sonde_str statement, bool *literal_escapes,
                                                sonde_buf *out);

/* Datadog's switches; 0 is what it does by default. */
enum {
    SONDE_SQL_KEEP_ALIAS = 1,     /* AS and what follows it stay */
    SONDE_SQL_REPLACE_DIGITS = 2, /* in identifiers, a row of them becomes ? */
    SONDE_SQL_DOLLAR_FUNC = 4,    /* $func$...$func$ is a statement, not a value */
    SONDE_SQL_PREFIX = 8 /* Sonde's: of no statement, what is one before the fault, and "..." */
};

/* Where they differ: quotes, comments, operators on JSON. */
typedef enum sonde_sql_dialect {
    SONDE_SQL_NO_DIALECT,
    SONDE_SQL_MSSQL,
    SONDE_SQL_POSTGRESQL,
    SONDE_SQL_MYSQL, /* this and what follows: no difference in the default mode */
    SONDE_SQL_ORACLE,
    SONDE_SQL_SNOWFLAKE,
    SONDE_SQL_DIALECTS
} sonde_sql_dialect;

/* All but the default keep what is wrong with a statement: they never fail for it. */
typedef enum sonde_sql_mode {
    SONDE_SQL_DEFAULT_MODE,
    SONDE_SQL_OBFUSCATE_ONLY, /* layout, comments and aliases stay */
    SONDE_SQL_NORMALIZE_ONLY, /* values stay */
    SONDE_SQL_OBFUSCATE_AND_NORMALIZE,
    SONDE_SQL_UNKNOWN_MODE /* no statement is one */
} sonde_sql_mode;

sonde_sql_dialect sonde_sql_dialect_of(sonde_str db_type); /* as tracers write tag db.type */
sonde_sql_mode sonde_sql_mode_of(sonde_str name); /* "obfuscate_only" ...; "": the default */

typedef struct sonde_sql_options {
    unsigned flags;
    bool *literal_escapes; /* as above; of the default mode only */
    /* names of tables, each once, apart by commas; reset first; NULL: not asked for */
    sonde_buf *tables;
    sonde_sql_dialect dialect;
    sonde_sql_mode mode;
} sonde_sql_options;

SONDE_MUST_USE sonde_status sonde_obfuscate_sql_with(sonde_str statement,
                                                     const sonde_sql_options *options,
                                                     sonde_buf *out);

/* Redis and Valkey: the first three commands of a resource. */
SONDE_MUST_USE sonde_status sonde_obfuscate_redis(sonde_str resource, sonde_buf *out);

#endif /* SONDE_CODEC_OBFUSCATE_H */
