/* profiler_link.h - the profiler in this process, when there is one: what it is told.
 *
 * libtrace and the profiler are never linked: they find each other by name (sonde/profiler_hooks.h).
 *
 * Threads   all.  Nothing is called under a lock.
 * Source    docs/spec/thread-context.md, "The profiler" */
#ifndef SONDE_LIBTRACE_PROFILER_LINK_H
#define SONDE_LIBTRACE_PROFILER_LINK_H

#include "base/str.h"
#include "base/thread_ctx.h"
#include "sonde/profiler_hooks.h"

#include "config.h"

struct sonde__span;

/* Looks for a profiler that is there already.  Not under a lock: the loader has one of its own. */
void sonde__profiler_look(void);

/* A life of the tracer begins: what the profiler's presence means for spans. */
void sonde__profiler_begin(const sonde__config *c);

/* a thread has it now; NULL: nothing to tell */
void sonde__profiler_tell(sonde_thread_ctx *record);
void sonde__profiler_tell_all(void);

/* Reports the span's resource, if it is a local root of a kind that is reported. */
void sonde__endpoint_starts(struct sonde__span *span, sonde_str resource, sonde_str type);
void sonde__endpoint_changes(struct sonde__span *span, sonde_str resource);
void sonde__endpoint_finishes(const struct sonde__span *span);

#endif /* SONDE_LIBTRACE_PROFILER_LINK_H */
