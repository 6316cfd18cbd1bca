/* chars.c - the table behind chars.h. */
#include "chars.h"

/* clang-format off */
const uint8_t sonde__char_classes[256] = {
    [0x20] = 21, 127, 31, 127, 127, 31, 127, 127, 95, 95, 127, 127, 1, 127, 127, 95,
    [0x30] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 7, 95, 69, 95, 95,
    [0x40] = 95, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    [0x50] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 31, 95, 127, 127,
    [0x60] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    [0x70] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 127, 95, 111, 0,
};

/* Value + 1 of a digit, 0 for anything else. */
static const uint8_t digit_plus_1[256] = {
    ['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ['a'] = 11, 12, 13, 14, 15, 16,
};
/* clang-format on */

bool sonde__hex16(const char *digits, uint64_t *out)
{
    uint64_t v = 0;
    unsigned bad = 0;
    int i;

    for (i = 0; i < 16; i++) {
        unsigned d = digit_plus_1[(unsigned char)digits[i]];

        bad |= d - 1; /* wraps for 0 */
        v = v << 4 | ((d - 1) & 15);
    }
    if (bad > 15)
        return false;
    *out = v;
    return true;
}

bool sonde__decimal(sonde_str s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    if (s.len == 0 || s.len > 20)
        return false;
    for (i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

        if (digit > 9)
            return false;
        if (i == 19 && v > (UINT64_MAX - digit) / 10) /* 19 digits always fit */
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}
