/* peer_service.h - the service at the other end of a span: the program's word, or from what else it said.
 *
 * Threads   pure.
 * Source    docs/spec/spans.md, "Peers" */
#ifndef SONDE_LIBTRACE_PEER_SERVICE_H
#define SONDE_LIBTRACE_PEER_SERVICE_H

#include <stdint.h>

#include "config.h"
#include "text.h"

typedef struct sonde__peer {
    sonde__record *value; /* of the span's records; NULL: no peer is known */
    sonde_str source;     /* the tag it stands in; static */
    sonde_str mapped; /* what DD_TRACE_PEER_SERVICE_MAPPING makes of it; "" leaves it as it is */
} sonde__peer;

/* `records` are the tags that count; superseded ones have kind END. */
sonde__peer sonde__peer_find(const sonde__config *config, sonde__record *records, uint32_t len);

#endif /* SONDE_LIBTRACE_PEER_SERVICE_H */
