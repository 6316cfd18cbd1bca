/* tracee.c - ptrace(2), by PTRACE_SEIZE: nothing is sent, nothing is seen by the process's other threads or its parent.
 *
 * A stopped thread that was waiting in the kernel shows -ERESTART... as the result of its call; the kernel begins the call
 * anew when the thread leaves this kind of stop with these registers.  So registers are given back in a stop of the same
 * kind, never in one at a system call. */
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define STOP_NS    (UINT64_C(2) * SONDE_NS_PER_S)
#define EVERYTHING UINT64_MAX

#if defined(__x86_64__)

/* Of <linux/errno.h>: not for programs, but for tracers. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 516 };

static bool trace(int request, pid_t tid, uint64_t address, void *data)
{
    return ptrace((enum __ptrace_request)request, tid, (void *)(uintptr_t)address, data) == 0;
}

/* ---- stops ---- */

#    define EVENT_OF(status) ((status) >> 16)
#    define IS_CALL(status)  (WSTOPSIG(status) == (SIGTRAP | 0x80))
#    define IS_TRAP(status)  (EVENT_OF(status) == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP)

/* The next stop, also behind signals that came between; false: gone, or not in time. */
static tracee_result await(tracee *t, uint64_t until_ns, int *out_status)
{
    const struct timespec pause = { 0, SONDE_NS_PER_MS / 4 };
    pid_t got;

    for (;;) {
        got = waitpid(t->tid, out_status, __WALL | (until_ns == UINT64_MAX ? 0 : WNOHANG));
        if (got == t->tid)
            return WIFSTOPPED(*out_status) ? TRACEE_OK : TRACEE_GONE;
        if (got < 0 && errno != EINTR)
            return TRACEE_GONE;
        if (sonde_mono_ns() >= until_ns)
            return TRACEE_BUSY;
        (void)nanosleep(&pause, NULL);
    }
}

/* Until it stands where nothing is under way: signals it was about to get are let through first. */
static tracee_result await_trap(tracee *t, uint64_t until_ns)
{
    tracee_result result;
    int status;

    for (;;) {
        result = await(t, until_ns, &status);
        if (result != TRACEE_OK || IS_TRAP(status))
            return result;
        if (EVENT_OF(status) == PTRACE_EVENT_STOP)
            return TRACEE_HALTED;
        if (!trace(PTRACE_CONT, t->tid, 0,
                   (void *)(uintptr_t)(IS_CALL(status) || EVENT_OF(status) ? 0 : WSTOPSIG(status))))
            return TRACEE_GONE;
    }
}

tracee_result tracee_stop(tracee *t, pid_t tid)
{
    struct iovec to = { &t->was, sizeof(t->was) };
    tracee_result result;

    t->tid = tid;
    t->is_saved = false;
    t->held_back = 0;
    if (!trace(PTRACE_SEIZE, tid, 0, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD))
        return errno == ESRCH ? TRACEE_GONE : TRACEE_REFUSED;
    if (!trace(PTRACE_INTERRUPT, tid, 0, NULL))
        return TRACEE_GONE;
    result = await_trap(t, sonde_mono_ns() + STOP_NS);
    if (result == TRACEE_HALTED)
        (void)trace(PTRACE_DETACH, tid, 0, NULL);
    if (result ==
        TRACEE_BUSY) { /* it stops some time, and then goes on: nobody may wait for us then */
        result = await_trap(t, UINT64_MAX);
        if (result == TRACEE_OK)
            (void)trace(PTRACE_DETACH, tid, 0, NULL);
        return TRACEE_BUSY;
    }
    if (result == TRACEE_OK && !trace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &to))
        return TRACEE_GONE;
    return result;
}

/* ---- as it was ---- */

/* These say EINTR when a thread is stopped, and have done nothing yet: they begin anew, as if nobody had come. */
static bool begins_anew(const tracee_registers *r)
{
    static const long calls[] = { SYS_epoll_wait,  SYS_epoll_pwait, SYS_epoll_pwait2,
                                  SYS_read,        SYS_recvfrom,    SYS_recvmsg,
                                  SYS_accept,      SYS_accept4,     SYS_rt_sigtimedwait,
                                  SYS_semop,       SYS_semtimedop,  SYS_readv,
                                  SYS_io_getevents };
    size_t i;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if ((long)r->orig_rax == calls[i])
            return (long)r->rax == -EINTR;
    return false;
}

static bool set_registers(const tracee *t, const tracee_registers *r)
{
    struct iovec from = { (void *)(uintptr_t)r, sizeof(*r) };

    return trace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &from);
}

