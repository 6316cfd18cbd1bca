/* samplers.c - the signal, the timers, and what is done about handlers that take long. */
#include "samplers.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#include "counts.h"
#include "cpu_timer.h"
#include "events.h"
#include "futex.h"
#include "lock.h"
#include "proc.h"
#include "sampler.h"
#include "threads.h"
#include "wall.h"

#define SCAN_NS         ((uint64_t)SONDE_NS_PER_S)
#define SLOW_NS         (10 * (uint64_t)SONDE_NS_PER_S) /* names, failed timers */
#define MINUTE_NS       (60 * (uint64_t)SONDE_NS_PER_S)
#define LONG_TO_SHALLOW 3u
#define LONG_TO_OPEN    10u
#define SHALLOW_FRAMES  128u
#define STATUS_MAX      128u /* threads whose masks are looked at */
#define STOP_TRIES      200u /* of a millisecond */

static sonde_prof__lock life;            /* of start, stop and tick */
static sonde_prof__sampler_settings now; /* the owner's; what handlers read is in sampling_now */
static bool is_installed, is_running, is_lost;
static uint64_t next_scan_ns, next_slow_ns, minute_ends_ns, open_until_ns;

/* -- settings --------------------------------------------------------------------------------------- */

static void take_settings(const sonde_prof__sampler_settings *s)
{
    now = *s;
    now.signo = s->signo ? s->signo : SIGPROF;
    now.cpu_period_ns = s->cpu_period_ns ? s->cpu_period_ns : SONDE_PROF__CPU_PERIOD_NS;
    now.wall_interval_ns = s->wall_interval_ns ? s->wall_interval_ns : SONDE_PROF__WALL_INTERVAL_NS;
    now.wall_threads = s->wall_threads ? s->wall_threads : SONDE_PROF__WALL_THREADS;
    if (now.wall_threads < 2) /* of each kind one */
        now.wall_threads = 2;
    if (s->frames_max == 0 || s->frames_max > SONDE_PROF__FRAMES_MAX)
        now.frames_max = SONDE_PROF__FRAMES_MAX;
    atomic_store_explicit(&sonde_prof__sampling_now.cpu_period_ns, now.cpu_period_ns,
                          memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__sampling_now.frames_max, now.frames_max,
                          memory_order_relaxed);
}

void sonde_prof__samplers_set_interval(uint64_t cpu_period_ns, uint64_t wall_interval_ns)
{
    if (cpu_period_ns)
        atomic_store_explicit(&sonde_prof__sampling_now.cpu_period_ns, cpu_period_ns,
                              memory_order_relaxed);
    if (wall_interval_ns)
        sonde_prof__wall_set_interval(wall_interval_ns);
    sonde_prof__events_wake();
}

uint64_t sonde_prof__samplers_cpu_period_ns(void)
{
    return atomic_load_explicit(&sonde_prof__sampling_now.cpu, memory_order_relaxed)
               ? atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed)
               : 0;
}

uint64_t sonde_prof__samplers_wall_interval_ns(void)
{
    return sonde_prof__wall_is_running() ? sonde_prof__wall_interval_ns() : 0;
}

uint64_t sonde_prof__samplers_own_ns(void)
{
    return atomic_load_explicit(&sonde_prof__count.handler_ns, memory_order_relaxed) +
           atomic_load_explicit(&sonde_prof__count.hook_ns, memory_order_relaxed) +
           sonde_prof__threads_own_cpu_ns();
}

/* -- timers ----------------------------------------------------------------------------------------- */

void sonde_prof__sampler_attach(sonde_prof__slot *slot)
{
    if (!atomic_load_explicit(&sonde_prof__sampling_now.timers, memory_order_relaxed) ||
        atomic_load_explicit(&slot->event_on, memory_order_relaxed) != 0)
        return;
    if (atomic_load_explicit(&slot->timer, memory_order_relaxed) < 0 &&
        !sonde_prof__timer_arm(
            slot, now.signo,
            atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed)))
        SONDE_PROF__COUNT(timer_failures);
    sonde_prof__events_wake();
}

