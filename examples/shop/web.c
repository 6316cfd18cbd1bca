/* web.c - a traced HTTP server around libmicrohttpd: extracts the caller's context, wraps each request in a span. */
#include "web.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define MAX_CONNECTIONS 256
#define IDLE_SECONDS    30

/* How sonde_extract() finds a header of this request. */
static sonde_str find_header(void *connection, sonde_str name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, name.ptr, name.len, &value,
                                      &len) == MHD_NO ||
        !value)
        return (sonde_str){ NULL, 0 };
    return (sonde_str){ value, len };
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, web_reply *reply)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(reply->body), reply->body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    queued = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result serve_traced(web_handler handler, struct MHD_Connection *connection,
                                    const char *method, const char *path)
{
    web_reply reply = { .status = MHD_HTTP_NOT_FOUND, .body = "{\"error\":\"no such page\"}\n" };
    sonde_context *caller =
        sonde_extract(&(sonde_reader){ .get = find_header, .user = connection });
    SONDE_SPAN_WITH(span, "http.request",
                    &(sonde_span_options){ .type = "web", .context = caller });

    sonde_context_release(caller);
    sonde_span_set_str(span, "span.kind", "server");
    sonde_span_set_str(span, "component", "microhttpd");
    sonde_span_set_str(span, "http.method", method);
    sonde_span_set_str(span, "http.url", path);

    handler(&(web_request){ connection, method, path, span }, &reply);

    web_tag_status(span, reply.status);
    return send_reply(connection, &reply);
}

/* libmicrohttpd calls it once with the headers and once more when the body is read. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **seen)
{
    const web_handler *handler = user;

    (void)version, (void)body;
    if (!*seen) {
        *seen = connection;
        return MHD_YES;
    }
    if (*body_len > 0) { /* no page of ours reads a body */
        *body_len = 0;
        return MHD_YES;
    }
    if (strcmp(path, "/counters") == 0) {
        web_reply reply = { .status = MHD_HTTP_OK };

        web_counters_json(reply.body, sizeof(reply.body));
        return send_reply(connection, &reply);
    }
    return serve_traced(*handler, connection, method, path);
}

static sigset_t stop_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void web_block_signals(void)
{
    sigset_t set = stop_signals();

    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int web_serve(uint16_t port, web_handler handler)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    const union MHD_DaemonInfo *bound;
    struct MHD_Daemon *daemon;
    sigset_t set = stop_signals();
    int sig;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, port,
                         NULL, NULL, on_request, &handler, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "cannot listen on 127.0.0.1:%u\n", port);
        return -1;
    }
    bound = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("listening on 127.0.0.1:%u\n", bound ? bound->port : port);
    fflush(stdout);

    sigwait(&set, &sig);
    MHD_stop_daemon(daemon); /* lets running handlers end */
    return 0;
}

uint64_t web_number(const char *text, uint64_t otherwise)
{
    uint64_t n = 0;

    if (!text || !*text)
        return otherwise;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > UINT64_MAX / 10 - 1)
            return otherwise;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    return n;
}

uint64_t web_argument(const web_request *request, const char *name, uint64_t otherwise)
{
    return web_number(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name),
                      otherwise);
}

void web_tag_status(sonde_span *span, unsigned status)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", status);
    sonde_span_set_str(span, "http.status_code", text);
    if (status >= 500) {
        char type[24];

        snprintf(type, sizeof(type), "http.%u", status);
        sonde_span_error(span, type, "the request was answered with a server error");
    }
}

void web_counters_json(char *out, size_t size)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    uint64_t spans_dropped = 0, chunks_dropped = 0;
    uint32_t i;

    sonde_counters_read(&c);
    for (i = 0; i < c.drops; i++) {
        spans_dropped += c.spans_dropped[i];
        chunks_dropped += c.chunks_dropped[i];
    }
    snprintf(out, size,
             "{\"spans_finished\":%" PRIu64 ",\"spans_delivered\":%" PRIu64
             ",\"spans_queued\":%" PRIu64 ",\"spans_dropped\":%" PRIu64 ",\"spans_open\":%" PRIu64
             ",\"chunks_delivered\":%" PRIu64 ",\"chunks_queued\":%" PRIu64
             ",\"chunks_dropped\":%" PRIu64 ",\"memory_bytes\":%" PRIu64 "}\n",
             c.spans_finished, c.spans_delivered, c.spans_queued, spans_dropped, c.spans_open,
             c.chunks_delivered, c.chunks_queued, chunks_dropped, c.memory_bytes);
}
