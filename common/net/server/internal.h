/* net/server/internal.h - what the files of this room share; nobody outside includes it.
 *
 * Life of a request (every arrow on the connection's own pool thread, but for `answer`):
 *
 *   head ──▶ collecting ──▶ handle() ── HTTP_DONE ──────────────▶ queued ──▶ completed, freed
 *      │         │                   └─ HTTP_LATER ─▶ waiting ─answer─▶ ┘
 *      │         └─ over a ceiling ─▶ draining ─▶ refuse(), 413, 503 ──▶ ┘
 *      └─ no route, no method, `before` answered ─▶ draining ───────────▶ ┘
 *
 * Invariants
 *   counters.budget_used_bytes == sum of body.charged over requests and taken bodies <= budget
 *   to_come == sum of body.charged - body.len over the same
 *   a request has one reference of the server (until completed) and, while somebody may still answer
 *   it later, one of that somebody
 */
#ifndef SONDE_NET_SERVER_INTERNAL_H
#define SONDE_NET_SERVER_INTERNAL_H

#include <pthread.h>

#include "base/mutex.h"
#include "net/server/conn_watch.h"
#include "net/server/http_server.h"

#define HTTP_HEAD_MAX_BYTES     32768u /* docs/decisions/0010 */
#define HTTP_BODY_FIRST_BYTES   8192
#define HTTP_RESPONSE_MAX_BYTES (64u << 20)

/* A refused body is read and thrown away up to here; a bigger one costs the client its answer or its
 * connection. */
#define HTTP_DRAIN_MAX_BYTES (64u << 20)

typedef struct http_listening { /* one daemon of libmicrohttpd */
    http_server *server;        /* borrowed */
    struct MHD_Daemon *daemon;
    int fd;
    bool is_unix;
    bool is_shared;
    struct lease *lease; /* accepts in place of the daemon; NULL: it does itself */
} http_listening;

typedef struct http_conn {
    conn_watch_entry watch;
    http_listening *on; /* borrowed */
    char *query;        /* of the request line, as it came; NULL: none */
} http_conn;

struct http_server {
    http_server_options options;
    http_server_counters counters;
    http_listening *listening;
    size_t listening_len;
    conn_watch *watch;
    _Atomic unsigned threads_named;
    _Atomic uint64_t to_come; /* charged for bodies, and not yet received */
    _Atomic size_t refs;      /* one of the owner, one per taken body and per request */

    sonde_mutex mu; /* guards everything below, and `later` of every request */
    pthread_cond_t idle;
    size_t active; /* requests between their head and their completion */
    bool closing;
    http_request *waiting; /* list of requests answered later */
};

typedef enum request_plan {
    PLAN_HANDLE, /* collect the body, then handle() */
    PLAN_REFUSE, /* drain it, then refuse() or 503 */
    PLAN_ANSWER, /* drain it, then send the response that is ready */
} request_plan;

typedef enum request_later {
    LATER_NONE,     /* no handler has returned HTTP_LATER */
    LATER_WAITING,  /* suspended, in the server's list */
    LATER_ANSWERED, /* the response is complete */
    LATER_DETACHED, /* the server closed first */
} request_later;

struct http_request {
    http_server *server;               /* one reference */
    http_conn *conn;                   /* borrowed until completed */
    struct MHD_Connection *connection; /* the same */
    sonde_str method, path;            /* the same */
    char *path_room;                   /* of a path that had to be cleaned */
    const http_route *route;           /* NULL: none */
    request_plan plan;
    http_body body;          /* what has come; `charged` is its capacity */
    uint64_t declared_bytes; /* 0: the client did not say */
    size_t received_bytes, drained_bytes;
    sonde_status body_status;
    bool body_complete;
    request_later later;
    http_request *prev_waiting, *next_waiting;
    _Atomic int refs;
    http_response response;
};

/* route.c */
typedef enum route_match { ROUTE_FOUND, ROUTE_OTHER_METHOD, ROUTE_NONE } route_match;
route_match route_find(const http_route *routes, size_t len, sonde_str method, sonde_str path,
                       const http_route **out_route);
void route_allow(const http_route *routes, size_t len, sonde_str path, http_response *response);

/* path.c: `room` takes as many bytes as the target has, and one. */
bool path_is_clean(sonde_str path);
sonde_str path_clean(sonde_str target, char *room);

/* body.c: SONDE_ERR_TOO_BIG, SONDE_ERR_FULL (budget or memory); the body is empty afterwards. */
sonde_status body_declare(http_request *r, uint64_t content_length);
sonde_status body_append(http_request *r, const void *data, size_t len);
void body_drop(http_body *body);

/* request.c */
void request_put(http_request *r);

/* later.c */
bool later_wait(http_request *r);        /* true: suspended; false: it has been answered already */
bool later_is_detached(http_request *r); /* it runs again because the server closes */
void later_detach_all(http_server *s);

/* http_server.c */
void server_get(http_server *s);
void server_put(http_server *s);

#endif /* SONDE_NET_SERVER_INTERNAL_H */
