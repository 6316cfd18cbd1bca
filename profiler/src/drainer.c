/* drainer.c - one thread that does everything that takes time.
 *
 * The lock guards what a forked child inherits: it is held while rings are emptied and windows closed, not while a
 * profile is encoded or the agent waited for.  While it waits, rings are still emptied (meanwhile()). */
#include "drainer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"

#include "arena.h"
#include "collector.h"
#include "counts.h"
#include "crash.h"
#include "endpoints.h"
#include "guard.h"
#include "heap.h"
#include "hooks.h"
#include "identity.h"
#include "late.h"
#include "link.h"
#include "lock.h"
#include "maps.h"
#include "overhead.h"
#include "profiler.h"
#include "receiver.h"
#include "samplers.h"
#include "session.h"
#include "slot.h"
#include "threads.h"
#include "uploads.h"
#include "waits.h"

#define DRAIN_NS         (100 * (uint64_t)SONDE_NS_PER_MS)
#define IDLE_NS          ((uint64_t)SONDE_NS_PER_S) /* nothing is sampled: loaded objects only */
#define AUTO_NS          (30 * (uint64_t)SONDE_NS_PER_S)
#define ASK_AGAIN_NS     (600 * (uint64_t)SONDE_NS_PER_S)
#define ASK_FIRST_NS     (2 * (uint64_t)SONDE_NS_PER_S) /* who is over before has little to say */
#define ASK_SOON_NS      (10 * (uint64_t)SONDE_NS_PER_S)
#define EMPTY_NS         (300 * (uint64_t)SONDE_NS_PER_S) /* a window without samples is sent after that */
#define MINUTE_NS        (60.0 * SONDE_NS_PER_S)
#define TIMED_PER_MINUTE 60000u
#define STACK_BYTES      ((size_t)256 * 1024)
#define JOIN_EXTRA_NS    (500 * (uint64_t)SONDE_NS_PER_MS)

enum state { STATE_NONE, STATE_RUNNING, STATE_STOPPING };

static sonde_prof__lock lock;

/* The thread's, under the lock where a fork may meet it. */
static struct {
    const sonde_prof__config *config; /* borrowed; NULL: not started */
    sonde_prof__identity who;
    sonde_prof__collector collector;
    sonde_prof__session session; /* our agent */
    sonde_prof__uploads uploads; /* a stock agent, and files */
    sonde_prof__window closed;   /* of the newest profile */
    sonde_prof__stats stats;     /* likewise */
    sonde_prof__closed aside;    /* a profile to be encoded */
    bool has_aside;
    sonde_prof__overhead overhead;
    sonde_prof__link *link;
    sonde_prof__takes takes;
    bool in_profiles; /* the window under way becomes a profile, else a batch */
    /* one has ended: the first is shorter, so that processes do not send at once */
    bool had_window;
    bool must_roll_over;
    bool is_awake;
    uint64_t opened_ns;
    uint32_t asked_len; /* objects that were asked for a tracer */
    uint64_t ask_at_ns;
    uint64_t first_ask_ns;  /* nobody has been asked yet while ask_at_ns is that */
    uint64_t begun_mono_ns; /* the window */
    uint64_t begun_unix_ns;
    uint64_t ends_mono_ns;
} d;

static pthread_t thread;
static bool has_thread;
static _Atomic int state;
static _Atomic uint64_t latest_mono_ns = UINT64_MAX; /* no request goes on after it */
static _Atomic uint32_t flushes_asked, flushes_done;

/* What has become of events, for any thread: `base` is of lives before. */
static sonde_prof__drainer_counts base;
static _Atomic uint64_t sent, lost, queued, batches_sent, batches_lost;

/* -- windows ---------------------------------------------------------------------------------------- */

static uint64_t period_ns(void)
{
    uint64_t period = d.config->upload_period_ns;

    if (!d.in_profiles)
        return sonde_prof__session_interval_ns(&d.session, d.config->batch_interval_ns);
    return d.had_window ? period : period / 2 + sonde_random_u64() % (period / 2 + 1);
}

