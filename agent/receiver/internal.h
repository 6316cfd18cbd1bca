/* internal.h - what the files of the receiver share. */
#ifndef SONDE_AGENT_RECEIVER_INTERNAL_H
#define SONDE_AGENT_RECEIVER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "agent/receiver/decode.h"
#include "agent/receiver/receiver.h"
#include "agent/receiver/waiting.h"

/* Header names only the receiver reads. */
#define HDR_PROCESS_TAGS   "X-Datadog-Process-Tags"
#define HDR_SEC_FETCH_SITE "Sec-Fetch-Site"

typedef enum endpoint_kind {
    ENDPOINT_TRACES,
    ENDPOINT_STATS,    /* statistics of a tracer: travels as traces do */
    ENDPOINT_SERVICES, /* takes anything, says OK */
    ENDPOINT_CONFIG,   /* remote configuration: nothing is new, ever */
} endpoint_kind;

typedef enum answer_kind { ANSWER_OK, ANSWER_RATES, ANSWER_EMPTY } answer_kind;

/* One row of the table in endpoints.c. */
typedef struct endpoint {
    const char *path;
    const char *version; /* "v0.4" */
    endpoint_kind kind;
    decode_fn msgpack; /* NULL: JSON only, msgpack is 415 */
    decode_fn json;    /* NULL: msgpack whatever the Content-Type says */
    answer_kind answer;
    bool listed; /* in /info */
} endpoint;

extern const endpoint receiver_endpoints[];
extern const size_t receiver_endpoints_len;

/* A row together with its receiver: the `user` of its route. */
struct bound_endpoint {
    receiver *r;
    const endpoint *row;
    _Atomic uint64_t accepted; /* payloads, of receiver_counters.payloads_accepted */
};

struct receiver {
    agent_config *config; /* shared */
    payload_sink sink;
    rates_cell *rates;        /* borrowed */
    payload_sources *sources; /* borrowed; NULL, as the next */
    timings *timings;
    origin *origin; /* borrowed; NULL: only what heads state */
    const char *agent_version;
    const char *agent_state;
    http_server *server;
    waiting_room *waiting; /* NULL: nobody waits */
    http_route *routes;
    bound_endpoint *bound;
    size_t max_arena_bytes;
    uint16_t port;
    sonde_str socket_path;
    _Atomic bool stopped;
    receiver_counters counters;
};

/* Handlers of the routes; `user` is a bound_endpoint. */
http_result receive_traces(void *user, http_request *request, http_response *response);
http_result refuse_traces(void *user, http_request *request, http_response *response);
void lose_traces(void *user, http_request *request);
http_result receive_anything(void *user, http_request *request, http_response *response);

/* Of waiting_options. */
sonde_status offer_again(const arrival *a);
void settle_arrival(arrival *a, sonde_status status);

/* Runs before any body is read; `user` is the receiver: agent headers, cross-site, media type. */
http_result receive_head(void *user, http_request *request, http_response *response);

/* answers.c */
void answer_rates(receiver *r, http_request *request, http_response *response);
void answer_ok(http_response *response);
void answer_refused(receiver *r, const endpoint *e, http_request *request, http_response *response);

/* request_headers.c: language, container, flags; the texts are copied into the arena. */
sonde_status read_request_headers(receiver *r, payload *p, const http_request *request);
/* Whose request it is; NULL: nobody tells them apart. */
payload_source *find_source(const bound_endpoint *b, const http_request *request,
                            sonde_str service);
sonde_status take_container_tags(receiver *r, payload *p); /* when the container is known */
sonde_status take_process_tags(payload *p, const http_request *request); /* after decoding */
void take_stats_headers(const receiver *r, payload *p,
                        const http_request *request); /* after decoding */
bool header_is_true(const http_request *request, const char *name);
uint64_t header_trace_count(const http_request *request);
sonde_str
media_type(const http_request *request); /* without parameters; empty: absent or unusable */

#endif /* SONDE_AGENT_RECEIVER_INTERNAL_H */
