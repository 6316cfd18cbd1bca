/* context.h - making a context from inside libtrace. */
#ifndef SONDE_LIBTRACE_CONTEXT_H
#define SONDE_LIBTRACE_CONTEXT_H

#include "area.h"
#include "segment.h"
#include "sonde/context.h"

/* A place in a trace, borrowed from who gave it. */
typedef struct sonde__where {
    sonde__segment *segment;
    uint64_t span_id; /* 0: no span yet */
    sonde__baggage_ref baggage;
    sonde__service service;
} sonde__where;

/* The place of `context`, or for NULL the thread's active one; false: there is none. */
bool sonde__context_where(const sonde_context *context, sonde__where *out);

/* A context of that place, with references of its own; NULL when memory is short. */
sonde_context *sonde__context_make(sonde__area *a, const sonde__where *w);

/* The same with the references of `w`, which stay the caller's when it fails. */
sonde_context *sonde__context_adopt(sonde__area *a, const sonde__where *w);

/* A segment for a trace whose first span is still to come, with one reference; NULL: no memory. */
sonde__segment *sonde__context_new_trace(sonde__area *a, uint32_t epoch);

#endif /* SONDE_LIBTRACE_CONTEXT_H */
