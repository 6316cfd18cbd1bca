/* flusher.c - gathers chunks from all threads, encodes and sends them.
 *
 * Two locks: `work` is held while chunks are encoded, so that a fork finds the payload whole; `mu` guards
 * the orders to the thread and is held for moments.  Sending holds neither. */
#include "flusher.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"

#include "agent_info.h"
#include "area.h"
#include "beats.h"
#include "crash_socket.h"
#include "own_metrics.h"
#include "payload.h"
#include "telemetry_metrics.h"
#include "tracer.h"
#include "transport.h"

#define GATHER_NS          (100 * (uint64_t)SONDE_NS_PER_MS)
#define INFO_EVERY_NS      (5 * (uint64_t)SONDE_NS_PER_S)
#define INFO_TIMEOUT_NS    (1 * (uint64_t)SONDE_NS_PER_S)
#define STATS_TIMEOUT_NS   (2 * (uint64_t)SONDE_NS_PER_S)
#define PAYLOAD_HARD_BYTES 9500000u

enum { NO_THREAD, IDLE, AT_WORK };

typedef struct orders {
    uint64_t flushes_wanted; /* guarded by mu, as all below */
    uint64_t flushes_done;
    uint64_t traces_flush;               /* the latest flush that wants more than statistics */
    uint64_t stop_deadline_mono_ns;      /* UINT64_MAX: no stop */
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

static sonde_mutex work = SONDE_MUTEX_INIT(SONDE_RANK_ROOM);
static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_QUEUE);
static pthread_cond_t to_thread;
static pthread_cond_t from_thread;
static orders order;
static _Atomic int state = NO_THREAD;
static _Atomic uint64_t payload_bytes;

/* Of the thread; guarded by `work`. */
static sonde__payload *payload;
static sonde__transport *transport;
static sonde__cell_stack cells; /* of freed spans, on their way back */
static uint64_t first_chunk_mono_ns;
static uint64_t info_due_mono_ns;
static bool sending; /* `transport` is in use; guarded by mu */

/* -- the thread's work ---------------------------------------------------------------------------- */

static uint64_t stop_deadline(void)
{
    uint64_t deadline;

    sonde_mutex_lock(&mu);
    deadline = order.stop_deadline_mono_ns;
    sonde_mutex_unlock(&mu);
    return deadline;
}

/* Waits until the time, or until a stop is ordered whose deadline the time would pass. */
static bool pause_until(uint64_t time_mono_ns)
{
    bool go_on;

    sonde_mutex_lock(&mu);
    while (time_mono_ns <= order.stop_deadline_mono_ns && sonde_mono_ns() < time_mono_ns)
        sonde_cond_wait_until(&to_thread, &mu, time_mono_ns);
    go_on = time_mono_ns <= order.stop_deadline_mono_ns;
    sonde_mutex_unlock(&mu);
    return go_on;
}

static void set_sending(bool now)
{
    sonde_mutex_lock(&mu);
    sending = now;
    sonde_mutex_unlock(&mu);
}

static sonde__verdict attempt(sonde_str body)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), payload->v04.config->agent_timeout_ns);
    uint64_t latest = stop_deadline();
    sonde__verdict verdict;

    set_sending(true);
    verdict = sonde__transport_send(transport,
                                    &(sonde__trace_request){
                                        .path = sonde__payload_path(payload),
                                        .body = body,
                                        .chunks = payload->v04.chunks,
                                        .counted = payload->is_counted,
                                        .p0_traces = payload->p0_traces,
                                        .p0_spans = payload->p0_spans,
                                        .deadline_mono_ns = deadline < latest ? deadline : latest,
                                    });
    set_sending(false);
    return verdict;
}

static sonde__verdict send_with_retries(sonde_str body)
{
    uint64_t pause_ns = payload->v04.config->retry_pause_ns;
    sonde__verdict verdict = attempt(body);
    uint32_t i;

    for (i = 0; i < payload->v04.config->send_retries; i++) {
        if (verdict != SONDE__UNREACHABLE && verdict != SONDE__BUSY)
            break;
        if (!pause_until(sonde_deadline(sonde_mono_ns(), pause_ns)))
            break;
        pause_ns *= 2;
        sonde__count(SONDE__SEND_RETRIES, 1);
        verdict = attempt(body);
    }
    return verdict;
}

