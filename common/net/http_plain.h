/* net/http_plain.h - HTTP/1.1 client over TCP and Unix sockets, libc only, for host processes.
 *
 * One connection, kept alive and reopened when needed; one request at a time.  Never raises SIGPIPE.
 * When a reused connection turns out closed before any byte of the answer came, the request is sent
 * once more on a new one.
 *
 * Threads   none: one thread owns the client.
 * Bounds    answer head 16 KiB, answer body max_body_bytes; beyond them SONDE_ERR_TOO_BIG and the
 *           connection is closed.  Chunked answers are understood.
 * Failure   SONDE_ERR_CONNECT, SONDE_ERR_TIMEOUT, SONDE_ERR_EOF (closed mid-answer), SONDE_ERR_SYNTAX,
 *           SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM, SONDE_ERR_SYS; SONDE_ERR_INVALID for text that would
 *           end a line of the head, and for https.  An HTTP error status is no failure: read out->status.
 */
#ifndef SONDE_NET_HTTP_PLAIN_H
#define SONDE_NET_HTTP_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/url.h"
#include "sonde/status.h"

typedef struct sonde_http_header {
    sonde_str name;
    sonde_str value;
} sonde_http_header;

typedef struct sonde_http_plain sonde_http_plain;

typedef struct sonde_http_plain_request {
    const char *method;               /* "POST" */
    const char *path;                 /* "/v0.4/traces"; the URL's path prefix is put before it */
    const sonde_http_header *headers; /* besides Host, Content-Length, Connection */
    size_t headers_len;
    sonde_str body;
    uint64_t deadline_mono_ns;
} sonde_http_plain_request;

typedef struct sonde_http_plain_answer {
    int status;     /* 200 */
    sonde_str head; /* status line and headers, valid until the next request */
    sonde_str body; /* the same */
} sonde_http_plain_answer;

SONDE_MUST_USE sonde_status sonde_http_plain_open(const sonde_url *url, size_t max_body_bytes,
                                                  sonde_http_plain **out_client);

/* A deadline above those of the requests, which may come nearer while one waits for its answer: it is looked
 * at each 25 ms then, and connecting takes a second at most.  NULL: none. */
void sonde_http_plain_end_by(sonde_http_plain *c, const _Atomic uint64_t *latest_mono_ns);

/* Called each 25 ms while a request waits, on the thread that waits; it must not use the client.  Connecting takes a
 * second at most then.  NULL: nothing. */
void sonde_http_plain_meanwhile(sonde_http_plain *c, void (*call)(void *user), void *user);

/* For programs that count or close descriptors they do not know: ours are above 1000 where the limit allows, and there is
 * none between requests. */
void sonde_http_plain_keep_out(sonde_http_plain *c);

/* NULL does nothing.  In a forked child it leaves the parent's connection alone. */
void sonde_http_plain_close(sonde_http_plain *c);

SONDE_MUST_USE sonde_status sonde_http_plain_send(sonde_http_plain *c,
                                                  const sonde_http_plain_request *request,
                                                  sonde_http_plain_answer *out);

/* A header of the answer, case-insensitive, trimmed; empty view when absent. */
sonde_str sonde_http_plain_header(const sonde_http_plain_answer *answer, sonde_str name);

#endif /* SONDE_NET_HTTP_PLAIN_H */
