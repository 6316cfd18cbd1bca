/* main.c - sonde-parametric: the tracer behind an HTTP interface, call by call, for conformance suites.
 *
 *   APM_TEST_CLIENT_SERVER_PORT=8080 sonde-parametric [anything]
 *
 * One process is one scenario: configuration comes from the environment, and the driver watches what
 * reaches the agent.  Unlike our other programs it listens on every address, because the driver may sit
 * outside of its container.  Arguments are not looked at; they are there for others to see.
 *
 * Threads   main waits for SIGTERM or SIGINT; one thread of the server calls the tracer.
 * Bounds    a request 1 MiB, 64 connections; those of table.h. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"
#include "net/server/http_server.h"
#include "net/socket.h"

#include "endpoints.h"

#define DEFAULT_PORT         8080
#define BODY_MAX_BYTES       (1u << 20)
#define ARENA_MAX_BYTES      (32u << 20)
#define FIRST_AGENT_LOOK_MS  2000
#define STOP_REQUESTS_WITHIN SONDE_NS_PER_S
#define ENDPOINTS            (sizeof(endpoints) / sizeof(endpoints[0]))

static const struct {
    const char *method;
    const char *path;
    endpoint run;
} endpoints[] = {
#define X(method, path, name) { method, path, name },
    ENDPOINT_MAP(X)
#undef X
};

static http_route routes[ENDPOINTS];
static size_t numbers[ENDPOINTS]; /* what a route's `user` points to */

/* -- a request ------------------------------------------------------------------------------------ */

static void read_body(call *c, sonde_str text)
{
    static const json_node nothing = { .kind = JSON_OBJECT };
    json_node *root = NULL;

    c->body = &nothing;
    if (sonde_str_trim(text).len == 0)
        return;
    if (json_tree_parse(&c->arena, text, &root, &c->error) != SONDE_OK)
        c->status = 400;
    else if (root->kind != JSON_OBJECT)
        call_fail(c, 400, "not a JSON object");
    else
        c->body = root;
}

static void write_error(http_response *response, const char *why)
{
    sonde_json_writer w;

    sonde_buf_reset(&response->body);
    sonde_json_writer_init(&w, &response->body);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "error", sonde_str_from(why));
    sonde_json_end_object(&w);
}

static http_result on_request(void *user, http_request *request, http_response *response)
{
    sonde_json_writer out;
    call c = { .out = &out, .status = 200 };

    sonde_arena_init(&c.arena, ARENA_MAX_BYTES);
    sonde_json_writer_init(&out, &response->body);
    read_body(&c, http_request_body(request));
    if (c.status == 200) {
        sonde_json_begin_object(&out);
        endpoints[*(const size_t *)user].run(&c);
    }
    if (c.status == 200)
        sonde_json_end_object(&out);
    else
        write_error(response, c.error);
    response->status = c.status;
    response->content_type = "application/json";
    sonde_arena_done(&c.arena);
    return HTTP_DONE;
}

/* -- the process ---------------------------------------------------------------------------------- */

static http_server *open_server(uint16_t port, sonde_error *error)
{
    http_server_options options = { .name = "parametric",
                                    .routes = routes,
                                    .routes_len = ENDPOINTS,
                                    .threads = 1,
                                    .max_connections = 64,
                                    .idle_timeout_s = 3600,
                                    .read_timeout_s = 60 };
    http_listener listener = { .fd = -1 };
    http_server *server = NULL;
    size_t i;

    for (i = 0; i < ENDPOINTS; i++) {
        numbers[i] = i;
        routes[i] = (http_route){ .methods = endpoints[i].method,
                                  .path = endpoints[i].path,
                                  .handle = on_request,
                                  .max_body_bytes = BODY_MAX_BYTES,
                                  .user = &numbers[i] };
    }
    if (sonde_listen_tcp("0.0.0.0", port, &listener.fd, error) != SONDE_OK ||
        http_server_open(&options, &listener, 1, &server, error) != SONDE_OK)
        return NULL;
    return server;
}

static uint16_t read_port(void)
{
    uint64_t port = DEFAULT_PORT;

    (void)sonde_parse_u64(sonde_str_from(getenv("APM_TEST_CLIENT_SERVER_PORT")), &port);
    return port <= UINT16_MAX ? (uint16_t)port : DEFAULT_PORT;
}

static sigset_t block_end_signals(void)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL); /* of all threads to come, too */
    return ends;
}

int main(void)
{
    sonde_options options = { .struct_bytes = sizeof(options),
                              .language = getenv("SONDE_TEST_LANGUAGE"),
                              .tracer_version = getenv("SONDE_TEST_TRACER_VERSION") };
    sonde_error error = { .status = SONDE_OK };
    sigset_t ends = block_end_signals();
    http_server *server;
    int number;

    (void)sonde_start(&options);
    (void)sonde_wait_for_agent(FIRST_AGENT_LOOK_MS);
    server = open_server(read_port(), &error);
    if (!server) {
        (void)fprintf(stderr, "sonde-parametric: %s\n", error.message);
        return 1;
    }
    (void)sigwait(&ends, &number);
    http_server_close(server, sonde_deadline(sonde_mono_ns(), STOP_REQUESTS_WITHIN));
    sonde_stop();
    return 0;
}