static void send_payload(void)
{
    static const unsigned reason[] = {
        [SONDE__UNREACHABLE] = SONDE_DROP_AGENT_UNREACHABLE,
        [SONDE__BUSY] = SONDE_DROP_AGENT_BUSY,
        [SONDE__NOT_SERVED] = SONDE_DROP_AGENT_REFUSED,
        [SONDE__REFUSED] = SONDE_DROP_AGENT_REFUSED,
    };
    uint64_t begun_mono_ns = sonde_mono_ns();
    sonde_str body;
    sonde__verdict verdict;

    if (payload->v04.chunks == 0)
        return;
    body = sonde__payload_body(payload);
    verdict = body.len > 0 ? send_with_retries(body) : SONDE__UNREACHABLE;
    sonde__health_flushed(sonde_mono_ns() - begun_mono_ns);
    if (body.len == 0) {
        sonde__count_dropped(SONDE_DROP_NO_MEMORY, payload->v04.spans, payload->v04.chunks);
    } else if (verdict == SONDE__DELIVERED) {
        payload->p0_traces = payload->p0_spans = 0;
        sonde__count(SONDE__SPANS_DELIVERED, payload->v04.spans);
        sonde__count(SONDE__CHUNKS_DELIVERED, payload->v04.chunks);
        sonde__count(SONDE__PAYLOADS_SENT, 1);
        sonde__count(SONDE__PAYLOAD_BYTES, body.len);
    } else {
        sonde__count_dropped(reason[verdict], payload->v04.spans, payload->v04.chunks);
        sonde__count(SONDE__PAYLOADS_FAILED, 1);
    }
    if (verdict == SONDE__NOT_SERVED)
        sonde__payload_not_served(payload);
    sonde__payload_reset(payload);
    if (sonde__transport_agent_changed(transport))
        info_due_mono_ns = 0;
}

SONDE_NO_TSA static void send_payload_locked(void)
{
    sonde_mutex_unlock(&work);
    send_payload();
    sonde_mutex_lock(&work);
}

static bool next_stats(bool all, sonde__stats_payload *out)
{
    bool any;

    sonde_mutex_lock(&work);
    any = sonde__stats_next(payload->stats, (uint64_t)sonde_unix_ns(), all, out);
    sonde_mutex_unlock(&work);
    return any;
}

/* One attempt each: the next ten seconds come soon. */
static sonde__verdict send_one_stats(const sonde__stats_payload *p)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), STATS_TIMEOUT_NS);
    uint64_t latest = stop_deadline();
    sonde__verdict verdict;

    if (p->body.len == 0)
        return SONDE__REFUSED; /* no memory to encode it */
    set_sending(true);
    verdict =
        sonde__transport_send_stats(transport, p->body, deadline < latest ? deadline : latest);
    set_sending(false);
    return verdict;
}

/* Sends the statistics that are due, or all. */
static void send_stats(bool all)
{
    sonde__stats_payload p;

    if (!payload->stats)
        return;
    while (next_stats(all, &p)) {
        bool delivered = send_one_stats(&p) == SONDE__DELIVERED;

        sonde__count(delivered ? SONDE__STATS_SPANS_DELIVERED : SONDE__STATS_SPANS_LOST, p.spans);
        sonde__count(delivered ? SONDE__STATS_PAYLOADS_SENT : SONDE__STATS_PAYLOADS_FAILED, 1);
    }
}

SONDE_NO_TSA static void send_stats_locked(void)
{
    sonde_mutex_unlock(&work);
    send_stats(true);
    sonde_mutex_lock(&work);
}

static void take_info(int http_status, sonde_str body)
{
    bool known;

    sonde_mutex_lock(&work);
    known = sonde__agent_take(http_status, body);
    if (http_status == 200)
        sonde__crash_socket_agent_seen();
    sonde_mutex_unlock(&work);
    sonde_mutex_lock(&mu);
    order.agent_known = known;
    (void)pthread_cond_broadcast(&from_thread);
    sonde_mutex_unlock(&mu);
}

static bool is_agent_wanted(const orders *seen)
{
    return !seen->agent_known && sonde_mono_ns() < seen->agent_wanted_until_mono_ns;
}

/* Asks the agent what it can do, when that is due. */
static void look_at_agent(const orders *seen)
{
    uint64_t now = sonde_mono_ns();
    sonde_str body;
    int http_status;

    if (seen->stop || (now < info_due_mono_ns && !is_agent_wanted(seen)))
        return;
    info_due_mono_ns = sonde_deadline(now, INFO_EVERY_NS);
    set_sending(true);
    http_status = sonde__transport_get_info(transport, sonde_deadline(now, INFO_TIMEOUT_NS), &body);
    take_info(http_status, body);
    set_sending(false);
}

