/* agent/sampler/probabilistic.h - keeps a fixed part of all traces, by a hash of their ids.
 *
 * The hash is the one of OpenTelemetry's probabilistic sampling processor, so that agents and collectors
 * with the same seed keep the same traces.
 *
 * Threads   pure functions.
 * Source    docs/spec/sampling.md, "Probabilistic".
 */
#ifndef SONDE_AGENT_SAMPLER_PROBABILISTIC_H
#define SONDE_AGENT_SAMPLER_PROBABILISTIC_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"

/* Of 16384 buckets. */
uint32_t probabilistic_bucket(const uint8_t id[16], uint32_t seed);

/* `full_id`: all 128 bits count, else the low 64. */
bool probabilistic_keeps(const payload_chunk *c, double percentage, uint32_t seed, bool full_id);

#endif /* SONDE_AGENT_SAMPLER_PROBABILISTIC_H */