static uint32_t timed_max(uint64_t period)
{
    double max = TIMED_PER_MINUTE * ((double)period / MINUTE_NS);

    if (!d.config->timeline || d.overhead.shed >= SONDE_PROF__SHED_TIMELINE)
        return 0;
    return max < TIMED_PER_MINUTE ? (uint32_t)max : TIMED_PER_MINUTE;
}

/* Of the kind the agent takes. */
static void begin_window(uint64_t now, uint64_t unix_ns)
{
    d.in_profiles = d.takes == SONDE_PROF__TAKES_PROFILES || d.takes == SONDE_PROF__TAKES_NOTHING;
    d.begun_mono_ns = now;
    d.begun_unix_ns = unix_ns;
    d.ends_mono_ns = now + period_ns();
    sonde_prof__collector_next(&d.collector, timed_max(d.ends_mono_ns - now));
}

static void publish_counts(void)
{
    const sonde_prof__outbox *o = &d.session.outbox;
    const sonde_prof__reports *r = &d.uploads.reports;

    atomic_store_explicit(&sent, o->events_sent + r->events_sent, memory_order_relaxed);
    atomic_store_explicit(&lost, o->events_lost + r->events_lost, memory_order_relaxed);
    atomic_store_explicit(&queued, sonde_prof__outbox_events(o) + sonde_prof__report_events(r),
                          memory_order_relaxed);
    atomic_store_explicit(&batches_sent, o->sent + r->sent, memory_order_relaxed);
    atomic_store_explicit(&batches_lost, o->lost + r->lost, memory_order_relaxed);
}

/* Samplers that have stopped say 0: the last window was theirs all the same. */
static void note_intervals(void)
{
    uint64_t cpu = sonde_prof__samplers_cpu_period_ns();
    uint64_t wall = sonde_prof__samplers_wall_interval_ns();
    uint64_t heap = sonde_prof__heap_mean();
    const sonde_prof__config *c = d.config;

    d.who.interval[SONDE_PROF__CPU] = cpu || !c->cpu ? cpu : c->cpu_period_ns;
    d.who.interval[SONDE_PROF__WALL] = wall || !c->wall ? wall : c->wall_interval_ns;
    d.who.interval[SONDE_PROF__ALLOC] = heap || !c->alloc ? heap : c->heap_sample_bytes;
    d.who.interval[SONDE_PROF__LOCK] = sonde_prof__lock_mean();
    d.who.interval[SONDE_PROF__IO] = sonde_prof__io_mean();
}

static void read_stats(void)
{
    sonde_prof__collector_stats(&d.collector, &d.stats);
    d.stats.value[SONDE_PROF__STAT_CPU_PERIOD] = d.who.interval[SONDE_PROF__CPU];
    d.stats.value[SONDE_PROF__STAT_WALL_INTERVAL] = d.who.interval[SONDE_PROF__WALL];
    d.stats.value[SONDE_PROF__STAT_OVERHEAD_PPM] = d.overhead.ppm;
    d.stats.value[SONDE_PROF__STAT_HEAP_LATE_MS] = sonde_prof__late_heap_ms();
}

static void close_batch(const sonde_prof__span_of_time *time)
{
    const sonde_prof__batch_facts facts = {
        .time = *time,
        .endpoints = d.collector.endpoints,
        .endpoints_len = d.collector.endpoints_len,
        .stats = &d.stats,
        .living = d.config->heap ? &d.collector.living : NULL,
        .now_mono_ns = sonde_mono_ns(),
    };

    sonde_prof__session_close(&d.session, &d.collector.dict, &d.collector.window, &facts);
}

