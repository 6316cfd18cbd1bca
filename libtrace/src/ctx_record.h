/* ctx_record.h - the records that show each thread's active span to profilers and outside readers.
 *
 * Threads   a record is written by its thread only; readers may be anywhere.
 * Bounds    their memory is blackbox.h.
 * Source    docs/spec/thread-context.md */
#ifndef SONDE_LIBTRACE_CTX_RECORD_H
#define SONDE_LIBTRACE_CTX_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread_ctx.h"

#include "be.h"

/* of the calling thread: its own from now on */
void sonde__ctx_record_set_tid(sonde_thread_ctx *r);

/* Publishes the calling thread's record; false when somebody else published one
 * (the record is kept for our own readers). */
bool sonde__ctx_record_publish(sonde_thread_ctx *r);
void sonde__ctx_record_unpublish(const sonde_thread_ctx *r);
void sonde__ctx_record_retract(sonde_thread_ctx *r); /* the thread ends */

/* What a trace shows, whatever its active span. */
typedef struct sonde__ctx_trace {
    uint64_t id_high;
    uint64_t id_low;
    uint64_t local_root_id;
} sonde__ctx_trace;

/* Writes of one update: seq odd, valid 0 | fields | valid 1, seq even.  A signal handler on this thread
 * needs only that the compiler keeps the order; the release fences are for our profiler's thread, which
 * reads other threads' records and checks `seq` on both sides. */
static inline void sonde__ctx_record_fence(void)
{
#if defined(__SANITIZE_THREAD__) /* which does not know fences; no other thread of ours reads yet */
    atomic_signal_fence(memory_order_release);
#else
    atomic_thread_fence(memory_order_release);
#endif
}

static inline void sonde__ctx_record_begin(sonde_thread_ctx *r)
{
    uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);

    atomic_store_explicit(&r->seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&r->valid, 0, memory_order_relaxed);
    sonde__ctx_record_fence();
}

static inline void sonde__ctx_record_end(sonde_thread_ctx *r, uint8_t valid)
{
    uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);

    sonde__ctx_record_fence();
    atomic_store_explicit(&r->valid, valid, memory_order_relaxed);
    atomic_store_explicit(&r->seq, seq + 1, memory_order_release);
}

/* Between begin and end: the fields that change with the trace. */
void sonde__ctx_record_put_trace(sonde_thread_ctx *r, const sonde__ctx_trace *trace);

static inline void sonde__ctx_record_put_span(sonde_thread_ctx *r, uint64_t span_id, uint8_t flags)
{
    sonde__put_be64(r->span_id, span_id);
    r->span_id_host = span_id;
    r->trace_flags = flags;
}

static inline void sonde__ctx_record_hide(sonde_thread_ctx *r) /* no active span */
{
    sonde__ctx_record_begin(r);
    r->span_id_host = 0;
    sonde__ctx_record_end(r, 0);
}

#endif /* SONDE_LIBTRACE_CTX_RECORD_H */
