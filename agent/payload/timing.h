/* agent/payload/timing.h - how long something takes, or how large it is: how often, altogether, at most.
 *
 * Threads   timing_add() from all; the maximum is one reporter's to take.
 */
#ifndef SONDE_AGENT_PAYLOAD_TIMING_H
#define SONDE_AGENT_PAYLOAD_TIMING_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

typedef struct timing {
    _Atomic uint64_t count, total;
    _Atomic uint64_t max;                    /* since it was taken last */
    uint64_t reported_count, reported_total; /* the reporter's own */
} timing;

/* What the agent measures of itself; the number is what one of the metric is in what is added: nanoseconds, bytes. */
/* clang-format off */
#define TIMING_MAP(X)                                                                   \
    X(PROCESS_PAYLOAD,    "internal.process_payload_ms",          SONDE_NS_PER_MS)      \
    X(PROCESS_PAYLOAD_V1, "internal.process_payload_v1_ms",       SONDE_NS_PER_MS)      \
    X(STATS_PROCESS,      "receiver.stats_process_ms",            SONDE_NS_PER_MS)      \
    X(CONFIG_PROCESS,     "receiver.config_process_ms",           SONDE_NS_PER_MS)      \
    X(TRACE_ENCODE,       "trace_writer.encode_ms",               SONDE_NS_PER_MS)      \
    X(TRACE_FLUSH,        "trace_writer.flush_duration",          SONDE_NS_PER_MS)      \
    X(STATS_ENCODE,       "stats_writer.encode_ms",               SONDE_NS_PER_MS)      \
    X(STATS_FLUSH,        "stats_writer.flush_duration",          SONDE_NS_PER_MS)      \
    X(EVP,                "evp_proxy.request_duration_ms",        SONDE_NS_PER_MS)      \
    X(DEBUGGER,           "debugger.proxy_request_duration_ms",   SONDE_NS_PER_MS)      \
    X(TELEMETRY,          "telemetry_proxy.roundtrip_ms",         SONDE_NS_PER_MS)      \
    X(RATE_RESPONSE,      "receiver.rate_response_bytes",         1)
/* clang-format on */

typedef enum timing_what {
#define X(name, text, unit) TIMING_##name,
    TIMING_MAP(X)
#undef X
        TIMINGS
} timing_what;

typedef struct timings {
    timing of[TIMINGS];
} timings;

static inline void timing_add(timing *t, uint64_t amount)
{
    uint64_t max = atomic_load_explicit(&t->max, memory_order_relaxed);

    atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->total, amount, memory_order_relaxed);
    while (amount > max && !atomic_compare_exchange_weak_explicit(
                               &t->max, &max, amount, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* `all` NULL: nobody measures. */
static inline void timings_add(timings *all, timing_what what, uint64_t amount)
{
    if (all)
        timing_add(&all->of[what], amount);
}

#endif /* SONDE_AGENT_PAYLOAD_TIMING_H */
