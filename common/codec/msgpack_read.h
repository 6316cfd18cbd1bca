/* codec/msgpack_read.h - zero-copy msgpack reader over bytes in memory.
 *
 * Strings are views into the input.  The first failure sticks: it moves the reader to the end, so that
 * every later read fails too, and `status`/`error`/`error_at` keep saying what went wrong and where;
 * a decoder checks at the points where it loops.  Counts are never trusted for allocation:
 * read_array()/read_map() fail with SONDE_ERR_EOF when the announced elements cannot fit in the bytes
 * that remain (one byte each; two for a map entry).
 *
 * The forms that released clients really send (fixstr, str32, fixint, uint64, float64, ...) are read
 * inline; the rest is one call away.  Source: docs/spec/agent-http.md.
 *
 * Threads   none.
 * Failure   SONDE_ERR_EOF: cut off; SONDE_ERR_SYNTAX: another type, or a number out of range;
 *           SONDE_ERR_TOO_BIG: nested too deeply.
 * Bounds    nesting in skip() SONDE_MP_DEPTH_MAX.
 */
#ifndef SONDE_CODEC_MSGPACK_READ_H
#define SONDE_CODEC_MSGPACK_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Private: the rest of the readers below, for the forms they do not read inline. */
bool sonde_mp_read_array_slow(sonde_mp_reader *r, uint32_t *out_count);
bool sonde_mp_read_map_slow(sonde_mp_reader *r, uint32_t *out_count);
bool sonde_mp_read_str_slow(sonde_mp_reader *r, sonde_str *out);
bool sonde_mp_read_u64_slow(sonde_mp_reader *r, uint64_t *out);
bool sonde_mp_read_i64_slow(sonde_mp_reader *r, int64_t *out);
bool sonde_mp_read_double_slow(sonde_mp_reader *r, double *out);

static inline uint32_t sonde_mp_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t sonde_mp_be64(const uint8_t *p)
{
    return (uint64_t)sonde_mp_be32(p) << 32 | sonde_mp_be32(p + 4);
}

static inline size_t sonde_mp_left(const sonde_mp_reader *r) /* bytes not read yet */
{
    return (size_t)(r->end - r->at);
}

/* Strict readers: true on success; the value is written only then. */
bool sonde_mp_read_bool(sonde_mp_reader *r, bool *out);
bool sonde_mp_read_bin(sonde_mp_reader *r, sonde_str *out); /* bin or str */

/* Consumes a nil if it is next; false otherwise, without failing. */
static inline bool sonde_mp_read_nil(sonde_mp_reader *r)
{
    if (r->at == r->end || *r->at != 0xc0)
        return false;
    r->at++;
    return true;
}

static inline bool sonde_mp_read_array(sonde_mp_reader *r, uint32_t *out_count)
{
    if (r->at != r->end && (*r->at & 0xf0) == 0x90 && (*r->at & 0x0fu) < sonde_mp_left(r)) {
        *out_count = *r->at++ & 0x0f;
        return true;
    }
    return sonde_mp_read_array_slow(r, out_count);
}

static inline bool sonde_mp_read_map(sonde_mp_reader *r, uint32_t *out_count)
{
    if (r->at != r->end && (*r->at & 0xf0) == 0x80 && (*r->at & 0x0fu) * 2 < sonde_mp_left(r)) {
        *out_count = *r->at++ & 0x0f;
        return true;
    }
    return sonde_mp_read_map_slow(r, out_count);
}

/* Lenient readers, as Datadog's agent decodes (docs/spec/agent-http.md "Scalar leniency"). */

static inline bool sonde_mp_read_str(sonde_mp_reader *r, sonde_str *out) /* str or bin; nil: "" */
{
    const uint8_t *p = r->at;
    size_t left = sonde_mp_left(r), len, head;

    if (left > 0 && (*p & 0xe0) == 0xa0) {
        head = 1;
        len = *p & 0x1f;
    } else if (left >= 5 && *p == 0xdb) {
        head = 5;
        len = sonde_mp_be32(p + 1);
    } else {
        return sonde_mp_read_str_slow(r, out);
    }
    if (len > left - head)
        return sonde_mp_fail(r, SONDE_ERR_EOF, "a string is cut off");
    *out = (sonde_str){ (const char *)p + head, len };
    r->at = p + head + len;
    return true;
}

/* uint, or int as two's complement; nil: 0 */
static inline bool sonde_mp_read_u64(sonde_mp_reader *r, uint64_t *out)
{
    if (r->at != r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    if (sonde_mp_left(r) >= 9 && *r->at == 0xcf) {
        *out = sonde_mp_be64(r->at + 1);
        r->at += 9;
        return true;
    }
    return sonde_mp_read_u64_slow(r, out);
}

/* int, uint up to 2^63-1; nil: 0 */
static inline bool sonde_mp_read_i64(sonde_mp_reader *r, int64_t *out)
{
    if (r->at != r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    if (sonde_mp_left(r) >= 9 && *r->at == 0xcf && r->at[1] < 0x80) {
        *out = (int64_t)sonde_mp_be64(r->at + 1);
        r->at += 9;
        return true;
    }
    return sonde_mp_read_i64_slow(r, out);
}

bool sonde_mp_read_i32(sonde_mp_reader *r, int32_t *out);

/* float64, int, uint; nil: 0; float32 refused */
static inline bool sonde_mp_read_double(sonde_mp_reader *r, double *out)
{
    if (sonde_mp_left(r) >= 9 && *r->at == 0xcb) {
        uint64_t bits = sonde_mp_be64(r->at + 1);

        memcpy(out, &bits, sizeof(*out));
        r->at += 9;
        return true;
    }
    if (r->at != r->end && *r->at < 0x80) {
        *out = *r->at++;
        return true;
    }
    return sonde_mp_read_double_slow(r, out);
}

bool sonde_mp_skip(sonde_mp_reader *r); /* one value, nested ones included */

/* The bytes of the next value, skipped: for passing it on unread. */
bool sonde_mp_read_raw(sonde_mp_reader *r, sonde_str *out);

#endif /* SONDE_CODEC_MSGPACK_READ_H */
