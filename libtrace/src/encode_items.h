/* encode_items.h - links and events of a span into a payload.
 *
 * They are kept as the maps that v0.4 has for them, so writing them natively is copying.  Agents that do
 * not know events natively get them as one JSON text in the span's meta.
 *
 * Threads   one: the flusher.
 * Bounds    that text SONDE__EVENTS_JSON_MAX_BYTES, above which an agent would cut it: later events are
 *           left out (counter events_dropped).
 * Source    docs/spec/agent-http.md, "Links", "Events" */
#ifndef SONDE_LIBTRACE_ENCODE_ITEMS_H
#define SONDE_LIBTRACE_ENCODE_ITEMS_H

#include <stdint.h>

#include "base/buf.h"
#include "segment.h"

#define SONDE__EVENTS_JSON_MAX_BYTES 25000

/* Appends the array of the span's `count` records of `kind`. */
void sonde__write_items(sonde_buf *b, const sonde__span *span, unsigned kind, uint32_t count);

/* Writes the span's events to `out` as JSON; `scratch` is overwritten. */
void sonde__events_json(sonde_buf *out, sonde_buf *scratch, const sonde__span *span);

#endif /* SONDE_LIBTRACE_ENCODE_ITEMS_H */
