/* lock.c - a word and a futex. */
#include "lock.h"

#include <errno.h>
#include <time.h>

#include "futex.h"

static bool take_free(sonde_prof__lock *l)
{
    uint32_t expected = 0;

    return atomic_compare_exchange_strong_explicit(&l->state, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void sonde_prof__lock_take(sonde_prof__lock *l)
{
    int saved = errno;

    if (take_free(l))
        return;
    while (atomic_exchange_explicit(&l->state, 2, memory_order_acquire) != 0)
        sonde_prof__futex_wait(&l->state, 2, SONDE_PROF__FUTEX_FOR_EVER);
    errno = saved;
}

bool sonde_prof__lock_try(sonde_prof__lock *l, uint32_t for_ms)
{
    const struct timespec ms = { 0, 1000000 };
    uint32_t i;

    for (i = 0; !take_free(l); i++) {
        if (i == for_ms)
            return false;
        (void)nanosleep(&ms, NULL);
    }
    return true;
}

void sonde_prof__lock_give(sonde_prof__lock *l)
{
    int saved = errno;

    if (atomic_exchange_explicit(&l->state, 0, memory_order_release) == 2)
        sonde_prof__futex_wake(&l->state, 1);
    errno = saved;
}
