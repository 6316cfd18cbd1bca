/* agent/sampler/signature.h - what kind of trace a chunk is: a hash over the kinds of its spans.
 *
 * Two traces that run through the same operations of the same services, with the same kinds of errors, have
 * the same signature, whatever their ids, times and order.
 *
 * Threads   pure functions.
 * Source    docs/spec/sampling.md, "Signature of a trace".
 */
#ifndef SONDE_AGENT_SAMPLER_SIGNATURE_H
#define SONDE_AGENT_SAMPLER_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"

/* FNV-1a 32 over env, service, name, whether it failed, the resource if wanted, status and error type. */
uint32_t span_signature(const payload_span *s, sonde_str env, bool with_resource);

/* Of all spans of the chunk, each kind counted once, and of the root with its resource.  What it needs
 * beside the stack comes from `arena`; of a chunk that does not fit there the first spans count. */
uint32_t trace_signature(const payload_chunk *c, sonde_str env, sonde_arena *arena);

#endif /* SONDE_AGENT_SAMPLER_SIGNATURE_H */