static const sonde_prof__living *living_now(void)
{
    sonde_prof__living *l = &d.collector.living;

    if (!d.config->heap ||
        sonde_prof__living_snapshot(l, &d.collector.dict, sonde_mono_ns()) != SONDE_OK)
        return NULL;
    return l;
}

/* The window changes places with the one that was encoded last, so that rings can be emptied meanwhile. */
static void set_profile_aside(const sonde_prof__span_of_time *time, bool sends)
{
    sonde_prof__window full = d.collector.window;

    d.collector.window = d.closed;
    d.closed = full;
    d.aside = (sonde_prof__closed){
        .dict = &d.collector.dict,
        .window = &d.closed,
        .endpoints = d.collector.endpoints,
        .endpoints_len = d.collector.endpoints_len,
        .who = &d.who,
        .stats = &d.stats,
        .living = living_now(),
        .time = *time,
        .sends = sends,
    };
    d.has_aside = true;
    d.had_window = true;
}

/* With an empty window, so that nothing refers to the old dictionary. */
static void roll_over_if_full(void)
{
    if (!d.must_roll_over && !sonde_prof__dict_is_full(&d.collector.dict))
        return;
    d.must_roll_over = false;
    sonde_prof__uploads_forget(&d.uploads);
    sonde_prof__session_roll_over(&d.session);
    sonde_prof__collector_restart(&d.collector);
}

/* Files show batches too; nothing of those is counted twice. */
static void end_window(uint64_t now, uint64_t unix_ns)
{
    const sonde_prof__span_of_time time = { d.begun_unix_ns, unix_ns, (int64_t)(unix_ns - now) };
    bool sends = d.in_profiles && d.config->do_export && d.takes != SONDE_PROF__TAKES_NOTHING;

    if (sonde_prof__identity_meet(&d.who))
        d.session.is_known = false; /* the agent is told again */
    note_intervals();
    read_stats();
    if (!d.in_profiles)
        close_batch(&time);
    if (sends || sonde_prof__report_wants_files(d.config))
        set_profile_aside(&time, sends);
}

/* Behind what was made of the last one, files included: they refer to spans of the window before it. */
static void next_window(uint64_t now, uint64_t unix_ns)
{
    if (d.in_profiles)
        sonde_prof__dict_mark(&d.collector.dict);
    sonde_prof__dict_next_contexts(&d.collector.dict);
    sonde_prof__maps_forget();
    roll_over_if_full();
    begin_window(now, unix_ns);
    publish_counts();
}

/* Nothing is drained in between: windows touch. */
static void close_window(void)
{
    uint64_t now = sonde_mono_ns(), unix_ns = (uint64_t)sonde_unix_ns();

    sonde_prof__lock_take(&lock);
    end_window(now, unix_ns);
    sonde_prof__lock_give(&lock);
    if (d.has_aside)
        sonde_prof__uploads_close(&d.uploads, &d.aside);
    d.has_aside = false;
    sonde_prof__lock_take(&lock);
    next_window(now, unix_ns);
    sonde_prof__lock_give(&lock);
}

/* -- the agent -------------------------------------------------------------------------------------- */

/* While a request waits: rings fill in two seconds. */
static void meanwhile(void *user)
{
    static uint64_t next_ns;
    uint64_t now = sonde_mono_ns();

    (void)user;
    if (now < next_ns)
        return;
    next_ns = now + DRAIN_NS;
    sonde_prof__lock_take(&lock);
    sonde_prof__collector_empty(&d.collector);
    sonde_prof__lock_give(&lock);
}

static uint64_t request_deadline(uint64_t now)
{
    return sonde_deadline(now, d.config->upload_timeout_ns);
}

static bool has_link(void)
{
    return d.link ||
           sonde_prof__link_open(d.config, &latest_mono_ns, meanwhile, NULL, &d.link) == SONDE_OK;
}

