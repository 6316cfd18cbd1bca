/* net/egress.h - the way out: proxies, hosts that need none, what TLS must be.
 *
 * Two rules for `no_proxy`, a list separated by commas or spaces:
 *   exact      an item is host or host:port, and nothing else (Datadog's default)
 *   nonexact   "*" all; host also means what is below it; .host and *.host only that; an address, or a
 *              range 10.0.0.0/8; each may end in :port
 * Loopback never goes through a proxy: the intake in this process is there.
 *
 * Threads   pure. */
#ifndef SONDE_NET_EGRESS_H
#define SONDE_NET_EGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

typedef enum sonde_tls_version {
    SONDE_TLS_DEFAULT, /* 1.2 */
    SONDE_TLS_1_0,
    SONDE_TLS_1_1,
    SONDE_TLS_1_2,
    SONDE_TLS_1_3,
} sonde_tls_version;

typedef struct sonde_egress {
    sonde_str proxy_http; /* empty: none.  May hold a password: never shown */
    sonde_str proxy_https;
    sonde_str no_proxy;
    sonde_str ca_file; /* certificates that are trusted; empty: the system's */
    int32_t min_tls;   /* sonde_tls_version */
    bool no_proxy_nonexact;
    bool skip_tls_verify;
} sonde_egress;

/* The proxy for an http:// or https:// address; empty: none. */
sonde_str sonde_egress_proxy(const sonde_egress *e, const char *url);

/* "tlsv1.2", any case. */
sonde_status sonde_tls_version_parse(sonde_str text, sonde_tls_version *out);

#endif /* SONDE_NET_EGRESS_H */
