/* agent_client.c - where the agent is, and one question at a time. */
#include "agent_client.h"

#include <stdio.h>

#include "base/clock.h"

#define TIMEOUT_NS (UINT64_C(5) * SONDE_NS_PER_S)

static void find_address(const agent_config *c, const char *socket, char *out, size_t cap)
{
    const char *host = c->non_local_traffic ? "127.0.0.1" : c->receiver_host.ptr;

    if (socket)
        (void)snprintf(out, cap, "unix://%s", socket);
    else if (c->receiver_port > 0)
        (void)snprintf(out, cap, "http://%s:%d", host, (int)c->receiver_port);
    else
        (void)snprintf(out, cap, "unix://%.*s", SONDE_STR_ARG(c->receiver_socket));
}

sonde_status agent_client_open(agent_client *a, const agent_config *c, const char *socket,
                               sonde_error *out_error)
{
    sonde_status status;

    a->http = NULL;
    find_address(c, socket, a->address, sizeof(a->address));
    status = sonde_url_parse(sonde_str_from(a->address), &a->url, out_error);
    return status == SONDE_OK ? sonde_http_plain_open(&a->url, AGENT_ANSWER_MAX_BYTES, &a->http)
                              : status;
}

void agent_client_close(agent_client *a)
{
    sonde_http_plain_close(a->http);
    a->http = NULL;
}

sonde_status agent_client_get(agent_client *a, const char *path,
                              sonde_http_plain_answer *out_answer)
{
    const sonde_http_plain_request request = { .method = "GET",
                                               .path = path,
                                               .deadline_mono_ns =
                                                   sonde_deadline(sonde_mono_ns(), TIMEOUT_NS) };

    return sonde_http_plain_send(a->http, &request, out_answer);
}
