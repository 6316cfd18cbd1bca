/* bench/agent_payloads.h - v0.4 bodies as real services send them: five spans a trace over two
 * services, about ten tags a span, ids and durations that differ. */
#ifndef SONDE_BENCH_AGENT_PAYLOADS_H
#define SONDE_BENCH_AGENT_PAYLOADS_H

#include <stdint.h>

#include "base/buf.h"

#define BENCH_SPANS_A_TRACE 5

/* Appends one body of `traces` traces; `seed` makes it differ from others. */
void bench_payload_v04(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns);

#endif /* SONDE_BENCH_AGENT_PAYLOADS_H */
