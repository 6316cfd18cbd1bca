/* wall.c - the rounds of the wall sampler, on a thread of its own. */
#include "wall.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "context.h"
#include "counts.h"
#include "cpu_timer.h"
#include "futex.h"
#include "guess.h"
#include "lock.h"
#include "maps.h"
#include "proc.h"
#include "sampler.h"
#include "threads.h"

#define COPY_BYTES 16384u /* of a stack at once; what is deeper comes in small windows */
#define LINE_BYTES 256u

#define LOOKS_MAX    256u
#define ANSWER_NS    ((uint64_t)SONDE_NS_PER_S)
#define THREAD_STACK ((size_t)128 * 1024)

/* Threads of one kind. */
typedef struct stratum {
    uint32_t seen;
    uint32_t chosen;
    uint32_t max;
    sonde_prof__slot *slots[LOOKS_MAX];
} stratum;

static struct {
    _Atomic uint64_t interval_ns;
    _Atomic uint32_t stopping; /* a futex */
    bool is_running;
    uint32_t threads; /* looked at per round */
    int signo;
    _Atomic sonde_prof__wall_engine engine;
    pthread_t thread;
    sonde_prof__lock sending;
    sonde_prof__slot *own; /* its ring is where samples without a signal go */
    uint64_t rng;
    stratum strata[2]; /* without a span, in one */
    _Alignas(8) uint8_t copy[COPY_BYTES];
    uint64_t frames[SONDE_PROF__FRAMES_MAX];
} wall = { .rng = UINT64_C(0x9E3779B97F4A7C15) };

static uint64_t random64(void)
{
    wall.rng ^= wall.rng >> 12;
    wall.rng ^= wall.rng << 25;
    wall.rng ^= wall.rng >> 27;
    return wall.rng * UINT64_C(0x2545F4914F6CDD1D);
}

static sonde_prof__wall_engine engine(void)
{
    return atomic_load_explicit(&wall.engine, memory_order_relaxed);
}

/* -- samples ---------------------------------------------------------------------------------------- */

/* What one look stands for. */
typedef struct weight {
    uint32_t events;
    int64_t ns;
} weight;

static void put(const sonde_prof__slot *slot, weight w, sonde_prof__state state, uint8_t end,
                uint32_t depth, const uint64_t *frames)
{
    sonde_prof__sample s = { .kind = SONDE_PROF__WALL, .events = w.events, .end = end };

    s.depth = (uint16_t)depth;
    s.tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    s.mono_ns = sonde_mono_ns();
    s.value[0] = w.ns;
    s.value[1] = state;
    sonde_prof__context_read_remote(slot, &s.context);
    sonde_prof__sample_weigh(&s, slot);
    if (!sonde_prof__ring_put(&wall.own->ring, &s, frames) ||
        sonde_prof__ring_is_filling(&wall.own->ring))
        sonde_prof__samplers_wake();
}

static bool send(const sonde_prof__slot *slot, uint32_t tid)
{
    siginfo_t info;
    bool ok;

    memset(&info, 0, sizeof(info));
    info.si_signo = wall.signo;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(uintptr_t)&sonde_prof__wall_cookie;
    sonde_prof__lock_take(&wall.sending);
    ok = !slot->no_wall_signals &&
         syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, wall.signo, &info) == 0;
    sonde_prof__lock_give(&wall.sending);
    return ok;
}

static sonde_prof__look *look_of(sonde_prof__slot *slot)
{
    if (!slot->wall)
        slot->wall = sonde_calloc(1, sizeof(*slot->wall));
    return slot->wall;
}

/* The thread is told to look itself.  One that has not come to it yet will say it all at once. */
static void ask(sonde_prof__slot *slot, weight w)
{
    sonde_prof__look *look = look_of(slot);

    atomic_fetch_add_explicit(&slot->wall_ns, w.ns, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&slot->wall_events, w.events, memory_order_release) != 0)
        SONDE_PROF__COUNT(wall_pending);
    else if (look)
        look->asked_ns = sonde_mono_ns();
}

static void ask_by_signal(sonde_prof__slot *slot, uint32_t tid, weight w)
{
    if (engine() == SONDE_PROF__WALL_NOSIGNAL)
        return;
    ask(slot, w);
    if (!send(slot, tid))
        SONDE_PROF__COUNT(wall_unknown);
}

