/* conn.h - one HTTP/2 connection without its socket: bytes in, bytes out.
 *
 *   grpc_conn_open ── grpc_conn_feed(bytes received) ──▶ handlers run
 *                  ◀─ grpc_conn_output(bytes to send) ──
 *
 * Threads   none: a connection belongs to the server's thread.
 * Source    RFC 9113; the gRPC protocol over HTTP/2. */
#ifndef SONDE_NET_GRPC_CONN_H
#define SONDE_NET_GRPC_CONN_H

#include "net/grpc/grpc_server.h"

typedef struct grpc_conn grpc_conn;

/* What connections share; outlives them. */
typedef struct grpc_core {
    grpc_server_options options; /* defaults filled in */
    grpc_server_counters counters;
} grpc_core;

void grpc_core_init(grpc_core *core, const grpc_server_options *options);

SONDE_MUST_USE sonde_status grpc_conn_open(grpc_core *core, uint64_t now_ns, grpc_conn **out_conn);
void grpc_conn_close(grpc_conn *c); /* open calls are lost (aborted) */

/* SONDE_ERR_SYNTAX: no HTTP/2 any more, or the peer broke its rules; SONDE_ERR_NOMEM.  Close it then. */
SONDE_MUST_USE sonde_status grpc_conn_feed(grpc_conn *c, sonde_str bytes, uint64_t now_ns);

/* What is to be sent, valid until the next call; grpc_conn_sent() says how much of it was. */
SONDE_MUST_USE sonde_status grpc_conn_output(grpc_conn *c, sonde_str *out);
void grpc_conn_sent(grpc_conn *c, size_t bytes, uint64_t now_ns);

/* Ends calls that take too long.  False: the connection itself is over (nothing ever came, nobody reads
 * what is sent, idle for too long). */
bool grpc_conn_tick(grpc_conn *c, uint64_t now_ns);

/* The client is to make no new calls.  Those it made before it knew are served: a notice (GOAWAY without
 * a last call) and a PING go out; when the PING comes back, or GRPC_NOTICE_NS later, GOAWAY names the last
 * call, and what comes behind that one is not looked at. */
#define GRPC_NOTICE_NS (UINT64_C(500) * 1000000)
void grpc_conn_goaway(grpc_conn *c, uint64_t now_ns);
bool grpc_conn_is_over(const grpc_conn *c); /* both sides said all */

#endif /* SONDE_NET_GRPC_CONN_H */
