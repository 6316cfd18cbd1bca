/* net/server/http_server.h - the HTTP/1.1 server door in front of libmicrohttpd.
 *
 * A table of routes, several listeners (TCP and Unix), a pool of epoll threads.  Bodies are collected
 * whole before the handler runs, Content-Length or chunked, within two ceilings checked before bytes
 * are read: the route's max_body_bytes (413) and the server's body budget (the route's refuse handler
 * answers, or 503).  A refused body is drained and thrown away so that the client gets a whole answer;
 * only a client that asked first (Expect: 100-continue) or declares more than 64 MiB is answered at
 * once and disconnected.
 *
 * A handler answers at once by filling the response and returning HTTP_DONE, or returns HTTP_LATER and
 * calls http_later_answer() from any thread afterwards; the connection waits without a thread.
 *
 * Threads   handlers run on the pool's threads ("<name>-0" ...); they may block briefly only.
 * Bounds    max_connections (accepting pauses), body budget, head 32 KiB (431), idle and read time-outs.
 * Counters  http_server_counters: every refusal by reason.
 */
#ifndef SONDE_NET_SERVER_HTTP_SERVER_H
#define SONDE_NET_SERVER_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

typedef struct http_server http_server;
typedef struct http_request http_request; /* valid until it is answered */

typedef enum http_result { HTTP_DONE, HTTP_LATER } http_result;

#define HTTP_RESPONSE_HEADERS_MAX 12

typedef struct http_response {
    unsigned status;          /* 200 by default */
    const char *content_type; /* static text; NULL: none */
    sonde_buf body;           /* initialised by the server, taken over by it (ceiling 64 MiB) */
    sonde_str static_body;    /* used instead when body is empty: bytes that outlive the server */
    struct {
        const char *name; /* static */
        char value[192];
    } headers[HTTP_RESPONSE_HEADERS_MAX];
    size_t headers_len;
} http_response;

/* In place of one of that name.  A value that is empty, or of two lines, is no header. */
void http_response_header(http_response *r, const char *name, const char *value);
/* text/plain; copies.  Errors tell browsers not to guess another type. */
void http_response_text(http_response *r, unsigned status, const char *text);

typedef http_result (*http_handler)(void *user, http_request *request, http_response *response);

/* Told of a request whose body never came whole, so that what it carried can be counted:
 * http_request_body_status() is TOO_BIG (413 is about to be answered; http_later_response() is that
 * answer and may be made another), TIMEOUT (408), EOF (the client left) or FULL (it left while a
 * refused body was drained). */
typedef void (*http_lost)(void *user, http_request *request);

typedef struct http_route {
    const char *methods; /* "PUT,POST"; NULL: any.  A known path with another method: 405 */
    const char *path;    /* exact, or a prefix when it ends in "*" */
    http_handler handle;
    http_handler refuse;   /* answers when the body budget is used up; NULL: 503 */
    size_t max_body_bytes; /* 413 beyond */
    void *user;            /* first argument of the handlers */
    http_lost lost;        /* NULL: only counted */
    bool keep_start; /* beyond max_body_bytes handle() gets so many, and body status TOO_BIG */
} http_route;

typedef struct http_listener {
    int fd; /* listening socket; the server closes it, also when it cannot be opened */
    bool is_unix;
    /* somebody else has it too, and will go on: who connects later waits for them */
    bool is_shared;
} http_listener;

typedef struct http_server_options {
    const char *name;         /* thread names, at most 12 bytes */
    const http_route *routes; /* borrowed; first match wins, exact paths before prefixes */
    size_t routes_len;
    http_handler not_found; /* NULL: 404 "404 page not found\n" */
    void *not_found_user;
    http_handler before; /* NULL or: runs before the body is read (headers only); HTTP_DONE with a
                                 status other than 0 answers right away, status 0 goes on and
                                 keeps the headers that were set */
    void *before_user;
    unsigned threads;         /* 0: one per CPU */
    unsigned max_connections; /* per listener; 0: 1000 */
    /* connections accepted in each lease_ns, per listener; 0: only the above counts */
    unsigned lease;
    uint64_t lease_ns;
    size_t
        body_budget_bytes; /* all bodies in flight, until http_request_take_body() owners give back;
                                 0: 64 MiB */
    bool (*has_room)(void *user,
                     size_t bytes); /* NULL, or asked before memory is taken for a body: is there
                                 room for all that is still to come, it included?  else as if over budget */
    void *has_room_user;
    unsigned idle_timeout_s;  /* 0: 60 */
    unsigned read_timeout_s;  /* head and body; 0: 5 */
    const char *too_big_text; /* body of 413, default "payload-too-large\n" */
} http_server_options;

