/* drainer.c - one thread that does everything that takes time.
 *
 * The lock guards what a forked child inherits: it is held while rings are emptied and windows closed, not while the
 * agent is waited for.  Then rings are still emptied (meanwhile()). */
#include "drainer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include "arena.h"
#include "counts.h"
#include "dict.h"
#include "endpoints.h"
#include "heap.h"
#include "hooks.h"
#include "identity.h"
#include "link.h"
#include "living.h"
#include "lock.h"
#include "maps.h"
#include "samplers.h"
#include "session.h"
#include "slot.h"
#include "threads.h"
#include "window.h"

#define DRAIN_NS         (100 * (uint64_t)SONDE_NS_PER_MS)
#define ASK_AGAIN_NS     (600 * (uint64_t)SONDE_NS_PER_S)
#define ASK_SOON_NS      (10 * (uint64_t)SONDE_NS_PER_S)
#define NAMES_NS         (10 * (uint64_t)SONDE_NS_PER_S)
#define TIMED_PER_MINUTE 60000u
#define ENDPOINTS_MAX    16384u
#define STACK_BYTES      ((size_t)256 * 1024)
#define JOIN_EXTRA_NS    (500 * (uint64_t)SONDE_NS_PER_MS)

enum state { STATE_NONE, STATE_RUNNING, STATE_STOPPING };

static sonde_prof__lock lock;

/* The thread's, under the lock where a fork may meet it. */
static struct {
    const sonde_prof__config *config; /* borrowed; NULL: not started */
    sonde_prof__identity who;
    sonde_prof__dict dict;
    sonde_prof__window window;
    sonde_prof__living living;
    sonde_prof__session session;
    sonde_prof__endpoint *endpoints; /* owned */
    uint32_t endpoints_len, endpoints_cap;
    sonde_prof__link *link;
    sonde_prof__takes takes;
    uint64_t ask_at_ns;
    bool must_roll_over;
    uint64_t window_mono_ns; /* when it began */
    uint64_t window_unix_ns;
    uint64_t window_ends_ns; /* monotonic */
    uint64_t names_at_ns;
    uint64_t drain_ns; /* of this window */
    uint64_t ring_lost[SONDE_PROF__KINDS];
    uint64_t ring_lost_value[SONDE_PROF__KINDS];
} d;

static pthread_t thread;
static bool has_thread;
static _Atomic int state;
static _Atomic uint64_t latest_mono_ns = UINT64_MAX; /* no request goes on after it */
static _Atomic uint32_t flushes_asked, flushes_done;
static _Atomic uint64_t taken, window_lost, in_window;
static _Atomic uint64_t sent, lost, queued, batches_sent, batches_lost;

/* -- rings ------------------------------------------------------------------------------------------ */

static sonde_str name_of(const sonde_prof__slot *slot)
{
    return (sonde_str){ slot->name, strnlen(slot->name, sizeof(slot->name)) };
}

static uint32_t thread_of(const sonde_prof__slot *slot, const sonde_prof__sample *s)
{
    const sonde_prof__slot *about = s->tid == atomic_load_explicit(&slot->tid, memory_order_relaxed)
                                        ? slot
                                        : sonde_prof__slot_find(s->tid);
    uint64_t start = about ? about->start_mono_ns : 0;
    uint32_t before = d.dict.threads_len;
    uint32_t number = sonde_prof__dict_thread(&d.dict, s->tid, start);

    if (number > before && about)
        sonde_prof__dict_name_thread(
            &d.dict, number, (sonde_str){ about->name, strnlen(about->name, sizeof(about->name)) });
    return number;
}

static void count_lost(sonde_prof__ring *r)
{
    uint32_t kind;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++) {
        uint32_t n = atomic_exchange_explicit(&r->lost[kind], 0, memory_order_relaxed);

        d.window.lost[kind] += n;
        d.window.lost_value[kind] +=
            atomic_exchange_explicit(&r->lost_value[kind], 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&taken, n, memory_order_relaxed);
        atomic_fetch_add_explicit(&window_lost, n, memory_order_relaxed);
    }
}

static void take_sample(const sonde_prof__slot *slot, const sonde_prof__sample *s)
{
    uint64_t before = d.window.samples[s->kind];

    sonde_prof__window_add(&d.window, &d.dict, s, thread_of(slot, s));
    if (s->kind == SONDE_PROF__ALLOC && d.config->heap)
        sonde_prof__living_note(&d.living, &d.dict, s);
    atomic_fetch_add_explicit(&taken, s->events, memory_order_relaxed);
    atomic_fetch_add_explicit(d.window.samples[s->kind] != before ? &in_window : &window_lost,
                              s->events, memory_order_relaxed);
}

