/* base/fork.h - one pthread_atfork registration for the library, hooks in rank order.
 *
 * prefork hooks run in ascending rank, the postfork ones in descending rank.  Any hook may be NULL.
 *
 * Threads   sonde_fork_register() from any thread, before the first fork that matters.
 * Bounds    SONDE_FORK_HOOKS_MAX; beyond it SONDE_ERR_FULL.
 */
#ifndef SONDE_BASE_FORK_H
#define SONDE_BASE_FORK_H

#include "sonde/status.h"

#define SONDE_FORK_HOOKS_MAX 16

typedef struct sonde_fork_hooks {
    int rank; /* a sonde_rank */
    void (*prefork)(void);
    void (*postfork_parent)(void);
    void (*postfork_child)(void);
} sonde_fork_hooks;

/* `hooks` is borrowed for the life of the process. */
SONDE_MUST_USE sonde_status sonde_fork_register(const sonde_fork_hooks *hooks);

#endif /* SONDE_BASE_FORK_H */
