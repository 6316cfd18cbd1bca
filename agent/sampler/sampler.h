/* agent/sampler/sampler.h - which traces are kept: the door of the room.
 *
 * Threads   sampler_keeps() from all processor threads; one mutex (rank SONDE_RANK_ROOM), held for a
 *           few table look-ups per trace.  The thread whose trace began a new 5 s bucket publishes the
 *           rates after the mutex was released.
 * Bounds    limits.h.
 * Source    docs/spec/sampling.md
 */
#ifndef SONDE_AGENT_SAMPLER_SAMPLER_H
#define SONDE_AGENT_SAMPLER_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "agent/payload/rates.h"
#include "codec/json_write.h"
#include "sonde/status.h"

typedef struct sampler sampler;

typedef struct sampler_options {
    double target_per_s;      /* traces kept per second, all services together; 10 */
    double extra_sample_rate; /* 0: 1.0 */
    sonde_str agent_env;      /* borrowed for the sampler's life */
    rates_cell *rates;        /* borrowed; where rates are published, NULL: nowhere */
} sampler_options;

typedef struct sampler_counters {
    uint64_t seen;
    uint64_t kept;
    uint64_t dropped_manual;      /* priority below 0 */
    uint64_t dropped_priority;    /* priority 0 */
    uint64_t dropped_no_priority; /* none given, and above the rate */
    uint64_t signatures_collapsed;
    uint64_t catalog_evicted;
    uint64_t unmarked;       /* kept without its rate metric: the payload's arena was full */
    uint64_t publish_failed; /* no memory for the snapshot: the former rates stay */
} sampler_counters;

SONDE_MUST_USE sonde_status sampler_open(const sampler_options *options, sampler **out_sampler);
void sampler_close(sampler *s); /* NULL does nothing */

/* Decides about one chunk; may set _sampling_priority_rate_v1 on its root.  `dropped_p0_share`: how
 * many traces the client dropped itself for each chunk of this payload. */
bool sampler_keeps(sampler *s, payload *p, payload_chunk *c, double dropped_p0_share,
                   int64_t now_unix_ns);

void sampler_read_counters(sampler *s, sampler_counters *out);
void sampler_write_json(void *sampler, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_SAMPLER_SAMPLER_H */
