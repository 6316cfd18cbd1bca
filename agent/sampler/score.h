/* agent/sampler/score.h - keeps so many traces a second, the rare kinds first: a rate core keyed by the
 * signature of the whole trace.
 *
 * Two of them run: for traces whose tracer gave no priority, and for traces with an error that nothing else
 * kept.
 *
 * Threads   none: sampler.c guards it.
 * Bounds    SCORE_KINDS_MAX kinds of traces have a rate of their own; while there are more, only those known when
 *           the limit was reached keep theirs and the others share so many.
 * Source    docs/spec/sampling.md, "Score".
 */
#ifndef SONDE_AGENT_SAMPLER_SCORE_H
#define SONDE_AGENT_SAMPLER_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "rate_core.h"

#define SCORE_KINDS_MAX 100

typedef struct score_sampler {
    rate_core core;
    bool narrowed; /* `known` counts */
    uint32_t known_len;
    uint32_t known[SCORE_KINDS_MAX * 2]; /* sorted */
} score_sampler;

void score_init(score_sampler *s, double target_per_s, double extra_rate);
void score_done(score_sampler *s);

/* Counts a trace of that kind and decides by its id.  `client_rate`: the root's _sample_rate.  *out_rate is
 * what its kind is kept at.  A target of 0 keeps nothing and counts nothing. */
bool score_keeps(score_sampler *s, uint32_t signature, uint64_t trace_id, double weight,
                 double client_rate, int64_t now_unix_s, double *out_rate);

#endif /* SONDE_AGENT_SAMPLER_SCORE_H */
