/* lock.c - waits for mutexes, read-write locks, spin locks and semaphores, and who lets them go.
 *
 * Looked at first: what nobody holds costs a load, no clock, and goes straight to the real function.  A lock that is taken between the
 * look and the call is waited for untimed, a chance of nanoseconds.  What is looked at are the words that glibc's headers
 * name; with another C library every call is timed.  Whoever lets go looks at a table of who waits (waiters.h), before the real
 * call: behind it the lock may be gone. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <threads.h>
#include <time.h>

#include "sonde/export.h"

#include "profiler/src/waits.h"

#include "real.h"

#define CALLER __builtin_return_address(0)

#if defined(__GLIBC__)
static inline bool is_mutex_held(const pthread_mutex_t *m)
{
    return __atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) != 0;
}

/* Bit 0: the phase of writers, bit 1: one has it, above 2: readers. */
static inline bool is_held_for_readers(const pthread_rwlock_t *l)
{
    return (__atomic_load_n(&l->__data.__readers, __ATOMIC_RELAXED) & 3) != 0;
}

static inline bool is_held_for_writers(const pthread_rwlock_t *l)
{
    return __atomic_load_n(&l->__data.__readers, __ATOMIC_RELAXED) != 0;
}

/* The first word on little-endian machines of 64 bits. */
static inline bool is_semaphore_empty(const sem_t *s)
{
    return __atomic_load_n((const unsigned *)(const void *)s, __ATOMIC_RELAXED) == 0;
}
#else
#    define is_mutex_held(lock)       ((void)(lock), true)
#    define is_held_for_readers(lock) ((void)(lock), true)
#    define is_held_for_writers(lock) ((void)(lock), true)
#    define is_semaphore_empty(lock)  ((void)(lock), true)
#endif

/* The lock is the caller's, if with a warning. */
static inline bool is_mine(int error)
{
    return error == 0 || error == EOWNERDEAD;
}

#define LIST(...) __VA_ARGS__ /* of a list in parentheses */

/* next_NAME: the real function, or, until that is known, first_NAME(), which finds it.  So what costs least need not ask. */
#define NEXT(name, not_there, PARAMS, ARGS)                                                        \
    SONDE_PROF__REAL(name)                                                                         \
    static int first_##name PARAMS;                                                                \
    static _Atomic(__typeof__(&(name))) next_##name = first_##name;                                \
                                                                                                   \
    static __typeof__(&(name)) find_##name(void)                                                   \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
                                                                                                   \
        if (real)                                                                                  \
            atomic_store_explicit(&next_##name, real, memory_order_relaxed);                       \
        return real;                                                                               \
    }                                                                                              \
                                                                                                   \
    static int first_##name PARAMS                                                                 \
    {                                                                                              \
        __typeof__(&(name)) real = find_##name();                                                  \
                                                                                                   \
        return real ? real ARGS : (not_there);                                                     \
    }

#define CALL_NEXT(name) atomic_load_explicit(&next_##name, memory_order_relaxed)

/* A function NAME of `lock` and more arguments; MAY_WAIT: it is held.  What times is out of line, so that what does not needs
 * nothing on the stack. */
#define LOCK(name, may_wait, kind, PARAMS, ARGS)                                                   \
    NEXT(name, ENOSYS, PARAMS, ARGS)                                                               \
    static __attribute__((noinline)) int timed_##name(const void *caller, LIST PARAMS)             \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        sonde_prof__wait wait;                                                                     \
        int error;                                                                                 \
                                                                                                   \
        if (!real)                                                                                 \
            return ENOSYS;                                                                         \
        if (!sonde_prof__waits_look_at(1u << (kind)))                                              \
            return real ARGS;                                                                      \
        wait = sonde_prof__wait_begin(lock);                                                       \
        error = real ARGS;                                                                         \
        sonde_prof__wait_end(&wait, lock, kind, is_mine(error), caller);                           \
        return error;                                                                              \
    }                                                                                              \
                                                                                                   \
    SONDE_API int name PARAMS                                                                      \
    {                                                                                              \
        if (!may_wait(lock))                                                                       \
            return CALL_NEXT(name) ARGS;                                                           \
        return timed_##name(CALLER, LIST ARGS);                                                    \
    }

#define UNTIL const struct timespec *until

LOCK(pthread_mutex_lock, is_mutex_held, SONDE_PROF__MUTEX, (pthread_mutex_t * lock), (lock))
LOCK(pthread_mutex_timedlock, is_mutex_held, SONDE_PROF__MUTEX, (pthread_mutex_t * lock, UNTIL),
     (lock, until))
LOCK(pthread_mutex_clocklock, is_mutex_held, SONDE_PROF__MUTEX,
     (pthread_mutex_t * lock, clockid_t clock, UNTIL), (lock, clock, until))
LOCK(pthread_rwlock_rdlock, is_held_for_readers, SONDE_PROF__RWLOCK_READ, (pthread_rwlock_t * lock),
     (lock))
LOCK(pthread_rwlock_timedrdlock, is_held_for_readers, SONDE_PROF__RWLOCK_READ,
     (pthread_rwlock_t * lock, UNTIL), (lock, until))
