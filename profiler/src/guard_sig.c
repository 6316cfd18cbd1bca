/* guard_sig.c - the mark, from the handler of fatal signals. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

sonde_prof__guard_state sonde_prof__guard_now;

/* Signals that somebody else sent are no crash. */
static bool is_own(const siginfo_t *info)
{
    return info->si_code > 0 || info->si_pid == getpid();
}

void sonde_prof__guard_crashed(const siginfo_t *info)
{
    sonde_prof__guard_state *g = &sonde_prof__guard_now;
    uint64_t until = atomic_exchange_explicit(&g->until_mono_ns, 0, memory_order_acquire);
    int saved = errno;
    long fd;

    if (until == 0 || sonde_mono_ns() >= until || !is_own(info))
        return;
    if (g->was_marked)
        (void)syscall(SYS_unlinkat, AT_FDCWD, g->path, 0);
    fd = syscall(SYS_openat, AT_FDCWD, g->path,
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)syscall(SYS_write, fd, g->was_marked ? "2\n" : "1\n", 2L);
        (void)syscall(SYS_close, fd);
    }
    errno = saved;
}
