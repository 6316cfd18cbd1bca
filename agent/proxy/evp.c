/* evp.c - what may pass /evp_proxy: the subdomain becomes part of an address, so only plain text. */
#include <string.h>

#include "internal.h"

static bool is_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool all_of(sonde_str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (!is_word(c) && (c == 0 || !strchr(more, c)))
            return false;
    }
    return true;
}

bool evp_subdomain_valid(sonde_str s)
{
    return s.len > 0 && all_of(s, "_.-");
}

bool evp_path_valid(sonde_str s)
{
    return all_of(s, "/_+-");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Byte at *at, decoded; -1: a broken escape. */
static int query_byte(sonde_str s, size_t *at)
{
    char c = s.ptr[(*at)++];
    int high, low;

    if (c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (s.len - *at < 2)
        return -1;
    high = hex_digit(s.ptr[*at]);
    low = hex_digit(s.ptr[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool evp_query_valid(sonde_str raw)
{
    size_t at = 0;

    while (at < raw.len) {
        int c = query_byte(raw, &at);

        if (c <= 0 || (!is_word((unsigned char)c) && !strchr("/_+@?&=.:\"[]-", c)))
            return false;
    }
    return true;
}