/* From a stop at a system call to one where the kernel looks at registers again; the instruction behind is not reached. */
static void back_to_trap(tracee *t)
{
    int status;

    (void)trace(PTRACE_INTERRUPT, t->tid, 0, NULL);
    if (!trace(PTRACE_CONT, t->tid, 0, NULL))
        return;
    while (await(t, UINT64_MAX, &status) == TRACEE_OK && EVENT_OF(status) != PTRACE_EVENT_STOP) {
        if (!IS_CALL(status) && WSTOPSIG(status) != SIGTRAP)
            t->held_back = WSTOPSIG(status);
        if (!trace(PTRACE_CONT, t->tid, 0, NULL))
            return;
    }
}

void tracee_release(tracee *t)
{
    tracee_registers r = t->was;
    struct iovec state = { t->state, t->state_len };

    if (t->is_saved) {
        back_to_trap(t);
        (void)trace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &state);
        (void)trace(PTRACE_SETSIGMASK, t->tid, sizeof(t->mask), &t->mask);
    }
    if (begins_anew(&r))
        r.rax = (unsigned long long)-ERESTARTNOHAND;
    if (t->is_saved || r.rax != t->was.rax)
        (void)set_registers(t, &r);
    (void)trace(PTRACE_DETACH, t->tid, 0, NULL);
    if (t->held_back)
        (void)syscall(SYS_tkill, t->tid, t->held_back);
    t->is_saved = false;
}

bool tracee_borrow(tracee *t)
{
    struct iovec state = { t->state, sizeof(t->state) };
    uint64_t all = EVERYTHING;

    if (!trace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &state) ||
        state.iov_len == sizeof(t->state) || /* there may be more of it */
        !trace(PTRACE_GETSIGMASK, t->tid, sizeof(t->mask), &t->mask) ||
        !trace(PTRACE_SETSIGMASK, t->tid, sizeof(all), &all))
        return false;
    t->state_len = (uint32_t)state.iov_len;
    t->is_saved = true;
    return true;
}

/* ---- in its name ---- */

static bool is_fault(int signo)
{
    return signo == SIGSEGV || signo == SIGBUS || signo == SIGILL || signo == SIGFPE ||
           signo == SIGTRAP;
}

/* To the next stop at a system call. */
static tracee_result go_on(tracee *t)
{
    tracee_result result;
    int status;

    for (;;) {
        if (!trace(PTRACE_SYSCALL, t->tid, 0, NULL))
            return TRACEE_GONE;
        result = await(t, UINT64_MAX, &status);
        if (result != TRACEE_OK || IS_CALL(status))
            return result;
        if (EVENT_OF(status) != 0)
            continue;
        if (is_fault(WSTOPSIG(status))) /* of what runs in its name, not its own */
            return TRACEE_REFUSED;
        t->held_back = WSTOPSIG(status);
    }
}

static bool get_registers(const tracee *t, tracee_registers *out)
{
    struct iovec to = { out, sizeof(*out) };

    return trace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &to);
}

int64_t tracee_call(tracee *t, uint64_t at, long number, const uint64_t args[6])
{
    tracee_registers r = t->was;

    r.rip = at;
    r.rax = (unsigned long long)number;
    r.orig_rax = (unsigned long long)-1; /* nothing is begun anew */
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = args[4];
    r.r9 = args[5];
    if (!set_registers(t, &r) || go_on(t) != TRACEE_OK || go_on(t) != TRACEE_OK ||
        !get_registers(t, &r))
        return -ESRCH;
    return (int64_t)r.rax;
}

/* Of the calls it makes on its way the last is left out. */
tracee_result tracee_run(tracee *t, uint64_t from, uint64_t until, uint64_t block, uint64_t stack)
{
    tracee_registers r = t->was;
    tracee_result result;

    r.rip = from;
    r.rbx = block;
    r.rsp = stack;
    r.rbp = 0;
    r.eflags &= ~UINT64_C(0x400); /* the direction flag, as functions expect it */
    r.orig_rax = (unsigned long long)-1;
    if (!set_registers(t, &r))
        return TRACEE_GONE;
    do {
        result = go_on(t);
        if (result != TRACEE_OK || !get_registers(t, &r))
            return result == TRACEE_OK ? TRACEE_GONE : result;
    } while (r.rip != until);
    r.orig_rax = (unsigned long long)-1;
    return set_registers(t, &r) ? TRACEE_OK : TRACEE_GONE;
}

#else

tracee_result tracee_stop(tracee *t, pid_t tid)
{
    (void)t;
    (void)tid;
    errno = ENOSYS;
    return TRACEE_REFUSED;
}

void tracee_release(tracee *t)
{
    (void)t;
}

bool tracee_borrow(tracee *t)
{
    (void)t;
    return false;
}

int64_t tracee_call(tracee *t, uint64_t at, long number, const uint64_t args[6])
{
    (void)t;
    (void)at;
    (void)number;
    (void)args;
    return -ENOSYS;
}

tracee_result tracee_run(tracee *t, uint64_t from, uint64_t until, uint64_t block, uint64_t stack)
{
    (void)t;
    (void)from;
    (void)until;
    (void)block;
    (void)stack;
    return TRACEE_REFUSED;
}

#endif
