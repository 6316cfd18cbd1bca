/* chars.c - the table behind chars.h. */
#include "chars.h"

#include <string.h>

#include <endian.h>
#if defined(__SSE2__)
#    include <emmintrin.h>
#endif

#include "base/parse.h"

/* clang-format off */
const uint8_t sonde__char_classes[256] = {
    [0x20] = 21, 127, 31, 127, 127, 31, 127, 127, 95, 95, 127, 127, 1, 127, 127, 95,
    [0x30] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 7, 95, 69, 95, 95,
    [0x40] = 95, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    [0x50] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 31, 95, 127, 127,
    [0x60] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127,
    [0x70] = 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 95, 127, 95, 111, 0,
};
/* clang-format on */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

#if defined(__SSE2__)

/* All at once: half of the time of two words of eight, and a request brings five ids. */
bool sonde__hex16(const char *digits, uint64_t *out)
{
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)digits);
    __m128i number = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(text, _mm_set1_epi8('a'));
    __m128i is_number = _mm_cmpeq_epi8(_mm_min_epu8(number, _mm_set1_epi8(9)), number);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    __m128i x = _mm_or_si128(_mm_and_si128(is_number, number),
                             _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
    uint64_t packed;

    if (_mm_movemask_epi8(_mm_or_si128(is_number, is_letter)) != 0xffff)
        return false;
    /* Neighbours become a byte: the first is the upper half. */
    x = _mm_or_si128(_mm_slli_epi16(x, 4), _mm_srli_epi16(x, 8));
    x = _mm_and_si128(x, _mm_set1_epi16(0xff));
    _mm_storel_epi64((__m128i *)(void *)&packed, _mm_packus_epi16(x, x));
    *out = be64toh(packed);
    return true;
}

#else

/* 8 digits at once: a text is a number's hex exactly when the number's hex is that text. */
static bool hex8(const char *digits, uint64_t *out)
{
    uint64_t text, n;

    memcpy(&text, digits, sizeof(text));
    text = be64toh(text);
    n = ((text & EACH(0x0f)) + (text >> 6 & EACH(1)) * 9) & EACH(0x0f);
    n = (n | n >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    n = (n | n >> 8) & UINT64_C(0x0000ffff0000ffff);
    n = (n | n >> 16) & UINT64_C(0x00000000ffffffff);
    *out = n;
    return sonde__hex8((uint32_t)n) == text;
}

bool sonde__hex16(const char *digits, uint64_t *out)
{
    uint64_t high, low;

    if (!hex8(digits, &high) || !hex8(digits + 8, &low))
        return false;
    *out = high << 32 | low;
    return true;
}

#endif

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 256;
}

bool sonde__hex2(const char *digits, unsigned *out)
{
    *out = hex_digit(digits[0]) << 4 | hex_digit(digits[1]);
    return *out <= 0xff;
}

bool sonde__priority_of(sonde_str s, int *out)
{
    int64_t value;
    bool fits;

    *out = 0;
    if (s.len == 1 && s.ptr[0] >= '0' && s.ptr[0] <= '9') { /* nearly always */
        *out = s.ptr[0] - '0';
        return true;
    }
    fits = sonde_parse_i64(s, &value) == SONDE_OK && value >= -128 && value <= 127;
    if (fits)
        *out = (int)value;
    return fits;
}

/* 8 digits at once: neighbours are joined to pairs, pairs to fours, fours to the whole. */
static bool decimal8(const char *digits, uint64_t *out)
{
    uint64_t x;

    memcpy(&x, digits, sizeof(x));
    x = le64toh(x);
    if ((x & EACH(0xf0)) != EACH(0x30) || ((x + EACH(6)) & EACH(0xf0)) != EACH(0x30))
        return false;
    x = (x & EACH(0x0f)) * 2561 >> 8;
    x = (x & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    *out = (x & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
    return true;
}

/* The last `n` of 8 digits that end at `end`. */
static bool decimal_tail(const char *end, size_t n, uint64_t *out)
{
    const uint64_t others = UINT64_MAX >> (8 * n); /* the lowest bytes: what stands first */
    char digits[8];
    uint64_t x;

    memcpy(&x, end - 8, sizeof(x));
    x = htole64((le64toh(x) & ~others) | (EACH('0') & others));
    memcpy(digits, &x, sizeof(x));
    return decimal8(digits, out);
}

static bool decimal_short(sonde_str s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return s.len > 0;
}

bool sonde__decimal(sonde_str s, uint64_t *out)
{
    static const uint32_t power[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000 };
    uint64_t eight, v;
    size_t i;

    if (s.len < 8)
        return decimal_short(s, out);
    if (s.len > 20 || !decimal8(s.ptr, &v))
        return false;
    for (i = 8; i + 8 <= s.len; i += 8) {
        if (!decimal8(s.ptr + i, &eight))
            return false;
        v = v * 100000000 + eight;
    }
    if (i < s.len) {
        if (!decimal_tail(s.ptr + s.len, s.len - i, &eight))
            return false;
        if (s.len == 20 && v > (UINT64_MAX - eight) / power[4]) /* 19 digits always fit */
            return false;
        v = v * power[s.len - i] + eight;
    }
    *out = v;
    return true;
}

/* Whether all are from `first` (a space or the one behind it) to '~'. */
static inline bool all_from(sonde_str s, uint8_t first)
{
    uint64_t bad = 0;
    uint64_t x;
    size_t i;

    /* A borrow or carry reaches the next byte only from one that is bad itself. */
    for (i = 0; i + 8 <= s.len; i += 8) {
        memcpy(&x, s.ptr + i, sizeof(x));
        bad |= (x - EACH(first)) | (x + EACH(1)) | x;
    }
    if (s.len >= 8) { /* the last eight, which may be looked at twice */
        memcpy(&x, s.ptr + s.len - 8, sizeof(x));
        bad |= (x - EACH(first)) | (x + EACH(1)) | x;
        return (bad & EACH(0x80)) == 0;
    }
    for (; i < s.len; i++)
        bad |= (uint8_t)s.ptr[i] < first || (uint8_t)s.ptr[i] > '~';
    return bad == 0;
}

bool sonde__printable(sonde_str s)
{
    return all_from(s, ' ');
}

bool sonde__graphic(sonde_str s)
{
    return all_from(s, '!');
}
