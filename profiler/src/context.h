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

/* libtrace says it is in a span */
bool sonde_prof__context_is_active(const sonde_prof__slot *slot);

typedef enum sonde_prof__cost {
    SONDE_PROF__COST_CPU_NS,
    SONDE_PROF__COST_ALLOC_BYTES,
    SONDE_PROF__COST_LOCK_NS
} sonde_prof__cost;

/* What a sample weighs, to the costs of the span it was taken in; on its own thread. */
void sonde_prof__context_add(const sonde_prof__slot *slot, sonde_prof__cost cost, uint64_t amount);

#endif /* SONDE_PROFILER_CONTEXT_H */
