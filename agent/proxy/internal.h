/* internal.h - what the files of this room share. */
#ifndef SONDE_AGENT_PROXY_INTERNAL_H
#define SONDE_AGENT_PROXY_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "agent/proxy/proxy.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/mutex.h"
#include "net/curl/http_curl.h"

/* ---- targets.c: where a door leads ---- */

typedef struct target {
    sonde_str url; /* with path; of evp: scheme and domain behind the subdomain */
    sonde_str api_key;
} target;

typedef struct door {
    target targets[PROXY_TARGETS_MAX];
    size_t targets_len;
    bool disabled; /* by configuration, unlike without a key */
    proxy_counters counters;
} door;

SONDE_MUST_USE sonde_status targets_find(proxy *p);

/* ---- outgoing.c: a request to be sent ---- */

typedef struct outgoing {
    sonde_str subdomain; /* goes in front of the target's domain; empty: none */
    sonde_buf url;       /* comes behind the target's own: path, query */
    sonde_buf lines;     /* headers, each with its NUL */
    size_t at[PROXY_HEADERS_MAX];
    size_t len;
} outgoing;

void outgoing_init(outgoing *o);
void outgoing_done(outgoing *o);

/* An empty value is sent as such.  A header that is already there stays as it is. */
void outgoing_header(outgoing *o, const char *name, sonde_str value);
void outgoing_copy(outgoing *o, const http_request *from, const char *name); /* if it is there */

/* X-Datadog-Container-Tags, when there are any. */
void outgoing_container_tags(outgoing *o, const proxy *p, sonde_str container);

/* All headers of the client, but those of its connection, keys, and what is already there. */
void outgoing_copy_all(outgoing *o, const http_request *from);

/* Keeps libcurl from adding a header of its own: a line "Name:". */
void outgoing_suppress(outgoing *o, const char *line);

/* Percent-encodes what may not stand in a path; in a query's value. */
void append_path(sonde_buf *out, sonde_str path);
void append_query_value(sonde_buf *out, sonde_str value);

/* The NULL-terminated list for libcurl; SONDE_OK unless a buffer failed. */
SONDE_MUST_USE sonde_status outgoing_lines(outgoing *o, const char *out[PROXY_HEADERS_MAX + 1]);

/* ---- doors.c: the table of doors ---- */

typedef struct door_path {
    const char *route;  /* of the server; a prefix when it ends in "*" */
    const char *listed; /* in /info */
    proxy_door door;
} door_path;

extern const door_path proxy_paths[];
extern const size_t proxy_paths_len;

/* A row together with its proxy: the `user` of its route. */
typedef struct bound_path {
    proxy *p;
    const door_path *row;
} bound_path;

http_result serve_door(void *user, http_request *request, http_response *response);
http_result refuse_door(void *user, http_request *request, http_response *response);
void lose_body(void *user, http_request *request);
size_t door_max_body_bytes(const proxy *p, proxy_door which);

/* ---- evp.c: what may pass ---- */

bool evp_subdomain_valid(sonde_str s);
bool evp_path_valid(sonde_str s);
bool evp_query_valid(sonde_str raw); /* still percent-encoded */

/* ---- relay.c: one request to all targets of its door, answered with the first one's answer ---- */

typedef struct relay_request {
    proxy_door door;
    const char *method;
    unsigned timeout_ms;
    outgoing *out; /* all but the target's address and key */
} relay_request;

http_result relay(proxy *p, const relay_request *what, http_request *request,
                  http_response *response);

/* ---- telemetry.c ---- */

typedef struct telemetry_job telemetry_job;

typedef struct telemetry {
    sonde_mutex mu; /* guards everything below */
    pthread_cond_t idle;
    telemetry_job *head, *tail; /* waiting */
    size_t waiting, in_flight, bytes;
    size_t max_bytes;
} telemetry;

void telemetry_init(telemetry *t, uint64_t memory_limit_bytes);
void telemetry_done(telemetry *t);
http_result telemetry_take(proxy *p, http_request *request, http_response *response);
void telemetry_await(proxy *p, uint64_t deadline_mono_ns);

/* ---- statsd.c ---- */

http_result statsd_take(proxy *p, http_request *request, http_response *response);

/* ---- proxy.c ---- */

struct proxy {
    agent_config *config; /* shared */
    sonde_str agent_env;
    const char *agent_version;
    const char *local_url;  /* borrowed during open; NULL: none */
    origin *origin;         /* borrowed; NULL: only what heads state */
    timings *timings;       /* borrowed; NULL: nothing is measured */
    sonde_arena text;       /* targets, tags */
    sonde_str tags;         /* host:..,default_env:..,agent_version:.. */
    sonde_str profile_tags; /* the same and additional_profile_tags */
    sonde_str via;
    http_curl *curl; /* NULL: no door leads anywhere */
    bound_path bound[PROXY_ROUTES_MAX];
    door doors[PROXY_DOORS];
    _Atomic bool stopped;
    _Atomic unsigned relays; /* under way */
    telemetry telemetry;
};

void count_dropped(proxy *p, proxy_door which, proxy_reason why);
void count_add(_Atomic uint64_t *counter, uint64_t n);
/* The end of a request that was sent: exactly one call for each. */
void count_answer(proxy *p, proxy_door which, const http_curl_answer *answer, size_t body_bytes);
/* Adds the target's address and key to `o` for this call only, and sends `request`. */
SONDE_MUST_USE sonde_status send_to(proxy *p, proxy_door which, const target *to, outgoing *o,
                                    http_curl_request *request);

#endif /* SONDE_AGENT_PROXY_INTERNAL_H */
