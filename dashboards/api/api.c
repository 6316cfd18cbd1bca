/* api.c - the table of routes and what every handler does the same way. */
#include "dashboards/api/api.h"

#include <string.h>

#include "base/clock.h"
#include "internal.h"

void api_begin_json(http_response *response, sonde_json_writer *w)
{
    response->content_type = "application/json";
    http_response_header(response, "Cache-Control", "no-store");
    sonde_json_writer_init(w, &response->body);
}

void api_error(http_response *response, unsigned status, const char *text)
{
    sonde_json_writer w;

    sonde_buf_reset(&response->body);
    response->status = status;
    response->content_type = "application/json";
    sonde_json_writer_init(&w, &response->body);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("errors"));
    sonde_json_begin_array(&w);
    sonde_json_str(&w, sonde_str_from(text));
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
}

static void answer_failure(http_response *response, sonde_status status)
{
    switch (status) {
    case SONDE_ERR_NOT_FOUND:
        api_error(response, 404, "nothing is stored under that id");
        break;
    case SONDE_ERR_TIMEOUT:
        api_error(response, 503, "the store is busy: try again");
        break;
    default:
        api_error(response, 500, sonde_status_str(status));
        break;
    }
}

http_result api_run(api *a, const http_request *request, http_response *response, api_read read)
{
    store_reader *r = store_reader_get(a->store, sonde_deadline(sonde_mono_ns(), API_DEADLINE_NS));
    sonde_status status = SONDE_ERR_TIMEOUT;

    if (r)
        status = read(a, r, request, response);
    store_reader_put(r);
    if (status != SONDE_OK)
        answer_failure(response, status);
    return HTTP_DONE;
}

static http_result get_counters(void *user, http_request *request, http_response *response)
{
    api *a = (api *)user;

    (void)request;
    response->content_type = "application/json";
    http_response_header(response, "Cache-Control", "no-store");
    a->counters(a->counters_user, &response->body);
    return HTTP_DONE;
}

size_t api_routes(api *a, http_route out_routes[API_ROUTES_MAX])
{
    const http_route routes[] = {
        { "GET", "/api/sonde/v1/counters", get_counters, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/facets", api_get_facets, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/profiles", api_get_profiles, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/profiles/*", api_get_profiles, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/services", api_get_services, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/services/*", api_get_service, NULL, 4096, a, NULL, false },
        { "GET", "/api/sonde/v1/traces", api_get_traces, NULL, 4096, a, NULL, false },
        { "POST", "/api/v2/spans/events/search", api_search_spans, NULL, 65536, a, NULL, false },
        { "GET", "/api/sonde/v1/traces/*", api_get_trace, NULL, 4096, a, NULL, false },
    };
    size_t count = sizeof(routes) / sizeof(routes[0]);

    memcpy(out_routes, routes, sizeof(routes));
    return count;
}

bool api_is_query(sonde_str method, sonde_str path)
{
    return sonde_str_eq(method, SONDE_STR("GET")) || sonde_str_eq(method, SONDE_STR("HEAD")) ||
           sonde_str_starts(path, SONDE_STR("/api/sonde/")) ||
           sonde_str_starts(path, SONDE_STR("/api/v2/spans/"));
}
