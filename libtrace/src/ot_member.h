/* ot_member.h - the `ot` member of tracestate: with what probability a trace was kept.
 *
 * "ot=rv:<14 hex>;th:<1 to 14 hex>": kept when rv >= th, both parts of 2^56.  Ours follow from the trace id and the
 * rate; a received member is only passed on.
 *
 * Threads   pure.
 * Source    docs/spec/propagation.md, "ot". */
#ifndef SONDE_LIBTRACE_OT_MEMBER_H
#define SONDE_LIBTRACE_OT_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "decision.h"

#define SONDE__OT_BYTES (sizeof("ot=rv:;th:") - 1 + 14 + 14) /* of ours */

/* A received member (with its "ot=") without what is malformed, and without th when a decision that has no
 * probability took the place of the one it tells of; 0: nothing is left.  `to` has room for member.len. */
size_t sonde__ot_clean(sonde_str member, bool keeps_th, char *to);

/* Ours for a decision that was made here; 0: none. */
size_t sonde__ot_make(uint64_t trace_id_low, sonde__decision d, char to[SONDE__OT_BYTES]);

/* Whether what a received member says of the probability still holds. */
bool sonde__ot_holds(uint64_t trace_id_low, sonde__decision d);

#endif /* SONDE_LIBTRACE_OT_MEMBER_H */
