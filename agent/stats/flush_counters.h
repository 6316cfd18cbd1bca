/* agent/stats/flush_counters.h - what became of finished buckets: of concentrator.h and client_aggregator.h. */
#ifndef SONDE_AGENT_STATS_FLUSH_COUNTERS_H
#define SONDE_AGENT_STATS_FLUSH_COUNTERS_H

#include <stdint.h>

typedef struct flush_counters {
    uint64_t groups_out;
    uint64_t buckets_out;
    uint64_t flush_failed; /* buckets the sink did not take, or no memory to encode them */
    uint64_t open_buckets; /* gauges */
    uint64_t held_bytes;
} flush_counters;

#endif /* SONDE_AGENT_STATS_FLUSH_COUNTERS_H */
