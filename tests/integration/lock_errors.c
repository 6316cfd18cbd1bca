/* lock_errors - calls functions of locks wrongly, too late and cancelled, and says what each answers: the same with the
 * profiler in front of them and without. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

static const struct timespec long_ago = { 1, 0 }, wrong = { 1, 1000000000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, robust;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t empty;
static _Atomic int sleeping, cleaned_up;

#define SAY(call) printf("%-50s %d\n", #call, (call))
#define SAY_AND_ERRNO(call)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        SAY(call);                                                                                 \
        printf("%-50s %d\n", "    errno", errno);                                                  \
    } while (0)

static void say_conditions(void)
{
    pthread_mutex_t checked;
    pthread_mutexattr_t check;
    mtx_t plain;
    cnd_t c11;

    (void)pthread_mutexattr_init(&check);
    (void)pthread_mutexattr_settype(&check, PTHREAD_MUTEX_ERRORCHECK);
    (void)pthread_mutex_init(&checked, &check);
    (void)mtx_init(&plain, mtx_plain);
    (void)cnd_init(&c11);
    SAY(pthread_mutex_lock(&checked));
    SAY(pthread_cond_timedwait(&never, &checked, &long_ago));
    SAY(pthread_cond_timedwait(&never, &checked, &wrong));
    SAY(pthread_cond_clockwait(&never, &checked, CLOCK_MONOTONIC, &long_ago));
    SAY(pthread_cond_clockwait(&never, &checked, 77, &long_ago));
    SAY(pthread_mutex_lock(&checked));
    SAY(pthread_mutex_unlock(&checked));
    SAY(pthread_mutex_unlock(&checked));
    SAY(pthread_cond_wait(&never, &checked)); /* not the caller's */
    SAY(pthread_cond_signal(&never));
    SAY(pthread_cond_broadcast(&never));
    SAY(mtx_lock(&plain));
    SAY(cnd_timedwait(&c11, &plain, &long_ago));
    SAY(mtx_unlock(&plain));
    SAY(cnd_signal(&c11));
    SAY(cnd_broadcast(&c11));
}

static pthread_cond_t by_clock;

/* An hour by a clock that the first version of these functions did not know: to them it is long over. */
static void *waits_an_hour(void *out_result)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 3600;
    (void)pthread_mutex_lock(&mutex);
    sleeping = 1;
    *(int *)out_result = pthread_cond_timedwait(&by_clock, &mutex, &until);
    (void)pthread_mutex_unlock(&mutex);
    return NULL;
}

static void say_by_clock(void)
{
    pthread_condattr_t attributes;
    pthread_t thread;
    int woken = -1;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&by_clock, &attributes);
    sleeping = 0;
    if (pthread_create(&thread, NULL, waits_an_hour, &woken) != 0)
        abort();
    while (sleeping == 0)
        (void)thrd_yield();
    (void)pthread_mutex_lock(&mutex);
    SAY(pthread_cond_signal(&by_clock));
    (void)pthread_mutex_unlock(&mutex);
    (void)pthread_join(thread, NULL);
    SAY(woken);
    SAY(pthread_cond_destroy(&by_clock));
}

static void say_others(void)
{
    pthread_spinlock_t spin;
    pthread_rwlock_t rwlock;

    (void)pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    (void)pthread_rwlock_init(&rwlock, NULL);
    SAY(pthread_spin_lock(&spin));
    SAY(pthread_spin_trylock(&spin));
    SAY(pthread_spin_unlock(&spin));
    SAY(pthread_mutex_lock(&mutex));
    SAY(pthread_mutex_timedlock(&mutex, &long_ago));
    SAY(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &wrong));
    SAY(pthread_mutex_unlock(&mutex));
    SAY(pthread_rwlock_wrlock(&rwlock));
    SAY(pthread_rwlock_wrlock(&rwlock));
    SAY(pthread_rwlock_timedrdlock(&rwlock, &long_ago));
    SAY(pthread_rwlock_unlock(&rwlock));
    SAY_AND_ERRNO(sem_timedwait(&empty, &long_ago));
    SAY_AND_ERRNO(sem_timedwait(&empty, &wrong));
    SAY_AND_ERRNO(sem_post(&empty));
    SAY_AND_ERRNO(sem_wait(&empty));
}

static void *dies_with_it(void *unused)
{
    (void)pthread_mutex_lock(&robust);
    return unused;
}

static void say_who_is_dead(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;

    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&robust, &attributes);
    if (pthread_create(&thread, NULL, dies_with_it, NULL) != 0)
        abort();
    (void)pthread_join(thread, NULL);
    SAY(pthread_mutex_lock(&robust));
    SAY(pthread_mutex_unlock(&robust));
    SAY(pthread_mutex_lock(&robust)); /* not made consistent */
}

/* `locked`: the mutex must be this thread's again. */
static void cleaned(void *locked)
{
    cleaned_up = !locked || pthread_mutex_unlock(&mutex) == 0;
}

static void *sleeps_on_a_condition(void *unused)
{
    (void)pthread_mutex_lock(&mutex);
    pthread_cleanup_push(cleaned, &mutex);
    sleeping++;
    for (;;)
        (void)pthread_cond_wait(&never, &mutex);
    pthread_cleanup_pop(1);
    return unused;
}

static void *sleeps_on_a_semaphore(void *unused)
{
    pthread_cleanup_push(cleaned, NULL);
    sleeping++;
    for (;;)
        (void)sem_wait(&empty);
    pthread_cleanup_pop(1);
    return unused;
}

static void say_cancelled(void *(*sleeper)(void *))
{
    pthread_t thread;
    void *result = NULL;

    sleeping = cleaned_up = 0;
    if (pthread_create(&thread, NULL, sleeper, NULL) != 0)
        abort();
    while (sleeping == 0)
        (void)thrd_yield();
    SAY(pthread_mutex_lock(&mutex)); /* it waits for the condition, if it does */
    SAY(pthread_mutex_unlock(&mutex));
    SAY(pthread_cancel(thread));
    SAY(pthread_join(thread, &result));
    SAY(result == PTHREAD_CANCELED);
    SAY(cleaned_up);
}

int main(void)
{
    int i;

    (void)sem_init(&empty, 0, 0);
    say_conditions();
    say_by_clock();
    say_others();
    say_who_is_dead();
    for (i = 0; i < 20; i++) {
        say_cancelled(sleeps_on_a_condition);
        say_cancelled(sleeps_on_a_semaphore);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