static bool has_clock(const sonde_prof__slot *slot)
{
    return atomic_load_explicit(&slot->timer, memory_order_relaxed) >= 0 ||
           atomic_load_explicit(&slot->event_on, memory_order_relaxed) != 0;
}

/* The signal of its CPU clock finds it at work.  One of ours could find it in a call it has entered meanwhile, which would
 * end with EINTR. */
static void ask_running(sonde_prof__slot *slot, uint32_t tid, weight w)
{
    if (engine() == SONDE_PROF__WALL_AUTO && has_clock(slot))
        ask(slot, w);
    else
        ask_by_signal(slot, tid, w);
}

/* It ran when it was asked, has blocked before its clock came to it, and may not run for long: this is what is known. */
static void answer_for(sonde_prof__slot *slot, uint8_t end, uint32_t depth, const uint64_t *frames)
{
    weight w;

    if (!slot->wall || atomic_load_explicit(&slot->wall_events, memory_order_relaxed) == 0 ||
        sonde_mono_ns() < slot->wall->asked_ns + ANSWER_NS)
        return;
    w.events = atomic_exchange_explicit(&slot->wall_events, 0, memory_order_acquire);
    if (w.events == 0)
        return; /* it has */
    w.ns = atomic_exchange_explicit(&slot->wall_ns, 0, memory_order_relaxed);
    put(slot, w, SONDE_PROF__RUNNING, end, depth, frames);
}

/* -- looking from outside --------------------------------------------------------------------------- */

/* The first kilobytes above SP, as they are now; the stack may be gone when they are read from where they were. */
static sonde_prof__stack copy_stack(uint64_t sp)
{
    struct iovec to = { wall.copy, COPY_BYTES };
    struct iovec from = { (void *)(uintptr_t)(sp & ~UINT64_C(7)), COPY_BYTES };
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

    if (n <= 0)
        return (sonde_prof__stack){ 0, 0, NULL };
    return (sonde_prof__stack){ sp & ~UINT64_C(7),
                                (sp & ~UINT64_C(7)) + ((uint64_t)n & ~UINT64_C(7)), wall.copy };
}

/* A call that will be begun again stands at its instruction, others behind it. */
static uint64_t behind_syscall(uint64_t pc)
{
    uint8_t code[4] = { 0 };
    struct iovec to = { code, sizeof(code) }, from = { (void *)(uintptr_t)pc, sizeof(code) };

    if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)sizeof(code))
        return pc;
#if defined(__x86_64__)
    return code[0] == 0x0f && code[1] == 0x05 ? pc + 2 : pc;
#else
    return code[0] == 0x01 && code[1] == 0 && code[2] == 0 && code[3] == 0xd4 ? pc + 4 : pc;
#endif
}

static uint32_t walk(const sonde_prof__place *place, sonde_prof__end *end)
{
    sonde_prof__stack stack = copy_stack(place->sp);
    sonde_prof__guess guess = { sonde_prof__guess_fp, stack, 0 };
    sonde_prof__regs regs = { behind_syscall(place->pc), place->sp, 0, 0, NULL, &guess };
    const sonde_prof__map *map;
    uint32_t n = 1;

    wall.frames[0] = regs.pc;
    *end = SONDE_PROF__NO_RANGE;
    sonde_prof__maps_enter();
    map = sonde_prof__maps_current();
    if (map)
        n = sonde_prof__unwind(
            map, &regs, &stack, wall.frames,
            atomic_load_explicit(&sonde_prof__sampling_now.frames_max, memory_order_relaxed), end);
    sonde_prof__maps_leave();
    if (guess.found)
        SONDE_PROF__COUNT(fp_guessed);
    return n;
}

static void remember(sonde_prof__slot *slot, uint32_t tid, uint64_t cpu_ns,
                     const sonde_prof__place *place, sonde_prof__end end, uint32_t depth)
{
    sonde_prof__look *look = look_of(slot);

    if (!look)
        return;
    look->tid = depth <= SONDE_PROF__LOOK_FRAMES ? tid : 0;
    if (look->tid == 0)
        return;
    look->cpu_ns = cpu_ns;
    look->state = (uint8_t)place->state;
    look->end = (uint8_t)end;
    look->depth = (uint16_t)depth;
    memcpy(look->frames, wall.frames, depth * sizeof(look->frames[0]));
}

