/* statsd.c - metrics in the body of a request, to the DogStatsD of this host.
 *
 * A tracer that reaches the agent over HTTP posts them, many lines a body.  Sending does not wait: the first datagram
 * that is not taken ends it, and the client, told by 500, sends these lines another way.
 */
#include <string.h>

#include "internal.h"
#include "net/statsd_out.h"

/* The next line with its line feed, if it has one. */
static sonde_str take_line(sonde_str *body)
{
    const char *end = memchr(body->ptr, '\n', body->len);
    sonde_str line = { body->ptr, end ? (size_t)(end - body->ptr) + 1 : body->len };

    *body = sonde_str_sub(*body, line.len, body->len);
    return line;
}

http_result statsd_take(proxy *p, http_request *request, http_response *response)
{
    proxy_counters *c = &p->doors[DOOR_STATSD].counters;
    sonde_str body = http_request_body(request);
    size_t bytes = body.len;
    statsd_out out;

    statsd_out_init(&out, p->config->statsd_socket, p->config->statsd_port);
    while (body.len && out.lost == 0) {
        sonde_str line = take_line(&body);

        if (line.ptr[0] != '\n')
            statsd_out_line(&out, line);
    }
    if (out.lost == 0)
        statsd_out_flush(&out);
    if (out.lost) {
        count_dropped(p, DOOR_STATSD, PROXY_FAILED);
        http_response_text(response, 500, "DogStatsD does not take it\n");
    } else {
        count_add(&c->passed_on, 1);
        count_add(&c->bytes_sent, bytes);
    }
    statsd_out_done(&out);
    return HTTP_DONE;
}
