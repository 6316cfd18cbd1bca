/* agent/receiver/decode.h - trace bodies into payload chunks, zero-copy.
 *
 * Texts are views into p->body; what had to be repaired or unescaped lives in the arena.  Everything a
 * tracer may send loosely is taken (docs/spec/receiver.md, "Leniency"); everything else is a failure
 * of the whole body, whose `out_error->message` is the text for the client.
 *
 * Threads   none: one decoder works on one payload.
 * Failure   SONDE_ERR_SYNTAX: the body is at fault; SONDE_ERR_EOF: JSON that is empty or cut off;
 *           SONDE_ERR_TOO_BIG: the arena's ceiling; SONDE_ERR_NOMEM.  `p->chunks` is untouched then.
 * Bounds    limits.h; nesting of values that are passed over: SONDE_MP_DEPTH_MAX.
 */
#ifndef SONDE_AGENT_RECEIVER_DECODE_H
#define SONDE_AGENT_RECEIVER_DECODE_H

#include <stdint.h>

#include "agent/payload/payload.h"
#include "sonde/status.h"

typedef struct decode_tally {
    uint64_t spans;
    uint64_t groups;           /* of statistics */
    uint64_t buckets;          /* of statistics */
    uint64_t nil_spans;        /* nil where a span belongs: dropped */
    uint64_t strings_repaired; /* held invalid UTF-8 */
    uint64_t tags_cut;         /* beyond SPAN_ENTRIES_MAX or SPAN_META_STRUCT_MAX_BYTES */
} decode_tally;

typedef sonde_status (*decode_fn)(payload *p, decode_tally *out_tally, sonde_error *out_error);

sonde_status decode_v04(payload *p, decode_tally *out_tally, sonde_error *out_error); /* and v0.3 */
sonde_status decode_v05(payload *p, decode_tally *out_tally, sonde_error *out_error);
sonde_status decode_v07(payload *p, decode_tally *out_tally, sonde_error *out_error);
sonde_status decode_v10(payload *p, decode_tally *out_tally, sonde_error *out_error);
sonde_status decode_json(payload *p, decode_tally *out_tally,
                         sonde_error *out_error); /* v0.2 - v0.4 */
sonde_status decode_json_flat(payload *p, decode_tally *out_tally,
                              sonde_error *out_error); /* v0.1 */

/* /v0.6/stats: p->stats instead of chunks; tally->groups. */
sonde_status decode_stats(payload *p, decode_tally *out_tally, sonde_error *out_error);

#endif /* SONDE_AGENT_RECEIVER_DECODE_H */
