/* child.h - a forked child that does nothing but compute: the timer's signal gives it the profiler's thread.
 *
 * Most children execute another program at once, so the thread is not made in the fork but 50 ms later at the soonest, by the
 * first hook (profiler.h).  Where none is called a handler makes it, which POSIX allows when what it interrupted is no
 * function that is unsafe in handlers: the stack is known to its end, and none of it is the C library's, the loader's,
 * malloc()'s or ours, but for what every thread begins with.
 *
 * Threads   learn: whoever starts the profiler.  may_begin: all; signal-safe.
 * See also  docs/decisions/0013-thread-from-a-handler.md */
#ifndef SONDE_PROFILER_CHILD_H
#define SONDE_PROFILER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define SONDE_PROF__CHILD_RANGES 5u /* ours, libc, the loader, and twice who may have malloc() */

/* Code no frame may be in; the first is ours.  All zero: not known, and nothing is begun. */
typedef struct sonde_prof__child_code {
    struct {
        uint64_t lo, hi;
    } range[SONDE_PROF__CHILD_RANGES];
    bool is_known;
} sonde_prof__child_code;

extern sonde_prof__child_code sonde_prof__child_code_now;

void sonde_prof__child_learn(void); /* loaded objects are known */

/* The calling thread of `slot` was interrupted with that stack, in a handler that is not on a stack of its own. */
bool sonde_prof__child_may_begin(const sonde_prof__slot *slot, const uint64_t *frames,
                                 uint32_t len);

#endif /* SONDE_PROFILER_CHILD_H */
