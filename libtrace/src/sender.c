/* sender.c - chunks to payloads to the agent: what the thread does, whenever flusher.c says.
 *
 * `work` is held while chunks are encoded and beats work, so that a fork finds both whole; it is let go for
 * each request. */
#include "sender.h"

#include <stdatomic.h>

#include "at_work.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"

#include "agent_info.h"
#include "area.h"
#include "beats.h"
#include "crash_socket.h"
#include "flusher.h"
#include "own_metrics.h"
#include "payload.h"
#include "telemetry_metrics.h"
#include "tracer.h"
#include "transport.h"

#define INFO_TIMEOUT_NS    (1 * (uint64_t)SONDE_NS_PER_S)
#define STATS_TIMEOUT_NS   (2 * (uint64_t)SONDE_NS_PER_S)
#define PAYLOAD_HARD_BYTES 9500000u

static sonde_mutex work = SONDE_MUTEX_INIT(SONDE_RANK_ROOM);
static _Atomic uint64_t payload_bytes;

/* Of the thread; guarded by `work`. */
static sonde__payload *payload;
static sonde__transport *transport;
static sonde__cell_stack cells; /* of freed spans, on their way back */
static uint64_t first_chunk_mono_ns;

/* -- sending -------------------------------------------------------------------------------------- */

static sonde__verdict attempt(sonde_str body)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), payload->v04.config->agent_timeout_ns);
    uint64_t latest = sonde__flusher_stop_deadline();
    sonde__verdict verdict;

    sonde__flusher_set_sending(true);
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
    sonde__flusher_set_sending(false);
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
        if (!sonde__flusher_pause_until(sonde_deadline(sonde_mono_ns(), pause_ns)))
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
}

SONDE_NO_TSA static void send_payload_locked(void)
{
    sonde_mutex_unlock(&work);
    send_payload();
    sonde__at_work_end(); /* a round of a busy program is long: who waits to fork goes first */
    sonde__at_work_begin();
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
    uint64_t latest = sonde__flusher_stop_deadline();
    sonde__verdict verdict;

    if (p->body.len == 0)
        return SONDE__REFUSED; /* no memory to encode it */
    sonde__flusher_set_sending(true);
    verdict = sonde__transport_send_stats(transport, p->body, p->obfuscated,
                                          deadline < latest ? deadline : latest);
    sonde__flusher_set_sending(false);
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

/* -- the agent ------------------------------------------------------------------------------------ */

bool sonde__sender_ask_agent(void)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), INFO_TIMEOUT_NS);
    sonde_str body;
    int http_status;
    bool known;

    sonde__flusher_set_sending(true);
    http_status = sonde__transport_get_info(transport, deadline, &body);
    sonde_mutex_lock(&work);
    known = sonde__agent_take(http_status, body);
    if (http_status == 200)
        sonde__crash_socket_agent_seen();
    sonde_mutex_unlock(&work);
    sonde__flusher_set_sending(false);
    return known;
}

bool sonde__sender_agent_changed(void)
{
    return sonde__transport_agent_changed(transport);
}

/* -- beats ---------------------------------------------------------------------------------------- */

void sonde__sender_begin(void)
{
    sonde_mutex_lock(&work);
    sonde__beats_open(sonde__settings());
    sonde_mutex_unlock(&work);
}

uint64_t sonde__sender_beat(bool ends)
{
    uint64_t due;

    sonde_mutex_lock(&work);
    due = ends ? SONDE__NEVER : sonde__beats_work(sonde_mono_ns());
    if (ends)
        sonde__beats_last(sonde_mono_ns());
    sonde_mutex_unlock(&work);
    return due;
}

/* Called with `work` held, as all of a beat. */
SONDE_NO_TSA sonde_status sonde__beat_request(const sonde__request *request, sonde__answer *out)
{
    sonde__request r = *request;
    uint64_t latest = sonde__flusher_stop_deadline();
    sonde_status status;

    r.deadline_mono_ns = sonde_deadline(sonde_mono_ns(), SONDE__BEAT_REQUEST_NS);
    if (r.deadline_mono_ns > latest)
        r.deadline_mono_ns = latest;
    sonde__flusher_set_sending(true);
    sonde_mutex_unlock(&work);
    status = sonde__transport_ask(transport, &r, out);
    sonde_mutex_lock(&work);
    sonde__flusher_set_sending(false);
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
    if (sonde__flusher_is_late()) {
        sonde__count_dropped(SONDE_DROP_STOPPED, len, 1);
        return;
    }
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

bool sonde__sender_gather(void)
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
        cells.home = &a->returned;
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

/* -- rounds --------------------------------------------------------------------------------------- */

bool sonde__sender_send_due(bool all, bool all_stats)
{
    uint64_t due = sonde_deadline(first_chunk_mono_ns, payload->v04.config->flush_interval_ns);

    if (all || sonde_mono_ns() >= due)
        send_payload();
    send_stats(all_stats);
    return payload->v04.chunks > 0;
}

/* -- life ----------------------------------------------------------------------------------------- */

sonde_status sonde__sender_open(void)
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

void sonde__sender_close(void)
{
    sonde__transport_close(transport);
    transport = NULL;
    if (payload)
        sonde__payload_close(payload);
    sonde_free(payload);
    payload = NULL;
    sonde__agent_forget();
    sonde__beats_forget();
    atomic_store_explicit(&payload_bytes, 0, memory_order_relaxed);
}

void sonde__sender_drop_rest(void)
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

uint64_t sonde__sender_bytes(void)
{
    return atomic_load_explicit(&payload_bytes, memory_order_relaxed);
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__sender_prefork(void)
{
    sonde_mutex_lock(&work);
}

SONDE_NO_TSA void sonde__sender_postfork_parent(void)
{
    sonde_mutex_unlock(&work);
}

/* What the parent's thread was encoding is the parent's to send.  A connection in use is left alone,
 * because its state may be half-written. */
SONDE_NO_TSA void sonde__sender_postfork_child(void)
{
    if (sonde__flusher_was_sending()) {
        sonde__transport_abandon(transport);
        transport = NULL;
    }
    sonde__sender_close();
    sonde_mutex_unlock(&work);
}
