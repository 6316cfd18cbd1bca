/* hex.c - hex and base64. */
#include "base/hex.h"

static const char hex_digits[] = "0123456789abcdef";

void sonde_hex_u64(uint64_t v, char out[16])
{
    int i;

    for (i = 15; i >= 0; i--, v >>= 4)
        out[i] = hex_digits[v & 15];
}

void sonde_hex_bytes(const uint8_t *in, size_t len, char *out)
{
    size_t i;

    for (i = 0; i < len; i++) {
        out[2 * i] = hex_digits[in[i] >> 4];
        out[2 * i + 1] = hex_digits[in[i] & 15];
    }
}

/* The value of a digit, 16 for anything else. */
static unsigned digit_value(char c, int any_case)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (any_case && c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

sonde_status sonde_hex_parse_u64(sonde_str s, int any_case, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    if (s.len == 0 || s.len > 16)
        return SONDE_ERR_SYNTAX;
    for (i = 0; i < s.len; i++) {
        unsigned digit = digit_value(s.ptr[i], any_case);

        if (digit == 16)
            return SONDE_ERR_SYNTAX;
        v = v << 4 | digit;
    }
    *out = v;
    return SONDE_OK;
}

size_t sonde_base64_encode_len(size_t bytes)
{
    return (bytes / 3 + (bytes % 3 != 0)) * 4;
}

size_t sonde_base64_encode(const uint8_t *in, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = out;
    size_t i;

    for (i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned v = (unsigned)in[i] << 16;

        if (left > 1)
            v |= (unsigned)in[i + 1] << 8;
        if (left > 2)
            v |= in[i + 2];
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[v & 63] : '=';
    }
    return (size_t)(to - out);
}

/* 64: not a digit. */
static unsigned base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

size_t sonde_base64_decode_max(size_t chars)
{
    return chars / 4 * 3 + 3;
}

static sonde_str without_padding(sonde_str text)
{
    size_t padding = 0;

    if (text.len % 4 != 0)
        return text;
    while (padding < 2 && text.len > 0 && text.ptr[text.len - 1] == '=') {
        text.len--;
        padding++;
    }
    return text;
}

sonde_status sonde_base64_decode(sonde_str text, uint8_t *out, size_t *out_len)
{
    unsigned bits = 0;
    unsigned have = 0;
    size_t len = 0;
    size_t i;

    text = without_padding(text);
    if (text.len % 4 == 1)
        return SONDE_ERR_SYNTAX;
    for (i = 0; i < text.len; i++) {
        unsigned digit = base64_digit(text.ptr[i]);

        if (digit == 64)
            return SONDE_ERR_SYNTAX;
        bits = (bits << 6 | digit) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[len++] = (uint8_t)(bits >> have);
        }
    }
    if (bits & ((1u << have) - 1))
        return SONDE_ERR_SYNTAX;
    *out_len = len;
    return SONDE_OK;
}
