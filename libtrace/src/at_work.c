/* at_work.c - one lock, held by the thread while it works and by who forks. */
#include "at_work.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    include <sched.h>
#    include <stdatomic.h>

#    include "base/mutex.h"

static sonde_mutex at_work = SONDE_MUTEX_INIT(SONDE_RANK_AT_WORK);
static _Atomic int not_begun; /* threads made that have not come to their first instruction */
static _Atomic int forking;   /* who waits to fork: goes first, else might never */

SONDE_NO_TSA void sonde__at_work_begin(void)
{
    while (atomic_load(&forking) > 0)
        (void)sched_yield();
    sonde_mutex_lock(&at_work);
}

SONDE_NO_TSA void sonde__at_work_end(void)
{
    sonde_mutex_unlock(&at_work);
}

void sonde__at_work_expect(int more)
{
    atomic_fetch_add(&not_begun, more);
}

SONDE_NO_TSA void sonde__at_work_await(void)
{
    while (atomic_load(&not_begun) > 0)
        (void)sched_yield();
    atomic_fetch_add(&forking, 1);
    sonde_mutex_lock(&at_work);
    atomic_fetch_sub(&forking, 1);
}

SONDE_NO_TSA void sonde__at_work_forked(void)
{
    atomic_store(&not_begun, 0);
    atomic_store(&forking, 0);
    sonde_mutex_unlock(&at_work);
}
#else
typedef int sonde__at_work_is_for_sanitizers; /* ISO C wants something here */
#endif
