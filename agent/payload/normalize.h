/* agent/payload/normalize.h - Datadog's text rules for names and tag values.
 *
 * Pure functions on text; what is clean already comes back as the view that went in, everything else
 * is rewritten into the arena.
 *
 * Threads   pure.  Source: docs/spec/normalization.md.
 * Failure   { NULL, 0 } stands for "nothing valid in it"; SONDE_ERR_NOMEM only when the arena is full.
 */
#ifndef SONDE_AGENT_PAYLOAD_NORMALIZE_H
#define SONDE_AGENT_PAYLOAD_NORMALIZE_H

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

#define NORMALIZE_TAG_MAX_RUNES 200
#define NORMALIZE_TAG_MAX_BYTES 400 /* input read */

/* Tag values, service names, env: lower case, runs of anything odd become one '_', no trailing '_'. */
SONDE_MUST_USE sonde_status normalize_tag_value(sonde_arena *arena, sonde_str in, sonde_str *out);

/* The same, and everything before the first letter or ':' is dropped. */
SONDE_MUST_USE sonde_status normalize_tag(sonde_arena *arena, sonde_str in, sonde_str *out);

/* Operation names: ASCII metric-name rules; empty when no letter is in it. */
SONDE_MUST_USE sonde_status normalize_name(sonde_arena *arena, sonde_str in, sonde_str *out);

#endif /* SONDE_AGENT_PAYLOAD_NORMALIZE_H */