/* -- beats ---------------------------------------------------------------------------------------- */

/* Does one that is due, and says when the next is. */
static uint64_t work_on_beat(const orders *seen)
{
    uint64_t due;

    sonde_mutex_lock(&work);
    due = seen->stop ? SONDE__NEVER : sonde__beats_work(sonde_mono_ns());
    if (seen->stop)
        sonde__beats_last(sonde_mono_ns());
    sonde_mutex_unlock(&work);
    return due;
}

/* Called with `work` held, as all of a beat. */
SONDE_NO_TSA sonde_status sonde__beat_request(const sonde__request *request, sonde__answer *out)
{
    sonde__request r = *request;
    uint64_t latest = stop_deadline();
    sonde_status status;

    r.deadline_mono_ns = sonde_deadline(sonde_mono_ns(), SONDE__BEAT_REQUEST_NS);
    if (r.deadline_mono_ns > latest)
        r.deadline_mono_ns = latest;
    set_sending(true);
    sonde_mutex_unlock(&work);
    status = sonde__transport_ask(transport, &r, out);
    sonde_mutex_lock(&work);
    set_sending(false);
    return status;
}

SONDE_NO_TSA void sonde__beat_apart(void (*call)(void *user), void *user)
{
    sonde_mutex_unlock(&work);
    call(user);
    sonde_mutex_lock(&work);
}

/* -- gathering ------------------------------------------------------------------------------------ */

static void note_chunk(uint32_t spans, size_t bytes, uint64_t from_mono_ns)
{
    sonde__telemetry_note(SONDE__VALUE_CHUNK_SPANS, spans);
    sonde__telemetry_note(SONDE__VALUE_CHUNK_BYTES, (double)bytes);
    sonde__telemetry_note(SONDE__VALUE_CHUNK_MS,
                          (double)(sonde_mono_ns() - from_mono_ns) / SONDE_NS_PER_MS);
}

static sonde_status encode(sonde__span *chunk)
{
    uint64_t was = payload->v04.chunks;
    size_t len = was > 0 ? sonde__payload_len(payload) : 0; /* the form is chosen with the first */
    uint64_t from = sonde__telemetry_measures() ? sonde_mono_ns() : 0;
    sonde_status status = sonde__payload_add(payload, chunk);

    if (was == 0 && payload->v04.chunks > 0)
        first_chunk_mono_ns = sonde_mono_ns();
    if (from > 0 && payload->v04.chunks > was)
        note_chunk(chunk->text.chunk_len, sonde__payload_len(payload) - len, from);
    atomic_store_explicit(&payload_bytes, sonde__payload_bytes(payload), memory_order_relaxed);
    return status;
}

static void note_segment(sonde__segment *s)
{
    atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_SEEN, memory_order_relaxed);
    sonde__count(s->remote_parent_id ? SONDE__SEGMENTS_CONTINUED : SONDE__SEGMENTS_NEW, 1);
}

static void take_chunk(sonde__span *chunk)
{
    uint32_t flags = atomic_load_explicit(&chunk->segment->flags, memory_order_relaxed);
    uint32_t len = chunk->text.chunk_len;
    sonde_status status;

    if (chunk->epoch < sonde__first_epoch())
        return; /* the parent sends it */
    if (!(flags & SONDE__SEGMENT_SEEN))
        note_segment(chunk->segment);
    if (flags & SONDE__SEGMENT_TOO_BIG) {
        sonde__count_dropped(SONDE_DROP_TRACE_TOO_BIG, len, 1);
        return;
    }
    status = encode(chunk);
    if (status == SONDE_ERR_TOO_BIG && payload->v04.chunks > 0) {
        send_payload_locked();
        status = encode(chunk);
    }
    if (status != SONDE_OK)
        sonde__count_dropped(
            status == SONDE_ERR_NOMEM ? SONDE_DROP_NO_MEMORY : SONDE_DROP_PAYLOAD_TOO_BIG, len, 1);
}

static sonde__span *span_of(sonde_handover_link *link)
{
    return (sonde__span *)(void *)((char *)link - offsetof(sonde__span, text));
}

