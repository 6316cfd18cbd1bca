/* codec/json_read.h - pull reader for JSON in memory (RFC 8259), depth-limited.
 *
 * sonde_json_next() returns one event after another; text without escapes is a view into the input,
 * text with escapes is decoded into the reader's scratch and valid until the next call.
 * sonde_json_skip() passes over the value whose first event was just returned (for a key: over its
 * value).  Text is not checked to be UTF-8; half a surrogate pair in an escape becomes U+FFFD.
 *
 * Failure   SONDE_JSON_ERROR; `status`, `error` (static text) and `error_at` (byte) say why. Sticky.
 *           SONDE_ERR_EOF: cut off; SONDE_ERR_SYNTAX: not JSON, or a number beyond double;
 *           SONDE_ERR_TOO_BIG: nested too deeply or too long a string; SONDE_ERR_NOMEM.
 * Bounds    nesting SONDE_JSON_READ_DEPTH_MAX, one string max_string_bytes (set at init).
 * Threads   none. */
#ifndef SONDE_CODEC_JSON_READ_H
#define SONDE_CODEC_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE_JSON_READ_DEPTH_MAX 64

typedef enum sonde_json_event {
    SONDE_JSON_ERROR,
    SONDE_JSON_END, /* after the one top-level value and white space */
    SONDE_JSON_OBJECT,
    SONDE_JSON_OBJECT_END,
    SONDE_JSON_ARRAY,
    SONDE_JSON_ARRAY_END,
    SONDE_JSON_KEY,    /* text */
    SONDE_JSON_STRING, /* text */
    SONDE_JSON_NUMBER, /* text: the digits as written; number: the value as double */
    SONDE_JSON_TRUE,
    SONDE_JSON_FALSE,
    SONDE_JSON_NULL,
} sonde_json_event;

typedef struct sonde_json_reader {
    const char *start;
    const char *at;
    const char *end;
    sonde_buf scratch;
    sonde_str text;
    double number;
    uint64_t open_objects; /* bit per level: 1 object, 0 array */
    uint8_t depth;
    uint8_t expect; /* private: what may come next */
    sonde_status status;
    const char *error;
    size_t error_at;
} sonde_json_reader;

void sonde_json_reader_init(sonde_json_reader *r, sonde_str json, size_t max_string_bytes);
void sonde_json_reader_done(sonde_json_reader *r);

sonde_json_event sonde_json_next(sonde_json_reader *r);
bool sonde_json_skip(sonde_json_reader *r, sonde_json_event first); /* false on error */

/* One member of an object: its reader is given the first event of the value and reads all of it; false ends
 * the walk. */
typedef struct sonde_json_member {
    const char *name; /* NULL ends a table */
    bool (*read)(void *user, sonde_json_event first);
} sonde_json_member;

/* Behind SONDE_JSON_OBJECT: members of the table are read, others passed over.  False: a reader said so, or
 * an error of the text. */
bool sonde_json_read_members(sonde_json_reader *r, const sonde_json_member *table, void *user);

#endif /* SONDE_CODEC_JSON_READ_H */
