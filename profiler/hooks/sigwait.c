/* sigwait.c - who waits for every signal there is does not get ours.
 *
 * A thread that blocks all signals and fetches them one by one would find SIGPROF among them, as soon as it has used some
 * CPU time, and many a program ends on a signal it does not know. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include <sys/signalfd.h>

#include "base/clock.h"
#include "sonde/export.h"

#include "profiler/src/samplers.h"

#include "real.h"

SONDE_PROF__REAL(sigtimedwait)
SONDE_PROF__REAL(sigwaitinfo)
SONDE_PROF__REAL(sigwait)
SONDE_PROF__REAL(signalfd)

static int none(void)
{
    errno = ENOSYS;
    return -1;
}

static uint64_t ns_of(const struct timespec *t)
{
    return sonde_s_to_ns((uint64_t)t->tv_sec) + (uint64_t)t->tv_nsec;
}

/* Until one that is not ours; `timeout` NULL: for as long as it takes. */
static int wait_for(const sigset_t *set, siginfo_t *out_info, const struct timespec *timeout)
{
    __typeof__(&sigtimedwait) real = real_sigtimedwait();
    uint64_t end = timeout ? sonde_deadline(sonde_mono_ns(), ns_of(timeout)) : UINT64_MAX;
    struct timespec left = timeout ? *timeout : (struct timespec){ 0, 0 };
    siginfo_t info;
    int signo;

    if (!real)
        return none();
    for (;;) {
        uint64_t now;

        signo = real(set, &info, timeout ? &left : NULL);
        if (signo < 0 || !sonde_prof__signal_is_ours(&info))
            break;
        now = sonde_mono_ns();
        left = sonde_ns_to_timespec(end > now ? end - now : 0);
    }
    if (signo >= 0 && out_info)
        *out_info = info;
    return signo;
}

SONDE_API int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    __typeof__(&sigtimedwait) real = real_sigtimedwait();

    if (sonde_prof__signal_is_in(set))
        return wait_for(set, info, timeout);
    return real ? real(set, info, timeout) : none();
}

SONDE_API int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    __typeof__(&sigwaitinfo) real = real_sigwaitinfo();

    if (sonde_prof__signal_is_in(set))
        return wait_for(set, info, NULL);
    return real ? real(set, info) : none();
}

SONDE_API int sigwait(const sigset_t *set, int *out_signo)
{
    __typeof__(&sigwait) real = real_sigwait();
    int saved = errno, signo, error;

    if (!sonde_prof__signal_is_in(set))
        return real ? real(set, out_signo) : ENOSYS;
    do
        signo = wait_for(set, NULL, NULL);
    while (signo < 0 && errno == EINTR);
    error = errno;
    errno = saved;
    if (signo < 0)
        return error;
    *out_signo = signo;
    return 0;
}

/* What it would read is a structure without our cookie: so our signal is left out. */
SONDE_API int signalfd(int fd, const sigset_t *mask, int flags)
{
    __typeof__(&signalfd) real = real_signalfd();
    sigset_t without;

    if (!real)
        return none();
    if (!sonde_prof__signal_is_in(mask))
        return real(fd, mask, flags);
    without = *mask;
    sonde_prof__signal_take_out(&without);
    return real(fd, &without, flags);
}
