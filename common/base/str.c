/* str.c - helpers on text views. */
#include "base/str.h"

#include <stdint.h>

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool sonde_str_eq_nocase(sonde_str a, sonde_str b)
{
    size_t i;

    if (a.len != b.len)
        return false;
    for (i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

int sonde_str_cmp(sonde_str a, sonde_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

sonde_str sonde_str_trim_blanks(sonde_str s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool sonde_str_find(sonde_str s, sonde_str what, size_t *out_at)
{
    const char *at;

    if (what.len == 0) {
        *out_at = 0;
        return true;
    }
    if (what.len > s.len)
        return false;
    at = (const char *)memmem(s.ptr, s.len, what.ptr, what.len);
    if (!at)
        return false;
    *out_at = (size_t)(at - s.ptr);
    return true;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t sonde_utf8_decode(sonde_str s, unsigned *out_rune)
{
    static const unsigned smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)s.ptr[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned rune = len == 1 ? first : first & (0x7fu >> len);
    size_t i;

    if (len == 0 || len > s.len || first > 0xf4)
        return 0;
    for (i = 1; i < len; i++) {
        if (!is_continuation(s.ptr[i]))
            return 0;
        rune = rune << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    if (rune < smallest[len] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return 0;
    *out_rune = rune;
    return len;
}

size_t sonde_utf8_encode(unsigned rune, char out[4])
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xc0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return 0;
    if (rune < 0x10000) {
        out[0] = (char)(0xe0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

/* How many of the leading bytes are ASCII, eight a step. */
static size_t ascii_prefix(sonde_str s)
{
    size_t i = 0;
    uint64_t word;

    for (; s.len - i >= 8; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    while (i < s.len && (unsigned char)s.ptr[i] < 0x80)
        i++;
    return i;
}

bool sonde_utf8_valid(sonde_str s)
{
    for (;;) {
        unsigned rune;
        size_t len = ascii_prefix(s);

        s = sonde_str_sub(s, len, s.len);
        if (s.len == 0)
            return true;
        len = sonde_utf8_decode(s, &rune);
        if (len == 0)
            return false;
        s = sonde_str_sub(s, len, s.len);
    }
}

size_t sonde_utf8_repair(sonde_str s, char *out)
{
    size_t len = 0;

    while (s.len > 0) {
        unsigned rune;
        size_t n = sonde_utf8_decode(s, &rune);

        if (out)
            memcpy(out + len, n ? s.ptr : "\xef\xbf\xbd", n ? n : 3);
        len += n ? n : 3;
        s = sonde_str_sub(s, n ? n : 1, s.len);
    }
    return len;
}

size_t sonde_utf8_cut(sonde_str s, size_t max_bytes)
{
    size_t at = max_bytes;
    int steps;

    if (s.len <= max_bytes)
        return s.len;
    for (steps = 0; steps < 3 && at > 0 && is_continuation(s.ptr[at]); steps++)
        at--;
    return is_continuation(s.ptr[at]) ? max_bytes : at; /* not UTF-8: cut where asked */
}
