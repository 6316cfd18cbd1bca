/* flusher.c - the thread, and the orders to it.
 *
 * `mu` guards the orders and is held for moments; what the thread does is in sender.c. */
#include "flusher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"

#include "area.h"
#include "at_work.h"
#include "beats.h"
#include "sender.h"
#include "tracer.h"

#define GATHER_NS     (100 * (uint64_t)SONDE_NS_PER_MS)
#define INFO_EVERY_NS (5 * (uint64_t)SONDE_NS_PER_S)

enum { NO_THREAD, IDLE, AT_WORK };

typedef struct orders {
    uint64_t flushes_wanted; /* guarded by mu, as all below */
    uint64_t flushes_done;
    uint64_t traces_flush;               /* the latest flush that wants more than statistics */
    uint64_t agent_wanted_until_mono_ns; /* somebody waits for /info */
    bool agent_known;
    bool open; /* a life of the tracer has begun */
    bool stop;
    bool wake;
    bool running; /* a thread exists */
    bool joinable;
    pthread_t thread;
    uint64_t no_start_before_mono_ns; /* after a failure to make one */
} orders;

_Atomic uint64_t sonde__flusher_stop_at = UINT64_MAX; /* written under mu */

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_QUEUE);
static pthread_cond_t to_thread;
static pthread_cond_t from_thread;
static orders order;
static _Atomic int state = NO_THREAD;
static uint64_t info_due_mono_ns; /* of the thread */
static bool sending;              /* the connection is in use; guarded by mu */

/* -- the thread's work ---------------------------------------------------------------------------- */

uint64_t sonde__flusher_stop_deadline(void)
{
    return atomic_load_explicit(&sonde__flusher_stop_at, memory_order_relaxed);
}

bool sonde__flusher_is_late(void)
{
    uint64_t deadline = sonde__flusher_stop_deadline();

    return __builtin_expect(deadline != UINT64_MAX, 0) && sonde_mono_ns() >= deadline;
}

bool sonde__flusher_pause_until(uint64_t time_mono_ns)
{
    bool go_on;

    sonde__at_work_end();
    sonde_mutex_lock(&mu);
    while (time_mono_ns <= sonde__flusher_stop_deadline() && sonde_mono_ns() < time_mono_ns)
        sonde_cond_wait_until(&to_thread, &mu, time_mono_ns);
    go_on = time_mono_ns <= sonde__flusher_stop_deadline();
    sonde_mutex_unlock(&mu);
    sonde__at_work_begin();
    return go_on;
}

void sonde__flusher_set_sending(bool now)
{
    sonde_mutex_lock(&mu);
    sending = now;
    sonde_mutex_unlock(&mu);
}

static bool is_agent_wanted(const orders *seen)
{
    return !seen->agent_known && sonde_mono_ns() < seen->agent_wanted_until_mono_ns;
}

bool sonde__flusher_was_sending(void)
{
    bool was = sending;

    sending = false;
    return was;
}

/* Asks the agent what it can do, when that is due. */
static void look_at_agent(const orders *seen)
{
    uint64_t now = sonde_mono_ns();
    bool known;

    if (seen->stop || (now < info_due_mono_ns && !is_agent_wanted(seen)))
        return;
    info_due_mono_ns = sonde_deadline(now, INFO_EVERY_NS);
    known = sonde__sender_ask_agent();
    sonde_mutex_lock(&mu);
    order.agent_known = known;
    (void)pthread_cond_broadcast(&from_thread);
    sonde_mutex_unlock(&mu);
}

static bool is_queued(void)
{
    const sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next)
        if (atomic_load_explicit(&a->queue.head, memory_order_seq_cst))
            return true;
    return false;
}

