/* client_ip.h - the address of whoever sent a request, from what proxies say about it.
 *
 * Threads   pure.
 * Bounds    an address is at most SONDE__IP_MAX_BYTES long as text.
 * Source    docs/spec/http-spans.md, "Client address" */
#ifndef SONDE_LIBTRACE_CLIENT_IP_H
#define SONDE_LIBTRACE_CLIENT_IP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define SONDE__IP_MAX_BYTES 45

/* What was found so far.  Zero-initialise. */
typedef struct sonde__client_ip {
    sonde_str ip; /* the first address, or the first global one; into the headers */
    bool is_global;
} sonde__client_ip;

extern const char *const sonde__client_ip_headers[]; /* in their order, NULL at the end */

/* Looks through one header's value.  The header `forwarded` has a form of its own. */
void sonde__client_ip_look(sonde__client_ip *c, bool is_forwarded, sonde_str value);

/* Of what the headers said and the socket's peer. */
sonde_str sonde__client_ip_choose(const sonde__client_ip *c, sonde_str peer);

#endif /* SONDE_LIBTRACE_CLIENT_IP_H */
