/* cpu_timer_sig.c - the raw system calls: libc's wrappers refuse clocks of other threads. */
#include "cpu_timer.h"

#include <signal.h>
#include <time.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

const char sonde_prof__cpu_cookie;

/* As the kernel writes clock ids: 4 a thread's, 2 what the scheduler counted. */
static int clock_of(uint32_t tid)
{
    return (int)((~tid << 3) | 6);
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / SONDE_NS_PER_S), (long)(ns % SONDE_NS_PER_S) };
}

/* 1..period, evenly enough. */
static uint64_t phase(const sonde_prof__slot *slot, uint64_t period_ns)
{
    uint64_t x = sonde_mono_ns() ^ ((uint64_t)slot->generation << 48) ^
                 (uint64_t)slot->number * UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % period_ns + 1;
}

static bool set(int timer, uint64_t first_ns, uint64_t period_ns)
{
    struct itimerspec when = { timespec_of(period_ns), timespec_of(first_ns) };

    return syscall(SYS_timer_settime, timer, 0, &when, NULL) == 0;
}

uint64_t sonde_prof__cpu_ns_of(uint32_t tid)
{
    struct timespec t;

    if (syscall(SYS_clock_gettime, clock_of(tid), &t) != 0)
        return UINT64_MAX;
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t sonde_prof__thread_cpu_ns(void)
{
    struct timespec t = { 0, 0 };

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What is counted of the slot's thread from now on. */
static void count_from_now(sonde_prof__slot *slot, uint64_t first_ns, uint64_t period_ns)
{
    slot->armed_cpu_ns =
        sonde_prof__self.slot == slot
            ? sonde_prof__thread_cpu_ns()
            : sonde_prof__cpu_ns_of(atomic_load_explicit(&slot->tid, memory_order_relaxed));
    slot->phase_ns = first_ns;
    slot->sampled_ns = 0;
    slot->counted_generation = slot->generation;
    atomic_store_explicit(&slot->period_ns, period_ns, memory_order_relaxed);
}

/* The same, and what the timer of the slot will do. */
static bool begin(sonde_prof__slot *slot, int timer, uint64_t first_ns, uint64_t period_ns)
{
    count_from_now(slot, first_ns, period_ns);
    return set(timer, first_ns, period_ns);
}

bool sonde_prof__timer_arm(sonde_prof__slot *slot, int signo, uint64_t period_ns)
{
    uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    struct sigevent event = { 0 };
    int timer;

    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signo;
    event.sigev_value.sival_ptr = (void *)(uintptr_t)&sonde_prof__cpu_cookie;
    event._sigev_un._tid = (pid_t)tid;
    if (syscall(SYS_timer_create, clock_of(tid), &event, &timer) != 0)
        return false;
    atomic_store_explicit(&slot->timer, timer, memory_order_relaxed);
    if (begin(slot, timer, phase(slot, period_ns), period_ns))
        return true;
    sonde_prof__timer_disarm(slot);
    return false;
}

void sonde_prof__timer_disarm(sonde_prof__slot *slot)
{
    int timer = atomic_exchange_explicit(&slot->timer, -1, memory_order_relaxed);

    if (timer >= 0)
        (void)syscall(SYS_timer_delete, timer);
}

uint32_t sonde_prof__cpu_owed(const sonde_prof__slot *slot)
{
    uint64_t period = atomic_load_explicit(&slot->period_ns, memory_order_relaxed), used, due;

    if (slot->armed_cpu_ns == UINT64_MAX || period == 0)
        return 0;
    used = sonde_prof__thread_cpu_ns() - slot->armed_cpu_ns;
    due = used < slot->phase_ns ? 0 : ((used - slot->phase_ns) / period + 1) * period;
    return due > slot->sampled_ns ? (uint32_t)((due - slot->sampled_ns) / period) : 0;
}

void sonde_prof__cpu_restart(sonde_prof__slot *slot, uint64_t period_ns)
{
    count_from_now(slot, phase(slot, period_ns), period_ns);
}

uint32_t sonde_prof__timer_end(sonde_prof__slot *slot)
{
    bool was_counted = atomic_load_explicit(&slot->timer, memory_order_relaxed) >= 0 ||
                       atomic_load_explicit(&slot->event_on, memory_order_relaxed) != 0;

    sonde_prof__timer_disarm(slot);
    return was_counted ? sonde_prof__cpu_owed(slot) : 0;
}

void sonde_prof__timer_set(sonde_prof__slot *slot, uint64_t period_ns)
{
    int timer = atomic_load_explicit(&slot->timer, memory_order_relaxed);

    if (timer >= 0)
        (void)begin(slot, timer, period_ns, period_ns);
}