static sonde_prof__takes what_it_takes(uint64_t now)
{
    if (d.config->wire == SONDE_PROF__WIRE_SPB)
        return SONDE_PROF__TAKES_BATCHES;
    if (d.config->wire == SONDE_PROF__WIRE_PPROF)
        return SONDE_PROF__TAKES_PROFILES;
    return sonde_prof__link_ask(d.link, request_deadline(now));
}

/* An answer that changes what windows become changes the one under way: what it holds so far belongs to both. */
static void ask_if_due(uint64_t now, bool must)
{
    sonde_prof__takes before = d.takes, takes;

    if ((now < d.ask_at_ns && !must) || !d.config->do_export || !has_link())
        return;
    takes = what_it_takes(now);
    d.ask_at_ns =
        sonde_mono_ns() + (takes == SONDE_PROF__TAKES_UNKNOWN ? ASK_SOON_NS : ASK_AGAIN_NS);
    if (takes == SONDE_PROF__TAKES_UNKNOWN || takes == before)
        return;
    d.takes = takes;
    d.in_profiles = takes != SONDE_PROF__TAKES_BATCHES;
    d.ends_mono_ns = d.begun_mono_ns + period_ns();
    d.collector.window.timed_max = timed_max(d.ends_mono_ns - d.begun_mono_ns);
}

static void ask_soon(uint64_t now)
{
    d.takes = SONDE_PROF__TAKES_UNKNOWN;
    d.ask_at_ns = now + ASK_SOON_NS;
}

static void send_batches(uint64_t now)
{
    sonde_prof__sending result;

    if (now < d.session.next_try_ns || !sonde_prof__outbox_head(&d.session.outbox))
        return;
    result = sonde_prof__session_send(&d.session, d.link, &d.who, &d.collector.dict,
                                      request_deadline(now));
    if (result == SONDE_PROF__SENT_NEVER)
        ask_soon(now);
    d.must_roll_over = d.must_roll_over || result == SONDE_PROF__SENT_UNSAYABLE;
}

static void send_profiles(uint64_t now)
{
    if (now < d.uploads.reports.next_try_ns || d.uploads.reports.len == 0)
        return;
    if (sonde_prof__uploads_send(&d.uploads, d.link, d.config->upload_period_ns,
                                 request_deadline(now)))
        return;
    d.takes = SONDE_PROF__TAKES_NOTHING;
    d.ask_at_ns = now + ASK_AGAIN_NS;
    sonde_prof__reports_done(&d.uploads.reports);
}

static void talk(uint64_t now)
{
    if (d.takes == SONDE_PROF__TAKES_BATCHES)
        send_batches(now);
    else if (d.takes == SONDE_PROF__TAKES_PROFILES)
        send_profiles(now);
}

/* -- what it may cost ------------------------------------------------------------------------------- */

/* Each sample weighs the interval it came by, so that none is wrong by this. */
static void apply_overhead(void)
{
    const sonde_prof__config *c = d.config;
    const sonde_prof__overhead *o = &d.overhead;
    uint32_t wall_step = o->step + (o->shed >= SONDE_PROF__SHED_WALL ? SONDE_PROF__STEPS_MAX : 0u);
    uint32_t wait_step = o->step + (o->shed >= SONDE_PROF__SHED_LOCKS ? SONDE_PROF__STEPS_MAX : 0u);

    SONDE_LOG(SONDE_LOG_INFO, "sampling adapts: step=%u shed=%u overhead_ppm=%u", o->step, o->shed,
              o->ppm);
    sonde_prof__samplers_set_interval(
        c->cpu ? sonde_prof__cpu_period_at(c->cpu_period_ns, o->step) : 0,
        c->wall ? sonde_prof__interval_at(c->wall_interval_ns, wall_step) : 0);
    if (c->alloc)
        sonde_prof__heap_set_mean(sonde_prof__interval_at(c->heap_sample_bytes, o->step));
    sonde_prof__waits_set_step(wait_step);
    atomic_store_explicit(&sonde_prof__heap_live, c->heap && o->shed < SONDE_PROF__SHED_LIVE,
                          memory_order_relaxed);
}

