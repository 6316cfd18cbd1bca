/* sonde/propagate.h - the context in and out of any carrier: HTTP headers, message properties, ...
 *
 *   static void add_header(void *user, sonde_str name, sonde_str value) { ... }
 *
 *   sonde_inject(NULL, &(sonde_writer){ .set = add_header, .user = request });
 *
 *   sonde_context *from = sonde_extract(&(sonde_reader){ .get = find_header, .user = request });
 *   sonde_span *span = sonde_span_start("http.request", &(sonde_span_options){ .context = from });
 *   sonde_context_release(from);
 *
 * Formats: Datadog (x-datadog-*), W3C trace context (traceparent, tracestate) and baggage, B3 (b3, or x-b3-*),
 * chosen by DD_TRACE_PROPAGATION_STYLE and its _EXTRACT and _INJECT forms; by default all but B3.
 *
 * Threads   all; callbacks run on the calling thread, during the call, with no lock of ours held.
 * Failure   a carrier without a usable context gives NULL: the next span starts a new trace.
 * Bounds    docs/spec/propagation.md, "Limits".
 * Source    docs/spec/propagation.md
 */
#ifndef SONDE_PROPAGATE_H
#define SONDE_PROPAGATE_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include "sonde/context.h"
#include "sonde/export.h"
#include "sonde/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the headers go.  `set` replaces a header of that name; names are lower-case.  Both views are
 * valid during the call only. */
typedef struct sonde_writer {
    void (*set)(void *user, sonde_str name, sonde_str value);
    void *user;
} sonde_writer;

typedef void (*sonde_visitor)(void *visitor_user, sonde_str name, sonde_str value);

/* Where headers come from: one of `get` and `each` is enough.  `each` is used when both are there,
 * because only it shows a header that occurs twice.  What they give must stay valid until
 * sonde_extract() returns. */
typedef struct sonde_reader {
    sonde_str (*get)(void *user,
                     sonde_str name); /* name lower-case, match any case; absent: { NULL, 0 } */
    void (*each)(void *user, sonde_visitor visit, void *visitor_user); /* visits every header */
    void *user;
} sonde_reader;

/* Writes the headers of `context` (NULL: of the thread's active place); nothing when there is none.
 * Fixes the trace's sampling decision. */
SONDE_API void sonde_inject(const sonde_context *context, const sonde_writer *writer);

/* Reads a context.  The caller releases it; NULL when there is none.  The first span started from it
 * is the local root of its trace here. */
SONDE_API sonde_context *sonde_extract(const sonde_reader *reader);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_PROPAGATE_H */
