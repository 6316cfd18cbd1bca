/* agent/stats/concentrator.h - exact statistics on every span, before sampling.
 *
 * Each span that is top-level, measured or of kind server, client, producer or consumer is counted in
 * the ten-second bucket of its *end* under its exact key, whether or not its trace is kept.  A bucket
 * is handed out once, 20 s after it began, so that late spans still find it.
 *
 * Threads   concentrator_add() from all processor threads, concentrator_flush() from the timer thread.
 *           One mutex (rank SONDE_RANK_ROOM), held for one payload; sketches are encoded outside it.
 * Bounds    limits.h.
 * Counters  spans_in = spans_counted + spans_not_eligible + spans_lost (no memory); collapsed and moved
 *           ones are counted too.
 * Source    docs/spec/stats-concentrator.md
 */
#ifndef SONDE_AGENT_STATS_CONCENTRATOR_H
#define SONDE_AGENT_STATS_CONCENTRATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "agent/payload/stats.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "flush_counters.h"

#define STATS_BUCKET_NS         10000000000 /* width of a bucket, unless told otherwise */
#define STATS_HOLD_BACK_BUCKETS 2           /* how many buckets old one is when it is handed out */

typedef struct concentrator concentrator;

typedef struct concentrator_options {
    sonde_str agent_env;        /* stands for an empty env; borrowed for life */
    sonde_str hostname;         /* stands for an empty hostname; borrowed for life */
    const sonde_str *peer_tags; /* beside the built-in list; borrowed for life */
    size_t peer_tags_len;
    bool no_peer_tags;            /* peer_tags_aggregation: false */
    bool no_stats_by_kind;        /* compute_stats_by_span_kind: false */
    bool no_container_ids;        /* feature disable_cid_stats: containers are not told apart */
    bool no_process_tags;         /* feature disable_process_stats: nor processes */
    stats_sink sink;              /* called by concentrator_flush() */
    double (*random)(void *user); /* [0, 1), for rounding; NULL: this thread's generator */
    void *random_user;
    size_t max_bytes;  /* 0: STATS_MAX_BYTES */
    int64_t bucket_ns; /* 0: STATS_BUCKET_NS */
} concentrator_options;

typedef struct concentrator_counters {
    uint64_t spans_in;
    uint64_t spans_counted;
    uint64_t spans_not_eligible;
    uint64_t spans_lost;      /* no memory for their group */
    uint64_t latencies_lost;  /* counted, but no memory for their point in the sketch */
    uint64_t spans_collapsed; /* counted under "other" or another payload key */
    uint64_t spans_late;      /* counted in the oldest open bucket */
    uint64_t spans_moved;     /* from the future, counted in the bucket of now */
    flush_counters flushed;
} concentrator_counters;

SONDE_MUST_USE sonde_status concentrator_open(const concentrator_options *options,
                                              int64_t now_unix_ns, concentrator **out_concentrator);
void concentrator_close(concentrator *c); /* NULL does nothing; what is open is thrown away */

/* Counts the payload's spans; nothing when its client computed the statistics itself. */
void concentrator_add(concentrator *c, const payload *p, int64_t now_unix_ns);

typedef enum concentrator_flush_what {
    CONCENTRATOR_FLUSH_READY,
    CONCENTRATOR_FLUSH_ALL
} concentrator_flush_what;

/* Hands the buckets that are due (or all, at shutdown) to the sink, as one stats_payload. */
void concentrator_flush(concentrator *c, int64_t now_unix_ns, concentrator_flush_what what);

/* The names by which client spans are grouped, sorted; valid for the concentrator's life.  None when
 * aggregation by them is off. */
const sonde_str *concentrator_peer_tags(const concentrator *c, size_t *out_len);

void concentrator_read_counters(concentrator *c, concentrator_counters *out);
void concentrator_write_json(void *concentrator, sonde_json_writer *w); /* an info_source row */

#endif /* SONDE_AGENT_STATS_CONCENTRATOR_H */
