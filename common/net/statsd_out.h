/* net/statsd_out.h - lines to DogStatsD in as few datagrams as they fit.
 *
 * Threads   none: belongs to its owner.
 * Bounds    STATSD_OUT_UDP_BYTES or STATSD_OUT_UNIX_BYTES a datagram; a longer line goes alone, up to the latter.
 * Failure   what cannot be sent is counted; nobody waits.
 */
#ifndef SONDE_NET_STATSD_OUT_H
#define SONDE_NET_STATSD_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define STATSD_OUT_UDP_BYTES  1432
#define STATSD_OUT_UNIX_BYTES 8192

typedef struct statsd_out {
    int fd; /* -1: no address, or not reachable yet */
    bool set;
    sonde_str socket; /* borrowed; empty: UDP to `port` on the loopback */
    uint16_t port;
    char text[STATSD_OUT_UNIX_BYTES];
    size_t len;
    size_t max;
    uint64_t sent; /* datagrams */
    uint64_t lost; /* datagrams that were not taken, and lines that are too long */
} statsd_out;

void statsd_out_init(statsd_out *s, sonde_str socket, uint16_t port); /* both empty: no address */
void statsd_out_done(statsd_out *s);
void statsd_out_line(void *statsd_out, sonde_str line); /* with its line feed, but for the last */
void statsd_out_flush(statsd_out *s);

#endif /* SONDE_NET_STATSD_OUT_H */
