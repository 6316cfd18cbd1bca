/* dashboards/api/internal.h - what the route files share. */
#ifndef SONDE_DASHBOARDS_API_INTERNAL_H
#define SONDE_DASHBOARDS_API_INTERNAL_H

#include "codec/json_write.h"
#include "dashboards/api/api.h"
#include "dashboards/query/trace.h"

/* A handler that reads the store.  It fills the response or returns why not (api_fail() answers). */
typedef sonde_status (*api_read)(api *a, store_reader *r, const http_request *request,
                                 http_response *response);

/* Takes a reader, runs `read`, answers errors. */
http_result api_run(api *a, const http_request *request, http_response *response, api_read read);

void api_begin_json(http_response *response, sonde_json_writer *w);

/* Query parameters; an error has been answered when one returns false. */
typedef struct api_range {
    int64_t from_s, to_s; /* from <= to */
} api_range;

bool api_param_range(api *a, const http_request *request, http_response *response,
                     api_range *out_range);
bool api_param_u64(const http_request *request, http_response *response, const char *name,
                   uint64_t missing, uint64_t max, uint64_t *out);
sonde_str api_param_str(const http_request *request, const char *name); /* "" when absent */

/* One time of a query: Unix seconds or milliseconds, "now", "now-15m", or RFC 3339. */
SONDE_MUST_USE sonde_status api_parse_time(sonde_str text, int64_t now_s, int64_t *out_s);

/* span_json.c */
void api_write_trace_id(sonde_json_writer *w, const char *key, uint64_t hi, uint64_t lo);
void api_write_id(sonde_json_writer *w, const char *key, uint64_t id);     /* decimal text */
void api_write_unix_ns(sonde_json_writer *w, const char *key, int64_t ns); /* decimal text */
void api_write_span(sonde_json_writer *w, const found_span *found);

/* the routes */
http_result api_get_services(void *user, http_request *request, http_response *response);
http_result api_get_service(void *user, http_request *request, http_response *response);
http_result api_get_facets(void *user, http_request *request, http_response *response);
http_result api_get_traces(void *user, http_request *request, http_response *response);
http_result api_search_spans(void *user, http_request *request, http_response *response);
http_result api_get_profiles(void *user, http_request *request, http_response *response);
http_result api_get_trace(void *user, http_request *request, http_response *response);

#endif /* SONDE_DASHBOARDS_API_INTERNAL_H */
