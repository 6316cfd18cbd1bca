/* agent/forwarder/outcome.h - what an answer means for a body: sent, again, or never.
 *
 * Threads   pure.
 * Source    docs/spec/writers.md, "Sending".
 */
#ifndef SONDE_AGENT_FORWARDER_OUTCOME_H
#define SONDE_AGENT_FORWARDER_OUTCOME_H

#include "sonde/status.h"

typedef enum outcome {
    OUTCOME_SENT,
    OUTCOME_RETRY,   /* the peer or the way to it: later it may work */
    OUTCOME_REFUSED, /* this body will never be taken */
} outcome;

/* `status` of the transfer; `http_status` counts when that is SONDE_OK. */
outcome outcome_of(sonde_status status, unsigned http_status);

#endif /* SONDE_AGENT_FORWARDER_OUTCOME_H */
