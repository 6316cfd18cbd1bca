/* sonde/link.h - links: a span that has to do with another one that is not its parent.
 *
 *   sonde_span_add_link(span, &(sonde_link){ .context = job->context });
 *
 * A batch links to what it was made of, a retry to the first attempt.
 *
 * Threads   as in <sonde/span.h>.
 * Failure   a NULL or finished span, a NULL link or one that leads nowhere: nothing happens.
 * Memory    everything is copied before the call returns.
 * Bounds    links, events and tags of a span together 1 024, a link 65 535 bytes (counter links_dropped);
 *           128 attributes of a link (counter tags_dropped); keys and values are cut as those of tags.
 * Source    docs/spec/spans.md, "Links"
 */
#ifndef SONDE_LINK_H
#define SONDE_LINK_H

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
typedef struct sonde_context sonde_context;

#define SONDE_LINK_SAMPLED     0x80000001u /* flags: the other trace was kept */
#define SONDE_LINK_NOT_SAMPLED 0x80000000u

/* Where a link leads: the first of `to`, `context` and the ids that is given.  Zero-initialise. */
typedef struct sonde_link {
    uint32_t struct_bytes;        /* sizeof(sonde_link); 0: all fields of this header */
    uint32_t attributes_len;      /* how many `attributes` */
    const sonde_span *to;         /* an open span */
    const sonde_context *context; /* e.g. of sonde_extract() or sonde_context_current() */
    uint64_t trace_id_high;       /* 0 for a 64-bit trace id */
    uint64_t trace_id_low;
    uint64_t span_id;
    const sonde_attribute *attributes; /* stored as texts; arrays as key.0, key.1, ... */
    const char *tracestate; /* with ids; default: none.  Otherwise what would be injected */
    uint32_t flags;         /* with ids: SONDE_LINK_...; 0: not known */
    uint32_t unused;
} sonde_link;

/* Adds a link; it is sent with the span. */
SONDE_API void sonde_span_add_link(sonde_span *span, const sonde_link *link);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_LINK_H */