static void look_inside(sonde_prof__slot *slot, uint32_t tid, weight w, uint64_t cpu_ns)
{
    char line[LINE_BYTES];
    sonde_prof__place place;
    sonde_prof__end end;
    uint32_t depth;

    if (sonde_prof__proc_read_task(tid, "syscall", line, sizeof(line)) == 0 ||
        !sonde_prof__place_read(line, &place)) {
        SONDE_PROF__COUNT(wall_unknown);
        ask_by_signal(slot, tid, w);
        return;
    }
    if (place.state == SONDE_PROF__RUNNING) {
        ask_running(slot, tid, w);
        return;
    }
    depth = walk(&place, &end);
    if (sonde_prof__cpu_ns_of(tid) != cpu_ns) { /* woke up in the middle */
        SONDE_PROF__COUNT(wall_discarded);
        ask_running(slot, tid, w);
        return;
    }
    remember(slot, tid, cpu_ns, &place, end, depth);
    put(slot, w, place.state, (uint8_t)end, depth, wall.frames);
    answer_for(slot, (uint8_t)end, depth, wall.frames);
}

static void look_at(sonde_prof__slot *slot, weight w)
{
    uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    uint64_t cpu_ns = tid ? sonde_prof__cpu_ns_of(tid) : UINT64_MAX;
    const sonde_prof__look *last = slot->wall;

    if (cpu_ns == UINT64_MAX)
        return; /* gone */
    if (engine() == SONDE_PROF__WALL_SIGNAL) {
        ask_by_signal(slot, tid, w);
    } else if (last && last->tid == tid && last->cpu_ns == cpu_ns) {
        SONDE_PROF__COUNT(wall_reused);
        put(slot, w, last->state, last->end, last->depth, last->frames);
        answer_for(slot, last->end, last->depth, last->frames);
    } else {
        look_inside(slot, tid, w, cpu_ns);
    }
}

/* -- a round ---------------------------------------------------------------------------------------- */

/* Each of the stratum with the same chance: algorithm R. */
static void offer(stratum *s, sonde_prof__slot *slot)
{
    uint64_t at;

    s->seen++;
    if (s->chosen < s->max) {
        s->slots[s->chosen++] = slot;
        return;
    }
    at = s->max ? random64() % s->seen : 1;
    if (at < s->max)
        s->slots[at] = slot;
}

static void each_thread(void (*call)(sonde_prof__slot *slot, bool in_span))
{
    uint32_t i, count = sonde_prof__slots_count();

    for (i = 0; i < count; i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);

        if (atomic_load_explicit(&slot->tid, memory_order_relaxed) != 0)
            call(slot, sonde_prof__context_is_active(slot));
    }
}

static void count_one(sonde_prof__slot *slot, bool in_span)
{
    (void)slot;
    wall.strata[in_span].seen++;
}

static void offer_one(sonde_prof__slot *slot, bool in_span)
{
    offer(&wall.strata[in_span], slot);
}

/* Threads in a span first, but a quarter of the looks is for the rest: or that stratum would have no sample at all. */
static void share_looks(void)
{
    uint32_t rest = wall.strata[0].seen, in_span = wall.strata[1].seen;
    uint32_t least = rest < wall.threads / 4 ? rest : (wall.threads + 3) / 4;

    wall.strata[1].max = in_span < wall.threads - least ? in_span : wall.threads - least;
    wall.strata[0].max = wall.threads - wall.strata[1].max;
}

/* threads / looks of dt each; what is left over of whole events is given by lot. */
static weight weight_of(const stratum *s, uint64_t dt_ns)
{
    weight w = { s->seen / s->chosen, 0 };

    w.ns = (int64_t)((double)dt_ns * s->seen / s->chosen);
    if (random64() % s->chosen < s->seen % s->chosen)
        w.events++;
    return w;
}