static void look_at_costs(uint64_t now)
{
    struct timespec cpu = { 0, 0 };
    sonde_prof__costs c = {
        .now_mono_ns = now,
        .own_ns = atomic_load_explicit(&sonde_prof__count.handler_ns, memory_order_relaxed) +
                  atomic_load_explicit(&sonde_prof__count.hook_ns, memory_order_relaxed),
        .memory_bytes = sonde_prof__arena_bytes(),
        .memory_max = d.config->memory_bytes,
    };

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    c.cpu_ns = (uint64_t)cpu.tv_sec * SONDE_NS_PER_S + (uint64_t)cpu.tv_nsec;
    if (sonde_prof__overhead_look(&d.overhead, &c))
        apply_overhead();
}

/* -- a tracer that comes later ------------------------------------------------------------------------ */

/* One that only its own library can see is asked for in each object that is new.  Not under the lock: it has locks too. */
static void look_for_tracer(void)
{
    for (; d.asked_len < sonde_prof__maps_len(); d.asked_len++) {
        const sonde_prof__loaded *l = sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + d.asked_len);
        const uint32_t others = SONDE_PROF__OBJECT_ANON | SONDE_PROF__OBJECT_MAIN |
                                SONDE_PROF__OBJECT_VDSO | SONDE_PROF__OBJECT_DELETED;

        if (d.config->hotspots && l->is_loaded && l->path.len > 0 && !(l->flags & others))
            (void)sonde_prof__hooks_announce_in(l->bias);
    }
}

/* -- the loop --------------------------------------------------------------------------------------- */

static bool is_empty(void)
{
    uint32_t kind;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++)
        if (d.collector.window.samples[kind] || d.collector.window.lost[kind])
            return false;
    return d.collector.endpoints_len == 0;
}

/* A profile without samples waits for some: it is sent every five minutes. */
static bool window_is_over(uint64_t now)
{
    if (sonde_prof__dict_is_full(&d.collector.dict))
        return true;
    return now >= d.ends_mono_ns &&
           (!d.in_profiles || !is_empty() || now >= d.begun_mono_ns + EMPTY_NS);
}

/* With DD_PROFILING_ENABLED=auto, until something is worth a profile: programs that are over soon, or serve nobody, are let
 * alone.  What was reported meanwhile belongs to no window. */
static bool sleeps(uint64_t now)
{
    if (d.is_awake || d.config->enabled != SONDE_PROF__AUTO)
        return false;
    d.is_awake =
        now >= d.opened_ns + AUTO_NS && sonde_prof__endpoints_finished() && sonde_prof__awaken();
    if (!d.is_awake)
        return true;
    sonde_prof__lock_take(&lock);
    begin_window(now, (uint64_t)sonde_unix_ns());
    sonde_prof__lock_give(&lock);
    return false;
}

static void mind_samplers(uint64_t now)
{
    sonde_prof__samplers_tick(now);
    sonde_prof__late_tick(now);
    look_at_costs(now);
    sonde_prof__waits_tick(now);
}

static void end_and_send(uint64_t now, bool close_now)
{
    bool closes = window_is_over(now) || (close_now && !is_empty());
    bool nobody_was_asked = d.takes == SONDE_PROF__TAKES_UNKNOWN && d.ask_at_ns == d.first_ask_ns;

    ask_if_due(now, closes && nobody_was_asked);
    if (closes)
        close_window();
    talk(now);
    publish_counts();
}

static void tick(bool close_now)
{
    uint64_t now = sonde_mono_ns();
    bool is_asleep = sleeps(now);

    if (!is_asleep)
        mind_samplers(now);
    sonde_prof__lock_take(&lock);
    sonde_prof__collector_drain(&d.collector, now);
    sonde_prof__lock_give(&lock);
    look_for_tracer();
    sonde_prof__crash_look();
    sonde_prof__receiver_look(d.config, now);
    sonde_prof__guard_look(now);
    if (!is_asleep)
        end_and_send(now, close_now);
}

