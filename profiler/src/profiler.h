/* profiler.h - what the parts of the profiler ask of its life.
 *
 * Threads   all; signal-safe: no. */
#ifndef SONDE_PROFILER_PROFILER_H
#define SONDE_PROFILER_PROFILER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sonde/profiler.h"

#include "config.h"

/* `only_if_asked`: linked, not preloaded: only when the environment says so. */
sonde_status sonde_prof__start(const sonde_prof_options *options, bool only_if_asked);

/* With these settings and no others, if nothing runs, reports of crashes included.  *out_why is set when that cannot be;
 * SONDE_ERR_TIMEOUT: it may a moment later. */
sonde_status sonde_prof__start_told(sonde_prof__lookup lookup, void *user, const char **out_why);

/* Whether programs this one executes are to be profiled; as the last start was told. */
bool sonde_prof__follows_execs(void);

/* DD_PROFILING_ENABLED=auto: starts to sample, unless it is being stopped.  The drainer, when it is time.  True: awake. */
bool sonde_prof__awaken(void);

/* A forked child has no thread of ours yet: most only execute another program. */
extern _Atomic bool sonde_prof__child_waits;
void sonde_prof__resume_slow(void);

/* From hooks, whenever they are called: 50 ms after a fork or later, the child gets its thread; from a handler, where none is
 * (child.h). */
static inline void sonde_prof__resume(void)
{
    if (__builtin_expect(atomic_load_explicit(&sonde_prof__child_waits, memory_order_relaxed),
                         false))
        sonde_prof__resume_slow();
}

#endif /* SONDE_PROFILER_PROFILER_H */
