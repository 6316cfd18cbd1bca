/* sampler.h - whether a trace is kept.
 *
 * A segment without a received priority is decided when its first span starts, by the first rule that
 * matches, else by the agent's rate for the service.  It is decided again whenever its local root changes
 * in a way that matters, until something locks the decision: an injection, a chunk sent, a hand.
 *
 * Threads   all; the decision is one atomic word.  The local root belongs to the thread that works on it.
 * Source    docs/spec/trace-sampling.md */
#ifndef SONDE_LIBTRACE_SAMPLER_H
#define SONDE_LIBTRACE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "area.h"
#include "segment.h"

static inline uint64_t sonde__sampler_hash(uint64_t id)
{
    return id * UINT64_C(1111111111111111111);
}

/* keep <=> id * 1111111111111111111 mod 2^64 <= rate * (2^64 - 1); rate 0 never keeps. */
bool sonde__sampler_keeps(uint64_t id, double rate);

/* The first span of a segment here has started. */
void sonde__root_begins(sonde__area *a, sonde__span *root, sonde_str name, const char *resource);

/* It got another service. */
void sonde__root_moves(sonde__area *a, sonde__span *root);

/* A record was added to the text of a root that is SONDE__SPAN_WATCHED; `value` in one piece. */
void sonde__root_changes(sonde__area *a, sonde__span *root, unsigned kind, sonde_str key,
                         sonde_str value);

/* By the agent's rate for the tracer's service: a context goes on without a span of ours. */
void sonde__segment_decide_without_root(sonde__segment *s);

/* The decision as it leaves: later changes do not count. */
sonde__decision sonde__segment_lock(sonde__segment *s);

/* The same, as it holds for what this process sends to the agent: it may keep what others drop. */
sonde__decision sonde__segment_lock_here(sonde__segment *s);

/* At any time, over every other decision. */
void sonde__segment_decide_by_hand(sonde__segment *s, enum sonde__priority priority,
                                   unsigned mechanism);

/* The limiter's ratio when it was asked for this segment; false: it was not. */
bool sonde__segment_limit_ratio(const sonde__segment *s, double *out);

/* `rate` as _dd.p.ksr has it: at most 6 decimals, no trailing zeros.  Returns the length. */
size_t sonde__format_rate(double rate, char out[16]);

#endif /* SONDE_LIBTRACE_SAMPLER_H */
