/* agent/stats/export.h - finished buckets as a stats_payload.
 *
 * Threads   none: the buckets belong to the caller.
 */
#ifndef SONDE_AGENT_STATS_EXPORT_H
#define SONDE_AGENT_STATS_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/stats.h"
#include "sonde/status.h"

#include "bucket.h"

typedef struct export_random {
    double (*unit)(void *user); /* [0, 1) */
    void *user;
} export_random;

typedef struct export_options {
    export_random random; /* .unit NULL: every number is whole */
    uint64_t bucket_ns;   /* width they are said to have; 0: STATS_BUCKET_NS */
    bool client_computed;
} export_options;

/* Gathers the buckets by owner, encodes the sketches and pushes one stats_payload.  *out_groups is the
 * number of groups in it.  SONDE_ERR_NOMEM, or what the sink said. */
SONDE_MUST_USE sonde_status export_buckets(bucket *const *buckets, size_t len,
                                           const export_options *how, stats_sink sink,
                                           uint64_t *out_groups);

#endif /* SONDE_AGENT_STATS_EXPORT_H */
