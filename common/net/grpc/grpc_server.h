/* net/grpc/grpc_server.h - a server of unary gRPC methods; the door in front of libnghttp2.
 *
 * HTTP/2 in clear text with prior knowledge, as gRPC clients speak it to a port without TLS.  A message
 * is collected whole within three ceilings, of one message, of all messages arriving and of time; then
 * the method's handler runs and its answer goes out with the trailers.  What cannot be taken is
 * answered with a gRPC status at once, the rest of its data passed over.
 *
 * Threads   one of its own, which reads, runs the handlers and writes; they may block briefly only.
 * Bounds    max_connections (accepting pauses), GRPC_STREAMS_MAX open calls of a connection (refused
 *           by RST_STREAM), max_message_bytes (RESOURCE_EXHAUSTED), budget_bytes (UNAVAILABLE), heads
 *           of GRPC_HEAD_MAX_BYTES, read and idle time-outs.
 * Counters  grpc_server_counters: calls = handled + lost(status) + unknown + not_grpc + open.
 */
#ifndef SONDE_NET_GRPC_GRPC_SERVER_H
#define SONDE_NET_GRPC_GRPC_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define GRPC_STREAMS_MAX    100u
#define GRPC_HEAD_MAX_BYTES 16384u
#define GRPC_HEADER_MAX_LEN 63u /* of the one value handlers see */

/* The codes used here; the others are never sent. */
typedef enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_UNAVAILABLE = 14,
} grpc_status;

typedef struct grpc_call {
    uint8_t *message; /* sonde_free(); a handler that keeps it sets NULL */
    size_t len;
    bool is_gzip;     /* the message is packed */
    sonde_str header; /* the value of options.header; empty: absent */
} grpc_call;

typedef struct grpc_answer {
    grpc_status status;  /* GRPC_OK by default */
    const char *message; /* with another status: static, printable ASCII without '%' */
    sonde_buf body;      /* with GRPC_OK: the message, empty by default; freed by the server */
} grpc_answer;

typedef struct grpc_method {
    const char *path; /* "/package.Service/Method" */
    void (*handle)(void *user, grpc_call *call, grpc_answer *answer);
    /* Told of a call whose message never came whole: SONDE_ERR_TOO_BIG, FULL (budget or memory),
     * SYNTAX (no or several messages), TIMEOUT, EOF (the client left), INVALID (encoding). */
    void (*lost)(void *user, sonde_status why);
    void *user;
} grpc_method;

typedef struct grpc_server_options {
    const char *name;           /* of the thread, at most 15 bytes */
    const grpc_method *methods; /* borrowed */
    size_t methods_len;
    const char *header;       /* lower case; a request header handlers want to see; NULL: none */
    unsigned max_connections; /* 0: 64 */
    size_t max_message_bytes; /* 0: 4 MiB */
    size_t budget_bytes;      /* 0: 16 MiB */
    uint64_t read_timeout_ns; /* of a message; 0: 5 s */
    uint64_t idle_timeout_ns; /* of a connection; 0: 10 minutes */
    bool is_shared;           /* somebody else has the listening socket too, and will go on */
} grpc_server_options;

typedef struct grpc_server_counters {
    _Atomic uint64_t connections;        /* accepted */
    _Atomic uint64_t connections_failed; /* HTTP/2 errors, time-outs */
    _Atomic uint64_t calls;
    _Atomic uint64_t handled;
    _Atomic uint64_t lost_too_big;
    _Atomic uint64_t lost_full;
    _Atomic uint64_t lost_malformed; /* also an unknown encoding */
    _Atomic uint64_t lost_timeout;
    _Atomic uint64_t lost_aborted;
    _Atomic uint64_t unknown;           /* no such method */
    _Atomic uint64_t not_grpc;          /* another media type or HTTP method */
    _Atomic uint64_t refused_streams;   /* beyond GRPC_STREAMS_MAX; no calls */
    _Atomic uint64_t budget_used_bytes; /* gauge */
    _Atomic uint64_t open_connections;  /* gauge */
    _Atomic uint64_t open_calls;        /* gauge */
} grpc_server_counters;

typedef struct grpc_server grpc_server;

/* Takes the listening socket over, also when it fails. */
SONDE_MUST_USE sonde_status grpc_server_open(const grpc_server_options *options, int listen_fd,
                                             grpc_server **out_server, sonde_error *out_error);

/* Stops accepting, says GOAWAY, and lets calls end until the deadline, those included that were under way
 * before the client could know: GOAWAY names the last call only when the client has answered a PING that was
 * sent behind the first notice.  Then ends the connections; counters can still be read.  NULL is fine. */
void grpc_server_drain(grpc_server *s, uint64_t deadline_mono_ns);

void grpc_server_close(grpc_server *s,
                       uint64_t deadline_mono_ns); /* the same, and frees; NULL is fine */
const grpc_server_counters *grpc_server_read_counters(const grpc_server *s);

#endif /* SONDE_NET_GRPC_GRPC_SERVER_H */
