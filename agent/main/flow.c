/* flow.c - the way of one payload, process_payload(), and the threads that go it. */
#include "flow.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

#include "pipeline_state.h"
#include "self.h"
#include "settle.h"

#define WORKER_STACK_BYTES (512u * 1024)
#define TIMERS_STACK_BYTES (256u * 1024)
#define TICK_NS            (UINT64_C(500) * SONDE_NS_PER_MS)
#define SETTLE_NS          (UINT64_C(5) * SONDE_NS_PER_S)

/* Keeps the chunks the sampler wants, in order. */
static void drop_unsampled(pipeline *p, payload *what, double dropped_p0_share, int64_t now_unix_ns)
{
    uint32_t i, kept = 0;

    for (i = 0; i < what->chunks_len; i++) {
        source_add_priority(what->source, what->chunks[i].priority);
        if (sampler_keeps(p->sampler, what, &what->chunks[i], dropped_p0_share, now_unix_ns))
            what->chunks[kept++] = what->chunks[i];
    }
    what->chunks_len = kept;
}

/* How many traces the client dropped itself for each chunk it sent. */
static double dropped_p0_share(const payload *what)
{
    if (!what->chunks_len || what->client_dropped_p0_traces <= 0)
        return 0.0;
    return (double)what->client_dropped_p0_traces / what->chunks_len;
}

static uint64_t count_spans(const payload *what)
{
    uint64_t spans = 0;
    uint32_t i;

    for (i = 0; i < what->chunks_len; i++)
        spans += what->chunks[i].spans_len;
    return spans;
}

/* Statistics a tracer made of its spans. */
static void process_stats(pipeline *p, payload *what)
{
    client_stats_run(&p->client_stats, what);
    client_aggregator_add(p->client_aggregator, what->stats, sonde_unix_ns());
}

static void process_traces(worker *w, payload *what)
{
    pipeline *p = w->p;
    double share = dropped_p0_share(what);
    int64_t now_unix_ns = sonde_unix_ns();
    uint64_t received = count_spans(what), encoding;

    processor_run(p->processor, what);
    concentrator_add(p->concentrator, what, now_unix_ns);
    drop_unsampled(p, what, share, now_unix_ns);
    processor_mark_first(p->processor, what);
    forwarder_note(p->forwarder, LEDGER_DROPPED, received - count_spans(what));
    encoding = sonde_mono_ns();
    trace_writer_add(p->trace_writer, &w->scratch, what, encoding);
    timings_add(&p->timings, TIMING_TRACE_ENCODE, sonde_mono_ns() - encoding);
}

static timing_what timing_of(const payload *what)
{
    bool is_v1 = what->endpoint_version && strcmp(what->endpoint_version, "v1.0") == 0;

    if (what->stats)
        return TIMING_STATS_PROCESS;
    return is_v1 ? TIMING_PROCESS_PAYLOAD_V1 : TIMING_PROCESS_PAYLOAD;
}

static void process_payload(worker *w, payload *what)
{
    timing_what measured = timing_of(what);
    uint64_t began = sonde_mono_ns();

    if (what->stats)
        process_stats(w->p, what);
    else
        process_traces(w, what);
    payload_free(what);
    timings_add(&w->p->timings, measured, sonde_mono_ns() - began);
}

static void *run_worker(void *arg)
{
    worker *w = arg;
    void *item;
    size_t bytes;

    while (sonde_queue_pop(&w->p->queue, UINT64_MAX, &item, &bytes) == SONDE_OK)
        process_payload(w, item);
    return NULL;
}

/* Whose payload it is that came by another way than the receiver, which knows more. */
static payload_source *other_source(pipeline *p, const payload *what)
{
    const source_key key = {
        .lang = what->language_name,
        .lang_version = what->language_version,
        .tracer_version = what->tracer_version,
        .endpoint_version = sonde_str_from(what->endpoint_version),
    };

    return sources_find(p->sources, &key);
}

static void tell_other(payload_source *source, size_t bytes, uint32_t chunks, uint64_t spans)
{
    source_add(source, SOURCE_PAYLOADS_ACCEPTED, 1);
    source_add(source, SOURCE_BYTES, bytes);
    source_add(source, SOURCE_TRACES_RECEIVED, chunks);
    source_add(source, SOURCE_SPANS_RECEIVED, spans);
}

/* The receiver's, before it takes a body. */
bool flow_has_room(void *pipeline_, size_t bytes)
{
    pipeline *p = pipeline_;

    return memory_has_room(&p->memory, bytes, sonde_mono_ns());
}

/* The receivers' sink. */
sonde_status flow_accept(void *stage, payload *what)
{
    pipeline *p = stage;
    size_t bytes = what->charged_bytes, body_bytes = what->body.len;
    uint64_t spans = count_spans(what); /* once it is pushed it is the worker's */
    uint32_t chunks = what->chunks_len;
    payload_source *other = what->source || what->stats ? NULL : other_source(p, what);
    sonde_status status;

    if (atomic_load_explicit(&p->shedding, memory_order_relaxed) || !flow_has_room(p, 0)) {
        atomic_fetch_add_explicit(&p->shed, 1, memory_order_relaxed);
        return SONDE_ERR_NOMEM;
    }
    if (other)
        what->source = other;
    /* what is larger than the whole queue waits alone, instead of never */
    status =
        sonde_queue_push(&p->queue, what, bytes < p->queue.max_bytes ? bytes : p->queue.max_bytes);
    if (status == SONDE_OK)
        forwarder_note(p->forwarder, LEDGER_ACCEPTED, spans);
    if (status == SONDE_OK)
        tell_other(other, body_bytes, chunks, spans);
    else if (other)
        what->source = NULL; /* it may be offered again */
    return status;
}