void sonde_prof__sampler_detach(sonde_prof__slot *slot)
{
    sonde_prof__timer_disarm(slot);
    if (atomic_exchange_explicit(&slot->event_on, 0, memory_order_relaxed) != 0)
        sonde_prof__events_wake();
}

static void disarm(sonde_prof__slot *slot)
{
    sonde_prof__timer_disarm(slot);
}

static bool needs_timers(void)
{
    return now.cpu || (now.wall && now.wall_engine == SONDE_PROF__WALL_AUTO);
}

/* Also in a forked child. */
static void start_events(void)
{
    if (now.perf && atomic_load_explicit(&sonde_prof__sampling_now.cpu, memory_order_relaxed))
        sonde_prof__events_start(now.signo);
}

static void timers_on(void)
{
    atomic_store_explicit(&sonde_prof__sampling_now.cpu, now.cpu, memory_order_release);
    atomic_store_explicit(&sonde_prof__sampling_now.timers, true, memory_order_release);
    sonde_prof__threads_each(sonde_prof__sampler_attach);
    start_events();
}

static void timers_off(void)
{
    atomic_store_explicit(&sonde_prof__sampling_now.cpu, false, memory_order_release);
    atomic_store_explicit(&sonde_prof__sampling_now.timers, false, memory_order_release);
    sonde_prof__events_stop();
    sonde_prof__threads_each(disarm);
}

/* -- the signal ------------------------------------------------------------------------------------- */