static void empty_rings(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);
        const sonde_prof__sample *s;

        while ((s = sonde_prof__ring_peek(&slot->ring)) != NULL) {
            if (s->kind > 0 && s->kind < SONDE_PROF__KINDS)
                take_sample(slot, s);
            sonde_prof__ring_pop(&slot->ring);
        }
        count_lost(&slot->ring);
    }
}

/* Of threads that have been sampled. */
static void read_names(void)
{
    uint32_t i;

    for (i = 1; i <= d.dict.threads_len; i++) {
        const sonde_prof__slot *slot = sonde_prof__slot_find(d.dict.threads[i - 1].tid);

        if (slot && slot->start_mono_ns == d.dict.threads[i - 1].start_mono_ns)
            sonde_prof__dict_name_thread(&d.dict, i, name_of(slot));
    }
}

/* -- endpoints -------------------------------------------------------------------------------------- */

static void take_endpoint(void *user, const sonde_prof__report *r)
{
    sonde_prof__endpoint *e;

    (void)user;
    if (d.endpoints_len == d.endpoints_cap) {
        uint32_t cap = d.endpoints_cap ? d.endpoints_cap * 2 : 64;

        e = cap > ENDPOINTS_MAX
                ? NULL
                : (sonde_prof__endpoint *)sonde_realloc(d.endpoints, cap * sizeof(*e));
        if (!e)
            return;
        d.endpoints = e;
        d.endpoints_cap = cap;
    }
    e = &d.endpoints[d.endpoints_len++];
    e->local_root_id = r->local_root_id;
    e->finished = d.config->endpoint_counts ? r->finished : 0;
    e->resource = sonde_prof__dict_string(&d.dict, (sonde_str){ r->text, r->type_at });
    e->type = sonde_prof__dict_string(
        &d.dict, (sonde_str){ r->text + r->type_at, r->text_len - r->type_at });
}

/* -- windows ---------------------------------------------------------------------------------------- */

static void begin_window(uint64_t now, uint64_t unix_ns)
{
    uint64_t interval = sonde_prof__session_interval_ns(&d.session, d.config->batch_interval_ns);

    d.window_mono_ns = now;
    d.window_unix_ns = unix_ns;
    d.window_ends_ns = now + interval;
    d.window.timed_max =
        d.config->timeline
            ? (uint32_t)((double)TIMED_PER_MINUTE * (double)interval / (60.0 * SONDE_NS_PER_S))
            : 0;
    if (d.window.timed_max > TIMED_PER_MINUTE)
        d.window.timed_max = TIMED_PER_MINUTE;
}

