/* receiver_sig.c - the copy is made, and waited for.
 *
 * clone() of libc runs no handlers of fork() and takes no lock: a copy on a stack of its own, where the interrupted thread's may
 * have 2 KiB.  It ends without a signal to us, so that a program that waits for its children does not meet it. */
#include "crash_state.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_NS    (2 * SONDE_NS_PER_MS)
#define KERNEL_SET 8L /* bytes of a set of signals */

static void set_mask(const uint64_t *mask, uint64_t *out_before)
{
    (void)syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, mask, out_before, KERNEL_SET);
}

/* The copy inherits the mask: no handler of the program may run there.  Its own faults still end it. */
static pid_t copy_process(void)
{
    const sonde_prof__crash_state *s = &sonde_prof__crash_now;
    const uint64_t all = UINT64_MAX;
    uint64_t before = 0;
    pid_t pid;

    set_mask(&all, &before);
    pid = clone(s->receive, s->receiver_stack, 0, NULL);
    set_mask(&before, NULL);
    return pid;
}

static void pause_a_moment(void)
{
    const struct timespec t = { 0, LOOK_NS };

    (void)syscall(SYS_nanosleep, &t, NULL);
}

/* 0: not yet. */
static long look_after(pid_t pid, int *status, int options)
{
    long found;

    do
        found = syscall(SYS_wait4, (long)pid, status, (long)(options | __WALL), NULL);
    while (found < 0 && errno == EINTR);
    return found;
}

bool sonde_prof__receiver_run(void)
{
    const sonde_prof__crash_state *s = &sonde_prof__crash_now;
    uint64_t until = sonde_mono_ns() + s->receiver_ns;
    long found = 0;
    int status = -1;
    pid_t pid;

    if (!s->receive || !atomic_load_explicit(&s->agent, memory_order_acquire))
        return false;
    pid = copy_process();
    if (pid < 0)
        return false;
    while ((found = look_after(pid, &status, WNOHANG)) == 0 && sonde_mono_ns() < until)
        pause_a_moment();
    if (found == 0) {
        (void)syscall(SYS_kill, (long)pid, (long)SIGKILL);
        (void)look_after(pid, &status, 0);
    }
    return found > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
