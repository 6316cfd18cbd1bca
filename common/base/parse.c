/* parse.c - values from text, strict and independent of the locale.
 *
 * Doubles of up to 19 digits and small exponents are exact in one multiplication or division; the rest
 * goes to strtod under the "C" locale. */
#include "base/parse.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "base/clock.h"

#define DOUBLE_TEXT_MAX    512 /* %f of the largest double has 316 characters */
#define POW10_EXACT_MAX    22  /* the largest power of ten that is an exact double */
#define MANTISSA_EXACT_MAX (1ull << 53)
#define YEAR_MAX           2261 /* the last whole one in 64 bits of nanoseconds */
#define EXPONENT_MAX       9999 /* beyond every double; keeps the sum from overflowing */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads leading digits; `s` keeps the rest. */
static sonde_status take_u64(sonde_str *s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < s->len && is_digit(s->ptr[i]); i++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s->ptr[i] - '0'), &v))
            return SONDE_ERR_TOO_BIG;
    }
    if (i == 0)
        return SONDE_ERR_SYNTAX;
    *s = sonde_str_sub(*s, i, s->len);
    *out = v;
    return SONDE_OK;
}

static bool all_digits(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

sonde_status sonde_parse_u64(sonde_str s, uint64_t *out)
{
    return all_digits(s) ? take_u64(&s, out) : SONDE_ERR_SYNTAX;
}

sonde_status sonde_parse_i64(sonde_str s, int64_t *out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    sonde_status status;
    uint64_t v;

    if (negative)
        s = sonde_str_sub(s, 1, s.len);
    status = sonde_parse_u64(s, &v);
    if (status != SONDE_OK)
        return status;
    if (v > limit)
        return SONDE_ERR_TOO_BIG;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return SONDE_OK;
}

/* A decimal as written: digits * 10^exponent; what follows 19 digits is left out, so that only digits
 * up to MANTISSA_EXACT_MAX mean exactly what was written. */
typedef struct decimal {
    uint64_t digits;
    int exponent;
    bool negative;
} decimal;

/* Reads digits into `d`, each one lowering the exponent by `shift`; returns how many there were. */
static size_t scan_digits(const char **at, const char *end, int shift, decimal *d)
{
    const char *from = *at;

    for (; *at < end && is_digit(**at); (*at)++) {
        if (d->digits > (UINT64_MAX - 9) / 10)
            continue;
        d->digits = d->digits * 10 + (uint64_t)(**at - '0');
        d->exponent -= shift;
    }
    return (size_t)(*at - from);
}

static bool scan_exponent(const char **at, const char *end, decimal *d)
{
    int exponent = 0, sign = 1;
    const char *from;

    if (*at == end || (**at != 'e' && **at != 'E'))
        return true;
    (*at)++;
    if (*at < end && (**at == '-' || **at == '+'))
        sign = *(*at)++ == '-' ? -1 : 1;
    from = *at;
    for (; *at < end && is_digit(**at); (*at)++) {
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (**at - '0');
    }
    d->exponent += sign * exponent;
    return *at > from;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit on at least one side of the point. */
static bool scan_decimal(sonde_str s, decimal *d)
{
    const char *at = s.ptr, *end = s.ptr + s.len;
    size_t count;

    if (at < end && (*at == '-' || *at == '+'))
        d->negative = *at++ == '-';
    count = scan_digits(&at, end, 0, d);
    if (at < end && *at == '.') {
        at++;
        count += scan_digits(&at, end, 1, d);
    }
    return count > 0 && scan_exponent(&at, end, d) && at == end;
}

/* Both operands are exact doubles, so one operation rounds correctly. */
static bool exact_value(const decimal *d, double *out)
{
    static const double pow10[POW10_EXACT_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    double v = (double)d->digits;

    if (d->digits > MANTISSA_EXACT_MAX || d->exponent < -POW10_EXACT_MAX ||
        d->exponent > POW10_EXACT_MAX)
        return false;
    v = d->exponent < 0 ? v / pow10[-d->exponent] : v * pow10[d->exponent];
    *out = d->negative ? -v : v;
    return true;
}

#ifdef __GLIBC__
static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_open(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static double strtod_c(const char *text)
{
    (void)pthread_once(&c_locale_once, c_locale_open);
    return strtod_l(text, NULL, c_locale);
}
#else
static double strtod_c(const char *text) /* musl knows one decimal point only */
{
    return strtod(text, NULL);
}
#endif

sonde_status sonde_parse_double(sonde_str s, double *out)
{
    decimal d = { 0 };
    char text[DOUBLE_TEXT_MAX];
    double v;

    if (s.len == 0 || !scan_decimal(s, &d))
        return SONDE_ERR_SYNTAX;
    if (!exact_value(&d, &v)) {
        if (s.len >= sizeof(text))
            return SONDE_ERR_TOO_BIG;
        memcpy(text, s.ptr, s.len);
        text[s.len] = '\0';
        v = strtod_c(text);
    }
    if (!isfinite(v))
        return SONDE_ERR_TOO_BIG;
    *out = v;
    return SONDE_OK;
}

sonde_status sonde_parse_bool(sonde_str s, bool *out)
{
    static const struct {
        sonde_str word;
        bool value;
    } words[] = {
        { { "1", 1 }, true },    { { "t", 1 }, true },      { { "true", 4 }, true },
        { { "yes", 3 }, true },  { { "on", 2 }, true },     { { "0", 1 }, false },
        { { "f", 1 }, false },   { { "false", 5 }, false }, { { "no", 2 }, false },
        { { "off", 3 }, false },
    };
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (sonde_str_eq_nocase(s, words[i].word)) {
            *out = words[i].value;
            return SONDE_OK;
        }
    }
    return SONDE_ERR_SYNTAX;
}

typedef struct unit {
    sonde_str name;
    uint64_t factor;
} unit;

/* A whole number and one of `units`, matched without case; the empty unit counts as `bare`. */
static sonde_status parse_with_unit(sonde_str s, const unit *units, size_t units_count,
                                    uint64_t bare, uint64_t *out)
{
    uint64_t n, factor = bare;
    sonde_status status = take_u64(&s, &n);
    size_t i;

    if (status != SONDE_OK)
        return status;
    if (s.len) {
        for (i = 0; i < units_count && !sonde_str_eq_nocase(s, units[i].name); i++)
            ;
        if (i == units_count)
            return SONDE_ERR_SYNTAX;
        factor = units[i].factor;
    }
    if (__builtin_mul_overflow(n, factor, &n))
        return SONDE_ERR_TOO_BIG;
    *out = n;
    return SONDE_OK;
}

sonde_status sonde_parse_duration_ns(sonde_str s, uint64_t unit_ns, uint64_t *out_ns)
{
    static const unit units[] = {
        { { "ns", 2 }, 1 },
        { { "us", 2 }, SONDE_NS_PER_US },
        { { "ms", 2 }, SONDE_NS_PER_MS },
        { { "s", 1 }, SONDE_NS_PER_S },
        { { "m", 1 }, 60ull * SONDE_NS_PER_S },
        { { "h", 1 }, 3600ull * SONDE_NS_PER_S },
        { { "d", 1 }, 86400ull * SONDE_NS_PER_S },
    };

    return parse_with_unit(s, units, sizeof(units) / sizeof(units[0]), unit_ns, out_ns);
}

sonde_status sonde_parse_bytes(sonde_str s, uint64_t *out_bytes)
{
    static const unit units[] = {
        { { "b", 1 }, 1 },          { { "k", 1 }, 1u << 10 }, { { "kb", 2 }, 1u << 10 },
        { { "kib", 3 }, 1u << 10 }, { { "m", 1 }, 1u << 20 }, { { "mb", 2 }, 1u << 20 },
        { { "mib", 3 }, 1u << 20 }, { { "g", 1 }, 1u << 30 }, { { "gb", 2 }, 1u << 30 },
        { { "gib", 3 }, 1u << 30 },
    };

    return parse_with_unit(s, units, sizeof(units) / sizeof(units[0]), 1, out_bytes);
}

/* ---- times ---- */

/* Days from 1970-01-01 to a date; years start in March, so the leap day is the last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - (month <= 2), era = y / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

/* `len` digits and the character behind them; 0: nothing need follow. */
static bool take_digits(sonde_str *s, size_t len, char behind, int64_t *out)
{
    uint64_t v;

    if (s->len < len || sonde_parse_u64(sonde_str_sub(*s, 0, len), &v) != SONDE_OK)
        return false;
    *out = (int64_t)v;
    *s = sonde_str_sub(*s, len, s->len);
    if (!behind)
        return true;
    if (s->len == 0 || s->ptr[0] != behind)
        return false;
    *s = sonde_str_sub(*s, 1, s->len);
    return true;
}

static int64_t take_fraction_ns(sonde_str *s)
{
    int64_t ns = 0, digit = 100000000;

    if (s->len == 0 || s->ptr[0] != '.')
        return 0;
    *s = sonde_str_sub(*s, 1, s->len);
    for (; s->len && is_digit(s->ptr[0]); digit /= 10) {
        ns += (s->ptr[0] - '0') * digit;
        *s = sonde_str_sub(*s, 1, s->len);
    }
    return ns;
}

/* Seconds to add for "Z", "+01:00", which end the text. */
static bool take_zone(sonde_str s, int64_t *out_s)
{
    int64_t h, min, sign;

    *out_s = 0;
    if (s.len == 1 && (s.ptr[0] == 'Z' || s.ptr[0] == 'z'))
        return true;
    if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-'))
        return false;
    sign = s.ptr[0] == '+' ? -60 : 60;
    s = sonde_str_sub(s, 1, s.len);
    if (!take_digits(&s, 2, ':', &h) || !take_digits(&s, 2, 0, &min))
        return false;
    *out_s = sign * (h * 60 + min);
    return true;
}

sonde_status sonde_parse_rfc3339(sonde_str s, int64_t *out_unix_ns)
{
    int64_t year, month, day, h, min, sec, ns, zone;

    if (!take_digits(&s, 4, '-', &year) || !take_digits(&s, 2, '-', &month) ||
        !take_digits(&s, 2, 'T', &day) || !take_digits(&s, 2, ':', &h) ||
        !take_digits(&s, 2, ':', &min) || !take_digits(&s, 2, 0, &sec))
        return SONDE_ERR_SYNTAX;
    ns = take_fraction_ns(&s);
    if (!take_zone(s, &zone) || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
        h > 23 || min > 59 || sec > 60)
        return SONDE_ERR_SYNTAX;
    if (year > YEAR_MAX)
        return SONDE_ERR_TOO_BIG;
    sec += days_of(year, month, day) * 86400 + h * 3600 + min * 60 + zone;
    *out_unix_ns = sec * (int64_t)SONDE_NS_PER_S + ns;
    return SONDE_OK;
}