sonde_status flow_push_stats(void *stage, const stats_payload *s)
{
    pipeline *p = stage;
    uint64_t began = sonde_mono_ns();
    sonde_status status = stats_writer_push(&p->stats_writer, s);

    timings_add(&p->timings, TIMING_STATS_ENCODE, sonde_mono_ns() - began);
    return status;
}

/* The writers' sink. */
sonde_status flow_upload(void *stage, upload *u)
{
    pipeline *p = stage;
    uint64_t spans = u->kind == UPLOAD_TRACES ? u->items : 0;
    sonde_status status = forwarder_push(p->forwarder, u);

    atomic_fetch_add_explicit(&p->uploads, 1, memory_order_relaxed);
    if (status == SONDE_OK)
        forwarder_note(p->forwarder, LEDGER_DELIVERED, spans);
    return status;
}

/* What the trace writer dropped since the last time. */
void flow_note_writer_drops(pipeline *p)
{
    trace_writer_counters n;
    uint64_t dropped = 0;
    int i;

    trace_writer_read_counters(p->trace_writer, &n);
    for (i = 0; i < TRACE_WRITER_DROPS; i++)
        dropped += n.spans_dropped[i];
    forwarder_note(p->forwarder, LEDGER_DROPPED, dropped - p->writer_dropped);
    p->writer_dropped = dropped;
}

static void watch(pipeline *p)
{
    sonde_queue_stats n = sonde_queue_read_stats(&p->queue);
    ops_progress progress = { .taken = n.popped, .waiting = n.len };

    if (!atomic_load_explicit(&p->watched, memory_order_acquire)) /* pairs with pipeline_open() */
        return;
    self_measure(&progress.memory_bytes, &progress.cpu_user_s);
    ops_tick(p->ops, &progress, sonde_mono_ns());
}

static uint64_t uploads(const pipeline *p)
{
    return atomic_load_explicit(&p->uploads, memory_order_relaxed);
}

/* Times are of those rounds that had something to send. */
static void flush_what_is_due(pipeline *p)
{
    uint64_t began = sonde_mono_ns(), sent = uploads(p);

    concentrator_flush(p->concentrator, sonde_unix_ns(), CONCENTRATOR_FLUSH_READY);
    client_aggregator_flush(p->client_aggregator, sonde_unix_ns(), CLIENT_FLUSH_READY);
    if (uploads(p) > sent)
        timings_add(&p->timings, TIMING_STATS_FLUSH, sonde_mono_ns() - began);
    began = sonde_mono_ns();
    sent = uploads(p);
    trace_writer_tick(p->trace_writer, began);
    if (uploads(p) > sent)
        timings_add(&p->timings, TIMING_TRACE_FLUSH, sonde_mono_ns() - began);
}

static void *run_timers(void *arg)
{
    pipeline *p = arg;
    uint64_t settle_at = sonde_deadline(sonde_mono_ns(), SETTLE_NS);

    sonde_mutex_lock(&p->mu);
    while (!p->stopping) {
        sonde_cond_wait_until(&p->wake, &p->mu, sonde_mono_ns() + TICK_NS);
        sonde_mutex_unlock(&p->mu);
        if (sonde_mono_ns() >= settle_at) {
            settle_memory();
            settle_at = UINT64_MAX;
        }
        flush_what_is_due(p);
        flow_note_writer_drops(p);
        if (memory_wants_trim(&p->memory, sonde_mono_ns()))
            trim_memory();
        watch(p);
        sonde_mutex_lock(&p->mu);
    }
    sonde_mutex_unlock(&p->mu);
    return NULL;
}

/* -- threads ---------------------------------------------------------------------------------------- */

sonde_status flow_start(pipeline *p, sonde_error *out_error)
{
    size_t len = (size_t)p->config->workers;
    sonde_status status = SONDE_OK;
    char name[16];

    p->workers = sonde_calloc(len, sizeof(*p->workers));
    if (!p->workers)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "workers");
    while (status == SONDE_OK && p->workers_len < len) {
        worker *w = &p->workers[p->workers_len];

        w->p = p;
        trace_scratch_init(&w->scratch);
        (void)snprintf(name, sizeof(name), "agent-proc-%u", (unsigned)p->workers_len % 1000);
        status = sonde_thread_start(&w->thread, name, WORKER_STACK_BYTES, run_worker, w);
        p->workers_len += status == SONDE_OK;
    }
    if (status == SONDE_OK)
        status = sonde_thread_start(&p->timers, "agent-timers", TIMERS_STACK_BYTES, run_timers, p);
    p->has_timers = status == SONDE_OK;
    return status == SONDE_OK ? status : sonde_fail(out_error, status, "threads");
}

void flow_join_timers(pipeline *p)
{
    if (!p->has_timers)
        return;
    sonde_mutex_lock(&p->mu);
    p->stopping = true;
    (void)pthread_cond_signal(&p->wake);
    sonde_mutex_unlock(&p->mu);
    (void)pthread_join(p->timers, NULL);
    p->has_timers = false;
}

void flow_join_workers(pipeline *p)
{
    size_t i;

    if (p->has_queue)
        sonde_queue_close(&p->queue);
    for (i = 0; i < p->workers_len; i++) {
        (void)pthread_join(p->workers[i].thread, NULL);
        sonde_buf_done(&p->workers[i].scratch);
    }
    p->workers_len = 0;
}