static void *run(void *arg)
{
    const sonde_prof__config *c = d.config;
    bool samples = c->cpu || c->wall || c->alloc || c->lock || c->io || c->exception;

    (void)arg;
    sonde_prof__thread_is_ours();
    while (atomic_load_explicit(&state, memory_order_acquire) == STATE_RUNNING) {
        uint32_t asked = atomic_load_explicit(&flushes_asked, memory_order_acquire);

        tick(asked != atomic_load_explicit(&flushes_done, memory_order_relaxed));
        atomic_store_explicit(&flushes_done, asked, memory_order_release);
        sonde_prof__samplers_wait(samples ? DRAIN_NS : IDLE_NS);
    }
    tick(true);
    sonde_prof__link_close(d.link); /* its descriptor is this thread's alone */
    d.link = NULL;
    sonde_prof__thread_is_ours_no_more();
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------- */

static sonde_status open_all(const sonde_prof__config *config)
{
    uint64_t now = sonde_mono_ns();
    sonde_status status = sonde_prof__collector_init(&d.collector, config);

    if (status != SONDE_OK)
        return status;
    d.config = config;
    sonde_prof__identity_init(&d.who, config);
    sonde_prof__crash_describe(config, d.who.runtime_id);
    sonde_prof__window_init(&d.closed, 0);
    sonde_prof__session_init(&d.session);
    sonde_prof__uploads_init(&d.uploads);
    sonde_prof__overhead_init(&d.overhead, config->max_overhead);
    d.opened_ns = now;
    d.ask_at_ns = d.first_ask_ns = now + ASK_FIRST_NS;
    begin_window(now, (uint64_t)sonde_unix_ns());
    return sonde_prof__maps_refresh(now); /* here: a sample without tables is half a sample */
}

static void close_all(void)
{
    sonde_prof__link_close(d.link);
    sonde_prof__session_done(&d.session);
    sonde_prof__uploads_done(&d.uploads);
    publish_counts();
    base = sonde_prof__drainer_counted();
    sonde_prof__window_done(&d.closed);
    sonde_prof__collector_done(&d.collector);
    sonde_prof__identity_done(&d.who);
    memset(&d, 0, sizeof(d));
    atomic_store_explicit(&sent, 0, memory_order_relaxed);
    atomic_store_explicit(&lost, 0, memory_order_relaxed);
    atomic_store_explicit(&batches_sent, 0, memory_order_relaxed);
    atomic_store_explicit(&batches_lost, 0, memory_order_relaxed);
}

static sonde_status start_thread(void)
{
    sonde_status status;

    atomic_store_explicit(&latest_mono_ns, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&state, STATE_RUNNING, memory_order_release);
    status = sonde_prof__thread_start(&thread, "sonde-drain", STACK_BYTES, run);
    has_thread = status == SONDE_OK;
    return status;
}

sonde_status sonde_prof__drainer_start(const sonde_prof__config *config)
{
    sonde_status status = open_all(config);

    if (status == SONDE_OK)
        status = start_thread();
    if (status != SONDE_OK && d.config)
        close_all();
    return status;
}

void sonde_prof__drainer_stop(uint64_t deadline_mono_ns)
{
    uint64_t end_ns = deadline_mono_ns + JOIN_EXTRA_NS;
    struct timespec until = { 0, 0 };

    if (!d.config)
        return;
    atomic_store_explicit(&latest_mono_ns, deadline_mono_ns, memory_order_relaxed);
    atomic_store_explicit(&state, STATE_STOPPING, memory_order_release);
    if (!has_thread) {
        tick(true);
        close_all();
        return;
    }
    sonde_prof__samplers_wake();
    end_ns += (uint64_t)(sonde_unix_ns() - (int64_t)sonde_mono_ns());
    until = sonde_ns_to_timespec(end_ns);
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        SONDE_LOG(SONDE_LOG_WARN, "the thread does not end in time: left behind");
        return; /* with all it uses */
    }
    has_thread = false;
    close_all();
}

