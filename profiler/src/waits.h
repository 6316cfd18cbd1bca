/* waits.h - which waits for locks, which calls of I/O and which exceptions are sampled.
 *
 *   hook ──▶ the wait, timed ──▶ credit -= ns ──above 0──▶ back to the program
 *                                     └─ used up ─▶ weight, stack ──▶ ring (LOCK, IO)
 *
 * A wait weighs 1/p with the interval its credit was drawn with.  When more waits are sampled than WAITS_PER_S, the interval
 * doubles at the next tick, until it is back at what was asked for; that biases nothing.
 *
 * Threads   all, but start, stop and tick: one at a time.  Signal-safe: no.
 * See also  poisson.h, heap.h */
#ifndef SONDE_PROFILER_WAITS_H
#define SONDE_PROFILER_WAITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define SONDE_PROF__WAITS_PER_S       83u
#define SONDE_PROF__WAIT_MEAN_NS      1000000u
#define SONDE_PROF__WAIT_MEAN_NS_MAX  1000000000u
#define SONDE_PROF__THROWS_PER_SAMPLE 100u

enum sonde_prof__lock_kind { /* those of the batch format */
                             SONDE_PROF__MUTEX = 0,
                             SONDE_PROF__RWLOCK_READ = 1,
                             SONDE_PROF__RWLOCK_WRITE = 2,
                             SONDE_PROF__SEMAPHORE = 5
};

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
    bool lock;
    bool io;
    bool exception;
    uint64_t lock_mean_ns;
    uint64_t io_mean_ns;
} sonde_prof__wait_settings;

void sonde_prof__waits_start(const sonde_prof__wait_settings *settings);
void sonde_prof__waits_stop(void);
void sonde_prof__waits_tick(uint64_t now_mono_ns); /* often; looks once a second */

uint64_t sonde_prof__lock_mean(void); /* ns; 0: off */
uint64_t sonde_prof__io_mean(void);

/* -- for the hooks ----------------------------------------------------------------------------------- */

extern _Atomic bool sonde_prof__locks_on, sonde_prof__io_on, sonde_prof__throws_on;

static inline bool sonde_prof__waits_look(const _Atomic bool *on)
{
    return atomic_load_explicit(on, memory_order_relaxed) && sonde_prof__self.depth == 0 &&
           !sonde_prof__self.gone;
}

/* The calling thread waited that long.  errno is kept. */
void sonde_prof__lock_waited(const volatile void *lock, enum sonde_prof__lock_kind kind,
                             uint64_t ns, const void *caller);
void sonde_prof__io_waited(int fd, enum sonde_prof__io_operation operation, uint64_t ns,
                           uint64_t bytes, const void *caller);

/* `type_name`: of the std::type_info, static text of its object. */
void sonde_prof__threw(const char *type_name, const void *caller);

#endif /* SONDE_PROFILER_WAITS_H */
