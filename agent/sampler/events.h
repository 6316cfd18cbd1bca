/* agent/sampler/events.h - APM events: single spans picked for analytics by a rate, at most so many a second.
 *
 * An older product that tracers and configurations still ask for.  A span's rate is its metric
 * _dd1.sr.eausr, else that of its service and operation (`analyzed_spans`), else, when that map is empty,
 * of its service (`analyzed_rate_by_service`, top-level spans).
 *
 * Threads   none: sampler.c guards it.  Bounds: EVENT_RATES_MAX rates of each map.
 * Source    docs/spec/sampling.md, "APM events".
 */
#ifndef SONDE_AGENT_SAMPLER_EVENTS_H
#define SONDE_AGENT_SAMPLER_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/payload.h"

#define EVENT_RATES_MAX 256

typedef struct event_rate {
    sonde_str service;   /* borrowed; compared without case */
    sonde_str operation; /* empty: of `by_service` */
    double rate;
} event_rate;

typedef struct event_options {
    double max_per_s;
    const event_rate *by_operation; /* borrowed */
    size_t by_operation_len;
    const event_rate *by_service; /* borrowed */
    size_t by_service_len;
} event_options;

typedef struct event_sampler {
    event_options options;
    double score; /* decaying count of events */
    int64_t decayed_s;
    uint64_t extracted; /* passed their rate */
    uint64_t kept;      /* and the limit */
    uint64_t unmarked;  /* marks the payload's arena had no room for */
} event_sampler;

void events_init(event_sampler *e, const event_options *options);

/* Picks spans of the chunk, marks them, and sets bit i of `picked` (spans_len bits, zeroed by the caller; may be
 * NULL).  Returns how many. */
uint32_t events_pick(event_sampler *e, payload_chunk *c, sonde_arena *arena, int64_t now_unix_s,
                     uint8_t *picked);

/* Events a second, as the limit counts them. */
double events_per_s(const event_sampler *e, int64_t now_unix_s);

/* Whether any span of the chunk could be one: the cheap look before. */
bool events_possible(const event_sampler *e, const payload_chunk *c);

#endif /* SONDE_AGENT_SAMPLER_EVENTS_H */