void sonde_prof__wall_round(uint64_t dt_ns)
{
    uint32_t i, k;

    SONDE_PROF__COUNT(wall_ticks);
    for (k = 0; k < 2; k++)
        wall.strata[k].seen = wall.strata[k].chosen = 0;
    each_thread(count_one);
    share_looks();
    for (k = 0; k < 2; k++)
        wall.strata[k].seen = 0;
    each_thread(offer_one);
    for (k = 0; k < 2; k++)
        for (i = 0; i < wall.strata[k].chosen; i++)
            look_at(wall.strata[k].slots[i], weight_of(&wall.strata[k], dt_ns));
}

/* -- the thread ------------------------------------------------------------------------------------- */

/* A sum of four even ones is normal enough: a deviation of a tenth, never beyond 0 or twice the interval. */
static uint64_t with_jitter(uint64_t interval_ns)
{
    uint64_t unit = interval_ns / 1155, sum = 0, i; /* 4 dice of 1000: deviation 577 */

    for (i = 0; i < 4; i++)
        sum += random64() % 1000;
    sum = interval_ns + unit * sum / 5 - unit * 1998 / 5;
    return sum ? sum : 1;
}

static void *run(void *arg)
{
    uint64_t last_ns = sonde_mono_ns(), now_ns;

    (void)arg;
    sonde_prof__thread_is_ours();
    while (atomic_load_explicit(&wall.stopping, memory_order_acquire) == 0) {
        sonde_prof__futex_wait(&wall.stopping, 0, with_jitter(sonde_prof__wall_interval_ns()));
        if (atomic_load_explicit(&wall.stopping, memory_order_acquire) != 0)
            break;
        now_ns = sonde_mono_ns();
        sonde_prof__wall_round(now_ns - last_ns);
        last_ns = now_ns;
    }
    sonde_prof__thread_is_ours_no_more();
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------- */

void sonde_prof__wall_set_interval(uint64_t interval_ns)
{
    atomic_store_explicit(&wall.interval_ns, interval_ns, memory_order_relaxed);
}

uint64_t sonde_prof__wall_interval_ns(void)
{
    return atomic_load_explicit(&wall.interval_ns, memory_order_relaxed);
}

void sonde_prof__wall_no_signals(void)
{
    atomic_store_explicit(&wall.engine, SONDE_PROF__WALL_NOSIGNAL, memory_order_relaxed);
}

bool sonde_prof__wall_is_running(void)
{
    return wall.is_running;
}

sonde_status sonde_prof__wall_start(const sonde_prof__sampler_settings *settings)
{
    sonde_status status;

    if (wall.is_running)
        return SONDE_OK;
    wall.threads = settings->wall_threads < LOOKS_MAX ? settings->wall_threads : LOOKS_MAX;
    atomic_store_explicit(&wall.engine, settings->wall_engine, memory_order_relaxed);
    wall.signo = settings->signo;
    sonde_prof__wall_set_interval(settings->wall_interval_ns);
    if (!wall.own)
        wall.own = sonde_prof__slot_reserve();
    if (!wall.own)
        return SONDE_ERR_NOMEM;
    atomic_store_explicit(&wall.stopping, 0, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__sampling_now.wall, true, memory_order_release);
    status = sonde_prof__thread_start(&wall.thread, "sonde-wall", THREAD_STACK, run);
    wall.is_running = status == SONDE_OK;
    if (!wall.is_running)
        atomic_store_explicit(&sonde_prof__sampling_now.wall, false, memory_order_release);
    return status;
}

void sonde_prof__wall_stop(void)
{
    atomic_store_explicit(&sonde_prof__sampling_now.wall, false, memory_order_release);
    if (!wall.is_running)
        return;
    wall.is_running = false;
    atomic_store_explicit(&wall.stopping, 1, memory_order_release);
    sonde_prof__futex_wake(&wall.stopping, 1);
    (void)pthread_join(wall.thread, NULL);
}

bool sonde_prof__wall_refuse(sonde_prof__slot *slot, bool refuse)
{
    if (!wall.own)
        return false;
    sonde_prof__lock_take(&wall.sending);
    slot->no_wall_signals = refuse;
    sonde_prof__slot_forget_asked(slot); /* what the lost one said */
    sonde_prof__lock_give(&wall.sending);
    return true;
}

void sonde_prof__wall_postfork_child(void)
{
    sonde_prof__lock_init(&wall.sending);
    wall.is_running = false;
}
