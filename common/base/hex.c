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