static bool install(void)
{
    struct sigaction ours = { .sa_sigaction = sonde_prof__on_signal,
                              .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
    bool ok;

    if (is_installed)
        return !is_lost;
    (void)sigemptyset(&ours.sa_mask);
    sonde_prof__self.depth++; /* our own sigaction() then passes through */
    ok = sigaction(now.signo, NULL, &sonde_prof__sampling_now.before) == 0 &&
         sigaction(now.signo, &ours, NULL) == 0;
    sonde_prof__self.depth--;
    is_installed = ok;
    return ok;
}

/* A program can go round sigaction(), by the bare system call.  Then the signal is its own from now on: our timers would
 * call a handler that does not know them, or end the process. */
static void mind_lost_handler(void)
{
    struct sigaction current;
    bool ours;

    sonde_prof__self.depth++;
    ours =
        sigaction(now.signo, NULL, &current) != 0 || current.sa_sigaction == sonde_prof__on_signal;
    sonde_prof__self.depth--;
    if (ours || is_lost)
        return;
    is_lost = true;
    SONDE_PROF__COUNT(handler_lost);
    timers_off();
    sonde_prof__wall_no_signals();
}

void sonde_prof__samplers_unblock(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, now.signo);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* A handler may still read the one before: of several requests at once each has its own place. */
bool sonde_prof__signal_request(int signo, const struct sigaction *action,
                                struct sigaction *out_old)
{
    static struct sigaction requests[8];
    static _Atomic uint32_t requests_len;
    const struct sigaction *current;
    struct sigaction *mine;

    if (!is_installed || signo != now.signo || sonde_prof__self.depth > 0)
        return false;
    current = atomic_load_explicit(&sonde_prof__sampling_now.asked, memory_order_acquire);
    if (out_old)
        *out_old = current ? *current : sonde_prof__sampling_now.before;
    if (!action)
        return true;
    mine = &requests[atomic_fetch_add_explicit(&requests_len, 1, memory_order_relaxed) % 8];
    *mine = *action;
    /* pairs with chain() */
    atomic_store_explicit(&sonde_prof__sampling_now.asked, mine, memory_order_release);
    return true;
}

bool sonde_prof__signal_is_in(const sigset_t *set)
{
    return is_installed && !is_lost && sonde_prof__self.depth == 0 &&
           sigismember(set, now.signo) == 1;
}

void sonde_prof__signal_take_out(sigset_t *set)
{
    (void)sigdelset(set, now.signo);
}

/* What waits on the thread: ours is gone, another's goes on waiting. */
static void take_pending(void)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t set, before;
    siginfo_t info;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, now.signo);
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    /* The kernel's masks have 64 bits. */
    while (syscall(SYS_rt_sigtimedwait, &set, &info, &at_once, 8) == now.signo) {
        if (sonde_prof__signal_is_ours(&info))
            continue;
        (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), now.signo, &info);
        break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The slot of the calling thread, which may not have met it yet (main()'s is made by the first scan); NULL in a child of
 * vfork(), which has its parent's memory, and no signals. */
static sonde_prof__slot *slot_of_caller(void)
{
    return sonde_prof__slot_find((uint32_t)syscall(SYS_gettid));
}

void sonde_prof__exec_begin(void)
{
    sonde_prof__slot *slot = slot_of_caller();
    bool may_wait = slot && sonde_prof__wall_refuse(slot, true);

    if (slot && sonde_prof__event_hold(slot))
        may_wait = true;
    if (may_wait)
        take_pending();
}

void sonde_prof__exec_failed(void)
{
    sonde_prof__slot *slot = slot_of_caller();

    if (!slot)
        return;
    (void)sonde_prof__wall_refuse(slot, false);
    sonde_prof__event_release(slot);
}

/* -- the circuit breaker ---------------------------------------------------------------------------- */

/* Three long handlers in a minute: shallow stacks until the minute is over; ten: no CPU samples for a minute. */
static void mind_long_handlers(uint64_t now_mono_ns)
{
    uint32_t n = atomic_load_explicit(&sonde_prof__sampling_now.long_ones, memory_order_relaxed);
    uint32_t frames =
        n >= LONG_TO_SHALLOW && now.frames_max > SHALLOW_FRAMES ? SHALLOW_FRAMES : now.frames_max;

    if (frames < atomic_load_explicit(&sonde_prof__sampling_now.frames_max, memory_order_relaxed))
        SONDE_PROF__COUNT(breaker_shallow);
    if (n >= LONG_TO_OPEN && now.cpu && open_until_ns == 0) {
        SONDE_PROF__COUNT(breaker_open);
        open_until_ns = now_mono_ns + MINUTE_NS;
        timers_off();
    }
    if (now_mono_ns >= minute_ends_ns) {
        minute_ends_ns = now_mono_ns + MINUTE_NS;
        atomic_store_explicit(&sonde_prof__sampling_now.long_ones, 0, memory_order_relaxed);
        frames = now.frames_max;
    }
    atomic_store_explicit(&sonde_prof__sampling_now.frames_max, frames, memory_order_relaxed);
    if (open_until_ns != 0 && now_mono_ns >= open_until_ns && !is_lost) {
        open_until_ns = 0;
        timers_on();
    }
}

/* Also where it could not be had before, and in a forked child. */
static void start_wall(void)
{
    if (now.wall && !sonde_prof__wall_is_running() && sonde_prof__wall_start(&now) != SONDE_OK)
        SONDE_PROF__COUNT(wall_failures);
}

/* -- life ------------------------------------------------------------------------------------------- */

static sonde_status start_locked(const sonde_prof__sampler_settings *settings)
{
    sonde_status status;

    if (is_running)
        return SONDE_ERR_STATE;
    take_settings(settings);
    if (!install())
        return SONDE_ERR_SYS;
    open_until_ns = 0;
    next_scan_ns = next_slow_ns = minute_ends_ns = 0;
    atomic_store_explicit(&sonde_prof__sampling_now.long_ones, 0, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__sampling_now.cpu, now.cpu, memory_order_release);
    atomic_store_explicit(&sonde_prof__sampling_now.timers, needs_timers(), memory_order_release);
    status = sonde_prof__threads_start(); /* arms */
    if (status != SONDE_OK)
        return status;
    if (needs_timers())
        timers_on(); /* threads that have a slot from an earlier life */
    is_running = true;
    start_wall();
    return SONDE_OK;
}

sonde_status sonde_prof__samplers_start(const sonde_prof__sampler_settings *settings)
{
    sonde_status status;

    sonde_prof__lock_take(&life);
    status = start_locked(settings);
    sonde_prof__lock_give(&life);
    return status;
}

static bool someone_is_busy(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++)
        if (atomic_load_explicit(&sonde_prof__slot_at(i)->busy, memory_order_acquire))
            return true;
    return false;
}

