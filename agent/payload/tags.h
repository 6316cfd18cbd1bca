/* agent/payload/tags.h - a growing array of string tags inside an arena: spans, chunks and payloads.
 *
 * Threads   none.  Bounds: none here; decoders cap what they add (limits.h). */
#ifndef SONDE_AGENT_PAYLOAD_TAGS_H
#define SONDE_AGENT_PAYLOAD_TAGS_H

#include <stdint.h>

#include "agent/payload/span.h"
#include "base/arena.h"

sonde_str *tags_get(span_meta *tags, uint32_t len, sonde_str key); /* NULL: absent */

/* Adds or replaces; key and value are borrowed for the arena's life. */
SONDE_MUST_USE sonde_status tags_set(span_meta **tags, uint32_t *len, uint32_t *cap,
                                     sonde_arena *arena, sonde_str key, sonde_str value);

#endif /* SONDE_AGENT_PAYLOAD_TAGS_H */
