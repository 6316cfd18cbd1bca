/* mutex.c - mutexes with a rank; debug builds remember what each thread holds. */
#include "base/mutex.h"

#include "base/assert.h"
#include "base/clock.h"

#ifndef NDEBUG
#    define HELD_MAX 16 /* fork takes all of a process; deeper nesting is a mistake of its own */

static __thread const sonde_mutex *held[HELD_MAX]; /* in the order taken, ranks rising */
static __thread int held_len;

static void remember(const sonde_mutex *m)
{
    SONDE_ASSERT(held_len < HELD_MAX);
    SONDE_ASSERT(held_len == 0 || m->rank > held[held_len - 1]->rank);
    held[held_len++] = m;
}

static void forget(const sonde_mutex *m)
{
    int from, to = 0;

    for (from = 0; from < held_len; from++) {
        if (held[from] != m)
            held[to++] = held[from];
    }
    held_len = to;
}
#else
static inline void remember(const sonde_mutex *m)
{
    (void)m;
}

static inline void forget(const sonde_mutex *m)
{
    (void)m;
}
#endif

void sonde_mutex_init(sonde_mutex *m, sonde_rank rank)
{
    forget(m); /* a forked child re-initialises what its prefork hook locked */
    (void)pthread_mutex_init(&m->mu, NULL);
    m->rank = rank;
}

void sonde_mutex_done(sonde_mutex *m)
{
    (void)pthread_mutex_destroy(&m->mu);
}

SONDE_NO_TSA void sonde_mutex_lock(sonde_mutex *m)
{
    int error;

    remember(m); /* before waiting: a dead-lock then ends in an assertion */
    error = pthread_mutex_lock(&m->mu);
    SONDE_ASSERT(error == 0);
    (void)error;
}

SONDE_NO_TSA void sonde_mutex_unlock(sonde_mutex *m)
{
    int error = pthread_mutex_unlock(&m->mu);

    SONDE_ASSERT(error == 0);
    (void)error;
    forget(m);
}

void sonde_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void sonde_cond_wait_until(pthread_cond_t *c, sonde_mutex *m, unsigned long long deadline_mono_ns)
{
    struct timespec ts;

    if (deadline_mono_ns == UINT64_MAX) {
        (void)pthread_cond_wait(c, &m->mu);
        return;
    }
    ts = sonde_ns_to_timespec(deadline_mono_ns);
    (void)pthread_cond_timedwait(c, &m->mu,
                                 &ts); /* the caller looks at its condition and the clock */
}
