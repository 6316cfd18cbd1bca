/* agent/obfuscate/obfuscators.h - tags of spans without the values in them, as Datadog's agent has them.
 *
 * One function a kind of text; codec/obfuscate.h has those for resources of SQL and Redis.  What comes out
 * is UTF-8 when what goes in is.
 *
 * Threads   none: pure but for what the caller owns.
 * Failure   the status of `out` (reset first); SONDE_OK for any text.
 * Bounds    those of `out`; JSON nested deeper than OBFUSCATE_JSON_DEPTH_MAX counts as cut off there.
 * Source    docs/spec/obfuscation.md */
#ifndef SONDE_AGENT_OBFUSCATE_OBFUSCATORS_H
#define SONDE_AGENT_OBFUSCATE_OBFUSCATORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/obfuscate.h"
#include "sonde/status.h"

#define OBFUSCATE_JSON_DEPTH_MAX 1024

typedef struct obfuscate_names {
    const sonde_str *items;
    size_t len;
} obfuscate_names;

typedef struct obfuscate_json_options {
    obfuscate_names keep_values;  /* keys whose values stay */
    obfuscate_names sql_values;   /* keys whose values are statements of SQL */
    const sonde_sql_options *sql; /* how these are read; not NULL where there are any */
} obfuscate_json_options;

/* Documents one after the other: keys stay, values become "?". */
SONDE_MUST_USE sonde_status obfuscate_json(sonde_str text, const obfuscate_json_options *options,
                                           sonde_buf *out);

enum { OBFUSCATE_URL_QUERY = 1, OBFUSCATE_URL_PATH_DIGITS = 2 };

/* Without user and password; without its query and segments of the path that have digits, if `what` says
 * so.  False: there was nothing to remove and `out` is not to be used. */
bool obfuscate_url(sonde_str url, unsigned what, sonde_buf *out);

/* Commands of Redis: arguments that are values become `?`. */
SONDE_MUST_USE sonde_status obfuscate_redis_arguments(sonde_str commands, sonde_buf *out);

/* The same, all arguments as one. */
SONDE_MUST_USE sonde_status obfuscate_redis_all_arguments(sonde_str command, sonde_buf *out);

/* The command of memcached without the bytes that follow it: a view of `text`. */
sonde_str obfuscate_memcached(sonde_str text);

/* The whole value looks like the number of a credit card. */
bool obfuscate_is_card(sonde_str value, bool check_luhn);

/* Tags that are never looked at for cards: they would be found wrongly. */
bool obfuscate_is_card_exempt(sonde_str key);

#endif /* SONDE_AGENT_OBFUSCATE_OBFUSCATORS_H */
