/* support/trace_bodies.h - bodies as real services send them: five spans a trace over two services, about ten
 * tags a span, ids and durations that differ.  For journeys, benchmarks, and decoders against one another. */
#ifndef SONDE_TESTS_SUPPORT_TRACE_BODIES_H
#define SONDE_TESTS_SUPPORT_TRACE_BODIES_H

#include <stdint.h>

#include "base/buf.h"

#define BODY_SPANS_A_TRACE 5

/* Appends one body of `traces` traces; `seed` makes it differ from others. */
void trace_body_v04(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns);

/* The same traces as v1.0: what that has places of its own for is there. */
void trace_body_v10(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns);

#endif /* SONDE_TESTS_SUPPORT_TRACE_BODIES_H */