/* Looks at the orders after a round of work; false: the thread ends. */
static bool rest(const orders *seen, bool busy, uint64_t due_mono_ns)
{
    uint64_t until = sonde_deadline(sonde_mono_ns(), GATHER_NS);
    bool go_on;

    sonde__at_work_end();
    sonde_mutex_lock(&mu);
    if (order.flushes_done < seen->flushes_wanted)
        order.flushes_done = seen->flushes_wanted;
    (void)pthread_cond_broadcast(&from_thread);
    go_on = !seen->stop;
    if (!busy) {
        /* before the queues are looked at; pairs with sonde__flusher_push() */
        atomic_store_explicit(&state, IDLE, memory_order_seq_cst);
        until = is_queued() ? 0 : info_due_mono_ns;
    }
    if (due_mono_ns < until)
        until = due_mono_ns;
    while (go_on && !order.wake && !order.stop && order.flushes_wanted == seen->flushes_wanted &&
           sonde_mono_ns() < until)
        sonde_cond_wait_until(&to_thread, &mu, until);
    order.wake = false;
    atomic_store_explicit(&state, go_on ? AT_WORK : NO_THREAD, memory_order_relaxed);
    if (!go_on) {
        order.running = false;
        (void)pthread_cond_broadcast(&from_thread);
    }
    sonde_mutex_unlock(&mu);
    sonde__at_work_begin();
    return go_on;
}

static orders read_orders(void)
{
    orders seen;

    sonde_mutex_lock(&mu);
    seen = order;
    sonde_mutex_unlock(&mu);
    return seen;
}

static void *run(void *unused)
{
    orders seen;
    bool any, waits, flush;
    uint64_t beat_due;

    (void)unused;
    sonde__at_work_begin();
    sonde__at_work_expect(-1);
    sonde__sender_begin();
    do {
        seen = read_orders();
        flush = seen.stop || seen.flushes_wanted > seen.flushes_done;
        sonde__clock_anchor();
        look_at_agent(&seen);
        any = sonde__sender_gather();
        waits = sonde__sender_send_due(seen.stop || seen.traces_flush > seen.flushes_done, flush);
        beat_due = sonde__sender_beat(seen.stop);
        if (sonde__sender_agent_changed())
            info_due_mono_ns = 0;
    } while (rest(&seen, any || waits || is_agent_wanted(&seen), beat_due));
    sonde__at_work_end();
    return NULL;
}

/* -- starting, waking ----------------------------------------------------------------------------- */

static void start_thread_locked(void)
{
    sonde_status status;

    if (!order.open || order.running || order.stop ||
        sonde_mono_ns() < order.no_start_before_mono_ns)
        return;
    status = sonde__sender_open();
    if (status == SONDE_OK) {
        sonde__at_work_expect(1);
        status = sonde_thread_start(&order.thread, "sonde-flush", 0, run, NULL);
        if (status != SONDE_OK)
            sonde__at_work_expect(-1);
    }
    if (status == SONDE_OK) {
        order.running = order.joinable = true;
        atomic_store_explicit(&state, AT_WORK, memory_order_relaxed);
        return;
    }
    order.no_start_before_mono_ns = sonde_deadline(sonde_mono_ns(), SONDE_NS_PER_S);
    SONDE_LOG(SONDE_LOG_WARN, "no thread to send traces, next try in 1 s: reason=%s",
              sonde_status_str(status));
}

static __attribute__((noinline, cold)) void nudge(void)
{
    sonde_mutex_lock(&mu);
    start_thread_locked();
    order.wake = true;
    (void)pthread_cond_broadcast(&to_thread);
    sonde_mutex_unlock(&mu);
}

void sonde__flusher_wake(void)
{
    nudge();
}

void sonde__flusher_rouse(void)
{
    sonde_mutex_lock(&mu);
    order.wake = true;
    (void)pthread_cond_broadcast(&to_thread);
    sonde_mutex_unlock(&mu);
}

void sonde__flusher_begin(void)
{
    if (!sonde__beats_wanted(sonde__settings()))
        return;
    sonde_mutex_lock(&mu);
    start_thread_locked();
    sonde_mutex_unlock(&mu);
}

