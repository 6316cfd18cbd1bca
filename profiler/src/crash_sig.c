/* crash_sig.c - the handler of fatal signals.
 *
 *   mine? ──▶ registers, stack, modules into the packet ──▶ connect, HELLO, CRASH, close ──▶ whoever comes next
 *     └─ another thread reports: wait for it, two seconds at most
 *
 * Nothing here allocates, locks, or waits for an answer; what it reads of the interrupted thread it asks the kernel for,
 * so that a wrong stack cannot fault again. */
#include "crash_state.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

#include "guard.h"
#include "maps.h"
#include "regs.h"
#include "slot.h"

#define OTHERS_NS (5 * (uint64_t)SONDE_NS_PER_S) /* a receiver may take nearly as long */
#define HANDLED_NS                                                                                 \
    ((uint64_t)SONDE_NS_PER_S) /* between reports of a program that handles its faults */
#define PAUSE_NS      (5 * SONDE_NS_PER_MS)
#define CONNECT_TRIES 40 /* the agent's queue of connections may be full */

sonde_prof__crash_state sonde_prof__crash_now = {
    .signal = { { .signo = SIGSEGV },
                { .signo = SIGBUS },
                { .signo = SIGABRT },
                { .signo = SIGILL },
                { .signo = SIGFPE },
                { .signo = SIGSYS } },
};

static const struct sigaction by_default = { .sa_flags = 0 };

sonde_prof__crash_signal *sonde_prof__crash_signal_of(int signo)
{
    int i;

    for (i = 0; i < SONDE_PROF__CRASH_SIGNALS; i++)
        if (sonde_prof__crash_now.signal[i].signo == signo)
            return &sonde_prof__crash_now.signal[i];
    return NULL;
}

const struct sigaction *sonde_prof__crash_asked(const sonde_prof__crash_signal *s)
{
    const struct sigaction *asked = atomic_load_explicit(&s->asked, memory_order_acquire);

    return asked ? asked : &s->before;
}

static bool is_default(const struct sigaction *a)
{
    return !(a->sa_flags & SA_SIGINFO) && a->sa_handler == SIG_DFL;
}

static void pause_a_moment(void)
{
    const struct timespec t = { 0, PAUSE_NS };

    (void)syscall(SYS_nanosleep, &t, NULL);
}

/* -- the report ------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

static uint32_t put_regs(const ucontext_t *u, uint64_t *out)
{
    uint32_t i;

    for (i = 0; i <= REG_EFL; i++)
        out[i] = (uint64_t)u->uc_mcontext.gregs[i];
    return REG_EFL + 1;
}

#    define ARCH SONDE_CRASH_X86_64

#else

static uint32_t put_regs(const ucontext_t *u, uint64_t *out)
{
    uint32_t i;

    for (i = 0; i < 31; i++)
        out[i] = u->uc_mcontext.regs[i];
    out[31] = u->uc_mcontext.sp;
    out[32] = u->uc_mcontext.pc;
    out[33] = u->uc_mcontext.pstate;
    return 34;
}

#    define ARCH SONDE_CRASH_AARCH64

#endif

/* A call to nowhere: the stack goes on behind the return address, which the call has just left. */
static bool step_out_of_nowhere(sonde_prof__regs *r)
{
    struct iovec to = { &r->pc, sizeof(r->pc) }, from = { (void *)(uintptr_t)r->sp, 8 };

    r->all = NULL;
    if (ARCH == SONDE_CRASH_AARCH64)
        r->pc = r->lr;
    else if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)sizeof(r->pc))
        r->sp += 8;
    else
        return false;
    r->pc--; /* inside the call */
    return true;
}

static uint32_t put_frames(const ucontext_t *u, uint64_t *out, uint32_t max, uint32_t *incomplete)
{
    static const sonde_prof__stack unknown; /* every address is asked for */
    const sonde_prof__map *map = sonde_prof__maps_current();
    sonde_prof__end end = SONDE_PROF__NO_RANGE;
    uint64_t all[16];
    sonde_prof__regs r = sonde_prof__regs_of(u, all);
    uint32_t n = 0;

    if (!map || (!sonde_prof__map_find(map, r.pc) && r.pc < 4096)) {
        out[n++] = r.pc;
        if (!map || !step_out_of_nowhere(&r)) {
            *incomplete = 1;
            return n;
        }
    }
    n += sonde_prof__unwind(map, &r, &unknown, out + n, max - n, &end);
    *incomplete = end != SONDE_PROF__COMPLETE;
    return n;
}

static bool has_frame(const sonde_crash_module *m, const uint64_t *frames, uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        if (frames[i] - m->start < m->length)
            return true;
    return false;
}

