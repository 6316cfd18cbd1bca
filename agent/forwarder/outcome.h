/* agent/forwarder/outcome.h - what an answer means for a body: sent, again, or never.
 *
 * Threads   pure.
 * Source    docs/spec/writers.md, "Sending".
 */
#ifndef SONDE_AGENT_FORWARDER_OUTCOME_H
#define SONDE_AGENT_FORWARDER_OUTCOME_H

#include <stdint.h>

#include "sonde/status.h"

typedef enum outcome {
    OUTCOME_SENT,
    OUTCOME_RETRY,   /* the peer or the way to it: later it may work */
    OUTCOME_REFUSED, /* this body will never be taken */
} outcome;

/* Why an attempt did not succeed, for the counters. */
/* clang-format off */
#define FAILURE_MAP(X)                                                         \
    X(CONNECT, "connect") /* no name, no route, nobody there */                \
    X(TIMEOUT, "timeout")                                                      \
    X(TLS,     "tls")     /* a certificate that is expired, not trusted, ... */\
    X(CUT_OFF, "cut_off") /* the answer ended in the middle */                 \
    X(OTHER,   "other")                                                        \
    X(KEY,     "key")     /* 401, 403 */                                       \
    X(BUSY,    "busy")    /* 408, 429 */                                       \
    X(SERVER,  "server")  /* 5xx */                                            \
    X(REFUSED, "refused") /* any other status */
/* clang-format on */

typedef enum failure {
#define X(name, text) FAILURE_##name,
    FAILURE_MAP(X)
#undef X
        FAILURES
} failure;

extern const char *const failure_names[FAILURES];

failure failure_of(sonde_status status, unsigned http_status); /* of what is not OUTCOME_SENT */

/* `status` of the transfer; `http_status` of an answer whose head came whole, else 0.  Such an answer counts even
 * when its body was cut off: sending again what the intake has taken would double it. */
outcome outcome_of(sonde_status status, unsigned http_status);

#endif /* SONDE_AGENT_FORWARDER_OUTCOME_H */
