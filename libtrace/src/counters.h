/* counters.h - what libtrace counts.
 *
 * Every thread that traces counts in its own area, with plain loads and stores; threads without an area
 * and the flusher count in a shared set.  sonde_counters_read() adds them up.
 *
 * Threads   all. */
#ifndef SONDE_LIBTRACE_COUNTERS_H
#define SONDE_LIBTRACE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "sonde/counters.h"

#include "styles.h"

enum sonde__counter {
    SONDE__SPANS_STARTED,
    SONDE__SPANS_FINISHED,
    SONDE__SPANS_DELIVERED,
    SONDE__CHUNKS_QUEUED,
    SONDE__CHUNKS_DELIVERED,
    SONDE__PAYLOADS_SENT,
    SONDE__PAYLOADS_FAILED,
    SONDE__PAYLOAD_BYTES,
    SONDE__SEND_RETRIES,
    SONDE__TAGS_TRUNCATED,
    SONDE__TAGS_DROPPED,
    SONDE__LINKS_DROPPED,
    SONDE__EVENTS_DROPPED,
    SONDE__SERVICES_REFUSED,
    SONDE__ACTIVATIONS_REFUSED,
    SONDE__CONTEXTS_REFUSED,
    SONDE__THREADS_REFUSED,
    SONDE__CTX_RECORDS_FULL,
    SONDE__CTX_FOREIGN_PUBLISHER,
    SONDE__BAGGAGE_DROPPED,
    SONDE__STATS_SPANS,
    SONDE__STATS_SPANS_DELIVERED,
    SONDE__STATS_SPANS_LOST,
    SONDE__STATS_SPANS_COLLAPSED,
    SONDE__STATS_PAYLOADS_SENT,
    SONDE__STATS_PAYLOADS_FAILED,
    SONDE__TAIL_KEPT,
    SONDE__TAIL_REFUSED,
    SONDE__TAIL_EVICTED,
    SONDE__TELEMETRY_SENT,
    SONDE__TELEMETRY_FAILED,
    SONDE__TELEMETRY_DROPPED,
    SONDE__BLACKBOX_NO_PLACE,
    SONDE__BLACKBOX_NO_AREA,
    SONDE__OTEL_CTX_FAILED,
    SONDE__TELEMETRY_LEFT_OUT,
    SONDE__LOGS_ERROR, /* of our own lines */
    SONDE__LOGS_WARN,
    SONDE__SPANS_ABANDONED,
    SONDE__REMOTE_UPDATES,
    SONDE__REMOTE_REJECTED,
    SONDE__FLARES_SENT,
    SONDE__FLARES_FAILED,
    SONDE__SEGMENTS_NEW, /* when the flusher sees their first chunk */
    SONDE__SEGMENTS_CONTINUED,
    SONDE__PARTIAL_FLUSHES,
    SONDE__BAGGAGE_CUT_ITEMS, /* headers cut at a limit of items */
    SONDE__BAGGAGE_CUT_BYTES,
    SONDE__CONTEXTS_INJECTED, /* one per style, as the next */
    SONDE__CONTEXTS_EXTRACTED = SONDE__CONTEXTS_INJECTED + SONDE__STYLES,
    SONDE__CONTEXTS_MALFORMED = SONDE__CONTEXTS_EXTRACTED + SONDE__STYLES,
    SONDE__CONTEXTS_MALFORMED_LAST = SONDE__CONTEXTS_MALFORMED + SONDE__STYLES - 1,
    SONDE__SPANS_DROPPED, /* one per reason */
    SONDE__CHUNKS_DROPPED = SONDE__SPANS_DROPPED + SONDE_DROPS,
    SONDE__COUNTERS = SONDE__CHUNKS_DROPPED + SONDE_DROPS
};

typedef struct sonde__counts {
    _Atomic uint64_t n[SONDE__COUNTERS];
} sonde__counts;

void sonde__count(unsigned which, uint64_t n); /* any thread: its area, else the shared set */
void sonde__count_dropped(unsigned reason, uint64_t spans, uint64_t chunks);
void sonde__counters_sum(uint64_t out[SONDE__COUNTERS]); /* all of them, over all threads */
void sonde__counters_postfork_child(void);

/* For the one thread that owns `c`. */
static inline void sonde__count_own(sonde__counts *c, unsigned which, uint64_t n)
{
    uint64_t was = atomic_load_explicit(&c->n[which], memory_order_relaxed);

    atomic_store_explicit(&c->n[which], was + n, memory_order_relaxed);
}

#endif /* SONDE_LIBTRACE_COUNTERS_H */