void sonde__flusher_push(sonde__span *chunk)
{
    sonde__area *a = sonde__self;

    sonde__count_own(&a->counts, SONDE__CHUNKS_QUEUED, 1);
    (void)sonde_handover_push(&a->queue, &chunk->text.link);
    /* The exchange above keeps this load behind it on x86.  Elsewhere a thread about to rest may be
     * missed; it looks again when /info is due. */
    if (__builtin_expect(atomic_load_explicit(&state, memory_order_relaxed) != AT_WORK, 0))
        nudge();
}

static void reset_orders(void)
{
    sonde_cond_init(&to_thread);
    sonde_cond_init(&from_thread);
    memset(&order, 0, sizeof(order));
    atomic_store_explicit(&sonde__flusher_stop_at, UINT64_MAX, memory_order_relaxed);
    info_due_mono_ns = 0;
    order.open = true;
}

sonde_status sonde__flusher_open(void)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&mu);
    if (order.running)
        status = SONDE_ERR_STATE;
    else
        reset_orders();
    sonde_mutex_unlock(&mu);
    if (status == SONDE_OK)
        sonde__sender_close(); /* of a life whose thread ended late */
    return status;
}

/* -- flush and stop ------------------------------------------------------------------------------- */

sonde_status sonde__flusher_flush(uint64_t deadline_mono_ns, bool traces)
{
    sonde_status status = SONDE_OK;
    uint64_t mine;

    sonde_mutex_lock(&mu);
    if (is_queued())
        start_thread_locked();
    mine = ++order.flushes_wanted;
    if (traces)
        order.traces_flush = mine;
    (void)pthread_cond_broadcast(&to_thread);
    while (order.running && order.flushes_done < mine && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&from_thread, &mu, deadline_mono_ns);
    if (order.running && order.flushes_done < mine)
        status = SONDE_ERR_TIMEOUT;
    sonde_mutex_unlock(&mu);
    return status;
}

sonde_status sonde__flusher_wait_for_agent(uint64_t deadline_mono_ns)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&mu);
    start_thread_locked();
    if (deadline_mono_ns > order.agent_wanted_until_mono_ns)
        order.agent_wanted_until_mono_ns = deadline_mono_ns;
    order.wake = true;
    (void)pthread_cond_broadcast(&to_thread);
    while (order.running && !order.agent_known && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&from_thread, &mu, deadline_mono_ns);
    if (!order.agent_known)
        status = order.stop ? SONDE_ERR_STATE : SONDE_ERR_TIMEOUT;
    sonde_mutex_unlock(&mu);
    return status;
}

void sonde__flusher_stop(uint64_t deadline_mono_ns)
{
    pthread_t thread;
    bool ended, joinable;
    uint64_t now;

    sonde_mutex_lock(&mu);
    if (is_queued())
        start_thread_locked();
    order.stop = true;
    /* The thread's own deadline is a little earlier, so that it has ended by ours. */
    now = sonde_mono_ns();
    atomic_store_explicit(&sonde__flusher_stop_at,
                          deadline_mono_ns > now ? deadline_mono_ns - (deadline_mono_ns - now) / 8
                                                 : now,
                          memory_order_relaxed);
    (void)pthread_cond_broadcast(&to_thread);
    while (order.running && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&from_thread, &mu, deadline_mono_ns);
    ended = !order.running;
    thread = order.thread;
    joinable = order.joinable;
    order.joinable = false;
    sonde_mutex_unlock(&mu);
    if (joinable && ended)
        (void)pthread_join(thread, NULL);
    else if (joinable)
        (void)pthread_detach(thread);
    if (!ended)
        return; /* looking up a name, or connecting; it sees the order when that ends */
    sonde__sender_drop_rest();
    sonde__sender_close();
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__flusher_prefork_orders(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__flusher_postfork_parent_orders(void)
{
    sonde_mutex_unlock(&mu);
}

/* The thread did not come along; the next one starts with the first chunk. */
SONDE_NO_TSA void sonde__flusher_postfork_child_orders(void)
{
    atomic_store_explicit(&state, NO_THREAD, memory_order_relaxed);
    reset_orders();
    sonde_mutex_unlock(&mu);
}
