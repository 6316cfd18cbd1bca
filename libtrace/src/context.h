/* context.h - making a context from inside libtrace. */
#ifndef SONDE_LIBTRACE_CONTEXT_H
#define SONDE_LIBTRACE_CONTEXT_H

#include "area.h"
#include "segment.h"
#include "sonde/context.h"

/* A context of `segment`, which gets a reference; NULL when memory is short. */
sonde_context *sonde__context_make(sonde__area *a, sonde__segment *segment, uint64_t span_id,
                                   sonde__service service);

#endif /* SONDE_LIBTRACE_CONTEXT_H */
