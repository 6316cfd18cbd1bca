/* agent/sampler/priority.h - honours the tracer's decision and steers it with rates per service.
 *
 * Kept are priorities 1 and 2.  Traces the tracer decided on its own (0 and 1) are counted, the rates
 * that would keep `target_per_s` of them are published every 5 s and travel back to the tracers in the
 * receiver's answers.
 *
 * Threads   none: sampler.c guards it.
 * Source    docs/spec/sampling.md, "Priority".
 */
#ifndef SONDE_AGENT_SAMPLER_PRIORITY_H
#define SONDE_AGENT_SAMPLER_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"

#include "catalog.h"
#include "rate_core.h"

typedef struct priority_sampler {
    rate_core core;
    catalog services;
} priority_sampler;

/* What one trace counts for, and whose it is. */
typedef struct trace_facts {
    sonde_str service; /* of the root */
    sonde_str env;
    int64_t now_unix_s;
    double weight;      /* traces the tracer's own sampling stands for */
    double p0_dropped;  /* and those it dropped by our rates */
    double client_rate; /* root's _sample_rate, 1.0 when absent */
} trace_facts;

void priority_init(priority_sampler *s, double target_per_s, double extra_rate,
                   size_t max_services);
void priority_done(priority_sampler *s);

/* True: keep.  *out_turned is set when the rates changed and are to be published.  *out_rate is the
 * service's rate, written for traces that were counted. */
bool priority_sample(priority_sampler *s, const trace_facts *t, int32_t priority, bool *out_turned,
                     double *out_rate);

#endif /* SONDE_AGENT_SAMPLER_PRIORITY_H */
