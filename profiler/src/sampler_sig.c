/* sampler_sig.c - one sample, in the handler of our signal or in a hook.
 *
 *   signal ──▶ ours? (cookie) ──▶ registers, context, walk ──▶ ring of the thread
 *                    └─ no ─▶ whoever had the signal before us
 *
 * Nothing here allocates, locks, or calls libc but for the clock. */
#include "sampler.h"

#include <errno.h>
#include <stdint.h>
#include <time.h>
#include <ucontext.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#include "child.h"
#include "context.h"
#include "counts.h"
#include "cpu_timer.h"
#include "events.h"
#include "futex.h"
#include "maps.h"
#include "regs.h"
#include "samplers.h"

#define OUR_FRAMES_MAX 8 /* between a hook and the walk */

#define LONG_NS  ((uint64_t)SONDE_NS_PER_MS)
#define WATCH_NS (60 * (uint64_t)SONDE_NS_PER_S)

const char sonde_prof__wall_cookie;
sonde_prof__sampling sonde_prof__sampling_now = { .frames_max = SONDE_PROF__FRAMES_MAX };
sonde_prof__counts sonde_prof__count;

/* -- one sample ------------------------------------------------------------------------------------- */

static uint32_t walk(sonde_prof__slot *slot, const sonde_prof__regs *regs, uint8_t *out_end)
{
    uint32_t max = atomic_load_explicit(&sonde_prof__sampling_now.frames_max, memory_order_relaxed);
    const sonde_prof__map *map;
    sonde_prof__end end = SONDE_PROF__NO_RANGE;
    uint32_t n = 1;

    sonde_prof__maps_enter();
    map = sonde_prof__maps_current();
    if (map)
        n = sonde_prof__unwind(map, regs, &slot->stack, slot->frames, max, &end);
    else
        slot->frames[0] = regs->pc;
    sonde_prof__maps_leave();
    if (map && end == SONDE_PROF__NO_RANGE)
        sonde_prof__maps_missed();
    *out_end = (uint8_t)end;
    return n;
}

static bool put_whole(sonde_prof__slot *slot, const sonde_prof__sample *s, const uint64_t *frames)
{
    bool ok = sonde_prof__ring_put(&slot->ring, s, frames);

    if (!ok || sonde_prof__ring_is_filling(&slot->ring))
        sonde_prof__samplers_wake();
    return ok;
}

void sonde_prof__sample_weigh(sonde_prof__sample *s, const sonde_prof__slot *slot)
{
    uint32_t weight = atomic_load_explicit(&slot->weight, memory_order_relaxed);
    unsigned i;

    if (weight <= 1)
        return;
    s->events *= weight;
    for (i = 0; i < sonde_prof__sums_of(s->kind); i++)
        s->value[i] *= weight;
}

/* Whose it is. */
static void sign(sonde_prof__sample *s, const sonde_prof__slot *slot, uint32_t depth)
{
    s->depth = (uint16_t)depth;
    s->tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    sonde_prof__context_read(slot, &s->context);
}

static bool put(sonde_prof__slot *slot, sonde_prof__sample *s, uint32_t depth,
                const uint64_t *frames)
{
    sign(s, slot, depth);
    sonde_prof__sample_weigh(s, slot);
    return put_whole(slot, s, frames);
}

/* False: a sampler interrupted a sampler of this thread; what it would have said is lost. */
static bool enter(sonde_prof__slot *slot)
{
    if (atomic_exchange_explicit(&slot->busy, 1, memory_order_acquire) == 0)
        return true;
    SONDE_PROF__COUNT(nested);
    return false;
}

static void leave(sonde_prof__slot *slot)
{
    atomic_store_explicit(&slot->busy, 0, memory_order_release);
}

/* The first frame that is the program's, behind those of this library. */
static uint32_t first_of(const sonde_prof__slot *slot, uint32_t n, const void *caller)
{
    uint32_t i;

    for (i = 1; i < n && i <= OUR_FRAMES_MAX; i++)
        if (slot->frames[i] + 1 == (uint64_t)(uintptr_t)caller)
            return i;
    return n > 1 ? 1 : 0;
}

