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
#include "base/mutex.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "bucket.h"
#include "flush_counters.h"

typedef struct export_random {
    double (*unit)(void *user); /* [0, 1) */
    void *user;
} export_random;

typedef struct export_options {
    export_random random; /* .unit NULL: every number is whole */
    uint64_t bucket_ns;   /* width they are said to have; 0: STATS_BUCKET_NS */
    bool client_computed;
} export_options;

/* Exports the buckets and frees them; what became of them is counted in `n`, which `mu` guards. */
void export_and_free(bucket *const *buckets, size_t len, const export_options *how, stats_sink sink,
                     sonde_mutex *mu, flush_counters *n);
void export_write_counters(const flush_counters *n, sonde_json_writer *w); /* keys of an object */

#endif /* SONDE_AGENT_STATS_EXPORT_H */
