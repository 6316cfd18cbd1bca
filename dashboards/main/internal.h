/* dashboards/main/internal.h - the running intake and what its files share. */
#ifndef SONDE_DASHBOARDS_MAIN_INTERNAL_H
#define SONDE_DASHBOARDS_MAIN_INTERNAL_H

#include "dashboards/api/api.h"
#include "dashboards/intake/intake.h"
#include "dashboards/main/intake_main.h"
#include "dashboards/store/store.h"
#include "net/server/http_server.h"

#define MAIN_ROUTES_MAX (INTAKE_ROUTES + API_ROUTES_MAX)

struct intake_main {
    store *store;
    intake *intake;
    api api;
    http_server *server;
    uint16_t port;
    char host[256]; /* as configured: allowed in Host */
    char *api_keys; /* NULL: any */
    http_route routes[MAIN_ROUTES_MAX];
    size_t routes_len;
};

/* counters.c */
void main_counters_json(intake_main *m, sonde_buf *out);

/* guard.c: refuses requests a foreign web page makes a browser send (403). */
http_result main_guard(void *user, http_request *request, http_response *response);

/* ui_routes.c: what no route knows: the UI's files, its start page, 404 under /api/, 202 for POST. */
http_result main_other(void *user, http_request *request, http_response *response);

#endif /* SONDE_DASHBOARDS_MAIN_INTERNAL_H */
