/* lock.c - waits for mutexes, read-write locks and semaphores.
 *
 * Tried first: what is free costs a call and no clock.  Only a lock somebody else holds is waited for, and timed.  Whatever
 * trying says but `held` and `mine now`, the real call is made, so that its error is the program's to see. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

#include "base/clock.h"
#include "sonde/export.h"

#include "profiler/src/waits.h"

#include "real.h"

#define CALLER __builtin_return_address(0)

static inline bool looks(void)
{
    return sonde_prof__waits_look(&sonde_prof__locks_on);
}

/* The lock is the caller's, if with a warning. */
static inline bool is_mine(int error)
{
    return error == 0 || error == EOWNERDEAD;
}

/* A function NAME of one lock and more arguments, with TRY in front. */
#define LOCK(name, try_name, kind, PARAMS, ARGS)                                                   \
    SONDE_PROF__REAL(name)                                                                         \
    SONDE_API int name PARAMS                                                                      \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        uint64_t from;                                                                             \
        int error;                                                                                 \
                                                                                                   \
        if (!real)                                                                                 \
            return ENOSYS;                                                                         \
        if (!looks())                                                                              \
            return real ARGS;                                                                      \
        error = try_name(lock);                                                                    \
        if (is_mine(error))                                                                        \
            return error;                                                                          \
        if (error != EBUSY)                                                                        \
            return real ARGS;                                                                      \
        from = sonde_mono_ns();                                                                    \
        error = real ARGS;                                                                         \
        if (is_mine(error))                                                                        \
            sonde_prof__lock_waited(lock, kind, sonde_mono_ns() - from, CALLER);                   \
        return error;                                                                              \
    }

#define UNTIL const struct timespec *until

LOCK(pthread_mutex_lock, pthread_mutex_trylock, SONDE_PROF__MUTEX, (pthread_mutex_t * lock), (lock))
LOCK(pthread_mutex_timedlock, pthread_mutex_trylock, SONDE_PROF__MUTEX,
     (pthread_mutex_t * lock, UNTIL), (lock, until))
LOCK(pthread_mutex_clocklock, pthread_mutex_trylock, SONDE_PROF__MUTEX,
     (pthread_mutex_t * lock, clockid_t clock, UNTIL), (lock, clock, until))
LOCK(pthread_rwlock_rdlock, pthread_rwlock_tryrdlock, SONDE_PROF__RWLOCK_READ,
     (pthread_rwlock_t * lock), (lock))
LOCK(pthread_rwlock_timedrdlock, pthread_rwlock_tryrdlock, SONDE_PROF__RWLOCK_READ,
     (pthread_rwlock_t * lock, UNTIL), (lock, until))
LOCK(pthread_rwlock_clockrdlock, pthread_rwlock_tryrdlock, SONDE_PROF__RWLOCK_READ,
     (pthread_rwlock_t * lock, clockid_t clock, UNTIL), (lock, clock, until))
LOCK(pthread_rwlock_wrlock, pthread_rwlock_trywrlock, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock), (lock))
LOCK(pthread_rwlock_timedwrlock, pthread_rwlock_trywrlock, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock, UNTIL), (lock, until))
LOCK(pthread_rwlock_clockwrlock, pthread_rwlock_trywrlock, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock, clockid_t clock, UNTIL), (lock, clock, until))

/* -- semaphores: errors are in errno ---------------------------------------------------------------- */

#define SEMAPHORE(name, PARAMS, ARGS)                                                              \
    SONDE_PROF__REAL(name)                                                                         \
    SONDE_API int name PARAMS                                                                      \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        int result, saved = errno;                                                                 \
        uint64_t from;                                                                             \
                                                                                                   \
        if (!real) {                                                                               \
            errno = ENOSYS;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        if (!looks())                                                                              \
            return real ARGS;                                                                      \
        if (sem_trywait(lock) == 0)                                                                \
            return 0;                                                                              \
        errno = saved;                                                                             \
        from = sonde_mono_ns();                                                                    \
        result = real ARGS;                                                                        \
        if (result == 0)                                                                           \
            sonde_prof__lock_waited(lock, SONDE_PROF__SEMAPHORE, sonde_mono_ns() - from, CALLER);  \
        return result;                                                                             \
    }

SEMAPHORE(sem_wait, (sem_t * lock), (lock))
SEMAPHORE(sem_timedwait, (sem_t * lock, UNTIL), (lock, until))
SEMAPHORE(sem_clockwait, (sem_t * lock, clockid_t clock, UNTIL), (lock, clock, until))

/* -- C11's mutexes are POSIX's, with errors of their own ---------------------------------------------- */

SONDE_PROF__REAL(mtx_lock)

SONDE_API int mtx_lock(mtx_t *lock)
{
    __typeof__(&mtx_lock) real = real_mtx_lock();
    uint64_t from;
    int result;

    if (!real)
        return thrd_error;
    if (!looks())
        return real(lock);
    if (mtx_trylock(lock) == thrd_success)
        return thrd_success;
    from = sonde_mono_ns();
    result = real(lock);
    if (result == thrd_success)
        sonde_prof__lock_waited(lock, SONDE_PROF__MUTEX, sonde_mono_ns() - from, CALLER);
    return result;
}

/* Asking the loader takes locks and memory: not when somebody is in the middle of it, or in a signal handler. */
__attribute__((constructor(101))) static void find_all(void)
{
    (void)real_pthread_mutex_lock();
    (void)real_pthread_mutex_timedlock();
    (void)real_pthread_mutex_clocklock();
    (void)real_pthread_rwlock_rdlock();
    (void)real_pthread_rwlock_timedrdlock();
    (void)real_pthread_rwlock_clockrdlock();
    (void)real_pthread_rwlock_wrlock();
    (void)real_pthread_rwlock_timedwrlock();
    (void)real_pthread_rwlock_clockwrlock();
    (void)real_sem_wait();
    (void)real_sem_timedwait();
    (void)real_sem_clockwait();
    (void)real_mtx_lock();
}
