/* net/curl/http_curl.h - asynchronous HTTP client on libcurl's multi handle.
 *
 * One thread ("<name>") drives all transfers; http_curl_send() hands it a request and returns, the
 * request's `done` is called on that thread.  Connections are kept and reused.
 *
 * HTTP/1.1, or HTTP/2 where TLS negotiates it; TLS 1.2 at least unless told otherwise.  No redirect is followed, the
 * environment is not read, nothing waits for "100 Continue".
 *
 * Threads   send, call: all (call not from done).  done: the client's thread; it may send again.
 * Bounds    max_in_flight transfers; beyond it SONDE_ERR_FULL.  Answer bodies are cut at 64 KiB, or
 *           where the request says.
 */
#ifndef SONDE_NET_CURL_HTTP_CURL_H
#define SONDE_NET_CURL_HTTP_CURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/egress.h"
#include "sonde/status.h"

typedef struct http_curl http_curl;

typedef struct http_curl_options {
    const char *name;       /* thread name, at most 15 bytes */
    unsigned max_in_flight; /* 0: 64 */
    unsigned max_per_host;  /* connections; 0: 5 */
    sonde_egress egress;    /* copied; the environment is not read */
    const char *user_agent;
    uint64_t reset_interval_ns; /* closes idle connections this often; 0: never */
} http_curl_options;

typedef struct http_curl_answer {
    sonde_status status; /* OK: an HTTP answer came; CONNECT, TIMEOUT, REFUSED (TLS), EOF, CLOSED */
    unsigned http_status; /* of an answer whose head came whole, also when then it failed; else 0 */
    sonde_str body;       /* valid during done() */
    bool body_cut;        /* it was longer */
    const char *error; /* text of libcurl for a failure, without secrets; NULL when status is OK */
    uint64_t elapsed_ns;
    void *transfer; /* private */
} http_curl_answer;

/* A header of the answer, during done(); empty: not there. */
sonde_str http_curl_answer_header(const http_curl_answer *answer, const char *name);

typedef struct http_curl_request {
    const char *method;         /* "POST", "GET" */
    const char *url;            /* http://, https://, or unix:///path/of.sock:/request/path */
    const char *const *headers; /* "Name: value", copied; NULL-terminated */
    sonde_str body;             /* borrowed until done() */
    unsigned timeout_ms;     /* whole transfer; 0: 10 000.  An answer that is there is read first */
    size_t max_answer_bytes; /* 0: 64 KiB */
    /* Not NULL: takes the body piece by piece, on the client's thread, and `answer.body` stays empty; false gives the
     * request up (SONDE_ERR_TOO_BIG).  For http_curl_send() only. */
    bool (*take)(void *user, sonde_str part);
    void (*done)(void *user, const http_curl_answer *answer);
    void *user;
} http_curl_request;

SONDE_MUST_USE sonde_status http_curl_open(const http_curl_options *options, http_curl **out_client,
                                           sonde_error *out_error);

/* Waits until the deadline for transfers in flight, aborts the rest (done() with SONDE_ERR_CLOSED). */
void http_curl_close(http_curl *c, uint64_t deadline_mono_ns);

SONDE_MUST_USE sonde_status http_curl_send(http_curl *c, const http_curl_request *request);

/* Sends and waits: for command line tools and tests; done and user are not used.  Returns out->status,
 * or why the request was not sent.  The body, or the text of a failure, is appended to `out_body` if
 * given; out->body and out->error point into it. */
SONDE_MUST_USE sonde_status http_curl_call(http_curl *c, const http_curl_request *request,
                                           http_curl_answer *out, sonde_buf *out_body);

#endif /* SONDE_NET_CURL_HTTP_CURL_H */
