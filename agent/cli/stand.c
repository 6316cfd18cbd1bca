/* stand.c - /proc for threads that run, registers and memory for one that is stopped. */
#include "stand.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/parse.h"
#include "base/str.h"

#if defined(__x86_64__)

#    define STACK_SCAN_MAX (512u * 1024)
#    define GET_RSEQ       0x420f /* PTRACE_GET_RSEQ_CONFIGURATION */

/* ---- while it runs ---- */

/* What /proc/PID/task/TID/syscall says: the number, -1 for none, -2 for a thread that runs. */
static long call_of(pid_t pid, pid_t tid, uint64_t args[6])
{
    char path[64], text[256] = "";
    sonde_str rest, word;
    int64_t number = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (strncmp(text, "running", 7) == 0)
        return -2;
    rest = sonde_str_from(text);
    word = sonde_str_cut(&rest, ' ');
    if (sonde_parse_i64(word, &number) != SONDE_OK)
        return -1;
    for (size_t i = 0; i < 6; i++) { /* "0x..." */
        word = sonde_str_cut(&rest, ' ');
        args[i] = 0;
        (void)sonde_hex_parse_u64(sonde_str_sub(word, 2, word.len), 0, &args[i]);
    }
    return (long)number;
}

/* Calls threads wait in that hold none of the locks in question; the kernel begins them anew as if nothing had been. */
static bool waits_well(long number, uint64_t futex_operation)
{
    static const long calls[] = { SYS_nanosleep,     SYS_clock_nanosleep, SYS_poll,
                                  SYS_ppoll,         SYS_select,          SYS_pselect6,
                                  SYS_wait4,         SYS_waitid,          SYS_pause,
                                  SYS_rt_sigsuspend, SYS_accept,          SYS_accept4,
                                  SYS_read,          SYS_readv,           SYS_recvfrom,
                                  SYS_recvmsg,       SYS_restart_syscall };

    /* For conditions, semaphores and the end of threads; libc's own locks are waited for without a bit set. */
    if (number == SYS_futex)
        return ((int)futex_operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i] == number)
            return true;
    return false;
}

/* The same, but the kernel would say EINTR: we begin them anew, and a time-out with them. */
static bool is_begun_anew(long number)
{
    return number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2 ||
           number == SYS_rt_sigtimedwait;
}

/* Without a time-out that is no difference. */
static bool has_time_out(long number, const uint64_t args[6])
{
    return number == SYS_rt_sigtimedwait ? args[2] != 0
           : number == SYS_epoll_pwait2  ? args[3] != 0
                                         : (int32_t)args[3] > 0;
}

