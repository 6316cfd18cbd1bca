/* dashboards/api/api.h - the routes that answer questions, all JSON.
 *
 * Threads   handlers run on the server's threads.
 * Bounds    API_DEADLINE_NS a request; STORE_READERS at a time, others wait; answers as large as
 *           the server's ceiling, beyond it 500.
 * Source    docs/spec/sonde-api.md, docs/spec/query-language.md.
 */
#ifndef SONDE_DASHBOARDS_API_API_H
#define SONDE_DASHBOARDS_API_API_H

#include "dashboards/query/trace.h"
#include "net/server/http_server.h"

#define API_DEADLINE_NS (5ull * 1000000000u)

typedef struct api {
    store *store;                                 /* borrowed */
    const sonde_clock *clock;                     /* borrowed: what "now" means in a query */
    void (*counters)(void *user, sonde_buf *out); /* body of GET /api/sonde/v1/counters */
    void *counters_user;
} api;

#define API_ROUTES_MAX 12
size_t api_routes(api *a, http_route out_routes[API_ROUTES_MAX]); /* how many */

/* Answers {"errors":["text"]}. */
void api_error(http_response *response, unsigned status, const char *text);

/* Is this a route of the query API?  For the check of Host, which intake routes do without. */
bool api_is_query(sonde_str method, sonde_str path);

#endif /* SONDE_DASHBOARDS_API_API_H */