/* What a hook took for a sample.  Long by the clock: another thread had the CPU. */
static void account_hook(uint64_t start_ns)
{
    uint64_t took = sonde_mono_ns() - start_ns;

    SONDE_PROF__COUNT_ADD(hook_ns, took < LONG_NS ? took : LONG_NS);
}

__attribute__((noinline)) bool sonde_prof__sample_here(sonde_prof__sample *s, const void *caller)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;
    sonde_prof__regs regs = { 0, 0, 0, 0, NULL, NULL };
    uint32_t n, first;
    bool ok;

    if (!slot || !enter(slot))
        return false;
    SONDE_PROF__REGS_HERE(regs);
    s->mono_ns = sonde_mono_ns();
    n = walk(slot, &regs, &s->end);
    first = first_of(slot, n, caller);
    ok = put(slot, s, n - first, slot->frames + first);
    leave(slot);
    account_hook(s->mono_ns);
    return ok;
}

__attribute__((noinline)) bool sonde_prof__stack_here(sonde_prof__sample *s, uint64_t *frames,
                                                      const void *caller)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;
    sonde_prof__regs regs = { 0, 0, 0, 0, NULL, NULL };
    uint32_t n, first, i;

    if (!slot || !enter(slot))
        return false;
    SONDE_PROF__REGS_HERE(regs);
    s->mono_ns = sonde_mono_ns();
    n = walk(slot, &regs, &s->end);
    first = first_of(slot, n, caller);
    sign(s, slot, n - first);
    for (i = first; i < n; i++)
        frames[i - first] = slot->frames[i];
    leave(slot);
    account_hook(s->mono_ns);
    return true;
}

bool sonde_prof__sample_put(sonde_prof__sample *s, const uint64_t *frames)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;
    bool ok;

    if (!slot || !enter(slot))
        return false;
    s->mono_ns = sonde_mono_ns();
    ok = put_whole(slot, s, frames);
    leave(slot);
    return ok;
}

/* What the wall sampler asked of this thread since it last answered. */
static void put_wall(sonde_prof__slot *slot, uint32_t events, sonde_prof__sample *s, uint32_t depth,
                     const uint64_t *frames)
{
    s->kind = SONDE_PROF__WALL;
    s->events = events;
    s->value[0] = atomic_exchange_explicit(&slot->wall_ns, 0, memory_order_relaxed);
    s->value[1] = SONDE_PROF__RUNNING;
    (void)put(slot, s, depth, frames);
    SONDE_PROF__COUNT(wall_signals);
}

static bool takes_cpu(void)
{
    return atomic_load_explicit(&sonde_prof__sampling_now.cpu, memory_order_acquire);
}

static bool takes_wall(void)
{
    return atomic_load_explicit(&sonde_prof__sampling_now.wall, memory_order_acquire);
}

static uint32_t take_asked(sonde_prof__slot *slot)
{
    return atomic_exchange_explicit(&slot->wall_events, 0, memory_order_acquire);
}

__attribute__((noinline)) void sonde_prof__sample_end(sonde_prof__slot *slot, uintptr_t entry)
{
    uint32_t owed = sonde_prof__timer_end(slot), asked, n;
    sonde_prof__sample s = { .kind = SONDE_PROF__CPU, .events = takes_cpu() ? owed : 0 };
    sonde_prof__regs regs = { 0, 0, 0, 0, NULL, NULL };

    if ((s.events == 0 && atomic_load_explicit(&slot->wall_events, memory_order_relaxed) == 0) ||
        !enter(slot))
        return;
    asked = take_asked(slot);
    SONDE_PROF__REGS_HERE(regs);
    s.mono_ns = sonde_mono_ns();
    s.value[0] = (int64_t)(s.events * atomic_load_explicit(&slot->period_ns, memory_order_relaxed));
    n = walk(slot, &regs, &s.end);
    n -= n > 0;
    if (entry) /* this function and the one that ends the thread, out; */
        slot->frames[1] = entry;
    if (s.events != 0)
        (void)put(slot, &s, n, slot->frames + 1);
    if (asked != 0)
        put_wall(slot, asked, &s, n, slot->frames + 1);
    leave(slot);
}

/* -- the handler ------------------------------------------------------------------------------------ */

