/* agent/sampler/decisions.h - how often which sampler decided for which service, and how.
 *
 * Threads   none: sampler.c guards it.
 * Bounds    DECISIONS_MAX sets of tags, then services and environments are not told apart any more; a text is cut at
 *           DECISION_TEXT_MAX bytes.
 * Source    docs/spec/agent-metrics.md
 */
#ifndef SONDE_AGENT_SAMPLER_DECISIONS_H
#define SONDE_AGENT_SAMPLER_DECISIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/payload/decision.h"
#include "base/str.h"

#define DECISIONS_MAX     512
#define DECISION_TEXT_MAX 100

typedef enum decider {
    DECIDER_PRIORITY,
    DECIDER_NO_PRIORITY,
    DECIDER_ERROR,
    DECIDER_RARE,
    DECIDER_PROBABILISTIC,
    DECIDERS
} decider;

#define DECISION_PRIORITIES 5    /* manual_drop, auto_drop, auto_keep, manual_keep, none */
#define DECISION_SLOTS      2048 /* power of two, above twice all there can be */

typedef struct decision decision;

typedef struct decisions {
    decision *slots[DECISION_SLOTS]; /* owned */
    size_t len;
    size_t lost; /* no memory for a set of tags */
} decisions;

void decisions_done(decisions *d);
void decisions_count(decisions *d, decider who, int32_t priority, sonde_str service, sonde_str env,
                     bool kept);
void decisions_each(decisions *d, void (*tell)(void *user, decision_count *one), void *user);

#endif /* SONDE_AGENT_SAMPLER_DECISIONS_H */
