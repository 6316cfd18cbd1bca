/* trace_filter.h - which traces the agent does not want: its filters, applied before our statistics.
 *
 * Made from an answer to /info, then not changed; the next answer makes the next one.  What is looked at
 * is the encoded local root, as the agent would see it: status, environment and names of peers normalised.
 *
 * Threads   one: the flusher, which also makes them, so that the program never waits for a pattern.
 * Bounds    the lists of agent_info.h; SONDE__FILTER_MAX_BYTES of compiled patterns.
 * Source    docs/spec/trace-filters.md */
#ifndef SONDE_LIBTRACE_TRACE_FILTER_H
#define SONDE_LIBTRACE_TRACE_FILTER_H

#include <stdbool.h>

#include "agent_info.h"
#include "wire_span.h"

#define SONDE__FILTER_MAX_BYTES ((size_t)512 << 10)

typedef struct sonde__trace_filter sonde__trace_filter;

/* A filter with views into `info`; NULL where there is nothing to filter.  Patterns that RE2 refuses are
 * left out.  SONDE_ERR_INVALID, SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM: this agent's filters cannot be
 * applied here. */
SONDE_MUST_USE sonde_status sonde__trace_filter_new(const sonde__agent_info *info,
                                                    sonde__trace_filter **out);
void sonde__trace_filter_free(sonde__trace_filter *f); /* NULL does nothing */

/* True when the trace of this local root is to be dropped. */
bool sonde__trace_filter_drops(sonde__trace_filter *f, const sonde__wire_span *root);

#endif /* SONDE_LIBTRACE_TRACE_FILTER_H */
