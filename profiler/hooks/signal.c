/* signal.c - our signal stays ours, and the program is told what it wants to hear. */
#include <errno.h>
#include <signal.h>

#include "sonde/export.h"

#include "profiler/src/crash.h"
#include "profiler/src/samplers.h"

#include "real.h"

SONDE_PROF__REAL(sigaction)
SONDE_PROF__REAL(signal)

/* False: the real one decides. */
static bool is_answered(int signo, const struct sigaction *action, struct sigaction *out_old,
                        int *out_result)
{
    *out_result = 0;
    return sonde_prof__crash_request(signo, action, out_old, out_result) ||
           sonde_prof__signal_request(signo, action, out_old);
}

SONDE_API int sigaction(int signo, const struct sigaction *action, struct sigaction *out_old)
{
    __typeof__(&sigaction) real;
    int result;

    if (is_answered(signo, action, out_old, &result))
        return result;
    real = real_sigaction();
    if (real)
        return real(signo, action, out_old);
    errno = ENOSYS;
    return -1;
}

/* BSD's meaning, as glibc's own: calls go on, and the handler stays. */
SONDE_API sighandler_t signal(int signo, sighandler_t handler)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
    sighandler_t (*real)(int, sighandler_t);
    int result;

    if (is_answered(signo, &action, &old, &result))
        return result == 0 ? old.sa_handler : SIG_ERR;
    real = real_signal();
    if (real)
        return real(signo, handler);
    errno = ENOSYS;
    return SIG_ERR;
}
