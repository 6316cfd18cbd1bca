/* base/mutex.h - mutexes with a rank.
 *
 * A thread may take a mutex only when its rank is higher than every rank it holds; debug builds check
 * it, so that a dead-lock becomes a failed test.  Nothing is called out while a lock is held.
 */
#ifndef SONDE_BASE_MUTEX_H
#define SONDE_BASE_MUTEX_H

#include <pthread.h>

/* In the order they may be taken. */
typedef enum sonde_rank {
    SONDE_RANK_AT_WORK = 5,    /* libtrace, with a sanitizer: its thread is not resting */
    SONDE_RANK_LIFECYCLE = 10, /* start, stop, reload */
    SONDE_RANK_ROOM = 20,      /* a room's own state */
    SONDE_RANK_SEGMENT = 30,   /* libtrace: one segment */
    SONDE_RANK_POLICY = 35,    /* libtrace: replacing the sampling rules */
    SONDE_RANK_LIVE = 36,      /* libtrace: what remote configuration has set */
    SONDE_RANK_REMOTE = 37,    /* libtrace: who waits for a poll, and what is in force */
    SONDE_RANK_STORE = 40,
    SONDE_RANK_QUEUE = 50, /* sonde_queue */
    SONDE_RANK_POOL = 60,
    SONDE_RANK_OPEN_SPANS = 65, /* libtrace: abandoned.c */
    SONDE_RANK_STATSD = 70,     /* libtrace: the list of statsd clients */
    SONDE_RANK_STATSD_OUT = 71, /* one client's datagrams */
    SONDE_RANK_LOG = 90,        /* innermost: logging is allowed nearly everywhere */
} sonde_rank;

#if defined(__clang__)
#    define SONDE_TSA(x) __attribute__((x))
#else
#    define SONDE_TSA(x)
#endif
#define SONDE_CAPABILITY   SONDE_TSA(capability("mutex"))
#define SONDE_ACQUIRES(mu) SONDE_TSA(acquire_capability(mu))
#define SONDE_RELEASES(mu) SONDE_TSA(release_capability(mu))
#define SONDE_REQUIRES(mu) SONDE_TSA(requires_capability(mu))
#define SONDE_EXCLUDES(mu) SONDE_TSA(locks_excluded(mu))
#define SONDE_NO_TSA       SONDE_TSA(no_thread_safety_analysis) /* says why beside it */

typedef struct SONDE_CAPABILITY sonde_mutex {
    pthread_mutex_t mu;
    sonde_rank rank;
} sonde_mutex;

/* clang-format off */
#define SONDE_MUTEX_INIT(rank_) { .mu = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_) }
/* clang-format on */

/* Also in a forked child, for a mutex the forking thread held: it is free afterwards. */
void sonde_mutex_init(sonde_mutex *m, sonde_rank rank);
void sonde_mutex_done(sonde_mutex *m);
void sonde_mutex_lock(sonde_mutex *m) SONDE_ACQUIRES(m);
void sonde_mutex_unlock(sonde_mutex *m) SONDE_RELEASES(m);

void sonde_cond_init(pthread_cond_t *c); /* monotonic clock */

/* Waits on `c` with `m` held until signalled or the deadline (UINT64_MAX: for ever); may wake early. */
void sonde_cond_wait_until(pthread_cond_t *c, sonde_mutex *m, unsigned long long deadline_mono_ns)
    SONDE_REQUIRES(m);

#endif /* SONDE_BASE_MUTEX_H */
