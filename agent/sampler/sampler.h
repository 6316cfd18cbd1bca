/* agent/sampler/sampler.h - which traces are kept: the door of the room.
 *
 * Threads   sampler_keeps() from all processor threads; one mutex (rank SONDE_RANK_ROOM), held for a
 *           few table look-ups per trace.  The thread whose trace began a new 5 s bucket publishes the
 *           rates after the mutex was released.
 * Bounds    limits.h, score.h, rare.h, events.h.
 * Source    docs/spec/sampling.md
 */
#ifndef SONDE_AGENT_SAMPLER_SAMPLER_H
#define SONDE_AGENT_SAMPLER_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/decision.h"
#include "agent/payload/payload.h"
#include "agent/payload/rates.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "events.h"
#include "rare.h"

typedef struct sampler sampler;

typedef struct probabilistic_options {
    bool enabled;
    double percentage; /* 0 to 100 */
    uint32_t seed;
    bool full_id; /* all 128 bits of a trace id count */
} probabilistic_options;

typedef struct sampler_options {
    double target_per_s;        /* traces kept per second, all services together; 10 */
    double extra_sample_rate;   /* 0: 1.0 */
    double errors_per_s;        /* traces kept for an error; 0: none */
    bool errors_only;           /* error tracking without APM */
    bool ask_after_tracer_drop; /* the tracer's own drops may still be rare or have errors */
    probabilistic_options probabilistic;
    rare_options rare;
    event_options events;
    size_t catalog_max;  /* services whose rates are published; 0: SAMPLER_CATALOG_MAX */
    sonde_str agent_env; /* borrowed for the sampler's life, as all texts in here */
    rates_cell *rates;   /* borrowed; where rates are published, NULL: nowhere */
} sampler_options;

/* What became of a chunk; each has one fate. */
/* clang-format off */
#define SAMPLER_FATE_MAP(X)                                                                    \
    X(KEPT_PRIORITY,         "kept_priority")                                                  \
    X(KEPT_NO_PRIORITY,      "kept_no_priority")                                               \
    X(KEPT_PROBABILISTIC,    "kept_probabilistic")                                             \
    X(KEPT_RARE,             "kept_rare")                                                      \
    X(KEPT_ERRORS,           "kept_errors")                                                    \
    X(REDUCED_TO_SPANS,      "reduced_to_single_spans")   /* kept by the tracer's span rules */ \
    X(REDUCED_TO_EVENTS,     "reduced_to_events")                                              \
    X(MARKED_DROPPED,        "marked_dropped")            /* errors_only: sent, and said so */ \
    X(DROPPED_MANUAL,        "dropped_manual")            /* priority below 0 */               \
    X(DROPPED_PRIORITY,      "dropped_priority")          /* priority 0 */                     \
    X(DROPPED_NO_PRIORITY,   "dropped_no_priority")       /* none given, and above the rate */ \
    X(DROPPED_PROBABILISTIC, "dropped_probabilistic")
/* clang-format on */

typedef enum sampler_fate {
#define X(name, text) SAMPLER_##name,
    SAMPLER_FATE_MAP(X)
#undef X
        SAMPLER_FATES
} sampler_fate;

typedef struct sampler_counters {
    uint64_t seen; /* == sum of fates */
    uint64_t fates[SAMPLER_FATES];
    uint64_t spans_seen;
    uint64_t spans_out; /* of chunks that are sent, whole or reduced */
    uint64_t signatures_collapsed;
    uint64_t catalog_evicted;
    uint64_t rare_misses; /* rare kinds, and no token for them */
    uint64_t rare_shrinks;
    uint64_t rare_services_full;
    uint64_t events_extracted;
    uint64_t events_kept;
    double max_events_per_s, events_per_s; /* the limit, and what comes now */
    uint64_t signatures[3];                /* gauges: of priority, no priority, errors */
    uint64_t unmarked;       /* marks that are missing: the payload's arena was full */
    uint64_t publish_failed; /* no memory for the snapshot: the former rates stay */
} sampler_counters;

SONDE_MUST_USE sonde_status sampler_open(const sampler_options *options, sampler **out_sampler);
void sampler_close(sampler *s); /* NULL does nothing */

/* From now on these count: target_per_s, extra_sample_rate, errors_per_s and events.max_per_s of
 * `options`.  The rates follow with the next 5 s bucket. */
void sampler_set_targets(sampler *s, const sampler_options *options);

/* Decides about one chunk.  True: what the chunk holds now is to be sent, which is all of it, or the spans
 * kept by themselves.  Sets the decision's marks on its spans.  `dropped_p0_share`: how many traces the
 * client dropped itself for each chunk of this payload. */
bool sampler_keeps(sampler *s, payload *p, payload_chunk *c, double dropped_p0_share,
                   int64_t now_unix_ns);

/* Decisions by service, environment and priority (a decisions_walk); `tell` runs under the mutex. */
void sampler_each_decision(void *sampler, void (*tell)(void *user, decision_count *d), void *user);

void sampler_read_counters(sampler *s, sampler_counters *out);
void sampler_write_json(void *sampler, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_SAMPLER_SAMPLER_H */
