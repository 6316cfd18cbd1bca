/* net/socket.h - listening and connecting on TCP and Unix sockets.
 *
 * Every descriptor is close-on-exec and non-blocking.  Threads: all. */
#ifndef SONDE_NET_SOCKET_H
#define SONDE_NET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/url.h"
#include "sonde/status.h"

/* Connects, waiting at most until the deadline.  SONDE_ERR_CONNECT (errno left), SONDE_ERR_TIMEOUT. */
SONDE_MUST_USE sonde_status sonde_connect(const sonde_url *url, uint64_t deadline_mono_ns,
                                          int *out_fd);

/* Whether connecting looks no name up. */
bool sonde_is_literal(const sonde_url *url);

/* Puts an address in the place of the host's name, the first there is; nothing to do for a literal one.  Takes as long as it
 * takes.  SONDE_ERR_CONNECT: not known. */
SONDE_MUST_USE sonde_status sonde_resolve(sonde_url *url);

/* host: an address or "localhost"; port 0 picks one, read it back with sonde_local_port(). */
SONDE_MUST_USE sonde_status sonde_listen_tcp(const char *host, uint16_t port, int *out_fd,
                                             sonde_error *out_error);

/* A descriptor that was inherited: made ready for use (not blocking, closed on exec) when it is a
 * listening stream socket of that kind, else SONDE_ERR_INVALID and untouched. */
SONDE_MUST_USE sonde_status sonde_inherit_listener(int fd, bool is_unix, sonde_error *out_error);

/* The same for a connected TCP socket. */
SONDE_MUST_USE sonde_status sonde_inherit_connection(int fd, sonde_error *out_error);

/* Replaces a stale socket at `path`; anything else there is an error.  Then chmod(mode). */
SONDE_MUST_USE sonde_status sonde_listen_unix(const char *path, mode_t mode, int *out_fd,
                                              sonde_error *out_error);

/* The same with SOCK_SEQPACKET: connections that keep packets apart. */
SONDE_MUST_USE sonde_status sonde_listen_packets(const char *path, mode_t mode, int *out_fd,
                                                 sonde_error *out_error);

uint16_t sonde_local_port(int fd);   /* 0 when it has none */
pid_t sonde_peer_pid(int fd);        /* SO_PEERCRED; 0 when unknown */
bool sonde_peer_is_loopback(int fd); /* of a TCP connection: 127.0.0.0/8 or ::1 */

#endif /* SONDE_NET_SOCKET_H */
