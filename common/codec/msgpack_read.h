/* codec/msgpack_read.h - zero-copy msgpack reader over bytes in memory.
 *
 * Strings are views into the input.  The first failure sticks: later reads return zero values, and
 * `status`/`error` say what went wrong and at which byte, so a decoder checks at the points where it
 * loops.  Counts are never trusted for allocation: read_array()/read_map() fail with SONDE_ERR_EOF when
 * the announced elements cannot fit in the bytes that remain (one byte each; two for a map).
 *
 * Threads   none.  Bounds: nesting in skip() SONDE_MP_DEPTH_MAX, else SONDE_ERR_TOO_BIG.
 */
#ifndef SONDE_CODEC_MSGPACK_READ_H
#define SONDE_CODEC_MSGPACK_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE_MP_DEPTH_MAX 64

typedef enum sonde_mp_type {
    SONDE_MP_NIL,
    SONDE_MP_BOOL,
    SONDE_MP_UINT, /* also a non-negative value in a signed format */
    SONDE_MP_INT,  /* negative */
    SONDE_MP_FLOAT32,
    SONDE_MP_DOUBLE,
    SONDE_MP_STR,
    SONDE_MP_BIN,
    SONDE_MP_ARRAY,
    SONDE_MP_MAP,
    SONDE_MP_EXT,
    SONDE_MP_END, /* no bytes left */
    SONDE_MP_BAD, /* 0xc1 */
} sonde_mp_type;

typedef struct sonde_mp_reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    sonde_status status; /* first failure */
    const char *error;   /* static text for it, e.g. "expected a string" */
    size_t error_at;     /* byte offset */
} sonde_mp_reader;

void sonde_mp_reader_init(sonde_mp_reader *r, const void *data, size_t len);
sonde_mp_type sonde_mp_peek(const sonde_mp_reader *r);
bool sonde_mp_fail(sonde_mp_reader *r, sonde_status status, const char *error); /* returns false */

/* Strict readers: true on success; the value is written only then. */
bool sonde_mp_read_nil(sonde_mp_reader *r); /* consumes a nil if it is next; false otherwise, no failure */
bool sonde_mp_read_bool(sonde_mp_reader *r, bool *out);
bool sonde_mp_read_array(sonde_mp_reader *r, uint32_t *out_count);
bool sonde_mp_read_map(sonde_mp_reader *r, uint32_t *out_count);
bool sonde_mp_read_bin(sonde_mp_reader *r, sonde_str *out); /* bin or str */

/* Lenient readers, as Datadog's agent decodes (docs/spec/agent-http.md "Scalar leniency"). */
bool sonde_mp_read_str(sonde_mp_reader *r, sonde_str *out); /* str or bin; nil: "" */
bool sonde_mp_read_u64(sonde_mp_reader *r, uint64_t *out);  /* uint, or int as two's complement; nil: 0 */
bool sonde_mp_read_i64(sonde_mp_reader *r, int64_t *out);   /* int, uint up to 2^63-1; nil: 0 */
bool sonde_mp_read_i32(sonde_mp_reader *r, int32_t *out);
bool sonde_mp_read_double(sonde_mp_reader *r, double *out); /* float64, int, uint; nil: 0; float32 refused */

bool sonde_mp_skip(sonde_mp_reader *r); /* one value, nested ones included */

/* The bytes of the next value, skipped: for passing it on unread. */
bool sonde_mp_read_raw(sonde_mp_reader *r, sonde_str *out);

#endif /* SONDE_CODEC_MSGPACK_READ_H */
