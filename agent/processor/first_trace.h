/* first_trace.h - which services a trace was kept of since the start; of the processor only.
 *
 * Threads   any number.
 * Bounds    FIRST_TRACE_SERVICES. */
#ifndef SONDE_AGENT_PROCESSOR_FIRST_TRACE_H
#define SONDE_AGENT_PROCESSOR_FIRST_TRACE_H

#include "agent/config/config.h"
#include "agent/payload/payload.h"

#define FIRST_TRACE_SERVICES 1024

typedef struct first_traces first_traces;

/* *out stays NULL when the installation has no id; that is what the others take for "nothing to do". */
SONDE_MUST_USE sonde_status first_traces_open(const agent_config *c, uint64_t seed,
                                              first_traces **out);
void first_traces_close(first_traces *f);
void first_traces_mark(first_traces *f, payload *p);
uint64_t first_traces_unmarked(const first_traces *f); /* traces of services beyond the bound */

#endif /* SONDE_AGENT_PROCESSOR_FIRST_TRACE_H */
