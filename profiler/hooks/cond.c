/* cond.c - waits for conditions, and who signals them: only if asked for.
 *
 * Such a wait is mostly a thread without work.  It is timed from the call to the return, getting the mutex back included.
 * The mutex is let go in it: who waits for that is told in any case.
 *
 * glibc has each function twice, with another layout of the condition before version 2.3.2 of its interface; the new one is
 * asked for by name, since the oldest may be what comes without.  Cancellation ends a wait in the middle: what is known of
 * it then goes with the thread (waiters.h). */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

#include "sonde/export.h"

#include "profiler/src/waits.h"

#include "real.h"

#define CALLER  __builtin_return_address(0)
#define VERSION "GLIBC_2.3.2"

#define LIST(...) __VA_ARGS__ /* of a list in parentheses */

/* A function NAME of a condition and `mutex`.  NOT_THERE: what it says when nobody has it. */
#define WAIT(name, not_there, PARAMS, ARGS)                                                        \
    SONDE_PROF__REAL_OF(name, VERSION)                                                             \
    SONDE_API int name PARAMS                                                                      \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        sonde_prof__wait wait;                                                                     \
        int result;                                                                                \
                                                                                                   \
        if (!real)                                                                                 \
            return not_there;                                                                      \
        if (sonde_prof__is_waited_for(mutex) && sonde_prof__waits_outermost())                     \
            sonde_prof__released(mutex, true, CALLER);                                             \
        if (!sonde_prof__waits_look_at(SONDE_PROF__CONDITIONS))                                    \
            return real ARGS;                                                                      \
        wait = sonde_prof__wait_begin(cond);                                                       \
        result = real ARGS;                                                                        \
        sonde_prof__wait_end(&wait, cond, SONDE_PROF__CONDITION, result == 0, CALLER);             \
        return result;                                                                             \
    }

/* ALL: everybody who waits may go on, else one. */
#define SIGNAL(name, all, not_there, type)                                                         \
    SONDE_PROF__REAL_OF(name, VERSION)                                                             \
    SONDE_API int name(type *cond)                                                                 \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
                                                                                                   \
        if (!real)                                                                                 \
            return not_there;                                                                      \
        if (sonde_prof__is_waited_for(cond) && sonde_prof__waits_outermost())                      \
            sonde_prof__released(cond, all, CALLER);                                               \
        return real(cond);                                                                         \
    }

#define UNTIL const struct timespec *until

WAIT(pthread_cond_wait, ENOSYS, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
WAIT(pthread_cond_timedwait, ENOSYS, (pthread_cond_t * cond, pthread_mutex_t *mutex, UNTIL),
     (cond, mutex, until))
WAIT(pthread_cond_clockwait, ENOSYS,
     (pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t clock, UNTIL),
     (cond, mutex, clock, until))
WAIT(cnd_wait, thrd_error, (cnd_t * cond, mtx_t *mutex), (cond, mutex))
WAIT(cnd_timedwait, thrd_error, (cnd_t * cond, mtx_t *mutex, UNTIL), (cond, mutex, until))

SIGNAL(pthread_cond_signal, false, ENOSYS, pthread_cond_t)
SIGNAL(pthread_cond_broadcast, true, ENOSYS, pthread_cond_t)
SIGNAL(cnd_signal, false, thrd_error, cnd_t)
SIGNAL(cnd_broadcast, true, thrd_error, cnd_t)

/* Asking the loader takes locks and memory: not when somebody is in the middle of it. */
__attribute__((constructor(101))) static void find_all(void)
{
    (void)real_pthread_cond_wait();
    (void)real_pthread_cond_timedwait();
    (void)real_pthread_cond_clockwait();
    (void)real_cnd_wait();
    (void)real_cnd_timedwait();
    (void)real_pthread_cond_signal();
    (void)real_pthread_cond_broadcast();
    (void)real_cnd_signal();
    (void)real_cnd_broadcast();
}
