/* tracee.c - ptrace(2), by PTRACE_SEIZE: nothing is sent, nothing is seen by the process's other threads or its parent.
 *
 * A stopped thread that was waiting in the kernel shows -ERESTART... as the result of its call; the kernel begins the call
 * anew when the thread leaves this kind of stop with these registers.  So registers are given back in a stop of the same
 * kind, never in one at a system call.  When we are killed the kernel lets it go on from where it stands, which is always
 * before or on its way back: from there calls are begun anew as the kernel would do it. */
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

static bool trace_peek(pid_t tid, uint64_t address, uint64_t *out)
{
    return syscall(SYS_ptrace, PTRACE_PEEKDATA, tid, address, out) == 0;
}

/* ---- stops ---- */

/* Of what runs in its name, not its own. */
static bool is_fault(int signo)
{
    return signo == SIGSEGV || signo == SIGBUS || signo == SIGILL || signo == SIGFPE ||
           signo == SIGTRAP;
}

#    define EVENT_OF(status) ((status) >> 16)
#    define IS_CALL(status)  (WSTOPSIG(status) == (SIGTRAP | 0x80))
#    define IS_TRAP(status)  (EVENT_OF(status) == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP)

/* The next stop, also behind signals that came between; false: gone, or not in time. */
static tracee_result await(tracee *t, uint64_t until_ns, int *out_status)
{
    const struct timespec pause = { 0, SONDE_NS_PER_MS / 20 };
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

/* ---- registers ---- */

static bool get_registers(const tracee *t, tracee_registers *out)
{
    struct iovec to = { out, sizeof(*out) };

    return trace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &to);
}

static bool set_registers(const tracee *t, const tracee_registers *r)
{
    struct iovec from = { (void *)(uintptr_t)r, sizeof(*r) };

    return trace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &from);
}

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

tracee_result tracee_stop(tracee *t, pid_t tid)
{
    tracee_result result;

    t->tid = tid;
    t->is_saved = t->is_in_call = false;
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
    if (result != TRACEE_OK)
        return result;
    if (!get_registers(t, &t->was))
        return TRACEE_GONE;
    if (begins_anew(&t->was)) { /* at once: what if we were killed */
        t->was.rax = (unsigned long long)-ERESTARTNOHAND;
        (void)set_registers(t, &t->was);
    }
    return TRACEE_OK;
}

/* ---- as it was ---- */

/* As the kernel would have it go on from its call without us. */
static void begin_anew(tracee_registers *r)
{
    int64_t result = (int64_t)r->rax;

    if ((int64_t)r->orig_rax < 0 || (result != -ERESTARTSYS && result != -ERESTARTNOINTR &&
                                     result != -ERESTARTNOHAND && result != -ERESTART_RESTARTBLOCK))
        return;
    r->rax = result == -ERESTART_RESTARTBLOCK ? SYS_restart_syscall : r->orig_rax;
    r->rip -= sizeof((char[]){ 0x0f, 0x05 });
}

/* Its code may be written to as well. */
static bool swap_words(const tracee *t, const uint64_t *words, uint64_t *out_before)
{
    for (size_t i = 0; i < WAY_BACK_WORDS; i++) {
        uint64_t at = t->back_at + i * sizeof(uint64_t);

        if ((out_before && !trace_peek(t->tid, at, &out_before[i])) ||
            !trace(PTRACE_POKEDATA, t->tid, at, (void *)(uintptr_t)words[i]))
            return false;
    }
    return true;
}

/* To a stop where the kernel looks at registers again; from one at a call the instruction behind is not reached. */
static tracee_result interrupt(tracee *t)
{
    tracee_result result;
    int status;

    (void)trace(PTRACE_INTERRUPT, t->tid, 0, NULL);
    if (t->is_in_call && !trace(PTRACE_CONT, t->tid, 0, NULL))
        return TRACEE_GONE;
    while ((result = await(t, UINT64_MAX, &status)) == TRACEE_OK &&
           EVENT_OF(status) != PTRACE_EVENT_STOP) {
        if (is_fault(WSTOPSIG(status)))
            return TRACEE_REFUSED;
        if (!IS_CALL(status))
            t->held_back = WSTOPSIG(status);
        if (!trace(PTRACE_CONT, t->tid, 0, NULL))
            return TRACEE_GONE;
    }
    t->is_in_call = false;
    return result;
}

/* All that is changed last lets it go on by itself: first what it has on its way back, then where it is. */
static void give_back(tracee *t)
{
    struct iovec state = { t->state, t->state_len };

    if (t->is_in_call)
        (void)interrupt(t);
    (void)trace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &state);
    (void)trace(PTRACE_SETSIGMASK, t->tid, sizeof(t->mask), &t->mask);
    if (set_registers(t, &t->was))
        (void)swap_words(t, t->there, NULL);
}

