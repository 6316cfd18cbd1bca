/* format.c - numbers and times as text, independent of the locale, without allocation.
 *
 * A double is first taken for a short decimal n / 10^k with n below 10^15: both are exact doubles, so
 * the quotient is the correctly rounded value of that decimal, and no shorter one exists when k is the
 * smallest that works.  That covers what people write and needs no libc.  The rest, about 16 and 17
 * digits, goes through printf("%e"), reading digits only, so the locale's decimal point does not
 * matter. */
#include "base/format.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <endian.h>

#include "base/clock.h"

#define SHORT_MAX       1e15 /* below it every integer has 15 digits: enough for one double each */
#define POW10_EXACT_MAX 22   /* the largest power of ten that is an exact double */

/* 0.d1d2...dn * 10^point, d1 != 0 (but for zero) */
typedef struct decimal {
    char digits[SONDE_U64_MAX_LEN];
    int len;
    int point;
} decimal;

/* 8 digits at once, the first in the lowest byte: the number is split into fours, the fours into pairs, the
 * pairs into digits, side by side in one word.  A division a digit would make an id twice as slow. */
static inline uint64_t eight_digits(uint32_t v)
{
    uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t tens = (x * 10486 >> 20) & UINT64_C(0x0000007f0000007f);

    x = tens | (x - tens * 100) << 16;
    tens = (x * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (x - tens * 10) << 8;
}

/* Without the first `zeros` of them; what stands behind the others is overwritten or not looked at. */
static inline void put_digits(char *to, uint64_t digits, size_t zeros)
{
    uint64_t text = htole64((digits + UINT64_C(0x3030303030303030)) >> (8 * zeros));

    memcpy(to, &text, sizeof(text));
}

size_t sonde_format_u64(uint64_t v, char out[SONDE_U64_MAX_LEN])
{
    uint64_t high, middle, low;
    size_t zeros;

    if (v < 10) {
        out[0] = (char)('0' + v);
        return 1;
    }
    high = eight_digits((uint32_t)(v / UINT64_C(10000000000000000)));
    middle = eight_digits((uint32_t)(v / 100000000 % 100000000));
    low = eight_digits((uint32_t)(v % 100000000));
    if (high) { /* at most four */
        zeros = (size_t)__builtin_ctzll(high) / 8;
        put_digits(out, high, zeros);
        put_digits(out + 8 - zeros, middle, 0);
        put_digits(out + 16 - zeros, low, 0);
        return 24 - zeros;
    }
    if (middle) {
        zeros = (size_t)__builtin_ctzll(middle) / 8;
        put_digits(out, middle, zeros);
        put_digits(out + 8 - zeros, low, 0);
        return 16 - zeros;
    }
    zeros = (size_t)__builtin_ctzll(low) / 8;
    put_digits(out, low, zeros);
    return 8 - zeros;
}

size_t sonde_format_i64(int64_t v, char out[SONDE_I64_MAX_LEN])
{
    char digits[SONDE_U64_MAX_LEN];
    size_t len;

    if (v >= 0)
        return sonde_format_u64((uint64_t)v, out);
    len = sonde_format_u64(-(uint64_t)v, digits);
    out[0] = '-';
    memcpy(out + 1, digits, len);
    return len + 1;
}

static void strip_zeros(decimal *d)
{
    while (d->len > 1 && d->digits[d->len - 1] == '0')
        d->len--;
}

static bool short_decimal(double v, decimal *out)
{
    static const double pow10[POW10_EXACT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    int k;

    for (k = 0; k <= POW10_EXACT_MAX; k++) {
        double scaled = v * pow10[k] + 0.5;
        uint64_t n;

        if (scaled >= SHORT_MAX)
            return false;
        n = (uint64_t)scaled;
        if ((double)n / pow10[k] != v)
            continue;
        out->len = (int)sonde_format_u64(n, out->digits);
        out->point = out->len - k;
        strip_zeros(out);
        return true;
    }
    return false;
}

/* "d.ddde-dd" as %e prints it, whatever the locale's decimal point is. */
static void read_digits(const char *text, decimal *out)
{
    int exponent = 0, sign;

    out->len = 0;
    for (; *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9')
            out->digits[out->len++] = *text;
    }
    sign = text[1] == '-' ? -1 : 1;
    for (text += 2; *text; text++)
        exponent = exponent * 10 + (*text - '0');
    out->point = 1 + sign * exponent;
    strip_zeros(out);
}

/* The decimal of `precision` digits after the first, when it reads back as `v`; the text is parsed
 * under the locale that wrote it. */
static bool try_precision(double v, int precision, decimal *out)
{
    char text[48];
    char *e;

    (void)snprintf(text, sizeof(text), "%.*e", precision, v);
    if (strtod(text, NULL) != v) {
        /* Below a power of two doubles lie half as far apart as above it: when the nearest decimal
         * falls on that side, the next one up may still read back. */
        e = strchr(text, 'e');
        if (precision == 0 || e[-1] == '9')
            return false;
        e[-1]++;
        if (strtod(text, NULL) != v)
            return false;
    }
    read_digits(text, out);
    return true;
}

static void long_decimal(double v, decimal *out)
{
    /* subnormals may be as short as one digit */
    int precision = v < 2.2250738585072014e-308 ? 0 : 14;

    while (precision < 16 && !try_precision(v, precision, out))
        precision++;
    if (precision == 16) {
        char text[48];

        (void)snprintf(text, sizeof(text), "%.16e", v);
        read_digits(text, out);
    }
}

static char *put(char *to, const char *from, int len)
{
    memcpy(to, from, (size_t)len);
    return to + len;
}

static char *put_zeros(char *to, int count)
{
    memset(to, '0', (size_t)count);
    return to + count;
}

/* Positional from 1e-6 up to 1e21, else with an exponent: ECMAScript, Number::toString. */
static char *lay_out(const decimal *d, char *to)
{
    if (d->point > 21 || d->point <= -6) {
        *to++ = d->digits[0];
        if (d->len > 1) {
            *to++ = '.';
            to = put(to, d->digits + 1, d->len - 1);
        }
        *to++ = 'e';
        if (d->point > 0)
            *to++ = '+';
        return to + sonde_format_i64(d->point - 1, to);
    }
    if (d->point <= 0) {
        to = put(to, "0.", 2);
        to = put_zeros(to, -d->point);
        return put(to, d->digits, d->len);
    }
    if (d->point >= d->len) {
        to = put(to, d->digits, d->len);
        return put_zeros(to, d->point - d->len);
    }
    to = put(to, d->digits, d->point);
    *to++ = '.';
    return put(to, d->digits + d->point, d->len - d->point);
}

size_t sonde_format_double(double v, char out[SONDE_DOUBLE_MAX_LEN])
{
    char *to = out;
    decimal d;

    if (!isfinite(v))
        return (size_t)(put(out, "null", 4) - out);
    if (signbit(v)) {
        *to++ = '-';
        v = -v;
    }
    if (!short_decimal(v, &d))
        long_decimal(v, &d);
    return (size_t)(lay_out(&d, to) - out);
}

static char *put_padded(char *to, unsigned v, int digits)
{
    int i;

    for (i = digits - 1; i >= 0; i--, v /= 10)
        to[i] = (char)('0' + v % 10);
    return to + digits;
}

typedef struct civil {
    unsigned year, month, day;
} civil;

/* Days since 1970-01-01 to a date; years start in March, so the leap day is the last. */
static civil civil_from_days(int64_t days)
{
    /* since 0000-03-01, never negative here */
    unsigned long long z = (unsigned long long)(days + 719468);
    unsigned era = (unsigned)(z / 146097), doe = (unsigned)(z % 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;

    return (civil){ .year = era * 400 + yoe + (month <= 2),
                    .month = month,
                    .day = doy - (153 * mp + 2) / 5 + 1 };
}

size_t sonde_format_rfc3339(int64_t unix_ns, char out[SONDE_RFC3339_LEN])
{
    const int64_t day_ns = (int64_t)86400 * SONDE_NS_PER_S;
    int64_t days = unix_ns / day_ns - (unix_ns % day_ns < 0);
    int64_t in_day_ns = unix_ns % day_ns + (unix_ns % day_ns < 0 ? day_ns : 0);
    unsigned ms = (unsigned)(in_day_ns / SONDE_NS_PER_MS);
    civil date = civil_from_days(days);
    char *to = out;

    to = put_padded(to, date.year, 4);
    *to++ = '-';
    to = put_padded(to, date.month, 2);
    *to++ = '-';
    to = put_padded(to, date.day, 2);
    *to++ = 'T';
    to = put_padded(to, ms / 3600000, 2);
    *to++ = ':';
    to = put_padded(to, ms / 60000 % 60, 2);
    *to++ = ':';
    to = put_padded(to, ms / 1000 % 60, 2);
    *to++ = '.';
    to = put_padded(to, ms % 1000, 3);
    *to++ = 'Z';
    return (size_t)(to - out);
}