/* Encodes what the threads have handed over; sends in between when a payload is full. */
static bool gather(void)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);
    bool any = false;

    atomic_store_explicit(&sonde__pool.hurry, false, memory_order_relaxed);
    for (; a; a = a->next) {
        sonde_handover_link *link = sonde_handover_reverse(sonde_handover_take_all(&a->queue));

        if (!link)
            continue;
        any = true;
        sonde_mutex_lock(&work);
        while (link) {
            sonde__span *chunk = span_of(link);

            link = link->next;
            take_chunk(chunk);
            sonde__chunk_free(chunk, &cells);
            if (sonde__payload_is_full(payload))
                send_payload_locked();
            if (payload->stats && sonde__stats_is_full(payload->stats))
                send_stats_locked();
        }
        sonde_mutex_unlock(&work);
    }
    return any;
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
    bool any;
    uint64_t due, beat_due;

    (void)unused;
    sonde_mutex_lock(&work);
    sonde__beats_open(sonde__settings());
    sonde_mutex_unlock(&work);
    do {

        seen = read_orders();
        sonde__clock_anchor();
        look_at_agent(&seen);
        any = gather();
        due = sonde_deadline(first_chunk_mono_ns, payload->v04.config->flush_interval_ns);
        if (seen.stop || seen.traces_flush > seen.flushes_done || sonde_mono_ns() >= due)
            send_payload();
        send_stats(seen.stop || seen.flushes_wanted > seen.flushes_done);
        beat_due = work_on_beat(&seen);
    } while (rest(&seen, any || payload->v04.chunks > 0 || is_agent_wanted(&seen), beat_due));
    return NULL;
}

/* -- starting, waking ----------------------------------------------------------------------------- */

static sonde_status open_tools(void)
{
    const sonde__config *c = sonde__settings();
    size_t max = c->memory_bytes / 8 * 3 < PAYLOAD_HARD_BYTES ? (size_t)(c->memory_bytes / 8 * 3)
                                                              : PAYLOAD_HARD_BYTES;
    sonde_status status = SONDE_OK;

    if (!transport)
        status = sonde__transport_open(c, &transport);
    if (status != SONDE_OK || payload)
        return status;
    payload = (sonde__payload *)sonde_malloc(sizeof(*payload));
    if (!payload)
        return SONDE_ERR_NOMEM;
    status = sonde__payload_open(payload, c, sonde__runtime_id(), max);
    if (status != SONDE_OK) {
        sonde__payload_close(payload);
        sonde_free(payload);
        payload = NULL;
    }
    return status;
}

static void close_tools(void)
{
    sonde__transport_close(transport);
    transport = NULL;
    if (payload)
        sonde__payload_close(payload);
    sonde_free(payload);
    payload = NULL;
    sonde__agent_forget();
    sonde__beats_forget();
    info_due_mono_ns = 0;
    atomic_store_explicit(&payload_bytes, 0, memory_order_relaxed);
}

static void start_thread_locked(void)
{
    sonde_status status;

    if (!order.open || order.running || order.stop ||
        sonde_mono_ns() < order.no_start_before_mono_ns)
        return;
    status = open_tools();
    if (status == SONDE_OK)
        status = sonde_thread_start(&order.thread, "sonde-flush", 0, run, NULL);
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
    order.stop_deadline_mono_ns = UINT64_MAX;
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
        close_tools(); /* of a life whose thread ended late */
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

/* What nobody will send any more. */
static void drop_rest(void)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    for (; a; a = a->next) {
        sonde_handover_link *link = sonde_handover_take_all(&a->queue);

        while (link) {
            sonde__span *chunk = span_of(link);

            link = link->next;
            if (chunk->epoch >= sonde__first_epoch())
                sonde__count_dropped(SONDE_DROP_STOPPED, chunk->text.chunk_len, 1);
            sonde__chunk_free(chunk, &cells);
        }
    }
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
    order.stop_deadline_mono_ns =
        deadline_mono_ns > now ? deadline_mono_ns - (deadline_mono_ns - now) / 8 : now;
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
        return; /* hanging in a request; it sees the order when that ends */
    drop_rest();
    close_tools();
}

uint64_t sonde__flusher_bytes(void)
{
    return atomic_load_explicit(&payload_bytes, memory_order_relaxed);
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__flusher_prefork_work(void)
{
    sonde_mutex_lock(&work);
}

SONDE_NO_TSA void sonde__flusher_postfork_parent_work(void)
{
    sonde_mutex_unlock(&work);
}

/* What the parent's thread was encoding is the parent's to send.  A connection in use is left alone,
 * because its state may be half-written. */
SONDE_NO_TSA void sonde__flusher_postfork_child_work(void)
{
    if (sending) {
        sonde__transport_abandon(transport);
        transport = NULL;
    }
    sending = false;
    close_tools();
    sonde_mutex_unlock(&work);
}

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
