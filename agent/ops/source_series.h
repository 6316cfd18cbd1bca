/* agent/ops/source_series.h - the metrics that tell tracers apart, and how long things take.
 *
 * Threads   the reporting calls and sources_turn_minute() by one thread; what of the last minute is read elsewhere
 *           is guarded by the caller.
 * Bounds    agent/payload/source.h; a line of 1400 bytes.
 * Source    docs/spec/agent-metrics.md
 */
#ifndef SONDE_AGENT_OPS_SOURCE_SERIES_H
#define SONDE_AGENT_OPS_SOURCE_SERIES_H

#include <stdbool.h>

#include "agent/payload/decision.h"
#include "agent/payload/source.h"
#include "base/buf.h"

/* Lines of DogStatsD: how much each count grew since the last call; `sources` and `all` NULL: none. */
void sources_to_statsd(const payload_sources *sources, bool everything,
                       void (*line)(void *user, sonde_str text), void *user);
void timings_to_statsd(timings *all, bool everything, void (*line)(void *user, sonde_str text),
                       void *user);

/* The same in the text form of OpenMetrics, since the start. */
void sources_to_openmetrics(const payload_sources *sources, sonde_buf *out);
void timings_to_openmetrics(const timings *all, sonde_buf *out);

/* Told of each decision_count (a decisions_walk): sampler.seen and sampler.kept. */
typedef struct decision_lines {
    void (*line)(void *user, sonde_str text);
    void *user;
} decision_lines;

void decision_to_statsd(void *decision_lines, decision_count *d);
void decisions_to_openmetrics(decisions_walk each, void *user, sonde_buf *out);

/* A minute ended: what grew in it is what source_in_last_minute() tells until the next one has. */
void sources_turn_minute(const payload_sources *sources);
void sources_log_minute(const payload_sources *sources); /* what came in it, one line a source */
bool source_sent_something(const payload_source *s);     /* or lost something */
uint64_t source_in_last_minute(const payload_source *s, source_count what);

#endif /* SONDE_AGENT_OPS_SOURCE_SERIES_H */
