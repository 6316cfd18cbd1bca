/* glob.c - matching with one place to come back to: behind the last `*` that was passed.
 *
 * Where an earlier `*` ended need not be tried again: if the rest matches with a longer run there, it
 * also matches with the last `*` taking those characters. */
#include "base/glob.h"

#include <stdint.h>

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : (unsigned char)c;
}

/* Length of the character at `at` < text.len. */
static size_t character(sonde_str text, size_t at)
{
    unsigned rune;
    size_t len;

    if ((unsigned char)text.ptr[at] < 0x80)
        return 1;
    len = sonde_utf8_decode(sonde_str_sub(text, at, text.len), &rune);
    return len ? len : 1;
}

/* Bytes of text that the pattern's character takes, 0: none. */
static size_t step(char pattern, sonde_str text, size_t at)
{
    if (pattern == '?')
        return character(text, at);
    return lower(pattern) == lower(text.ptr[at]);
}

bool sonde_glob_match(sonde_str pattern, sonde_str text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* the place behind the last `*` */
    size_t from = 0;        /* and where its run ends by now */

    while (t < text.len) {
        size_t taken = 0;

        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            from = t;
            continue;
        }
        if (p < pattern.len)
            taken = step(pattern.ptr[p], text, t);
        if (taken > 0) {
            t += taken;
            p++;
        } else if (star == SIZE_MAX) {
            return false;
        } else if (star == pattern.len) {
            return true;
        } else {
            from += character(text, from);
            t = from;
            p = star;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool sonde_glob_is_any(sonde_str pattern)
{
    size_t i = 0;

    while (i < pattern.len && pattern.ptr[i] == '*')
        i++;
    return i > 0 && i == pattern.len;
}
