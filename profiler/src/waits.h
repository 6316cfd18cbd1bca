/* waits.h - which waits for locks, which calls of I/O and which exceptions are sampled.
 *
 *   hook ──▶ the wait, timed ──▶ credit -= ns ──above 0──▶ back to the program
 *                                     └─ used up ─▶ weight, stack ──▶ ring (LOCK, IO)
 *
 * A wait weighs 1/p with the interval its credit was drawn with.  When more waits are sampled than WAITS_PER_S, the interval
 * doubles at the next tick; when less than half of that, it halves, down to what was asked for, times 2^step.  That biases
 * nothing (docs/decisions/0012-intervals-of-waits.md).
 *
 * Threads   all, but start, stop and tick: one at a time.  Signal-safe: no.
 * See also  poisson.h, heap.h; waiters.h: who let go */
#ifndef SONDE_PROFILER_WAITS_H
#define SONDE_PROFILER_WAITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "slot.h"
#include "waiters.h"

#define SONDE_PROF__WAITS_PER_S       83u
#define SONDE_PROF__WAIT_MEAN_NS      1000000u
#define SONDE_PROF__WAIT_MEAN_NS_MAX  1000000000u
#define SONDE_PROF__THROWS_PER_SAMPLE 100u

/* those of the batch format */
enum sonde_prof__lock_kind {
    SONDE_PROF__MUTEX = 0,
    SONDE_PROF__RWLOCK_READ = 1,
    SONDE_PROF__RWLOCK_WRITE = 2,
    SONDE_PROF__SPIN = 3,
    SONDE_PROF__CONDITION = 4,
    SONDE_PROF__SEMAPHORE = 5
};

/* What is asked for; bits of enum sonde_prof__lock_kind. */
#define SONDE_PROF__MUTEXES    (1u << SONDE_PROF__MUTEX)
#define SONDE_PROF__RWLOCKS    (1u << SONDE_PROF__RWLOCK_READ | 1u << SONDE_PROF__RWLOCK_WRITE)
#define SONDE_PROF__SPINS      (1u << SONDE_PROF__SPIN)
#define SONDE_PROF__CONDITIONS (1u << SONDE_PROF__CONDITION)
#define SONDE_PROF__SEMAPHORES (1u << SONDE_PROF__SEMAPHORE)
#define SONDE_PROF__LOCKS_AS_USUAL                                                                 \
    (SONDE_PROF__MUTEXES | SONDE_PROF__RWLOCKS | SONDE_PROF__SEMAPHORES)

enum sonde_prof__io_operation {
    SONDE_PROF__IO_READ,
    SONDE_PROF__IO_WRITE,
    SONDE_PROF__IO_SYNC,
    SONDE_PROF__IO_CONNECT,
    SONDE_PROF__IO_ACCEPT
};

enum sonde_prof__io_class { SONDE_PROF__IO_UNKNOWN, SONDE_PROF__IO_FILE, SONDE_PROF__IO_SOCKET };

/* Zero: off, but for the means, where it is SONDE_PROF__WAIT_MEAN_NS. */
typedef struct sonde_prof__wait_settings {
    uint32_t locks; /* which kinds */
    bool io;
    bool exception;
    uint64_t lock_mean_ns;
    uint64_t io_mean_ns;
} sonde_prof__wait_settings;

void sonde_prof__waits_start(const sonde_prof__wait_settings *settings);
void sonde_prof__waits_stop(void);
void sonde_prof__waits_tick(uint64_t now_mono_ns); /* often; looks once a second */

/* All of them 2^step times as rare as asked for, from now on; 0 at the start. */
void sonde_prof__waits_set_step(uint32_t step);

uint64_t sonde_prof__lock_mean(void); /* ns; 0: off */
uint64_t sonde_prof__io_mean(void);

/* -- for the hooks ----------------------------------------------------------------------------------- */

extern _Atomic uint32_t sonde_prof__locks_on; /* kinds */
extern _Atomic bool sonde_prof__io_on, sonde_prof__throws_on;

/* Not on a thread of ours, nor inside of another hook. */
static inline bool sonde_prof__waits_outermost(void)
{
    return sonde_prof__self.depth == 0 && !sonde_prof__self.gone;
}

static inline bool sonde_prof__waits_look(const _Atomic bool *on)
{
    return atomic_load_explicit(on, memory_order_relaxed) && sonde_prof__waits_outermost();
}

static inline bool sonde_prof__waits_look_at(uint32_t kinds)
{
    return (atomic_load_explicit(&sonde_prof__locks_on, memory_order_relaxed) & kinds) != 0 &&
           sonde_prof__waits_outermost();
}

typedef struct sonde_prof__wait {
    uint64_t from_ns;
    sonde_prof__waiter waiter;
} sonde_prof__wait;

/* The calling thread is about to wait for `lock`, and has waited: it is a sample when the lock is its own now.  errno is
 * kept. */
sonde_prof__wait sonde_prof__wait_begin(const volatile void *lock);
void sonde_prof__wait_end(const sonde_prof__wait *w, const volatile void *lock,
                          enum sonde_prof__lock_kind kind, bool is_mine, const void *caller);

/* What wait_end() says of a lock that is the thread's now; `r` NULL: nobody was seen to let go. */
void sonde_prof__lock_waited(const volatile void *lock, enum sonde_prof__lock_kind kind,
                             uint64_t ns, const sonde_prof__release *r, const void *caller);

/* The calling thread waited that long.  errno is kept. */
void sonde_prof__io_waited(int fd, enum sonde_prof__io_operation operation, uint64_t ns,
                           uint64_t bytes, const void *caller);

/* `type_name`: of the std::type_info, static text of its object. */
void sonde_prof__threw(const char *type_name, const void *caller);

#endif /* SONDE_PROFILER_WAITS_H */
