/* statsd_socket.h - where a DogStatsD server is, and datagrams to it without waiting.
 *
 *                    send
 *   CLOSED ─────────────────────▶ OPEN
 *     ▲  not before the pause is over │
 *     └───────────────────────────────┘
 *          the peer is gone; the agent told another port
 *
 * Over a stream each datagram is a frame: its length as four bytes, the lowest first.  What the kernel
 * took only in part is kept and goes out first next time.
 *
 * Threads   one at a time (statsd_out.h sees to it), but for sonde__statsd_set_agent_port().
 * Source    docs/spec/statsd.md, "Address", "Sockets" */
#ifndef SONDE_LIBTRACE_STATSD_SOCKET_H
#define SONDE_LIBTRACE_STATSD_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "net/url.h"
#include "sonde/status.h"

#define SONDE__STATSD_PORT       8125
#define SONDE__STATSD_UDP_BYTES  1432 /* fits into an Ethernet frame */
#define SONDE__STATSD_UNIX_BYTES 8192 /* what the agent reads at once */

typedef enum sonde__statsd_kind {
    SONDE__STATSD_UDP,
    SONDE__STATSD_UNIX, /* datagrams, or a stream where the socket is one */
    SONDE__STATSD_UNIXGRAM,
    SONDE__STATSD_UNIXSTREAM
} sonde__statsd_kind;

typedef struct sonde__statsd_address {
    int32_t kind;                      /* sonde__statsd_kind */
    uint16_t port;                     /* of UDP */
    bool port_is_told;                 /* by the agent, while it is known; `port` until then */
    char host[SONDE_URL_HOST_MAX + 1]; /* without brackets */
    char path[108];
} sonde__statsd_address;

/* "udp://host:port", "host:port", "host", "unix:///path", "/path", "unixgram://", "unixstream://".
 * SONDE_ERR_SYNTAX leaves `out` as it was. */
SONDE_MUST_USE sonde_status sonde__statsd_address_parse(sonde_str text, sonde__statsd_address *out);

/* "udp://[::1]:8125", "unix:///path"; as sonde__statsd_address_parse() reads it. */
void sonde__statsd_address_print(const sonde__statsd_address *a, char out[300]);

/* From the agent's /info; 0: not known. */
void sonde__statsd_set_agent_port(uint32_t port);

typedef enum sonde__statsd_verdict {
    SONDE__STATSD_SENT,
    SONDE__STATSD_SOCKET_FULL,
    SONDE__STATSD_UNREACHABLE,
    SONDE__STATSD_TOO_BIG
} sonde__statsd_verdict;

typedef struct sonde__statsd_socket {
    sonde__statsd_address to;
    int fd; /* -1: closed */
    bool is_stream;
    uint16_t port;          /* it is connected to */
    uint64_t retry_mono_ns; /* no attempt before */
    uint64_t connects;
    uint8_t *rest; /* of a frame; room for max_bytes and the length */
    size_t rest_at, rest_end;
} sonde__statsd_socket;

/* Connects nothing yet.  SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde__statsd_socket_open(sonde__statsd_socket *s,
                                                      const sonde__statsd_address *to,
                                                      size_t max_bytes);
void sonde__statsd_socket_close(sonde__statsd_socket *s); /* all of it */

/* Closes the descriptor; the next send connects anew, at once. */
void sonde__statsd_socket_reset(sonde__statsd_socket *s);

/* Connects now, looking the host up; failing is fine. */
void sonde__statsd_socket_connect(sonde__statsd_socket *s);

/* deadline   until then it waits for room in the receiver; 0: not at all
 * may_resolve   a host name may be looked up, which waits as long as the resolver does */
sonde__statsd_verdict sonde__statsd_socket_send(sonde__statsd_socket *s, const uint8_t *data,
                                                size_t len, uint64_t deadline_mono_ns,
                                                bool may_resolve);

#endif /* SONDE_LIBTRACE_STATSD_SOCKET_H */
