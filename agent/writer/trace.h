/* agent/writer/trace.h - kept chunks to AgentPayloads, compressed, every few seconds or when full.
 *
 * trace_writer_add() encodes at once, so that the payload and its body can be freed right away; what
 * waits here is finished protobuf.
 *
 * Threads   trace_writer_add() from all processor threads: each encodes into its own scratch and holds
 *           the mutex (rank SONDE_RANK_ROOM) for one copy.  trace_writer_tick() from the timer thread.
 *           Whoever fills the buffer compresses it, outside the mutex.
 * Bounds    limits.h.
 * Counters  spans_in = spans_out + sum of spans_dropped + spans_waiting.
 * Source    docs/spec/writers.md
 */
#ifndef SONDE_AGENT_WRITER_TRACE_H
#define SONDE_AGENT_WRITER_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "agent/payload/sink.h"
#include "base/buf.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "trace_encode.h"

/* Why spans did not leave this room. */
/* clang-format off */
#define TRACE_WRITER_DROP_MAP(X)                                              \
    X(CHUNK_TOO_BIG, "chunk_too_big")                                         \
    X(NO_MEMORY,     "no_memory")                                             \
    X(REFUSED,       "refused")       /* the forwarder is shutting down */
/* clang-format on */

typedef enum trace_writer_drop {
#define X(name, text) TRACE_WRITER_##name,
    TRACE_WRITER_DROP_MAP(X)
#undef X
        TRACE_WRITER_DROPS
} trace_writer_drop;

typedef struct trace_writer trace_writer;

typedef struct trace_writer_options {
    agent_facts agent;        /* texts borrowed for life */
    size_t max_payload_bytes; /* 0: TRACE_PAYLOAD_MAX_BYTES */
    uint64_t flush_ns;        /* 0: 5 s */
    upload_sink sink;
} trace_writer_options;

typedef struct trace_writer_counters {
    uint64_t chunks_in;
    uint64_t spans_in;
    uint64_t chunks_out;
    uint64_t spans_out;
    uint64_t payloads_out;
    uint64_t bytes_raw; /* of payloads_out, before and after compression */
    uint64_t bytes_compressed;
    uint64_t spans_dropped[TRACE_WRITER_DROPS];
    uint64_t chunks_dropped[TRACE_WRITER_DROPS];
    uint64_t spans_waiting; /* gauges */
    uint64_t bytes_waiting;
} trace_writer_counters;

SONDE_MUST_USE sonde_status trace_writer_open(const trace_writer_options *options,
                                              uint64_t now_mono_ns, trace_writer **out_writer);
/* What payloads say of the samplers from now on. */
void trace_writer_set_targets(trace_writer *w, double target_tps, double errors_tps);
void trace_writer_close(trace_writer *w); /* NULL does nothing; flush first, what waits is lost */

/* Encodes the chunks of `p`.  `scratch` is the calling thread's own, made by trace_scratch_init() and
 * kept between calls. */
void trace_writer_add(trace_writer *w, sonde_buf *scratch, const payload *p, uint64_t now_mono_ns);
void trace_scratch_init(sonde_buf *scratch);

/* Flushes when the time has come. */
void trace_writer_tick(trace_writer *w, uint64_t now_mono_ns);
void trace_writer_flush(trace_writer *w, uint64_t now_mono_ns);

void trace_writer_read_counters(trace_writer *w, trace_writer_counters *out);
void trace_writer_write_json(void *trace_writer, sonde_json_writer *w); /* an info_source row */

#endif /* SONDE_AGENT_WRITER_TRACE_H */
