/* sonde/event.h - events: what happened at one moment of a span.
 *
 *   const sonde_attribute what[] = { sonde_attr_str("cache.key", key), sonde_attr_int("size", n) };
 *   sonde_span_add_event(span, "cache.miss", what, 2);
 *
 * An event does not mark the span as failed.
 *
 * Threads   as in <sonde/span.h>.
 * Failure   a NULL or finished span, or an event without a name: nothing happens.
 * Memory    everything is copied before the call returns.
 * Bounds    links, events and tags of a span together 1 024, an event 65 535 bytes (counter
 *           events_dropped); 128 attributes of an event, arrays of one scalar type, finite numbers
 *           (counter tags_dropped); keys and values are cut as those of tags.
 * Source    docs/spec/spans.md, "Events"
 */
#ifndef SONDE_EVENT_H
#define SONDE_EVENT_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonde_span sonde_span;

/* An event now, with `len` attributes (NULL and 0: none). */
SONDE_API void sonde_span_add_event(sonde_span *span, const char *name,
                                    const sonde_attribute *attributes, uint32_t len);

/* The same at a given time (0: now), with a name that needs no terminator. */
SONDE_API void sonde_span_add_event_at(sonde_span *span, sonde_str name, int64_t unix_ns,
                                       const sonde_attribute *attributes, uint32_t len);

/* The event `exception`, with exception.type, .message and .stacktrace, copied to the span's error.type,
 * .message and .stack.  Any may be NULL.  The span is not marked as failed: sonde_span_error() does that. */
SONDE_API void sonde_span_record_exception(sonde_span *span, const char *type, const char *message,
                                           const char *stack);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_EVENT_H */
