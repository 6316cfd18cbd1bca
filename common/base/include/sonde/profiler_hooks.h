/* sonde/profiler_hooks.h - how the tracer and a profiler in one process meet: by exported names, never
 * linked.  For profilers; programs do not need it.
 *
 *   the profiler exports    sonde_prof_set_context_record, sonde_prof_endpoint
 *   the tracer exports      sonde_trace_profiler_started
 *
 * The tracer looks for the first two with dlsym(RTLD_DEFAULT, ...) in sonde_start().  A profiler that
 * comes later, or that the tracer cannot see, finds the third and calls it.
 *
 * Threads   all.  Nothing is called under a lock of the tracer; what is called must not call the tracer.
 * Source    docs/spec/thread-context.md, "The profiler" */
#ifndef SONDE_PROFILER_HOOKS_H
#define SONDE_PROFILER_HOOKS_H

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_thread_ctx; /* the record; its layout is docs/spec/thread-context.md */

/* A thread has this record now: the one whose id is the `tid` in it.  Called on any thread, for one record
 * any number of times.  The record is never unmapped; it is free again when its tid is 0. */
typedef void sonde_prof_set_context_record_fn(struct sonde_thread_ctx *record);

/* A local root's resource: `finished` 1 when the root ends, 0 when its resource is known before.  Only of
 * types "web", "rpc" and none.  The texts are valid during the call. */
typedef void sonde_prof_endpoint_fn(uint64_t local_root_id, sonde_str resource, sonde_str type,
                                    uint32_t finished);

/* What the profiler exports: the same, by these names.  Looked up, never linked. */
SONDE_API void sonde_prof_set_context_record(struct sonde_thread_ctx *record);
SONDE_API void sonde_prof_endpoint(uint64_t local_root_id, sonde_str resource, sonde_str type,
                                   uint32_t finished);

/* For `sonde profile -p`, which starts a thread here and lets it call this; it comes back when profiling is over.  The block
 * is common/base/attach.h's. */
struct sonde_attach_block;
SONDE_API void sonde_prof_attach(struct sonde_attach_block *block);

typedef struct sonde_profiler_hooks {
    uint32_t size;                                        /* of the struct as the caller knows it */
    sonde_prof_set_context_record_fn *set_context_record; /* NULL: as no hooks at all */
    sonde_prof_endpoint_fn *endpoint;                     /* NULL: no endpoints */
} sonde_profiler_hooks;

/* A profiler has started: takes over its functions, in place of any before, and tells it every record
 * there is.  NULL: it has stopped; its functions are not called any more, but for calls under way.  Before
 * and after sonde_start(), from any thread, not from a signal handler. */
SONDE_API void sonde_trace_profiler_started(const sonde_profiler_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_PROFILER_HOOKS_H */
