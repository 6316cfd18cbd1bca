/* span.h - starting and finishing, as the other files of libtrace need it. */
#ifndef SONDE_LIBTRACE_SPAN_H
#define SONDE_LIBTRACE_SPAN_H

#include "area.h"
#include "segment.h"
#include "sonde/span.h"

#define SONDE__NAME_MAX_BYTES 100 /* of names and types */

/* Starting, finishing and setting a tag are one function each: the compiler would make eight calls of it,
 * a fifth of the time. */
#define SONDE__HOT __attribute__((always_inline))

/* What sonde_span_start() returns when a span could not be had.  No cell has index 0. */
#define SONDE__VOID_SPAN ((sonde_span *)(uintptr_t)(SONDE__CELL_INDEX_MASK + 1))

/* The span a handle means while it may be changed, else NULL. */
static inline sonde__span *sonde__span_open(const sonde_span *handle)
{
    sonde__span *span = (sonde__span *)sonde__cell_of(handle);

    return span && !(span->flags & SONDE__SPAN_FINISHED) ? span : NULL;
}

#endif /* SONDE_LIBTRACE_SPAN_H */
