/* payload.h - the payload under construction, in the form that was configured and the agent takes.
 *
 * Threads   one: the flusher.
 * Bounds    max_bytes for everything together, a third of it for statistics; a chunk that does not fit leaves the payload as it was.
 * Source    docs/spec/agent-http.md, "Forms" */
#ifndef SONDE_LIBTRACE_PAYLOAD_H
#define SONDE_LIBTRACE_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "encode_v04.h"
#include "encode_v05.h"
#include "encode_v1.h"
#include "stats.h"

typedef struct sonde__payload {
    sonde__encoder v04;  /* counts chunks and spans; in the other forms also the first step */
    sonde__v05 v05;      /* open only where v0.5 is configured */
    sonde__v1 v1;        /* open only where v1 is configured */
    uint32_t wanted;     /* SONDE__API_... */
    sonde__stats *stats; /* NULL: not wanted */
    bool stats_asked_for;
    bool events_told; /* the next, whatever the agent says */
    bool native_events;
    uint32_t form;       /* of the payload under construction, as is_counted */
    bool is_counted;     /* its chunks are in our statistics, and unsampled ones are left out */
    uint64_t counted_id; /* first span of the last chunk counted */
    uint64_t p0_traces;  /* left out since the agent was told */
    uint64_t p0_spans;
    size_t soft_bytes;
} sonde__payload;

SONDE_MUST_USE sonde_status sonde__payload_open(sonde__payload *p, const sonde__config *config,
                                                const char *runtime_id, size_t max_bytes);
void sonde__payload_close(sonde__payload *p);

/* Begins an empty payload. */
void sonde__payload_reset(sonde__payload *p);

/* Counts a chunk in the statistics and appends what is to be sent of it, if anything (encode_v04.h says
 * how it fails; then it may be given once more). */
SONDE_MUST_USE sonde_status sonde__payload_add(sonde__payload *p, sonde__span *chunk);

bool sonde__payload_is_full(const sonde__payload *p); /* time to send it */

size_t sonde__payload_len(const sonde__payload *p); /* bytes so far */

/* Completes it.  What follows is sonde__payload_reset(). */
sonde_str sonde__payload_body(sonde__payload *p);
const char *sonde__payload_path(const sonde__payload *p); /* "/v0.4/traces" */

/* The agent says that it does not have that path: v1 is not tried again in this process. */
void sonde__payload_not_served(const sonde__payload *p);

size_t sonde__payload_bytes(const sonde__payload *p); /* memory held */

#endif /* SONDE_LIBTRACE_PAYLOAD_H */
