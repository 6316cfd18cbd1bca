/* buf.c - growing bytes with a ceiling and a sticky error.
 *
 * Bounds   len <= cap <= max_bytes; one byte more than cap is allocated, for sonde_buf_cstr(). */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

#define CAP_MIN ((size_t)64)

void sonde_buf_init(sonde_buf *b, size_t max_bytes)
{
    *b = (sonde_buf){ .max_bytes = max_bytes };
}

void sonde_buf_done(sonde_buf *b)
{
    sonde_free(b->data);
    *b = (sonde_buf){ .max_bytes = b->max_bytes };
}

void sonde_buf_reset(sonde_buf *b)
{
    b->len = 0;
    b->status = SONDE_OK;
}

/* Doubling, at least `need`, at most the ceiling. */
static size_t grown_cap(const sonde_buf *b, size_t need)
{
    size_t cap = b->cap > b->max_bytes / 2 ? b->max_bytes : 2 * b->cap;

    if (cap < CAP_MIN)
        cap = CAP_MIN;
    if (cap < need)
        cap = need;
    return cap < b->max_bytes ? cap : b->max_bytes;
}

uint8_t *sonde_buf_reserve_slow(sonde_buf *b, size_t bytes)
{
    uint8_t *data;
    size_t cap, alloc_bytes;

    if (b->status != SONDE_OK)
        return NULL;
    if (bytes > b->max_bytes - b->len) {
        b->status = SONDE_ERR_TOO_BIG;
        return NULL;
    }
    cap = grown_cap(b, b->len + bytes);
    data = sonde_add_size(cap, 1, &alloc_bytes) ? (uint8_t *)sonde_realloc(b->data, alloc_bytes)
                                                : NULL;
    if (!data) {
        b->status = SONDE_ERR_NOMEM;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

void sonde_buf_printf(sonde_buf *b, const char *fmt, ...)
{
    uint8_t *to = sonde_buf_reserve(b, 0);
    va_list args;
    int len;

    if (!to)
        return;
    va_start(args, fmt);
    len = vsnprintf((char *)to, b->cap - b->len + 1, fmt, args);
    va_end(args);
    if (len < 0) {
        b->status = SONDE_ERR_INVALID;
        return;
    }
    if ((size_t)len > b->cap - b->len) { /* once more, now that the length is known */
        to = sonde_buf_reserve(b, (size_t)len);
        if (!to)
            return;
        va_start(args, fmt);
        (void)vsnprintf((char *)to, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    b->len += (size_t)len;
}

uint8_t *sonde_buf_take(sonde_buf *b, size_t *out_len)
{
    uint8_t *data = b->data;

    *out_len = b->len;
    *b = (sonde_buf){ .max_bytes = b->max_bytes };
    return data;
}

const char *sonde_buf_cstr(sonde_buf *b)
{
    if (b->status != SONDE_OK || !b->data)
        return "";
    b->data[b->len] = '\0';
    return (const char *)b->data;
}
