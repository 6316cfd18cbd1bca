/* params.c - query parameters of requests. */
#include "base/parse.h"
#include "internal.h"

#define DEFAULT_RANGE_S 3600
#define TIME_MAX_S      253402300799 /* year 9999 */

sonde_str api_param_str(const http_request *request, const char *name)
{
    sonde_str value = { NULL, 0 };

    (void)http_request_query(request, name, &value);
    return value;
}

sonde_status api_parse_time(sonde_str text, int64_t now_s, int64_t *out_s)
{
    uint64_t v;
    int64_t s;

    if (sonde_str_starts(text, SONDE_STR("now"))) {
        sonde_str rest = sonde_str_sub(text, 3, text.len);

        if (rest.len && (rest.ptr[0] != '-' || rest.len < 2 ||
                         sonde_parse_duration_ns(sonde_str_sub(rest, 1, rest.len), 1000000000u,
                                                 &v) != SONDE_OK))
            return SONDE_ERR_SYNTAX;
        s = rest.len ? now_s - (int64_t)(v / 1000000000u) : now_s;
    } else {
        if (sonde_parse_u64(text, &v) != SONDE_OK)
            return SONDE_ERR_SYNTAX;
        if (v > 100000000000u) /* milliseconds, as the public API also takes */
            v /= 1000;
        s = v > TIME_MAX_S ? TIME_MAX_S : (int64_t)v;
    }
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
