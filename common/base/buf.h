/* base/buf.h - growing bytes with a ceiling and a sticky error.
 *
 * Appending beyond the ceiling or out of memory leaves the content as it was and sets `status`; from
 * then on appends do nothing, so an encoder checks once, at the end.
 *
 * Threads   none: a buffer belongs to its owner.
 */
#ifndef SONDE_BASE_BUF_H
#define SONDE_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "sonde/status.h"

typedef struct sonde_buf {
    uint8_t *data; /* owned */
    size_t len;
    size_t cap;
    size_t max_bytes;    /* ceiling of len */
    sonde_status status; /* first failure, or SONDE_OK */
} sonde_buf;

void sonde_buf_init(sonde_buf *b, size_t max_bytes); /* allocates nothing */
void sonde_buf_done(sonde_buf *b);
void sonde_buf_reset(sonde_buf *b); /* empty, status OK, memory kept */

/* Makes room for `bytes` more and returns where they go, NULL when that fails (status is set).
 * The caller writes them and calls sonde_buf_commit(). */
uint8_t *sonde_buf_reserve_slow(sonde_buf *b, size_t bytes);

static inline uint8_t *sonde_buf_reserve(sonde_buf *b, size_t bytes)
{
    if (__builtin_expect(b->status == SONDE_OK && b->cap - b->len >= bytes && b->data != NULL, 1))
        return b->data + b->len;
    return sonde_buf_reserve_slow(b, bytes);
}

static inline void sonde_buf_commit(sonde_buf *b, size_t bytes)
{
    b->len += bytes;
}

static inline void sonde_buf_append(sonde_buf *b, const void *data, size_t bytes)
{
    uint8_t *to = sonde_buf_reserve(b, bytes);

    if (to && bytes) {
        memcpy(to, data, bytes);
        b->len += bytes;
    }
}

static inline void sonde_buf_append_str(sonde_buf *b, sonde_str s)
{
    sonde_buf_append(b, s.ptr, s.len);
}

static inline void sonde_buf_append_byte(sonde_buf *b, uint8_t byte)
{
    sonde_buf_append(b, &byte, 1);
}

void sonde_buf_printf(sonde_buf *b, const char *fmt, ...) SONDE_PRINTF(2, 3);

/* Hands the bytes to the caller (sonde_free); the buffer is empty afterwards. */
uint8_t *sonde_buf_take(sonde_buf *b, size_t *out_len);

/* The content as text, NUL-terminated behind its length; "" when empty or failed. */
const char *sonde_buf_cstr(sonde_buf *b);

static inline sonde_str sonde_buf_str(const sonde_buf *b)
{
    return (sonde_str){ (const char *)b->data, b->len };
}

#endif /* SONDE_BASE_BUF_H */
