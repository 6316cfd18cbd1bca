/* agent/sampler/rate_core.h - how often each signature was seen, and the rate that keeps the sum of
 * all kept traces at a target per second.
 *
 * Counts live in buckets of 5 s, six to a ring.  The first trace of a new bucket recomputes every
 * rate: a signature's traffic is its busiest of the six buckets; the target is shared out fairly (who
 * needs less than an equal share leaves the rest to the others); a rate falls at once but rises by at
 * most a fifth per bucket.
 *
 * Threads   none: the owner guards it.
 * Bounds    max_signatures; further ones are counted together under RATE_SIGNATURE_OTHER.
 * Source    docs/spec/sampling.md, "Rates".
 */
#ifndef SONDE_AGENT_SAMPLER_RATE_CORE_H
#define SONDE_AGENT_SAMPLER_RATE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonde/status.h"

#define RATE_BUCKET_S        5
#define RATE_BUCKETS         6
#define RATE_MAX_INCREASE    1.2
#define RATE_SIGNATURE_OTHER 0u

typedef struct rate_signature {
    uint32_t signature;
    bool has_rate; /* false until the bucket it first appeared in is over */
    double rate;
    double seen_per_s; /* traffic at the last update */
    double counts[RATE_BUCKETS];
} rate_signature;

typedef struct rate_core {
    double target_per_s;
    double extra_rate; /* multiplies the rates handed out, but not the default one; 1.0 */
    double lowest_rate;
    double all_counts[RATE_BUCKETS];
    int64_t bucket; /* unix seconds / RATE_BUCKET_S of the newest trace; 0 before the first */
    rate_signature *entries; /* owned */
    size_t entries_len;
    size_t entries_cap;
    size_t max_signatures;
    uint32_t *slots;  /* owned; index + 1 into entries, 0 free */
    size_t slots_len; /* power of two, at least twice entries_cap */
    double *scratch;  /* owned; entries_cap traffic figures, being sorted */
    uint64_t collapsed;
} rate_core;

void rate_core_init(rate_core *c, double target_per_s, double extra_rate, size_t max_signatures);
void rate_core_done(rate_core *c);

/* Counts one trace of `weight` (which may stand for traces its client dropped).  True when a new
 * bucket began and all rates were recomputed: time to publish them. */
bool rate_core_count(rate_core *c, int64_t now_unix_s, uint32_t signature, double weight);

/* The rate of a signature; of an unknown one the default rate. */
double rate_core_rate(const rate_core *c, uint32_t signature);
bool rate_core_find(const rate_core *c, uint32_t signature, double *out_rate); /* false: unknown */

/* For signatures never seen: what is left of the target, but no more than the lowest known rate. */
double rate_core_default_rate(const rate_core *c);

/* Fair share of `target` over the ascending `seen`: what each busier one may have. */
double rate_fair_share(double target, const double *seen, size_t len);

/* The same decision for the same trace id in every process. */
bool rate_keeps(uint64_t trace_id, double rate);

#endif /* SONDE_AGENT_SAMPLER_RATE_CORE_H */
