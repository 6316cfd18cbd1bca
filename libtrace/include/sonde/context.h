/* sonde/context.h - a place in a trace that can be kept and taken to another thread.
 *
 *   job->context = sonde_context_current();       on one thread
 *   ...
 *   SONDE_ATTACH(job->context);                   on another, perhaps much later
 *   SONDE_SPAN(span, "order.ship");               child of the span that was active above
 *   ...
 *   sonde_context_release(job->context);
 *
 * A context is immutable: trace id, span id, the trace's decision and propagating tags.  It keeps the
 * trace joinable, not the span's life: a child may start after the span finished, even after it was
 * sent.
 *
 * Detached work: a context holds where work belongs, never whether it should go on.  Sonde knows no
 * cancellation or deadline, so what outlives its caller (a retry queue, a cache refresh after the
 * answer was sent) takes the context along and is traced as part of the caller's trace, whatever became
 * of the caller.  Work that should be a trace of its own starts with `new_trace` and a link
 * (<sonde/link.h>) instead.
 *
 * Threads   all; a handle may be used by many threads at once while somebody holds a reference.
 * Failure   NULL is a valid context that stands for "none": every function accepts it.
 * Memory    reference-counted: who got a reference (current, of_span, extract, retain) releases it.
 *           A released last reference makes the handle stale; using it then does nothing.
 */
#ifndef SONDE_CONTEXT_H
#define SONDE_CONTEXT_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stdint.h>

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonde_span sonde_span;
typedef struct sonde_context sonde_context;

/* A reference to the place the thread is at: its active span or attached context.  NULL when there is
 * none, tracing is off, or memory is short. */
SONDE_API sonde_context *sonde_context_current(void);

/* A reference to the place of `span`. */
SONDE_API sonde_context *sonde_context_of_span(const sonde_span *span);

/* One reference more, which is returned; one less. */
SONDE_API sonde_context *sonde_context_retain(sonde_context *context);
SONDE_API void sonde_context_release(sonde_context *context);

/* Makes `context` the thread's active place until it is detached on the same thread; holds a reference
 * meanwhile.  Returns what to give to sonde_context_detach(): `context`, or NULL when nothing was
 * attached (NULL, or deeper than 128). */
SONDE_API sonde_context *sonde_context_attach(sonde_context *context);
SONDE_API void sonde_context_detach(sonde_context *attached);

static inline void sonde_context_detach_scope_(sonde_context **attached)
{
    if (*attached)
        sonde_context_detach(*attached);
}

/* Attaches for the rest of the block. */
#define SONDE_ATTACH(context)        SONDE_ATTACH_(context, __LINE__)
#define SONDE_ATTACH_(context, line) SONDE_ATTACH__(context, line)
#define SONDE_ATTACH__(context, line)                                                              \
    __attribute__((cleanup(sonde_context_detach_scope_), unused))                                  \
    sonde_context *sonde_attached_##line = sonde_context_attach(context)

/* 0 for NULL. */
SONDE_API uint64_t sonde_context_span_id(const sonde_context *context);
SONDE_API uint64_t sonde_context_trace_id_low(const sonde_context *context);
SONDE_API uint64_t sonde_context_trace_id_high(const sonde_context *context);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_CONTEXT_H */