void tracee_release(tracee *t)
{
    if (t->is_saved)
        give_back(t);
    (void)trace(PTRACE_DETACH, t->tid, 0, NULL);
    if (t->held_back)
        (void)syscall(SYS_tkill, t->tid, t->held_back);
    t->is_saved = false;
}

bool tracee_borrow(tracee *t, uint64_t back_at)
{
    struct iovec state = { t->state, sizeof(t->state) };
    tracee_registers back = t->was, r = t->was;
    uint64_t all = EVERYTHING;
    way_back words;

    if (!trace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &state) ||
        state.iov_len == sizeof(t->state) || /* there may be more of it */
        !trace(PTRACE_GETSIGMASK, t->tid, sizeof(t->mask), &t->mask))
        return false;
    t->state_len = (uint32_t)state.iov_len;
    t->back_at = back_at;
    begin_anew(&back);
    way_back_make(words, &back, t->mask);
    if (!swap_words(t, words, t->there))
        return false;
    r.rip = back_at + (uint64_t)(way_back_resume - way_back_begin);
    r.orig_rax = (unsigned long long)-1; /* nothing is begun anew */
    t->is_saved = set_registers(t, &r) && trace(PTRACE_SETSIGMASK, t->tid, sizeof(all), &all);
    return t->is_saved;
}

uint64_t tracee_way_back(const tracee *t, uint64_t *out_flags)
{
    *out_flags = t->was.eflags;
    return t->back_at + (uint64_t)(way_back_resume - way_back_begin);
}

/* ---- in its name ---- */

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
        if (is_fault(WSTOPSIG(status)))
            return TRACEE_REFUSED;
        t->held_back = WSTOPSIG(status);
    }
}

int64_t tracee_call(tracee *t, long number, const uint64_t args[6])
{
    tracee_registers r = t->was;

    if (!t->is_saved)
        return -ESRCH;
    r.rip = t->back_at;
    r.rax = (unsigned long long)number;
    r.orig_rax = (unsigned long long)-1;
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = args[4];
    r.r9 = args[5];
    if (!set_registers(t, &r) || go_on(t) != TRACEE_OK || go_on(t) != TRACEE_OK ||
        !get_registers(t, &r))
        return -ESRCH;
    t->is_in_call = true;
    return (int64_t)r.rax;
}

bool tracee_start(tracee *t, uint64_t from, uint64_t block, uint64_t stack)
{
    tracee_registers r = t->was;

    r.rip = from;
    r.rbx = block;
    r.rsp = stack;
    r.rbp = 0;
    r.eflags &= ~UINT64_C(0x400); /* the direction flag, as functions expect it */
    r.orig_rax = (unsigned long long)-1;
    if (!set_registers(t, &r) || !trace(PTRACE_CONT, t->tid, 0, NULL))
        return false;
    t->is_in_call = false;
    return true;
}

bool tracee_runs(tracee *t)
{
    siginfo_t info = { .si_pid = 0 };

    return waitid(P_PID, (id_t)t->tid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) ==
               0 &&
           info.si_pid == 0;
}

tracee_result tracee_take_back(tracee *t, uint64_t from, uint64_t to)
{
    tracee_result result = interrupt(t);
    tracee_registers r;

    if (result != TRACEE_OK)
        return result;
    if (get_registers(t, &r) && r.rip >= from && r.rip < to)
        return TRACEE_OK;
    t->is_saved = false; /* it has all, or will have it in a moment */
    return TRACEE_GONE;
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

bool tracee_borrow(tracee *t, uint64_t back_at)
{
    (void)t;
    (void)back_at;
    return false;
}

uint64_t tracee_way_back(const tracee *t, uint64_t *out_flags)
{
    *out_flags = 0;
    return t->back_at;
}

int64_t tracee_call(tracee *t, long number, const uint64_t args[6])
{
    (void)t;
    (void)number;
    (void)args;
    return -ENOSYS;
}

bool tracee_start(tracee *t, uint64_t from, uint64_t block, uint64_t stack)
{
    (void)t;
    (void)from;
    (void)block;
    (void)stack;
    return false;
}

bool tracee_runs(tracee *t)
{
    (void)t;
    return false;
}

tracee_result tracee_take_back(tracee *t, uint64_t from, uint64_t to)
{
    (void)t;
    (void)from;
    (void)to;
    return TRACEE_REFUSED;
}

#endif
