/* health_metrics.h - what the tracer counts about itself, told to the agent.
 *
 * Threads   none: the flusher's.
 * Source    docs/spec/own-metrics.md, "Health metrics" */
#ifndef SONDE_LIBTRACE_HEALTH_METRICS_H
#define SONDE_LIBTRACE_HEALTH_METRICS_H

#include <stdint.h>

#include "sonde/counters.h"
#include "sonde/statsd.h"

/* Sends what was counted between two readings. */
void sonde__health_report(sonde_statsd *s, const sonde_counters *before, const sonde_counters *now);

#endif /* SONDE_LIBTRACE_HEALTH_METRICS_H */