/* Those of the stack, then the others, as long as there is room. */
static void put_modules(sonde_crash_report_head *h, uint8_t *out, size_t room,
                        const uint64_t *frames)
{
    const sonde_prof__crash_modules *from =
        atomic_load_explicit(&sonde_prof__crash_now.modules, memory_order_acquire);
    int others;

    for (others = 0; from && others < 2; others++) {
        uint32_t at = 0, i;

        for (i = 0; i < from->len && at + sizeof(sonde_crash_module) <= from->bytes; i++) {
            const sonde_crash_module *m =
                (const sonde_crash_module *)(const void *)(from->list + at);
            size_t bytes = sonde_crash_module_bytes(m->path_len);

            at += (uint32_t)bytes;
            if (at > from->bytes || has_frame(m, frames, h->frames_len) == (others == 1) ||
                bytes > room - h->modules_bytes)
                continue;
            memcpy(out + h->modules_bytes, m, bytes);
            h->modules_bytes += (uint32_t)bytes;
            h->modules_len++;
        }
    }
}

static void put_head(sonde_crash_report_head *h)
{
    sonde_prof__context context = { 0, 0, 0, 0 };
    struct timespec now = { 0, 0 };

    memset(h, 0, sizeof(*h));
    (void)clock_gettime(CLOCK_REALTIME, &now);
    h->magic = SONDE_CRASH_REPORT_MAGIC;
    h->version = SONDE_CRASH_REPORT_VERSION;
    h->arch = ARCH;
    h->unix_ns = (int64_t)now.tv_sec * SONDE_NS_PER_S + now.tv_nsec;
    h->pid = (uint32_t)getpid();
    h->tid = (uint32_t)syscall(SYS_gettid);
    (void)syscall(SYS_prctl, PR_GET_NAME, h->thread_name, 0, 0, 0);
    if (sonde_prof__self.slot)
        sonde_prof__context_read(sonde_prof__self.slot, &context);
    h->trace_id_high = context.trace_hi;
    h->trace_id_low = context.trace_lo;
    h->span_id = context.span_id;
    h->local_root_id = context.local_root_id;
}

static uint64_t *words_at(sonde_prof__crash_packet *p, size_t at)
{
    return (uint64_t *)(void *)(p->rest + at);
}

/* Bytes of the packet. */
static size_t put_packet(sonde_prof__crash_packet *p, int signo, const siginfo_t *info,
                         const ucontext_t *u)
{
    const sonde_prof__crash_state *s = &sonde_prof__crash_now;
    uint64_t *frames;
    size_t at;

    put_head(&p->head);
    p->crash = (sonde_crash_crash){
        .head = { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_CRASH },
        .signo = signo,
        .si_code = info->si_code,
        .address = info->si_code > 0 ? (uint64_t)(uintptr_t)info->si_addr : 0,
        .tid = p->head.tid,
    };
    p->head.regs_len = put_regs(u, words_at(p, 0));
    at = p->head.regs_len * sizeof(uint64_t);
    frames = words_at(p, at);
    sonde_prof__maps_enter();
    p->head.frames_len =
        put_frames(u, frames, SONDE_CRASH_REPORT_FRAMES_MAX, &p->head.is_incomplete);
    sonde_prof__maps_leave();
    at += p->head.frames_len * sizeof(uint64_t);
    put_modules(&p->head, p->rest + at, sizeof(p->rest) - at - s->process_bytes, frames);
    at += p->head.modules_bytes;
    memcpy(p->rest + at, s->process, s->process_bytes);
    p->head.process_bytes = s->process_bytes;
    return offsetof(sonde_prof__crash_packet, rest) + at + s->process_bytes;
}

/* -- to the agent ----------------------------------------------------------------------------------- */

static bool connect_to_agent(int fd)
{
    const struct sockaddr_un *to = &sonde_prof__crash_now.to;
    int i;

    if (to->sun_family != AF_UNIX)
        return false;

    for (i = 0; i < CONNECT_TRIES; i++) {
        if (syscall(SYS_connect, fd, to, sizeof(*to)) == 0)
            return true;
        if (errno != EAGAIN && errno != EINTR)
            return false;
        pause_a_moment();
    }
    return false;
}

static bool send_all(int fd, const void *data, size_t bytes)
{
    return syscall(SYS_sendto, fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0) ==
           (long)bytes;
}

static bool send_packet(const sonde_prof__crash_packet *p, size_t bytes)
{
    sonde_crash_hello hello = {
        .head = { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_HELLO },
        .pid = p->head.pid,
    };
    int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok;

    if (fd < 0)
        return false;
    memcpy(hello.runtime_id, sonde_prof__crash_now.runtime_id, sizeof(hello.runtime_id));
    ok = connect_to_agent(fd) && send_all(fd, &hello, sizeof(hello)) && send_all(fd, p, bytes);
    (void)syscall(SYS_close, fd);
    return ok;
}