static uint64_t count(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void read_stats(sonde_prof__stats *s)
{
    sonde_prof__maps_counts maps = sonde_prof__maps_counted();

    memset(s, 0, sizeof(*s));
    memcpy(s->samples, d.window.samples, sizeof(s->samples));
    memcpy(s->lost, d.window.lost, sizeof(s->lost));
    memcpy(s->lost_value, d.window.lost_value, sizeof(s->lost_value));
    memcpy(s->ends, d.window.ends, sizeof(s->ends));
    s->value[SONDE_PROF__STAT_HANDLER_NS] = count(&sonde_prof__count.handler_ns);
    s->value[SONDE_PROF__STAT_HANDLER_MAX_NS] = count(&sonde_prof__count.handler_max_ns);
    s->value[SONDE_PROF__STAT_DRAIN_NS] = d.drain_ns;
    s->value[SONDE_PROF__STAT_ARENA_BYTES] = sonde_prof__arena_bytes();
    s->value[SONDE_PROF__STAT_LIVE_ENTRIES] = sonde_prof__live_len();
    s->value[SONDE_PROF__STAT_LIVE_FULL] = sonde_prof__live_full();
    s->value[SONDE_PROF__STAT_UNKNOWN_THREAD] = count(&sonde_prof__count.unknown_thread);
    s->value[SONDE_PROF__STAT_FOREIGN_SIGNALS] = count(&sonde_prof__count.foreign_signals);
    s->value[SONDE_PROF__STAT_TIMER_FAILURES] = count(&sonde_prof__count.timer_failures);
    s->value[SONDE_PROF__STAT_REFRESHES] = maps.refreshes;
    s->value[SONDE_PROF__STAT_TABLE_BYTES] = maps.table_bytes;
    s->value[SONDE_PROF__STAT_CPU_PERIOD] = d.who.interval[SONDE_PROF__CPU];
    s->value[SONDE_PROF__STAT_WALL_INTERVAL] = d.who.interval[SONDE_PROF__WALL];
    s->value[SONDE_PROF__STAT_FP_GUESSED] = count(&sonde_prof__count.fp_guessed);
    s->value[SONDE_PROF__STAT_WALL_DISCARDED] = count(&sonde_prof__count.wall_discarded);
    s->value[SONDE_PROF__STAT_WALL_REUSED] = count(&sonde_prof__count.wall_reused);
}

static void count_outbox(void)
{
    const sonde_prof__outbox *o = &d.session.outbox;

    atomic_store_explicit(&sent, o->events_sent, memory_order_relaxed);
    atomic_store_explicit(&lost, o->events_lost, memory_order_relaxed);
    atomic_store_explicit(&queued, sonde_prof__outbox_events(o), memory_order_relaxed);
    atomic_store_explicit(&batches_sent, o->sent, memory_order_relaxed);
    atomic_store_explicit(&batches_lost, o->lost, memory_order_relaxed);
}

/* Samplers that have stopped say 0: the last window was theirs all the same. */
static void note_intervals(void)
{
    uint64_t cpu = sonde_prof__samplers_cpu_period_ns();
    uint64_t wall = sonde_prof__samplers_wall_interval_ns();

    d.who.interval[SONDE_PROF__CPU] = cpu ? cpu : d.config->cpu ? d.config->cpu_period_ns : 0;
    d.who.interval[SONDE_PROF__WALL] = wall             ? wall
                                       : d.config->wall ? d.config->wall_interval_ns
                                                        : 0;
    d.who.interval[SONDE_PROF__ALLOC] =
        d.config->alloc
            ? sonde_prof__heap_mean() ? sonde_prof__heap_mean() : d.config->heap_sample_bytes
            : 0;
}

static void restart_dict(void)
{
    if (sonde_prof__dict_restart(&d.dict) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "out of memory: the profile has holes");
}

/* With an empty window, so that nothing refers to the old dictionary. */
static void roll_over_if_full(void)
{
    if (!d.must_roll_over && !sonde_prof__dict_is_full(&d.dict))
        return;
    d.must_roll_over = false;
    sonde_prof__session_roll_over(&d.session);
    restart_dict();
}

static void close_window(uint64_t now)
{
    uint64_t unix_ns = (uint64_t)sonde_unix_ns();
    sonde_prof__stats stats;
    sonde_prof__batch_facts facts = {
        .time = { d.window_unix_ns, unix_ns, (int64_t)(unix_ns - now) },
        .endpoints = d.endpoints,
        .endpoints_len = d.endpoints_len,
        .stats = &stats,
        .living = d.config->heap ? &d.living : NULL,
        .now_mono_ns = now,
    };

    note_intervals();
    read_stats(&stats);
    sonde_prof__session_close(&d.session, &d.dict, &d.window, &facts);
    sonde_prof__window_clear(&d.window);
    d.endpoints_len = 0;
    d.drain_ns = 0;
    atomic_store_explicit(&in_window, 0, memory_order_relaxed);
    count_outbox();
    roll_over_if_full();
    begin_window(now, unix_ns);
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
    empty_rings();
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

static void ask(uint64_t now)
{
    if (now < d.ask_at_ns || !has_link())
        return;
    if (d.config->wire == SONDE_PROF__WIRE_SPB)
        d.takes = SONDE_PROF__TAKES_BATCHES;
    else
        d.takes = sonde_prof__link_ask(d.link, request_deadline(now));
    d.ask_at_ns =
        sonde_mono_ns() + (d.takes == SONDE_PROF__TAKES_BATCHES ? ASK_AGAIN_NS : ASK_SOON_NS);
}

static void send_batches(uint64_t now)
{
    sonde_prof__sending result;

    if (!d.config->do_export || now < d.session.next_try_ns ||
        !sonde_prof__outbox_head(&d.session.outbox))
        return;
    ask(now);
    if (d.takes != SONDE_PROF__TAKES_BATCHES)
        return;
    result = sonde_prof__session_send(&d.session, d.link, &d.who, &d.dict, request_deadline(now));
    if (result == SONDE_PROF__SENT_NEVER) {
        d.takes = SONDE_PROF__TAKES_UNKNOWN;
        d.ask_at_ns = now + ASK_SOON_NS;
    }
    d.must_roll_over = d.must_roll_over || result == SONDE_PROF__SENT_UNSAYABLE;
}

/* -- the loop --------------------------------------------------------------------------------------- */

static void drain(uint64_t now)
{
    uint64_t from = now;

    if (sonde_prof__maps_refresh(now) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "loaded objects not read: the profile has holes");
    empty_rings();
    if (now >= d.names_at_ns) {
        d.names_at_ns = now + NAMES_NS;
        read_names();
    }
    if (d.config->endpoints)
        sonde_prof__endpoints_take(take_endpoint, NULL);
    d.drain_ns += sonde_mono_ns() - from;
}

static void tick(bool close_now)
{
    uint64_t now = sonde_mono_ns();
    sonde_prof__samplers_tick(now);
    sonde_prof__lock_take(&lock);
    drain(now);
    if (close_now || now >= d.window_ends_ns || sonde_prof__dict_is_full(&d.dict))
        close_window(now);
    sonde_prof__lock_give(&lock);
    send_batches(now);
    count_outbox();
}

static void *run(void *arg)
{
    (void)arg;
    sonde_prof__thread_is_ours();
    while (atomic_load_explicit(&state, memory_order_acquire) == STATE_RUNNING) {
        uint32_t asked = atomic_load_explicit(&flushes_asked, memory_order_acquire);

        tick(asked != atomic_load_explicit(&flushes_done, memory_order_relaxed));
        atomic_store_explicit(&flushes_done, asked, memory_order_release);
        sonde_prof__samplers_wait(DRAIN_NS);
    }
    tick(true);
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------- */

static sonde_status open_all(const sonde_prof__config *config)
{
    uint64_t now = sonde_mono_ns();
    sonde_status status = sonde_prof__dict_init(&d.dict);

    if (status != SONDE_OK)
        return status;
    d.config = config;
    sonde_prof__identity_init(&d.who, config);
    sonde_prof__window_init(&d.window, 0);
    sonde_prof__living_init(&d.living);
    sonde_prof__session_init(&d.session);
    begin_window(now, (uint64_t)sonde_unix_ns());
    return sonde_prof__maps_refresh(now); /* before the first sample */
}

static void close_all(void)
{
    count_outbox();
    sonde_prof__link_close(d.link);
    sonde_prof__session_done(&d.session);
    sonde_prof__window_done(&d.window);
    sonde_prof__living_done(&d.living);
    sonde_prof__dict_done(&d.dict);
    sonde_prof__identity_done(&d.who);
    sonde_free(d.endpoints);
    memset(&d, 0, sizeof(d));
}

static sonde_status start_thread(void)
{
    sonde_status status;

    atomic_store_explicit(&latest_mono_ns, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&state, STATE_RUNNING, memory_order_release);
    sonde_prof__self.depth++; /* our own pthread_create() */
    status = sonde_thread_start(&thread, "sonde-drain", STACK_BYTES, run, NULL);
    sonde_prof__self.depth--;
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
    return count(&queued) == 0 ? SONDE_OK : SONDE_ERR_TIMEOUT;
}

sonde_prof__drainer_counts sonde_prof__drainer_counted(void)
{
    return (sonde_prof__drainer_counts){
        .taken = count(&taken),
        .sent = count(&sent),
        .lost = count(&lost) + count(&window_lost),
        .waiting = count(&in_window) + count(&queued),
        .batches_sent = count(&batches_sent),
        .batches_lost = count(&batches_lost),
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

/* What the parent saw is the parent's to send.  Its connection, in whatever state, is left alone. */
void sonde_prof__drainer_postfork_child(void)
{
    sonde_prof__lock_init(&lock);
    has_thread = false;
    atomic_store_explicit(&state, STATE_NONE, memory_order_relaxed);
    if (!d.config)
        return;
    d.link = NULL;
    sonde_prof__window_clear(&d.window);
    d.endpoints_len = 0;
    sonde_prof__outbox_abandon(&d.session.outbox);
    sonde_prof__session_init(&d.session);
    restart_dict();
    sonde_prof__identity_renew(&d.who);
    d.takes = SONDE_PROF__TAKES_UNKNOWN;
    d.ask_at_ns = 0;
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
    atomic_store_explicit(&window_lost, 0, memory_order_relaxed);
    atomic_store_explicit(&in_window, 0, memory_order_relaxed);
    count_outbox();
    begin_window(sonde_mono_ns(), (uint64_t)sonde_unix_ns());
}

void sonde_prof__drainer_resume(void)
{
    if (d.config && !has_thread && start_thread() != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "no thread for the profiler in a forked child");
}
