/* codec/sketch_internal.h - what sketch.c and sketch_wire.c share.
 *
 * Threads   none. */
#ifndef SONDE_CODEC_SKETCH_INTERNAL_H
#define SONDE_CODEC_SKETCH_INTERNAL_H

#include <stdint.h>

#include "codec/sketch.h"
#include "sonde/status.h"

#define SKETCH_GAMMA     1.02020202020202    /* 1.01 / 0.99 as the double fd4a815abf52f03f */
#define SKETCH_LOG_2     34.6562037518883333 /* ln(2) / ln(gamma) */
#define SKETCH_LOG_E     49.9983332888867860 /* 1 / ln(gamma) */
#define SKETCH_INDEX_MIN (-35419)            /* of the smallest normal double */
#define SKETCH_INDEX_MAX 35487               /* of the largest */

double sonde_sketch_log(double v);    /* to the base gamma; v is normal and positive */
int32_t sonde_sketch_floor(double x); /* x fits in int32 */

/* Makes the bins cover the indices [lo, hi] too; the lowest collapse when that is more than
 * SONDE_SKETCH_BINS_MAX.  SONDE_ERR_NOMEM leaves the sketch as it was. */
SONDE_MUST_USE sonde_status sonde_sketch_cover(sonde_sketch *s, int32_t lo, int32_t hi);

/* Adds to the bin of `index`, which is covered or lies below. */
static inline void sonde_sketch_add_covered(sonde_sketch *s, int32_t index, double count)
{
    s->bins[index < s->offset ? 0 : index - s->offset] += count;
    s->count += count;
}

#endif /* SONDE_CODEC_SKETCH_INTERNAL_H */