static sonde_prof__slot *slot_of_self(void)
{
    sonde_prof__slot *slot = sonde_prof__self.slot;

    if (slot || sonde_prof__self.gone)
        return slot;
    slot = sonde_prof__slot_find((uint32_t)syscall(SYS_gettid));
    if (slot)
        sonde_prof__self.slot = slot;
    else
        SONDE_PROF__COUNT(unknown_thread);
    return slot;
}

/* What the handler itself took.  Long by the wall clock may mean that another thread had the CPU: then CPU time is taken
 * too, for a minute, and only what is long by that counts. */
static void account(uint64_t start_ns, uint64_t cpu_start_ns)
{
    uint64_t now_ns = sonde_mono_ns(), took = now_ns - start_ns;
    uint64_t longest =
        atomic_load_explicit(&sonde_prof__count.handler_max_ns, memory_order_relaxed);

    if (took > LONG_NS)
        atomic_store_explicit(&sonde_prof__sampling_now.watch_until, now_ns + WATCH_NS,
                              memory_order_relaxed);
    if (cpu_start_ns != 0)
        took = sonde_prof__thread_cpu_ns() - cpu_start_ns;
    else if (took > LONG_NS)
        took = LONG_NS;
    SONDE_PROF__COUNT_ADD(handler_ns, took);
    while (took > longest &&
           !atomic_compare_exchange_weak_explicit(&sonde_prof__count.handler_max_ns, &longest, took,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    if (cpu_start_ns == 0 || took <= LONG_NS)
        return;
    SONDE_PROF__COUNT(handler_long);
    atomic_fetch_add_explicit(&sonde_prof__sampling_now.long_ones, 1, memory_order_relaxed);
}

/* What a signal is of. */
typedef enum source { FOREIGN, BY_TIMER, BY_EVENT, BY_WALL } source;

static void put_cpu(sonde_prof__slot *slot, uint32_t events, sonde_prof__sample *s, uint32_t depth,
                    const uint64_t *frames)
{
    uint64_t ns = events * atomic_load_explicit(&slot->period_ns, memory_order_relaxed);

    s->kind = SONDE_PROF__CPU;
    s->events = events;
    s->value[0] = (int64_t)ns;
    (void)put(slot, s, depth, frames);
    slot->sampled_ns += ns;
    sonde_prof__context_add(slot, SONDE_PROF__COST_CPU_NS, ns);
}

/* What the clock owes goes to the moments the kernel noted, evenly: to several when the signal had to wait for the end of a
 * system call.  They have this stack in common, under frames of the kernel of their own. */
static void put_events(sonde_prof__slot *slot, sonde_prof__sample *s, uint32_t depth)
{
    void *page = atomic_load_explicit(&slot->event_page, memory_order_seq_cst); /* after `busy` */
    uint32_t waiting = page ? sonde_prof__event_waiting(page) : 0, i, part, kernel = 0;
    uint32_t owed = sonde_prof__cpu_owed(slot), moments = waiting ? waiting : 1;

    for (i = 0; i < moments; i++) {
        if (waiting)
            kernel = sonde_prof__event_next(page, slot->frames, SONDE_PROF__KERNEL_FRAMES_MAX);
        part = (uint32_t)((uint64_t)owed * (i + 1) / moments - (uint64_t)owed * i / moments);
        if (part > 0)
            put_cpu(slot, part, s, depth + kernel, slot->frames - kernel);
    }
    if (page)
        sonde_prof__event_skip(page);
}

static void put_timer(sonde_prof__slot *slot, const siginfo_t *info, sonde_prof__sample *s,
                      uint32_t depth)
{
    put_cpu(slot, 1 + (info->si_overrun > 0 ? (uint32_t)info->si_overrun : 0), s, depth,
            slot->frames);
}

/* The overhead may have made the period another one. */
static void mind_period(sonde_prof__slot *slot, source by)
{
    uint64_t wanted =
        atomic_load_explicit(&sonde_prof__sampling_now.cpu_period_ns, memory_order_relaxed);

    if (wanted == 0 || wanted == atomic_load_explicit(&slot->period_ns, memory_order_relaxed))
        return;
    if (by == BY_TIMER)
        sonde_prof__timer_set(slot, wanted);
    else
        sonde_prof__cpu_restart(slot, wanted);
}

/* Without CPU samples timers are there for the wall sampler only.
 * A timer and an event of one thread are both there while one takes over from the other: until sonde-perf has deleted the
 * timer, or has closed the event that the slot had before it was taken anew.  Only one of them tells. */
static source who_tells(const sonde_prof__slot *slot, source by)
{
    bool by_event = atomic_load_explicit(&slot->event_on, memory_order_relaxed) != 0;

    if (!takes_cpu())
        return BY_WALL;
    if (by == BY_TIMER && by_event)
        return BY_EVENT;
    return by == BY_EVENT && !by_event ? BY_WALL : by;
}

/* True: in a forked child, at a moment where its thread may be begun. */
static bool sample(sonde_prof__slot *slot, const siginfo_t *info, source by,
                   const ucontext_t *interrupted)
{
    uint32_t events = take_asked(slot), n;
    sonde_prof__sample s = { .kind = 0 };
    uint64_t all[16];
    sonde_prof__regs regs = sonde_prof__regs_of(interrupted, all);

    by = who_tells(slot, by);
    if (by == BY_WALL && events == 0)
        return false; /* answered before */
    s.mono_ns = sonde_mono_ns();
    n = walk(slot, &regs, &s.end);
    if (by == BY_TIMER)
        put_timer(slot, info, &s, n);
    else if (by == BY_EVENT)
        put_events(slot, &s, n);
    if (by != BY_WALL)
        mind_period(slot, by);
    if (events != 0)
        put_wall(slot, events, &s, n, slot->frames);
    return atomic_load_explicit(&sonde_prof__sampling_now.begin_child, memory_order_relaxed) &&
           s.end == SONDE_PROF__COMPLETE && sonde_prof__self.depth == 0 &&
           sonde_prof__child_may_begin(slot, slot->frames, n);
}

static void take(source by, const siginfo_t *info, const ucontext_t *interrupted)
{
    uint64_t start_ns = sonde_mono_ns(), cpu_start_ns = 0;
    sonde_prof__slot *slot = slot_of_self();
    sonde_prof__begin_child *begin_child;
    bool may_begin;

    if (!slot || !enter(slot))
        return;
    if (start_ns <
        atomic_load_explicit(&sonde_prof__sampling_now.watch_until, memory_order_relaxed))
        cpu_start_ns = sonde_prof__thread_cpu_ns();
    may_begin = sample(slot, info, by, interrupted);
    leave(slot);
    account(start_ns, cpu_start_ns);
    begin_child = atomic_load_explicit(&sonde_prof__sampling_now.begin_child, memory_order_relaxed);
    if (may_begin && begin_child)
        begin_child();
}

static void chain(int signo, siginfo_t *info, void *context)
{
    const struct sigaction *to =
        atomic_load_explicit(&sonde_prof__sampling_now.asked, memory_order_acquire);

    SONDE_PROF__COUNT(foreign_signals);
    if (!to)
        to = &sonde_prof__sampling_now.before;
    if (to->sa_flags & SA_SIGINFO)
        to->sa_sigaction(signo, info, context);
    else if (to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN)
        SONDE_PROF__COUNT(swallowed);
    else
        to->sa_handler(signo);
}

static source source_of(const siginfo_t *info)
{
    if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &sonde_prof__cpu_cookie)
        return BY_TIMER;
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &sonde_prof__wall_cookie)
        return BY_WALL;
    if (info->si_code == POLL_IN && sonde_prof__event_is(slot_of_self(), info))
        return BY_EVENT;
    return FOREIGN;
}

bool sonde_prof__signal_is_ours(const siginfo_t *info)
{
    return source_of(info) != FOREIGN;
}

void sonde_prof__on_signal(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    source by = source_of(info);

    if (by == FOREIGN)
        chain(signo, info, context);
    else if (takes_wall() || (by != BY_WALL && takes_cpu()))
        take(by, info, context);
    errno = saved;
}

/* -- the drainer's sleep ---------------------------------------------------------------------------- */

void sonde_prof__samplers_wake(void)
{
    if (atomic_exchange_explicit(&sonde_prof__sampling_now.wake, 1, memory_order_release) == 0)
        sonde_prof__futex_wake(&sonde_prof__sampling_now.wake, SONDE_PROF__FUTEX_ALL);
}
