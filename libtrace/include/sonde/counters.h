/* sonde/counters.h - what became of the spans.
 *
 * At any time, and exactly once the threads pause:
 *
 *   spans_started  == spans_open + spans_finished
 *   spans_finished == spans_delivered + sum of spans_dropped[] + spans_queued
 *   chunks_queued_total == chunks_delivered + sum of chunks_dropped[] + chunks_queued
 *
 * Counters start at 0 with the process and in a forked child; they survive sonde_stop().
 *
 * Threads   all.  Cost: a walk over the threads that ever traced.
 */
#ifndef SONDE_COUNTERS_H
#define SONDE_COUNTERS_H

#include <stdint.h>

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a span was lost after the program asked for it. */
/* clang-format off */
#define SONDE_DROP_MAP(X)                                                                     \
    X(NO_MEMORY,         "no_memory")         /* memory_bytes reached, at start or later */   \
    X(TRACE_TOO_BIG,     "trace_too_big")     /* more than 100 000 spans of one trace held */ \
    X(PAYLOAD_TOO_BIG,   "payload_too_big")   /* one chunk above the request limit */         \
    X(AGENT_UNREACHABLE, "agent_unreachable") /* no connection or no answer, after retries */ \
    X(AGENT_BUSY,        "agent_busy")        /* 408, 429 or 5xx, after retries */            \
    X(AGENT_REFUSED,     "agent_refused")     /* another 3xx or 4xx */                        \
    X(STOPPED,           "stopped")           /* finished after, or not sent before, the stop */ \
    X(NOT_SAMPLED,       "not_sampled")       /* in the statistics computed here, and not to be sent */ \
    X(FILTERED,          "filtered")          /* the agent's filters say so; in no statistics */
/* clang-format on */

enum sonde_drop {
#define X(name, text) SONDE_DROP_##name,
    SONDE_DROP_MAP(X)
#undef X
        SONDE_DROPS
};

#define SONDE_DROPS_ROOM 16 /* array size, so that reasons can be added */

typedef struct sonde_counters {
    uint32_t struct_bytes; /* set by the caller: sizeof(sonde_counters) */
    uint32_t drops;        /* set by the library: reasons it knows */

    uint64_t spans_started;
    uint64_t spans_open;
    uint64_t spans_finished;
    uint64_t spans_queued; /* finished, not yet delivered or dropped */
    uint64_t spans_delivered;
    uint64_t spans_dropped[SONDE_DROPS_ROOM]; /* by enum sonde_drop */

    uint64_t chunks_queued_total;
    uint64_t chunks_queued;
    uint64_t chunks_delivered;
    uint64_t chunks_dropped[SONDE_DROPS_ROOM];

    uint64_t payloads_sent;   /* answered 2xx */
    uint64_t payloads_failed; /* dropped after retries */
    uint64_t payload_bytes;   /* of those sent */
    uint64_t send_retries;

    uint64_t tags_truncated;
    uint64_t tags_dropped;     /* not finite, no memory, or beyond 1 024 on a span */
    uint64_t services_refused; /* beyond 1 024 names: the tracer's service was used */
    uint64_t activations_refused;
    uint64_t contexts_refused; /* no memory */
    uint64_t threads_refused;  /* no room for another thread: its spans are dropped */
    uint64_t ctx_records_full; /* threads without a context record */
    uint64_t ctx_foreign_publisher;

    uint64_t memory_bytes; /* held now, of the ceiling below */
    uint64_t memory_max_bytes;

    uint64_t links_dropped; /* beyond 1 024 of a span with its tags, too long, or no memory */
    uint64_t events_dropped;
    uint64_t baggage_dropped; /* items beyond a limit, or no memory; a malformed header is one */

    /* stats_spans == stats_spans_delivered + stats_spans_lost + those of statistics not sent yet */
    uint64_t stats_spans;           /* counted in statistics computed here */
    uint64_t stats_spans_delivered; /* in payloads the agent took */
    uint64_t stats_spans_lost;      /* no memory, or the agent did not take the payload */
    uint64_t stats_spans_collapsed; /* counted under "tracer_blocked_value": too many keys */
    uint64_t stats_payloads_sent;
    uint64_t stats_payloads_failed;
    uint64_t tail_kept;          /* SONDE_TAIL_KEEP: traces kept */
    uint64_t tail_refused;       /* beyond SONDE_TAIL_KEEP_PER_SECOND */
    uint64_t tail_evicted;       /* resources forgotten for others */
    uint64_t telemetry_sent;     /* requests the agent took */
    uint64_t telemetry_failed;   /* those it did not take, or that never left */
    uint64_t telemetry_dropped;  /* things to tell for which there was no room until the next one */
    uint64_t blackbox_no_place;  /* spans open beyond the places of their thread, SONDE_BLACKBOX */
    uint64_t blackbox_no_area;   /* threads beyond the areas of the black box */
    uint64_t otel_ctx_failed;    /* the process context could not be published */
    uint64_t telemetry_left_out; /* sizes and times beyond a sample of 256 */
    uint64_t spans_abandoned;    /* logged: open too long, DD_TRACE_DEBUG_ABANDONED_SPANS */
    uint64_t remote_updates;     /* answers that brought, changed or took back configurations */
    uint64_t remote_rejected; /* whole updates, and single configurations that say nothing usable */
    uint64_t flares_sent;
    /* not taken after three attempts, refused, or beyond the four that wait */
    uint64_t flares_failed;
} sonde_counters;

/* Fills `out` up to out->struct_bytes; a struct_bytes of 0 counts as the size in this header. */
SONDE_API void sonde_counters_read(sonde_counters *out);

/* "no_memory" for SONDE_DROP_NO_MEMORY; "unknown" for an unknown number.  Static storage. */
SONDE_API const char *sonde_drop_name(uint32_t drop);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_COUNTERS_H */
