/* intake_main.c - opens store, intake, API and server, in that order, and closes them in reverse.
 *
 * The server goes first when closing: it stops accepting and waits for requests in flight, whose
 * answers come from the store's writer; then the store commits the rest. */
#include "dashboards/main/intake_main.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "internal.h"
#include "net/socket.h"

#define BODY_BUDGET_BYTES (96u * 1024 * 1024)

static void write_counters(void *user, sonde_buf *out)
{
    main_counters_json((intake_main *)user, out);
}

static sonde_status open_rooms(intake_main *m, const intake_main_options *options,
                               sonde_error *out_error)
{
    store_options so = {
        .dir = options->data_dir,
        .max_bytes = options->max_store_bytes,
        .max_age_s = options->max_trace_age_s,
        .sync_full = options->sync_full != 0,
    };
    sonde_status status = store_open(&so, &m->store, out_error);

    if (status != SONDE_OK)
        return status;
    if (options->api_keys) {
        m->api_keys = sonde_strndup(options->api_keys, strlen(options->api_keys));
        if (!m->api_keys)
            return sonde_fail(out_error, SONDE_ERR_NOMEM, "intake: out of memory");
    }
    status = intake_open(m->store, m->api_keys, &m->intake);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "intake: out of memory");
    m->api = (api){ .store = m->store,
                    .clock = &sonde_system_clock,
                    .counters = write_counters,
                    .counters_user = m };
    return SONDE_OK;
}

static sonde_status open_server(intake_main *m, const intake_main_options *options,
                                sonde_error *out_error)
{
    http_listener listener = { .fd = -1 };
    http_server_options so = {
        .name = "intake",
        .routes = m->routes,
        .not_found = main_other,
        .not_found_user = m,
        .before = main_guard,
        .before_user = m,
        .body_budget_bytes = BODY_BUDGET_BYTES,
        .read_timeout_s = 30,
        .too_big_text = "{\"errors\":[\"payload too large\"]}",
    };
    sonde_status status;

    intake_routes(m->intake, m->routes);
    m->routes_len = INTAKE_ROUTES + api_routes(&m->api, m->routes + INTAKE_ROUTES);
    so.routes_len = m->routes_len;
    status = sonde_listen_tcp(m->host, options->port, &listener.fd, out_error);
    if (status != SONDE_OK)
        return status;
    m->port = sonde_local_port(listener.fd);
    return http_server_open(&so, &listener, 1, &m->server, out_error);
}

sonde_status intake_main_open(const intake_main_options *options, intake_main **out_intake,
                              sonde_error *out_error)
{
    intake_main *m = (intake_main *)sonde_calloc(1, sizeof(*m));
    const char *host = options->host ? options->host : "127.0.0.1";
    sonde_status status = SONDE_OK;

    if (!m)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "intake: out of memory");
    if ((size_t)snprintf(m->host, sizeof(m->host), "%s", host) >= sizeof(m->host))
        status = sonde_fail(out_error, SONDE_ERR_CONFIG, "host: too long");
    if (status == SONDE_OK)
        status = open_rooms(m, options, out_error);
    if (status == SONDE_OK)
        status = open_server(m, options, out_error);
    if (status != SONDE_OK) {
        intake_main_close(m, 0);
        return status;
    }
    *out_intake = m;
    return SONDE_OK;
}

uint16_t intake_main_port(const intake_main *m)
{
    return m->port;
}

void intake_main_close(intake_main *m, uint64_t deadline_mono_ns)
{
    if (!m)
        return;
    http_server_close(m->server, deadline_mono_ns);
    store_close(m->store);
    intake_close(m->intake);
    sonde_free(m->api_keys);
    sonde_free(m);
}

void intake_main_counters_json(intake_main *m, sonde_buf *out)
{
    main_counters_json(m, out);
}
