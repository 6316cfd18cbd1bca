/* agent/writer/stats.h - statistics to StatsPayload bodies: msgpack with Go's field names, gzip.
 *
 * Threads   stats_writer_push() from the timer thread (or whoever flushes the concentrator); counters
 *           from all.
 * Bounds    STATS_PAYLOAD_GROUPS_MAX groups a body: more are dealt out over several.
 * Counters  groups_in = groups_out + groups_dropped.
 * Source    docs/spec/writers.md, "Statistics"
 */
#ifndef SONDE_AGENT_WRITER_STATS_H
#define SONDE_AGENT_WRITER_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "agent/payload/sink.h"
#include "agent/payload/stats.h"
#include "base/buf.h"
#include "codec/json_write.h"
#include "sonde/status.h"

typedef struct stats_writer {
    sonde_str hostname; /* borrowed, as the others */
    sonde_str env;
    sonde_str version;
    upload_sink sink;
    uint32_t groups_max; /* of one body */
    _Atomic uint64_t groups_in;
    _Atomic uint64_t groups_out;
    _Atomic uint64_t groups_dropped; /* no memory, or the forwarder is shutting down */
    _Atomic uint64_t payloads_out;
    _Atomic uint64_t splits; /* pushes that needed more than one body */
    _Atomic uint64_t bytes_compressed;
} stats_writer;

void stats_writer_init(stats_writer *w, sonde_str hostname, sonde_str env, sonde_str version,
                       upload_sink sink);

/* Encodes and hands over everything in `s`; the first failure is returned, the rest still tried.  The
 * shape of stats_sink.push: `writer` is a stats_writer. */
SONDE_MUST_USE sonde_status stats_writer_push(void *writer, const stats_payload *s);

void stats_writer_write_json(void *stats_writer, sonde_json_writer *w); /* an info_source row */

/* Part `part` of `parts` of the payload, uncompressed: every parts-th group. */
void stats_encode(sonde_buf *b, const stats_writer *w, const stats_payload *s, uint64_t part,
                  uint64_t parts);

#endif /* SONDE_AGENT_WRITER_STATS_H */
