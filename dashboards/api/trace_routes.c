/* trace_routes.c - GET /api/sonde/v1/traces/{trace id}. */
#include "internal.h"

static void write_trace(sonde_json_writer *w, const trace_view *t)
{
    size_t i;

    sonde_json_begin_object(w);
    api_write_trace_id(w, "trace_id", t->trace_hi, t->trace_lo);
    api_write_unix_ns(w, "start_unix_ns", t->start_unix_ns);
    sonde_json_put_i64(w, "duration_ns",
                       (int64_t)((uint64_t)t->end_unix_ns - (uint64_t)t->start_unix_ns));
    sonde_json_key(w, SONDE_STR("services"));
    sonde_json_begin_array(w);
    for (i = 0; i < t->services_len; i++)
        sonde_json_str(w, t->services[i]);
    sonde_json_end_array(w);
    sonde_json_put_bool(w, "truncated", t->truncated);
    sonde_json_key(w, SONDE_STR("spans"));
    sonde_json_begin_array(w);
    for (i = 0; i < t->spans_len; i++)
        api_write_span(w, &t->spans[i]);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

static sonde_status read_trace(api *a, store_reader *r, const http_request *request,
                               http_response *response)
{
    sonde_str path = http_request_path(request);
    sonde_str id = sonde_str_sub(path, sizeof("/api/sonde/v1/traces/") - 1, path.len);
    sonde_json_writer w;
    trace_view t;
    uint64_t hi, lo;
    sonde_status status;

    (void)a;
    if (trace_parse_id(id, &hi, &lo) != SONDE_OK) {
        api_error(response, 400, "trace id: must be 32 or 16 hex digits, or a decimal number");
        return SONDE_OK;
    }
    status = trace_read(r, hi, lo, &t);
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    write_trace(&w, &t);
    trace_view_done(&t);
    return SONDE_OK;
}

http_result api_get_trace(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_trace);
}
