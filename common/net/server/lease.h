/* net/server/lease.h - accepts a limited number of connections per period; further ones wait unaccepted.
 *
 * Threads   one of its own ("<name>").
 * Bounds    options.connections in each options.period_ns. */
#ifndef SONDE_NET_SERVER_LEASE_H
#define SONDE_NET_SERVER_LEASE_H

#include <stdatomic.h>
#include <stdint.h>

#include "sonde/status.h"

typedef struct lease lease;

typedef struct lease_options {
    const char *name; /* thread name, at most 15 bytes */
    int fd;           /* listening, non-blocking; borrowed */
    unsigned connections;
    uint64_t period_ns;
    void (*accepted)(void *user, int fd); /* takes the descriptor over */
    void *user;
    _Atomic uint64_t *waits; /* periods that ran out of connections while somebody waited */
} lease_options;

SONDE_MUST_USE sonde_status lease_open(const lease_options *options, lease **out_lease);
void lease_close(lease *l); /* NULL is fine */

#endif /* SONDE_NET_SERVER_LEASE_H */
