/* stats.h - statistics on every span, before sampling, in buckets of ten seconds.
 *
 * A counted span (stats_key.h) goes into the bucket in which it ended, under its exact key.  A bucket is
 * sent 20 s after it began, or early when memory is short: the agent adds up what has the same key.
 *
 * Threads   one: the flusher.
 * Bounds    max_bytes for groups and the payload under construction together; DD_TRACE_STATS_..._LIMIT
 *           values of a field and keys of a bucket.  What is beyond collapses: the field, or every text of
 *           the key, becomes "tracer_blocked_value" (counter stats_spans_collapsed).  SONDE__STATS_BUCKETS_MAX
 *           buckets; then the newest takes all.
 * Counters  stats_spans = delivered + lost + those in open buckets.
 * Source    docs/spec/client-stats.md */
#ifndef SONDE_LIBTRACE_STATS_H
#define SONDE_LIBTRACE_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#include "agent_info.h"
#include "config.h"

#define SONDE__STATS_BUCKET_NS   UINT64_C(10000000000)
#define SONDE__STATS_BUCKETS_MAX 16

typedef struct sonde__stats sonde__stats;

typedef struct sonde__stats_payload {
    sonde_str body;
    uint64_t spans;  /* counted in it */
    bool obfuscated; /* resources of databases are, as the agent would do it */
} sonde__stats_payload;

SONDE_MUST_USE sonde_status sonde__stats_open(const sonde__config *config, const char *runtime_id,
                                              size_t max_bytes, uint64_t now_unix_ns,
                                              sonde__stats **out);
void sonde__stats_close(sonde__stats *s); /* NULL does nothing; what is open is thrown away */

/* Counts the spans of a chunk as encode_v04.c wrote it; of those that begin at `spots` (size_t each, from the
 * chunk's begin), unless it is NULL or has a status. */
void sonde__stats_add(sonde__stats *s, sonde_str chunk, const sonde_buf *spots,
                      const sonde__agent_info *agent, uint64_t now_unix_ns);

/* The next payload of what is due (`all`: of everything); false: nothing more.  Valid until the next call. */
bool sonde__stats_next(sonde__stats *s, uint64_t now_unix_ns, bool all, sonde__stats_payload *out);

bool sonde__stats_is_full(const sonde__stats *s); /* time to send everything */
size_t sonde__stats_bytes(const sonde__stats *s);

#endif /* SONDE_LIBTRACE_STATS_H */