bool stand_is_of_the_program(pid_t pid, pid_t tid)
{
    static const char *const others[] = { "sonde-", "iou-", "vhost-" };
    char path[64], name[32] = "";
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    (void)!read(fd, name, sizeof(name) - 1);
    (void)close(fd);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

stand_order stand_order_of(pid_t pid, pid_t tid)
{
    uint64_t args[6] = { 0 };
    long number = call_of(pid, tid, args);

    if (number == -2)
        return STAND_RUNS;
    if (!is_begun_anew(number))
        return waits_well(number, args[1]) ? STAND_WAITS_WELL : STAND_ORDERS;
    return has_time_out(number, args) ? STAND_WAITS_SO_SO : STAND_WAITS_WELL;
}

/* As ps says it: 'S' sleeps, 'R' runs, 'D' cannot be stopped. */
static char state_of(pid_t tid)
{
    char state[32] = "";

    (void)target_status(tid, "State", state, sizeof(state));
    return state[0];
}

void stand_await_next_wait(pid_t tid, uint64_t until_ns)
{
    static const char sleeps[] = "voluntary_ctxt_switches";
    const struct timespec pause = { 0, SONDE_NS_PER_MS };
    uint64_t before = target_status_number(tid, sleeps);

    do
        (void)nanosleep(&pause, NULL);
    while ((target_status_number(tid, sleeps) == before || state_of(tid) == 'R') &&
           sonde_mono_ns() < until_ns);
}

bool stand_can_be_stopped(pid_t tid)
{
    return state_of(tid) != 'D';
}

/* ---- stopped ---- */

/* Where a signal handler returns to: `mov $15, %rax` or %eax, `syscall`. */
static bool is_signal_return(const target *t, uint64_t address)
{
    static const unsigned char wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
    static const unsigned char narrow[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };
    const target_mapping *m = target_find(t, address);
    unsigned char there[sizeof(wide)];

    return m && m->is_executable && target_read(t, address, there, sizeof(there)) &&
           (memcmp(there, wide, sizeof(wide)) == 0 || memcmp(there, narrow, sizeof(narrow)) == 0);
}

/* Any word on its stack that would be one counts, also one left from before: then it is not this thread. */
static bool is_in_handler(const target *t, uint64_t sp)
{
    uint64_t words[512], left = STACK_SCAN_MAX;

    sp &= ~UINT64_C(7);
    while (left > 0) {
        ssize_t n = pread(t->memory, words, sizeof(words), (off_t)sp);

        if (n < (ssize_t)sizeof(words[0]))
            return false; /* its end */
        for (size_t i = 0; i < (size_t)n / sizeof(words[0]); i++)
            if (words[i] > 4096 && words[i] >> 47 == 0 && is_signal_return(t, words[i]))
                return true;
        sp += (uint64_t)n;
        left -= (uint64_t)n < left ? (uint64_t)n : left;
    }
    return false;
}

/* Not the C library, the loader, us, or whoever defines malloc() or may be called by those who do. */
static bool is_harmless_object(const target *t, const target_mapping *m)
{
    static const char *const others[] = { "ld-",        "ld.so",     "libc.so", "libc-2.",
                                          "libpthread", "libdl.",    "libdl-",  "libgcc_s.",
                                          "libsonde-",  "libm.so",   "libm-2.", "libmvec",
                                          "librt",      "libstdc++", "libc++",  "libunwind",
                                          "liblzma" };
    target_object o;
    bool ok;

    if (m->path[0] != '/' || strstr(m->path, "malloc"))
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (target_is_named(m, others[i]))
            return false;
    ok = target_object_at(t, m->lo, &o) == SONDE_OK && !sonde_elf_function(&o.image, "malloc") &&
         !sonde_elf_function(&o.image, "free");
    target_object_done(&o);
    return ok;
}

/* An object is looked at when no thread waits for that, so of a new one nothing is known the first time. */
static bool is_harmless_code(stand *s, uint64_t pc)
{
    const target_mapping *m = target_find(s->target, pc);

    if (!m || !m->is_executable)
        return false;
    for (size_t k = 0; k < s->known_len; k++)
        if (s->known[k].mapping == m)
            return s->known[k].is_harmless;
    s->unknown = m;
    return false;
}

void stand_look_at_unknown(stand *s)
{
    if (s->unknown && s->known_len < STAND_KNOWN_MAX) {
        s->known[s->known_len].mapping = s->unknown;
        s->known[s->known_len++].is_harmless = is_harmless_object(s->target, s->unknown);
    }
    s->unknown = NULL;
}

/* In the middle of instructions that have to be done at one go: going away begins them anew, with what we left. */
static bool is_in_restartable_sequence(const target *t, pid_t tid)
{
    struct { /* the kernel's ptrace_rseq_configuration */
        uint64_t area;
        uint32_t bytes, signature, flags, pad;
    } c = { 0 };
    uint64_t sequence = 0;

    if (ptrace((enum __ptrace_request)GET_RSEQ, tid, (void *)sizeof(c), &c) <= 0)
        return false; /* a kernel without, or a thread without */
    return c.area && target_read(t, c.area + 8, &sequence, sizeof(sequence)) && sequence != 0;
}

bool stand_is_good(stand *s, const tracee *t)
{
    long number = (long)t->was.orig_rax;
    bool waits = number >= 0 && (waits_well(number, t->was.rsi) || is_begun_anew(number));

    if (!waits &&
        (!is_harmless_code(s, t->was.rip) || is_in_restartable_sequence(s->target, t->tid)))
        return false;
    return !is_in_handler(s->target, t->was.rsp);
}

#endif
