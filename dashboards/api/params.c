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
        status = sonde_parse_rfc3339(text, &s);
        s /= 1000000000;
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
