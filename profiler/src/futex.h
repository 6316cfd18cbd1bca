/* futex.h - waiting for a word of this process to change, without libpthread.
 *
 * Threads   all.  Signal-safe: yes.  errno is the call's. */
#ifndef SONDE_PROFILER_FUTEX_H
#define SONDE_PROFILER_FUTEX_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define SONDE_PROF__FUTEX_FOR_EVER UINT64_MAX
#define SONDE_PROF__FUTEX_ALL      INT_MAX

/* Back at once when the word is not `value`, when somebody wakes its waiters, after `for_ns`, or for no reason. */
static inline void sonde_prof__futex_wait(const _Atomic uint32_t *word, uint32_t value,
                                          uint64_t for_ns)
{
    const struct timespec timeout = sonde_ns_to_timespec(for_ns);

    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                  for_ns == SONDE_PROF__FUTEX_FOR_EVER ? NULL : &timeout, NULL, 0);
}

static inline void sonde_prof__futex_wake(const _Atomic uint32_t *word, int waiters)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}

#endif /* SONDE_PROFILER_FUTEX_H */
