/* context.h - reading a thread's active span, on that thread or from another one.
 *
 * Threads   see each.  Signal-safe: yes, all.
 * Source    docs/spec/thread-context.md */
#ifndef SONDE_PROFILER_CONTEXT_H
#define SONDE_PROFILER_CONTEXT_H

#include <stdbool.h>

#include "slot.h"

extern _Atomic int sonde_prof__local_root_key; /* -1: none */

/* From another thread: libtrace's record only, all zero when it is being written. */
void sonde_prof__context_read_remote(const sonde_prof__slot *slot, sonde_prof__context *out);

bool sonde_prof__context_is_active(
    const sonde_prof__slot *slot); /* libtrace says it is in a span */

/* What a CPU sample weighs, to the span's costs. */
void sonde_prof__context_add_cpu(const sonde_prof__slot *slot, uint64_t ns);

/* What a sampled allocation weighs, on the allocating thread. */
void sonde_prof__context_add_alloc(const sonde_prof__slot *slot, uint64_t bytes);

/* What a sampled wait for a lock weighs, on the thread that waited. */
void sonde_prof__context_add_lock(const sonde_prof__slot *slot, uint64_t ns);

#endif /* SONDE_PROFILER_CONTEXT_H */
