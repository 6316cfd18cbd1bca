/* agent/stats/client_aggregator.h - statistics that tracers made themselves, added up before they go on.
 *
 * Each bucket of a tracer goes whole into the two-second bucket of its start, group by group under the same key
 * the concentrator has; numbers are added, sketches merged.  These buckets start at odd seconds, the
 * concentrator's at even tens, so that the two never write the same point.  A bucket is handed out 18 to 20 s
 * after it began.
 *
 * Threads   client_aggregator_add() from all processor threads, client_aggregator_flush() from the timer
 *           thread.  One mutex (rank SONDE_RANK_ROOM), held for one payload; encoding happens outside it.
 * Bounds    limits.h.
 * Counters  groups_in = groups_counted + groups_lost (no memory); the same for hits, but for the wrap at 2^64.
 * Source    docs/spec/stats-concentrator.md, "Statistics of tracers"
 */
#ifndef SONDE_AGENT_STATS_CLIENT_AGGREGATOR_H
#define SONDE_AGENT_STATS_CLIENT_AGGREGATOR_H

#include <stddef.h>
#include <stdint.h>

#include "agent/payload/stats.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "flush_counters.h"

#define CLIENT_BUCKET_NS    2000000000  /* width of a bucket */
#define CLIENT_HOLD_BACK_NS 20000000000 /* how late a bucket is handed out, at most */

typedef struct client_aggregator client_aggregator;

typedef struct client_aggregator_counters {
    uint64_t payloads_in;
    uint64_t groups_in;
    uint64_t groups_counted;
    uint64_t groups_lost; /* no memory for them */
    uint64_t hits_in;
    uint64_t hits_counted;
    /* no sketch, or no memory: the group is counted without its latencies */
    uint64_t sketches_lost;
    uint64_t groups_collapsed; /* counted under "other" or another payload key */
    uint64_t buckets_late;     /* of tracers: counted in the oldest open bucket */
    uint64_t buckets_ahead;    /* from the future: counted in the bucket of now */
    flush_counters flushed;
} client_aggregator_counters;

/* `max_bytes` 0: STATS_CLIENT_MAX_BYTES. */
SONDE_MUST_USE sonde_status client_aggregator_open(stats_sink sink, size_t max_bytes,
                                                   int64_t now_unix_ns,
                                                   client_aggregator **out_aggregator);
void client_aggregator_close(client_aggregator *a); /* NULL does nothing; open buckets are lost */

/* Adds all groups.  Sorts the tags of each in place. */
void client_aggregator_add(client_aggregator *a, client_stats *s, int64_t now_unix_ns);

typedef enum client_flush_what { CLIENT_FLUSH_READY, CLIENT_FLUSH_ALL } client_flush_what;

void client_aggregator_flush(client_aggregator *a, int64_t now_unix_ns, client_flush_what what);

void client_aggregator_read_counters(client_aggregator *a, client_aggregator_counters *out);
void client_aggregator_write_json(void *client_aggregator,
                                  sonde_json_writer *w); /* an info_source row */

#endif /* SONDE_AGENT_STATS_CLIENT_AGGREGATOR_H */
