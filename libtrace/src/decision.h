/* decision.h - the sampling decision of a segment, in one word that threads change atomically.
 *
 *   bits  0..7   priority + 128 (0: undecided)
 *   bits  8..15  mechanism (the number of _dd.p.dm)
 *   bits 16..20  flags
 *   bits 24..63  the rate that was applied, in 10^-12
 *
 * Source: docs/spec/propagation.md, "Decision". */
#ifndef SONDE_LIBTRACE_DECISION_H
#define SONDE_LIBTRACE_DECISION_H

#include <stdbool.h>
#include <stdint.h>

enum sonde__priority {
    SONDE__USER_DROP = -1,
    SONDE__AUTO_DROP = 0,
    SONDE__AUTO_KEEP = 1,
    SONDE__USER_KEEP = 2,
};

enum sonde__mechanism {
    SONDE__BY_DEFAULT = 0, /* no rate known */
    SONDE__BY_AGENT_RATE = 1,
    SONDE__BY_RULE = 3, /* or the rate for all */
    SONDE__BY_HAND = 4,
    SONDE__BY_APPSEC = 5,
    SONDE__BY_SPAN_RULE = 8, /* of a single span */
    SONDE__BY_REMOTE_USER_RULE = 11,
    SONDE__BY_REMOTE_DYNAMIC_RULE = 12,
    SONDE__BY_AI_GUARD = 13,
};

#define SONDE__DECISION_LOCKED    (UINT64_C(1) << 16) /* injected, sent, manual or inherited */
#define SONDE__DECISION_INHERITED (UINT64_C(1) << 17) /* came with the headers */
#define SONDE__DECISION_MANUAL    (UINT64_C(1) << 18)
#define SONDE__DECISION_TAIL      (UINT64_C(1) << 19) /* kept here only, see tail_keep.h */
#define SONDE__DECISION_BEAT      (UINT64_C(1) << 20) /* without a rate, see standalone.h */
#define SONDE__RATE_UNIT          1e12

typedef uint64_t sonde__decision; /* 0: undecided */

static inline sonde__decision sonde__decision_make(int priority, unsigned mechanism, double rate,
                                                   uint64_t flags)
{
    uint64_t scaled = (uint64_t)(rate * SONDE__RATE_UNIT + 0.5);

    return (uint64_t)(uint8_t)(priority + 128) | (uint64_t)mechanism << 8 | flags | scaled << 24;
}

static inline int sonde__decision_priority(sonde__decision d)
{
    return (int)(d & 0xff) - 128;
}

static inline unsigned sonde__decision_mechanism(sonde__decision d)
{
    return (unsigned)(d >> 8) & 0xff;
}

static inline double sonde__decision_rate(sonde__decision d)
{
    return (double)(d >> 24) / SONDE__RATE_UNIT;
}

/* Whether we made it (and so own _dd.p.dm and the rate metrics). */
static inline bool sonde__decision_is_ours(sonde__decision d)
{
    return d != 0 && !(d & (SONDE__DECISION_INHERITED | SONDE__DECISION_TAIL));
}

static inline bool sonde__decision_by_rate(sonde__decision d)
{
    return sonde__decision_is_ours(d) && !(d & (SONDE__DECISION_MANUAL | SONDE__DECISION_BEAT));
}

/* By a rate that was configured, here or remotely, and not by the agent's. */
static inline bool sonde__decision_by_rule(sonde__decision d)
{
    return sonde__decision_by_rate(d) && sonde__decision_mechanism(d) >= SONDE__BY_RULE;
}

#endif /* SONDE_LIBTRACE_DECISION_H */