LOCK(pthread_rwlock_clockrdlock, is_held_for_readers, SONDE_PROF__RWLOCK_READ,
     (pthread_rwlock_t * lock, clockid_t clock, UNTIL), (lock, clock, until))
LOCK(pthread_rwlock_wrlock, is_held_for_writers, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock), (lock))
LOCK(pthread_rwlock_timedwrlock, is_held_for_writers, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock, UNTIL), (lock, until))
LOCK(pthread_rwlock_clockwrlock, is_held_for_writers, SONDE_PROF__RWLOCK_WRITE,
     (pthread_rwlock_t * lock, clockid_t clock, UNTIL), (lock, clock, until))

/* -- semaphores: errors are in errno ---------------------------------------------------------------- */

#define SEMAPHORE(name, PARAMS, ARGS)                                                              \
    SONDE_PROF__REAL(name)                                                                         \
    SONDE_API int name PARAMS                                                                      \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        sonde_prof__wait wait;                                                                     \
        int result;                                                                                \
                                                                                                   \
        if (!real) {                                                                               \
            errno = ENOSYS;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        if (!is_semaphore_empty(lock) || !sonde_prof__waits_look_at(SONDE_PROF__SEMAPHORES))       \
            return real ARGS;                                                                      \
        wait = sonde_prof__wait_begin(lock);                                                       \
        result = real ARGS;                                                                        \
        sonde_prof__wait_end(&wait, lock, SONDE_PROF__SEMAPHORE, result == 0, CALLER);             \
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
    sonde_prof__wait wait;
    int result;

    if (!real)
        return thrd_error;
    if (!is_mutex_held((const pthread_mutex_t *)(const void *)lock) ||
        !sonde_prof__waits_look_at(SONDE_PROF__MUTEXES))
        return real(lock);
    wait = sonde_prof__wait_begin(lock);
    result = real(lock);
    sonde_prof__wait_end(&wait, lock, SONDE_PROF__MUTEX, result == thrd_success, CALLER);
    return result;
}

/* -- spin locks: tried first, as the word is not the same everywhere ---------------------------------- */

SONDE_PROF__REAL(pthread_spin_lock)
SONDE_PROF__REAL(pthread_spin_trylock)

SONDE_API int pthread_spin_lock(pthread_spinlock_t *lock)
{
    __typeof__(&pthread_spin_lock) real = real_pthread_spin_lock();
    __typeof__(&pthread_spin_trylock) try = real_pthread_spin_trylock();
    sonde_prof__wait wait;
    int error;

    if (!real)
        return ENOSYS;
    if (!try || !sonde_prof__waits_look_at(SONDE_PROF__SPINS))
        return real(lock);
    if (try(lock) == 0)
        return 0;
    wait = sonde_prof__wait_begin(lock);
    error = real(lock);
    sonde_prof__wait_end(&wait, lock, SONDE_PROF__SPIN, is_mine(error), CALLER);
    return error;
}

/* -- letting go --------------------------------------------------------------------------------------- */

/* ALL: who waits for it waits for this thread; else one of them may go on.  Out of line as above. */
#define RELEASE(name, all, type, not_there)                                                        \
    NEXT(name, not_there, (type * lock), (lock))                                                   \
    static __attribute__((noinline)) int told_##name(type *lock, const void *caller)               \
    {                                                                                              \
        if (sonde_prof__waits_outermost())                                                         \
            sonde_prof__released(lock, all, caller);                                               \
        return CALL_NEXT(name)(lock);                                                              \
    }                                                                                              \
                                                                                                   \
    SONDE_API int name(type *lock)                                                                 \
    {                                                                                              \
        if (!sonde_prof__is_waited_for(lock))                                                      \
            return CALL_NEXT(name)(lock);                                                          \
        return told_##name(lock, CALLER);                                                          \
    }

RELEASE(pthread_mutex_unlock, true, pthread_mutex_t, ENOSYS)
RELEASE(pthread_rwlock_unlock, true, pthread_rwlock_t, ENOSYS)
RELEASE(pthread_spin_unlock, true, pthread_spinlock_t, ENOSYS)
RELEASE(mtx_unlock, true, mtx_t, thrd_error)
RELEASE(sem_post, false, sem_t, (errno = ENOSYS, -1))

/* Asking the loader takes locks and memory: not when somebody is in the middle of it, or in a signal handler. */
__attribute__((constructor(101))) static void find_all(void)
{
    (void)find_pthread_mutex_lock();
    (void)find_pthread_mutex_timedlock();
    (void)find_pthread_mutex_clocklock();
    (void)find_pthread_rwlock_rdlock();
    (void)find_pthread_rwlock_timedrdlock();
    (void)find_pthread_rwlock_clockrdlock();
    (void)find_pthread_rwlock_wrlock();
    (void)find_pthread_rwlock_timedwrlock();
    (void)find_pthread_rwlock_clockwrlock();
    (void)real_sem_wait();
    (void)real_sem_timedwait();
    (void)real_sem_clockwait();
    (void)real_mtx_lock();
    (void)real_pthread_spin_lock();
    (void)real_pthread_spin_trylock();
    (void)find_pthread_mutex_unlock();
    (void)find_pthread_rwlock_unlock();
    (void)find_pthread_spin_unlock();
    (void)find_mtx_unlock();
    (void)find_sem_post();
}
