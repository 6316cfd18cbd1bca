/* agent/payload/decision.h - what the samplers decided for one set of tags: from agent/sampler to agent/ops. */
#ifndef SONDE_AGENT_PAYLOAD_DECISION_H
#define SONDE_AGENT_PAYLOAD_DECISION_H

#include <stdint.h>

typedef struct decision_count {
    const char *tags;                      /* "sampler:priority,sampling_priority:auto_keep,..." */
    uint64_t seen, kept;                   /* traces */
    uint64_t reported_seen, reported_kept; /* the reporter's own */
} decision_count;

/* Calls `tell` for each, in no order that means anything; not from several threads at once. */
typedef void (*decisions_walk)(void *sampler, void (*tell)(void *user, decision_count *d),
                               void *user);

#endif /* SONDE_AGENT_PAYLOAD_DECISION_H */
