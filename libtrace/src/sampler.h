/* sampler.h - whether a trace is kept.
 *
 * A segment without a received priority is decided when its first span starts, from the agent's rate for
 * the service, and again when the local root finishes with another service, until something locks the
 * decision: an injection, a chunk sent, a hand.
 *
 * Threads   all; the decision is one atomic word.
 * Source    docs/spec/propagation.md, "Decision" */
#ifndef SONDE_LIBTRACE_SAMPLER_H
#define SONDE_LIBTRACE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

/* keep <=> id * 1111111111111111111 mod 2^64 <= rate * (2^64 - 1); rate 0 never keeps. */
bool sonde__sampler_keeps(uint64_t id, double rate);

/* Decides by the rate of `service` unless the decision is locked. */
void sonde__segment_decide(sonde__segment *s, sonde__service service);

/* The decision as it leaves: later rates change nothing. */
sonde__decision sonde__segment_lock(sonde__segment *s);

void sonde__segment_decide_by_hand(sonde__segment *s, bool keep);

/* `rate` as _dd.p.ksr has it: at most 6 decimals, no trailing zeros.  Returns the length. */
size_t sonde__format_rate(double rate, char out[16]);

#endif /* SONDE_LIBTRACE_SAMPLER_H */
