/* base/str.h - helpers on text views (sonde/str.h).
 *
 * Threads   pure functions.  All lengths are bytes.
 */
#ifndef SONDE_BASE_STR_H
#define SONDE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "sonde/str.h"

static inline sonde_str sonde_str_from(const char *text) /* NULL gives the empty view */
{
    return (sonde_str){ text, text ? strlen(text) : 0 };
}

/* The same as an expression: for the bodies of functions that a public header also defines inline, which
 * may not call what is static. */
#define SONDE_STR_FROM(text) ((sonde_str){ (text), (text) ? strlen(text) : 0 })

static inline bool sonde_str_eq(sonde_str a, sonde_str b)
{
    return a.len == b.len &&
           (b.len == 0 || memcmp(a.ptr, b.ptr, b.len) == 0); /* `b` is often a literal */
}

static inline bool sonde_str_starts(sonde_str s, sonde_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool sonde_str_ends(sonde_str s, sonde_str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* Bytes [from, from + len) of `s`, clipped to it. */
static inline sonde_str sonde_str_sub(sonde_str s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    if (len > s.len - from)
        len = s.len - from;
    return (sonde_str){ s.ptr ? s.ptr + from : NULL, len };
}

/* Splits `s` at the first `sep`: returns the part before it and leaves the rest in `s`.
 * When there is no `sep`, returns all of `s` and leaves it empty. */
static inline sonde_str sonde_str_cut(sonde_str *s, char sep)
{
    const char *at = s->len ? (const char *)memchr(s->ptr, sep, s->len) : NULL;
    sonde_str head = { s->ptr, at ? (size_t)(at - s->ptr) : s->len };
    size_t used = at ? head.len + 1 : head.len;

    s->ptr = s->len ? s->ptr + used : NULL;
    s->len -= used;
    return head;
}

bool sonde_str_eq_nocase(sonde_str a, sonde_str b); /* ASCII case only */
int sonde_str_cmp(sonde_str a, sonde_str b);        /* byte order: <0, 0, >0 */
sonde_str sonde_str_trim_blanks(sonde_str s);
bool sonde_str_find(sonde_str s, sonde_str what, size_t *out_at); /* first occurrence */

/* Without spaces and tabs at both ends, where there are seldom any. */
static inline sonde_str sonde_str_trim(sonde_str s)
{
    return s.len > 0 && s.ptr[0] > ' ' && s.ptr[s.len - 1] > ' ' ? s : sonde_str_trim_blanks(s);
}

bool sonde_utf8_valid(sonde_str s); /* no overlong forms, no surrogates */

/* Each byte that belongs to no sequence becomes U+FFFD.  Returns the length; `out`, when it is given, has room for it:
 * at most three times the text's. */
size_t sonde_utf8_repair(sonde_str s, char *out);

/* The longest length up to max_bytes that cuts no sequence. */
size_t sonde_utf8_cut(sonde_str s, size_t max_bytes);

/* Decodes the code point at the start of `s` (len > 0): its length in bytes, or 0 when malformed. */
size_t sonde_utf8_decode(sonde_str s, unsigned *out_rune);
size_t sonde_utf8_encode(unsigned rune, char out[4]); /* bytes written, 0 for no code point */

#endif /* SONDE_BASE_STR_H */