/* What the program's handler was given before, and now raises or aborts for, is the better report. */
static bool is_kept(const siginfo_t *info)
{
    const sonde_prof__crash_state *s = &sonde_prof__crash_now;

    return s->kept_tid == (uint32_t)syscall(SYS_gettid) && info->si_code <= 0;
}

/* Our agent finds out by itself whether the process ends.  For another one that has to be known. */
static void report(int signo, const siginfo_t *info, const ucontext_t *u, bool is_the_end)
{
    sonde_prof__crash_state *s = &sonde_prof__crash_now;

    if (!is_kept(info))
        s->packet_bytes = put_packet(s->packet, signo, info, u);
    s->kept_tid = 0;
    if (send_packet(s->packet, s->packet_bytes) || (is_the_end && sonde_prof__receiver_run())) {
        atomic_fetch_add_explicit(&s->reports, 1, memory_order_relaxed);
        return;
    }
    if (is_the_end)
        atomic_fetch_add_explicit(&s->unsent, 1, memory_order_relaxed);
    else
        s->kept_tid = s->packet->head.tid;
}

/* False: another thread is at it, or this one was when it came here again. */
static bool enter(void)
{
    _Atomic uint32_t *busy = &sonde_prof__crash_now.busy;
    uint32_t tid = (uint32_t)syscall(SYS_gettid), who = 0;
    uint64_t until = sonde_mono_ns() + OTHERS_NS;

    if (atomic_compare_exchange_strong_explicit(busy, &who, tid, memory_order_acquire,
                                                memory_order_relaxed))
        return true;
    /* What comes next would end the process under the other's feet. */
    while (who != tid && sonde_mono_ns() < until &&
           atomic_load_explicit(busy, memory_order_acquire) != 0)
        pause_a_moment();
    return false;
}

static void leave(void)
{
    atomic_store_explicit(&sonde_prof__crash_now.busy, 0, memory_order_release);
}

/* A program that lives with its faults is not stopped for each of them. */
static bool is_due(const struct sigaction *next)
{
    sonde_prof__crash_state *s = &sonde_prof__crash_now;
    uint64_t now = sonde_mono_ns(), before;

    if (is_default(next)) { /* others die along; but process 1 of a container may go on */
        before = atomic_exchange_explicit(&s->died_ns, now, memory_order_relaxed);
        return before == 0 || now - before > OTHERS_NS;
    }
    if (now < atomic_load_explicit(&s->next_ns, memory_order_relaxed))
        return false;
    atomic_store_explicit(&s->next_ns, now + HANDLED_NS, memory_order_relaxed);
    return true;
}

/* -- what comes next -------------------------------------------------------------------------------- */

/* The default action, and the same signal again: a fault strikes again by itself, one that was sent does not; and
 * process 1 of a container ignores what is sent, but not a fault. */
static void die(int signo, siginfo_t *info)
{
    static const uint64_t zero[8]; /* the kernel's struct: SIG_DFL, no flags, no mask */
    long pid = getpid(), tid = syscall(SYS_gettid);

    (void)syscall(SYS_rt_sigaction, (long)signo, zero, NULL, 8L);
    if (syscall(SYS_rt_tgsigqueueinfo, pid, tid, (long)signo, info) != 0)
        (void)syscall(SYS_tgkill, pid, tid, (long)signo);
}

static void go_on(sonde_prof__crash_signal *s, siginfo_t *info, void *context)
{
    const struct sigaction *next = sonde_prof__crash_asked(s);
    struct sigaction once = *next;

    if (is_default(next)) {
        sonde_prof__guard_crashed(info);
        die(s->signo, info);
        return;
    }
    if ((unsigned)once.sa_flags & SA_RESETHAND)
        atomic_store_explicit(&s->asked, &by_default, memory_order_release);
    if (once.sa_flags & SA_SIGINFO)
        once.sa_sigaction(s->signo, info, context);
    else if (once.sa_handler != SIG_IGN)
        once.sa_handler(s->signo);
}

void sonde_prof__on_crash(int signo, siginfo_t *info, void *context)
{
    sonde_prof__crash_signal *s = sonde_prof__crash_signal_of(signo);
    int saved = errno;

    if (sonde_prof__crash_now.packet && enter()) {
        const struct sigaction *next = sonde_prof__crash_asked(s);

        if (is_due(next))
            report(signo, info, context, is_default(next));
        leave();
    }
    errno = saved;
    go_on(s, info, context);
}
