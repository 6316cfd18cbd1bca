/* tail_keep.h - error and slow local roots kept although the agent's rate dropped their trace.
 *
 * Looked at when the local root finishes, off by default.  What was or will be sent to other services does
 * not change: only this process's part is kept, as a priority of 2 marked sonde.tail_keep, so that rates
 * taken from the other traces stay right.
 *
 * "Slow" is above a moving 99th percentile of the local roots of the same service and resource.  It is
 * followed without a history: a root above moves it up by 99 parts of a step, one below down by one part,
 * so that in the long run one of a hundred is above.
 *
 * Threads   all; one object per life of the tracer.  Two threads that finish roots of one resource at the
 *           same moment may leave one of the two out of the percentile.
 * Bounds    SONDE__TAIL_SLOTS resources, 16 KiB; a new one takes the place of the least seen of four, counter
 *           tail_evicted; SONDE_TAIL_KEEP_PER_SECOND traces, beyond counter tail_refused.
 * Source    docs/spec/trace-sampling.md, "Tail" */
#ifndef SONDE_LIBTRACE_TAIL_KEEP_H
#define SONDE_LIBTRACE_TAIL_KEEP_H

#include <stdatomic.h>
#include <stdint.h>

#include "area.h"
#include "config.h"
#include "segment.h"

#define SONDE__TAIL_SLOTS    1024
#define SONDE__TAIL_SEEN_MIN 100 /* before that nothing of a resource is slow */

typedef struct sonde__tail sonde__tail;

extern _Atomic(sonde__tail *) sonde__tail_now; /* NULL: off */

/* A life of the tracer begins. */
void sonde__tail_open(const sonde__config *c);

/* A span of the segment finishes.  Returns how many finished spans make a chunk while others are open:
 * spans of a trace that may still be kept wait for the local root, as long as half of the cells are free
 * and of the spans of a segment; after that the agent's rate has decided. */
uint32_t sonde__tail_finishes(sonde__tail *t, sonde__area *a, sonde__span *span,
                              uint32_t partial_len);

/* A local root of the resource `key` took `duration_ns`: whether it is slow, as of those before it. */
bool sonde__tail_is_slow(uint64_t key, uint64_t duration_ns);

#endif /* SONDE_LIBTRACE_TAIL_KEEP_H */
