/* sonde/http.h - spans of HTTP servers and clients, for programs that bring their own.
 *
 *   sonde_span *span = sonde_http_server_start(&(sonde_http_request){
 *       .method = SONDE_STR("GET"), .url = target, .peer_ip = peer, .headers = &headers });
 *   sonde_span_activate(span);
 *   ... handle the request ...
 *   sonde_span_deactivate(span);
 *   sonde_http_server_finish(span, &(sonde_http_response){ .status = 200, .route = SONDE_STR("/users/{id}") });
 *
 * Names, tags, errors and what is left out of URLs are those of every Datadog tracer, and follow its settings:
 * DD_TRACE_HEADER_TAGS, DD_TRACE_CLIENT_IP_ENABLED, DD_TRACE_HTTP_..., DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP,
 * DD_TRACE_RESOURCE_RENAMING_ENABLED.
 *
 * Threads   all; a span is worked on by one thread at a time.
 * Failure   as in <sonde/span.h>: a span that could not be had is inert.
 * Memory    what is given is borrowed for the call.
 * Bounds    http.url is cut at 4 096 bytes, a query above 10 240 is replaced as a whole, the values of a header
 *           that becomes a tag are cut at 1 024 together, a user agent at 512, a method at 32.
 * Source    docs/spec/http-spans.md
 */
#ifndef SONDE_HTTP_H
#define SONDE_HTTP_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/propagate.h"
#include "sonde/span.h"
#include "sonde/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; what is not known stays empty. */
typedef struct sonde_http_request {
    uint32_t struct_bytes; /* sizeof(sonde_http_request); 0: all fields of this header */
    uint32_t reserved;
    sonde_str method;    /* "GET" */
    sonde_str url;       /* "https://host/path?query"; of a server also the target, "/path?query" */
    sonde_str scheme;    /* server: "https"; default: that of the URL, else "http" */
    sonde_str host;      /* server; default: that of the URL, else the header `host` */
    sonde_str route;     /* server: "/users/{id}", when it is known already */
    sonde_str peer_ip;   /* server: address at the other end of the connection */
    sonde_str component; /* the library: "libmicrohttpd" */
    const sonde_reader *headers; /* of the request */
} sonde_http_request;

typedef struct sonde_http_response {
    uint32_t struct_bytes;       /* sizeof(sonde_http_response); 0: all fields of this header */
    int32_t status;              /* 0: there was none (a server's is then taken for 200) */
    sonde_str route;             /* server: when it was not known at the start */
    const sonde_reader *headers; /* of the response */
} sonde_http_response;

/* Starts the span of a request that came in, named "web.request": in the trace its headers tell of, else in a
 * new one.  It does not become active.
 *
 * Returns   a span to be given back with sonde_http_server_finish() or sonde_span_finish(). */
SONDE_API sonde_span *sonde_http_server_start(const sonde_http_request *request);

/* Writes what the answer tells (`response` may be NULL) and finishes the span.  A status of
 * DD_TRACE_HTTP_SERVER_ERROR_STATUSES is an error, unless one was set. */
SONDE_API void sonde_http_server_finish(sonde_span *span, const sonde_http_response *response);

/* Starts the span of a request that is about to go out, named "http.request", as child of the thread's active
 * span, and writes the headers that continue the trace to `writer` (NULL: nothing).
 *
 * Returns   a span to be given back with sonde_http_client_finish() or sonde_span_finish(). */
SONDE_API sonde_span *sonde_http_client_start(const sonde_http_request *request,
                                              const sonde_writer *writer);

/* The same for it; errors are DD_TRACE_HTTP_CLIENT_ERROR_STATUSES.  A request that failed without an answer:
 * sonde_span_error() first. */
SONDE_API void sonde_http_client_finish(sonde_span *span, const sonde_http_response *response);

/* -- users ----------------------------------------------------------------------------------------- */

/* Who a trace is about.  Zero-initialise; NULL fields stay as they are. */
typedef struct sonde_user {
    uint32_t struct_bytes; /* sizeof(sonde_user); 0: all fields of this header */
    int32_t propagate;     /* 1: the id goes on to other services */
    const char *id;
    const char *email;
    const char *name;
    const char *role;
    const char *scope;
    const char *session_id;
} sonde_user;

/* Sets the tags usr.id, usr.email, ... of the trace's first span here, if that is active on this thread, else of
 * `span`.  With `propagate` the id is sent on with every request from now on, to whoever receives one
 * (_dd.p.usr.id): the first that is told stays; one above 150 bytes is not sent on (counter tags_dropped). */
SONDE_API void sonde_span_set_user(sonde_span *span, const sonde_user *user);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_HTTP_H */
