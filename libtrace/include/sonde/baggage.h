/* sonde/baggage.h - key-values of your own that travel with the trace, through threads and services.
 *
 *   sonde_span_set_baggage(span, "user.id", "42");       children started and headers written from now on
 *                                                        carry it
 *   char user[64];                                       in this service or one further down:
 *   if (sonde_context_baggage(NULL, "user.id", user, sizeof(user)) > 0)
 *       ...
 *
 * A span starts with its parent's baggage and changes only its own.  A context has the baggage its span
 * had when the context was made.  Baggage goes into every request that is made from there: keep secrets and
 * large values out of it.
 *
 * Headers   `baggage` is read and written while DD_TRACE_PROPAGATION_STYLE names it, as by default, up to
 *           DD_TRACE_BAGGAGE_MAX_ITEMS and DD_TRACE_BAGGAGE_MAX_BYTES.  The first span of a received context
 *           gets tags for the keys of DD_TRACE_BAGGAGE_TAG_KEYS.
 * Threads   as for the span or context; a context's baggage never changes.
 * Failure   NULL, finished and inert spans have no baggage; nothing happens to them.  A NULL context is the
 *           thread's active place.
 * Bounds    a key 200 bytes, a value 8 192, 256 items and 32 768 bytes together; an item beyond is not set
 *           (counter baggage_dropped).
 * Cost      nothing where there is none; a change copies the baggage.
 * Source    docs/spec/propagation.md, "Baggage"
 */
#ifndef SONDE_BAGGAGE_H
#define SONDE_BAGGAGE_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stddef.h>

#include "sonde/context.h"
#include "sonde/export.h"
#include "sonde/propagate.h"
#include "sonde/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets or replaces.  An empty key or value is ignored. */
SONDE_API void sonde_span_set_baggage(sonde_span *span, const char *key, const char *value);
SONDE_API void sonde_span_set_baggage_n(sonde_span *span, sonde_str key, sonde_str value);

/* Takes one item away, or all. */
SONDE_API void sonde_span_remove_baggage(sonde_span *span, const char *key);
SONDE_API void sonde_span_clear_baggage(sonde_span *span);

/* Copies the value and a NUL to `to` when it fits, else makes `to` empty.  Returns its length; 0 when there
 * is no such item.  `to` may be NULL. */
SONDE_API size_t sonde_span_baggage(const sonde_span *span, const char *key, char *to,
                                    size_t to_bytes);
SONDE_API size_t sonde_context_baggage(const sonde_context *context, const char *key, char *to,
                                       size_t to_bytes);

/* Visits every item, in the order in which the keys were set. */
SONDE_API void sonde_span_each_baggage(const sonde_span *span, sonde_visitor visit, void *user);
SONDE_API void sonde_context_each_baggage(const sonde_context *context, sonde_visitor visit,
                                          void *user);

/* A context like `context`, with the item; a NULL or empty value: without it.  Where there is no context and
 * nothing is active, one for a new trace.  The caller releases it; NULL when tracing is off, the key is
 * empty, or memory is short. */
SONDE_API sonde_context *sonde_context_with_baggage(const sonde_context *context, const char *key,
                                                    const char *value);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_BAGGAGE_H */
