/* signals.c - sigwait(2) on the main thread: no handler, no restriction on what may be called. */
#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static void ours(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t set;

    ours(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

int signals_wait(void)
{
    sigset_t set;
    int got;

    ours(&set);
    while (sigwait(&set, &got) != 0)
        ; /* interrupted: wait on */
    return got;
}

void signals_unblock(void)
{
    sigset_t set;

    ours(&set);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