bool sonde_prof__drainer_is_left(void)
{
    if (!has_thread || atomic_load_explicit(&state, memory_order_acquire) == STATE_RUNNING)
        return false;
    if (pthread_tryjoin_np(thread, NULL) != 0)
        return true;
    has_thread = false; /* it has ended since */
    close_all();
    return false;
}

static uint64_t count(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

sonde_status sonde_prof__drainer_flush(uint64_t deadline_mono_ns)
{
    const struct timespec pause = { 0, 5 * SONDE_NS_PER_MS };
    uint32_t mine;

    if (!has_thread)
        return SONDE_ERR_STATE;
    mine = atomic_fetch_add_explicit(&flushes_asked, 1, memory_order_acq_rel) + 1;
    while ((int32_t)(atomic_load_explicit(&flushes_done, memory_order_acquire) - mine) < 0) {
        if (sonde_mono_ns() >= deadline_mono_ns)
            return SONDE_ERR_TIMEOUT;
        sonde_prof__samplers_wake();
        (void)nanosleep(&pause, NULL);
    }
    return count(&queued) == 0 ? SONDE_OK : SONDE_ERR_REFUSED;
}

bool sonde_prof__drainer_has_work(void)
{
    uint32_t i;

    if (count(&d.collector.in_window) > 0 || count(&queued) > 0)
        return true;
    for (i = 0; i < sonde_prof__slots_count(); i++)
        if (sonde_prof__ring_holds(&sonde_prof__slot_at(i)->ring))
            return true;
    return false;
}

sonde_prof__drainer_counts sonde_prof__drainer_counted(void)
{
    return (sonde_prof__drainer_counts){
        .taken = base.taken + count(&d.collector.taken),
        .sent = base.sent + count(&sent),
        .lost = base.lost + count(&lost) + count(&d.collector.lost),
        .waiting = count(&d.collector.in_window) + count(&queued),
        .batches_sent = base.batches_sent + count(&batches_sent),
        .batches_lost = base.batches_lost + count(&batches_lost),
    };
}

/* -- fork ------------------------------------------------------------------------------------------- */

void sonde_prof__drainer_prefork(void)
{
    sonde_prof__lock_take(&lock);
}

void sonde_prof__drainer_postfork_parent(void)
{
    sonde_prof__lock_give(&lock);
}

/* What the parent saw is the parent's to send.  Its connection and what it was sending, in whatever state, are left
 * alone: they stay where they are, unused. */
void sonde_prof__drainer_postfork_child(void)
{
    sonde_prof__lock_init(&lock);
    has_thread = false;
    atomic_store_explicit(&state, STATE_NONE, memory_order_relaxed);
    memset(&base, 0, sizeof(base));
    if (!d.config)
        return;
    d.link = NULL;
    sonde_prof__window_init(&d.closed, 0);
    sonde_prof__session_init(&d.session);
    sonde_prof__uploads_init(&d.uploads);
    sonde_prof__collector_postfork_child(&d.collector);
    sonde_prof__identity_renew(&d.who);
    sonde_prof__crash_describe(d.config, d.who.runtime_id);
    d.takes = SONDE_PROF__TAKES_UNKNOWN;
    d.ask_at_ns = d.first_ask_ns = sonde_mono_ns() + ASK_FIRST_NS;
    d.had_window = d.has_aside = false;
    begin_window(sonde_mono_ns(), (uint64_t)sonde_unix_ns());
    publish_counts();
}

void sonde_prof__drainer_resume(void)
{
    if (d.config && !has_thread && start_thread() != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "no thread for the profiler in a forked child");
}
