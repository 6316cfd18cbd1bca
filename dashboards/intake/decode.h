/* dashboards/intake/decode.h - the two payloads of the trace agent, decoded into a store_batch.
 *
 * Threads   none: one thread at a time uses a decoder.
 * Memory    nothing of the body is referred to after a call returns.
 * Failure   SONDE_ERR_SYNTAX/EOF: not well formed, the batch is to be thrown away; SONDE_ERR_TOO_BIG:
 *           a limit of frame.h; NOMEM.
 * Bounds    FRAME_SPAN_MAX_BYTES a span, beyond it the span is left out and counted.
 */
#ifndef SONDE_DASHBOARDS_INTAKE_DECODE_H
#define SONDE_DASHBOARDS_INTAKE_DECODE_H

#include "dashboards/store/store.h"

typedef struct traces_decoder traces_decoder;

typedef struct traces_counts {
    uint64_t chunks;        /* in the batch */
    uint64_t spans;         /* in the batch */
    uint64_t spans_too_big; /* left out */
} traces_counts;

traces_decoder *traces_decoder_new(void); /* NULL: no memory */
void traces_decoder_free(traces_decoder *d);

/* AgentPayload, protobuf.  Source: docs/spec/intake.md, "Traces". */
SONDE_MUST_USE sonde_status traces_decode(traces_decoder *d, sonde_str body, store_batch *batch,
                                          traces_counts *out_counts);

/* StatsPayload, msgpack.  Source: docs/spec/intake.md, "Statistics". */
SONDE_MUST_USE sonde_status stats_decode(sonde_str body, store_batch *batch);

#endif /* SONDE_DASHBOARDS_INTAKE_DECODE_H */
