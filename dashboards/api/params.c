/* params.c - query parameters of requests. */
#include "base/parse.h"
#include "internal.h"

#define DEFAULT_RANGE_S 3600
#define RANGE_MAX_S     (400 * 86400) /* longer than anything is kept */
#define TIME_MAX_S      253402300799  /* year 9999 */

sonde_str api_param_str(const http_request *request, const char *name)
{
    sonde_str value = { NULL, 0 };

    (void)http_request_query(request, name, &value);
    return value;
}

/* Days from 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    int64_t era, year_of_era, day_of_year;

    y -= m <= 2;
    era = y / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static bool take_digits(sonde_str *s, size_t len, char sep, int64_t *out)
{
    uint64_t v;

    if (sonde_parse_u64(sonde_str_sub(*s, 0, len), &v) != SONDE_OK || s->len < len)
        return false;
    *s = sonde_str_sub(*s, len, s->len);
    *out = (int64_t)v;
    if (!sep)
        return true;
    if (s->len == 0 || s->ptr[0] != sep)
        return false;
    *s = sonde_str_sub(*s, 1, s->len);
    return true;
}

/* "2026-11-25T15:04:05[.123](Z|+01:00)"; fractions are cut off. */
static sonde_status parse_rfc3339(sonde_str s, int64_t *out_s)
{
    int64_t y, mon, d, h, min, sec, zone_h = 0, zone_min = 0;
    char sign = 'Z';

    if (!take_digits(&s, 4, '-', &y) || !take_digits(&s, 2, '-', &mon) ||
        !take_digits(&s, 2, 'T', &d) || !take_digits(&s, 2, ':', &h) ||
        !take_digits(&s, 2, ':', &min) || !take_digits(&s, 2, 0, &sec))
        return SONDE_ERR_SYNTAX;
    if (s.len && s.ptr[0] == '.')
        for (s = sonde_str_sub(s, 1, s.len); s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9';)
            s = sonde_str_sub(s, 1, s.len);
    if (s.len)
        sign = s.ptr[0];
    s = sonde_str_sub(s, 1, s.len);
    if (sign != 'Z' && ((sign != '+' && sign != '-') || !take_digits(&s, 2, ':', &zone_h) ||
                        !take_digits(&s, 2, 0, &zone_min)))
        return SONDE_ERR_SYNTAX;
    if (s.len || y < 1970 || mon < 1 || mon > 12 || d < 1 || d > 31 || h > 23 || min > 59 ||
        sec > 60)
        return SONDE_ERR_SYNTAX;
    zone_h = (zone_h * 60 + zone_min) * (sign == '-' ? -60 : 60);
    *out_s = days_of(y, mon, d) * 86400 + h * 3600 + min * 60 + sec - zone_h;
    return SONDE_OK;
}

static sonde_status parse_relative(sonde_str after_now, int64_t now_s, int64_t *out_s)
{
    uint64_t ns = 0;

    if (after_now.len && (after_now.ptr[0] != '-' || after_now.len < 2 ||
                          sonde_parse_duration_ns(sonde_str_sub(after_now, 1, after_now.len),
                                                  1000000000u, &ns) != SONDE_OK))
        return SONDE_ERR_SYNTAX;
    *out_s = now_s - (int64_t)(ns / 1000000000u);
    return SONDE_OK;
}

sonde_status api_parse_time(sonde_str text, int64_t now_s, int64_t *out_s)
{
    sonde_status status = SONDE_OK;
    int64_t s = 0;
    uint64_t v;

    if (sonde_str_starts(text, SONDE_STR("now"))) {
        status = parse_relative(sonde_str_sub(text, 3, text.len), now_s, &s);
    } else if (sonde_parse_u64(text, &v) == SONDE_OK) {
        if (v > 100000000000u)
            v /= 1000; /* milliseconds */
        s = v > TIME_MAX_S ? TIME_MAX_S : (int64_t)v;
    } else {
        status = parse_rfc3339(text, &s);
    }
    if (status != SONDE_OK)
        return status;
    *out_s = s < 0 ? 0 : s;
    return SONDE_OK;
}

bool api_param_range(api *a, const http_request *request, http_response *response,
                     api_range *out_range)
{
    int64_t now_s = a->clock->unix_ns(a->clock->user) / 1000000000;
    sonde_str from = api_param_str(request, "from"), to = api_param_str(request, "to");
    api_range range = { .to_s = now_s };

    if (to.len && api_parse_time(to, now_s, &range.to_s) != SONDE_OK) {
        api_error(response, 400, "to: must be Unix seconds, now, or now-15m");
        return false;
    }
    range.from_s = range.to_s - DEFAULT_RANGE_S;
    if (from.len && api_parse_time(from, now_s, &range.from_s) != SONDE_OK) {
        api_error(response, 400, "from: must be Unix seconds, now, or now-15m");
        return false;
    }
    if (range.from_s > range.to_s) {
        api_error(response, 400, "from: must not be after to");
        return false;
    }
    if (range.to_s - range.from_s > RANGE_MAX_S)
        range.from_s = range.to_s - RANGE_MAX_S;
    *out_range = range;
    return true;
}

bool api_param_u64(const http_request *request, http_response *response, const char *name,
                   uint64_t missing, uint64_t max, uint64_t *out)
{
    sonde_str text = api_param_str(request, name);
    uint64_t v = missing;

    if (text.len && (sonde_parse_u64(text, &v) != SONDE_OK || v == 0 || v > max)) {
        sonde_buf b;

        sonde_buf_init(&b, 128);
        sonde_buf_printf(&b, "%s: must be a number from 1 to %llu", name, (unsigned long long)max);
        api_error(response, 400, sonde_buf_cstr(&b));
        sonde_buf_done(&b);
        return false;
    }
    *out = v;
    return true;
}