static void stop_locked(void)
{
    const struct timespec ms = { 0, SONDE_NS_PER_MS };
    uint32_t i;

    if (!is_running)
        return;
    is_running = false;
    sonde_prof__threads_stop();
    sonde_prof__wall_stop();
    timers_off();
    for (i = 0; i < STOP_TRIES && someone_is_busy(); i++)
        (void)nanosleep(&ms, NULL);
    sonde_prof__threads_each(sonde_prof__slot_forget_asked); /* another life's */
}

void sonde_prof__samplers_stop(void)
{
    sonde_prof__lock_take(&life);
    stop_locked();
    sonde_prof__lock_give(&life);
}

/* "SigBlk:\t0000000004000000": a thread that keeps our signal out is not sampled. */
static bool blocks_us(uint32_t tid)
{
    char status[2048], *line;
    uint32_t digit = (uint32_t)(now.signo - 1) / 4, bit = (uint32_t)(now.signo - 1) % 4;
    char c;

    if (sonde_prof__proc_read_task(tid, "status", status, sizeof(status)) == 0)
        return false;
    line = strstr(status, "\nSigBlk:\t");
    if (!line || strlen(line) < 9 + 16)
        return false;
    c = line[9 + 15 - digit];
    return ((c >= 'a' ? c - 'a' + 10 : c - '0') >> bit & 1) != 0;
}

/* Of the first so many. */
static void count_blocked(void)
{
    uint32_t i, tid, blocked = 0, count = sonde_prof__slots_count();

    for (i = 0; i < count && i < STATUS_MAX; i++) {
        tid = atomic_load_explicit(&sonde_prof__slot_at(i)->tid, memory_order_relaxed);
        blocked += tid != 0 && blocks_us(tid);
    }
    atomic_store_explicit(&sonde_prof__count.sig_blocked, blocked, memory_order_relaxed);
}

static void scan_if_changed(void)
{
    static uint32_t count_before;
    uint32_t count = sonde_prof__proc_task_count();

    if (count == 0 || count != count_before)
        sonde_prof__threads_scan();
    count_before = count;
}

static void tick_locked(uint64_t now_mono_ns)
{
    mind_lost_handler();
    mind_long_handlers(now_mono_ns);
    if (now_mono_ns >= next_scan_ns) {
        next_scan_ns = now_mono_ns + SCAN_NS;
        scan_if_changed();
        start_wall();
        start_events();
    }
    if (now_mono_ns >= next_slow_ns) {
        next_slow_ns = now_mono_ns + SLOW_NS;
        sonde_prof__threads_scan(); /* as many may have gone as came */
        sonde_prof__threads_read_names();
        count_blocked();
        sonde_prof__threads_each(sonde_prof__sampler_attach); /* where it failed */
    }
}

void sonde_prof__samplers_tick(uint64_t now_mono_ns)
{
    sonde_prof__lock_take(&life);
    if (is_running)
        tick_locked(now_mono_ns);
    sonde_prof__lock_give(&life);
}

void sonde_prof__samplers_wait(uint64_t timeout_ns)
{
    sonde_prof__futex_wait(&sonde_prof__sampling_now.wake, 0, timeout_ns);
    atomic_store_explicit(&sonde_prof__sampling_now.wake, 0, memory_order_relaxed);
}

void sonde_prof__samplers_prefork(void)
{
    sonde_prof__threads_prefork();
}

void sonde_prof__samplers_postfork_parent(void)
{
    sonde_prof__threads_postfork_parent();
}

void sonde_prof__samplers_postfork_child(void)
{
    sonde_prof__lock_init(&life);
    sonde_prof__events_postfork_child();
    sonde_prof__threads_postfork_child();
    sonde_prof__wall_postfork_child();
}