typedef struct http_server_counters {
    _Atomic uint64_t requests;
    _Atomic uint64_t refused_too_big; /* 413 */
    _Atomic uint64_t refused_budget;  /* refuse handler or 503 */
    _Atomic uint64_t refused_head;    /* 431 and malformed heads */
    _Atomic uint64_t refused_method;  /* 405 */
    _Atomic uint64_t not_found;
    _Atomic uint64_t read_timeouts;     /* 408: body did not arrive in time */
    _Atomic uint64_t aborted;           /* the client went away mid-body */
    _Atomic uint64_t connections;       /* accepted */
    _Atomic uint64_t unix_connections;  /* of them over Unix sockets */
    _Atomic uint64_t lease_waits;       /* leases used up while somebody waited */
    _Atomic uint64_t body_bytes;        /* received */
    _Atomic uint64_t budget_used_bytes; /* gauge */
} http_server_counters;

SONDE_MUST_USE sonde_status http_server_open(const http_server_options *options,
                                             const http_listener *listeners, size_t listeners_len,
                                             http_server **out_server, sonde_error *out_error);

/* Serves a TCP connection that was accepted elsewhere, as if it had come to the first listener.  The
 * descriptor is the server's from now on, also when that fails. */
SONDE_MUST_USE sonde_status http_server_adopt(http_server *s, int fd);

/* Stops accepting and lets requests in flight finish until the deadline; every answer from now on says
 * that its connection ends with it.  Kept connections may still ask.  NULL is fine. */
void http_server_drain(http_server *s, uint64_t deadline_mono_ns);

/* The same, then closes.  NULL is fine.
 * Requests still waiting for http_later_answer() get 503; whoever holds one must still answer it (that
 * frees it) but may no longer ask for its head.  Taken bodies may be released afterwards. */
void http_server_close(http_server *s, uint64_t deadline_mono_ns);
const http_server_counters *http_server_read_counters(const http_server *s);

sonde_str http_request_method(const http_request *r);
sonde_str http_request_path(const http_request *r); /* decoded, without query; steps that are
                                                       empty or dots are resolved */
sonde_str http_request_header(const http_request *r,
                              const char *name); /* any case; empty: absent */
bool http_request_query(const http_request *r, const char *key, sonde_str *out_value); /* decoded */
sonde_str http_request_query_text(const http_request *r); /* as it came, without "?" */

/* Calls `each` for every header line, in order. */
typedef void (*http_header_fn)(void *user, sonde_str name, sonde_str value);
void http_request_each_header(const http_request *r, http_header_fn each, void *user);

sonde_str http_request_body(const http_request *r);
uint64_t http_request_body_bytes(const http_request *r); /* declared, or received so far if more */
bool http_request_is_unix(const http_request *r);
/* over a Unix socket, or from a loopback address */
bool http_request_is_local(const http_request *r);
pid_t http_request_peer_pid(const http_request *r); /* Unix sockets; 0: unknown */
sonde_status
http_request_body_status(const http_request *r); /* OK; FULL in refuse; see keep_start, http_lost */

/* Takes the body out of the request.  Its bytes stay charged to the body budget until
 * http_body_release() is called with them, from any thread; *out_data is freed by that. */
typedef struct http_body {
    uint8_t *data;
    size_t len;
    size_t charged; /* private */
    http_server *server;
} http_body;

http_body http_request_take_body(http_request *r);
void http_body_release(http_body *body); /* empty afterwards; twice is harmless */

/* For HTTP_LATER: `r` must not be touched by the handler after it returned HTTP_LATER, but by the one
 * who answers.  `response` was filled by http_later_response(). */
http_response *http_later_response(http_request *r);
void http_later_answer(http_request *r);

#endif /* SONDE_NET_SERVER_HTTP_SERVER_H */
