/* codec/sketch.h - latency sketch: DDSketch with 1 % relative accuracy.
 *
 * gamma = 1.01/0.99, index = floor(ln(v)/ln(gamma)), dense store of at most SONDE_SKETCH_BINS_MAX bins
 * that collapses the lowest; zero, negative and sub-minimum values go to the zero count.  Merging is
 * exact.  Needs no libm, so that it costs the host process no library.
 * Source: docs/spec/sketch.md.
 *
 * Threads   none.
 * Memory    owned bins through base/alloc, at most 16 KiB.
 * Failure   SONDE_ERR_NOMEM, SONDE_ERR_INVALID and SONDE_ERR_SYNTAX leave the sketch as it was. */
#ifndef SONDE_CODEC_SKETCH_H
#define SONDE_CODEC_SKETCH_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define SONDE_SKETCH_BINS_MAX 2048

typedef struct sonde_sketch {
    double *bins; /* counts of indices [offset, offset + len); owned */
    int32_t offset;
    uint32_t len; /* in use */
    uint32_t cap;
    double zero_count;
    double count; /* all, zero_count included */
} sonde_sketch;

void sonde_sketch_init(sonde_sketch *s); /* allocates nothing */
void sonde_sketch_done(sonde_sketch *s);
void sonde_sketch_clear(sonde_sketch *s); /* empty, memory kept */

/* SONDE_ERR_INVALID: a value that is not finite, or a count that is not finite and positive. */
SONDE_MUST_USE sonde_status sonde_sketch_add(sonde_sketch *s, double value, double count);

/* The value as Datadog's agent feeds it: nanoseconds with the double's mantissa cut to 10 bits. */
double sonde_sketch_value_of_ns(int64_t duration_ns);

SONDE_MUST_USE sonde_status sonde_sketch_merge(sonde_sketch *into, const sonde_sketch *from);

/* The value at quantile q in [0, 1], within 1 % of the exact one; 0 for an empty sketch. */
double sonde_sketch_quantile(const sonde_sketch *s, double q);

/* DDSketch protobuf as the agent writes it: mapping, contiguous bins, empty negative store. */
void sonde_sketch_encode(const sonde_sketch *s, sonde_buf *out);

/* Adds the sketch in `bytes` (either bin encoding, any gamma > 1: re-mapped when different) to `into`.
 * Bins of the negative store count as zero.  SONDE_ERR_SYNTAX or SONDE_ERR_EOF: not protobuf, bins
 * without a mapping, an interpolated mapping, an index beyond int32 or double, a count that is
 * negative, not finite or above 2^63. */
SONDE_MUST_USE sonde_status sonde_sketch_decode_merge(sonde_sketch *into, sonde_str bytes);

#endif /* SONDE_CODEC_SKETCH_H */
