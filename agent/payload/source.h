/* agent/payload/source.h - who sends payloads, and what became of them: the tracers the agent's own metrics tell
 * apart.
 *
 * A source is a set of tags as Datadog's agent puts them on its receiver.* metrics, with counters every stage adds
 * to.  Sources are found by the receiver and travel with the payload.
 *
 * Threads   sources_find() takes a mutex (rank SONDE_RANK_POOL) for one look; counters are relaxed atomics.
 *           Sources live until sources_close(); walking over them needs no lock.
 * Bounds    SOURCES_MAX, then all others share one without tags; a tag's value is cut at SOURCE_VALUE_MAX bytes.
 * Source    docs/spec/agent-metrics.md
 */
#ifndef SONDE_AGENT_PAYLOAD_SOURCE_H
#define SONDE_AGENT_PAYLOAD_SOURCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/timing.h"
#include "base/str.h"

#define SOURCES_MAX      128
#define SOURCE_VALUE_MAX 100

/* clang-format off */
/* What was repaired in a span, by Datadog's names. */
#define SOURCE_FIX_MAP(X)                                                  \
    X(DUPLICATE_SPAN_ID,       "duplicate_span_id")                        \
    X(SERVICE_EMPTY,           "service_empty")                            \
    X(SERVICE_TRUNCATE,        "service_truncate")                         \
    X(SERVICE_INVALID,         "service_invalid")                          \
    X(PEER_SERVICE_TRUNCATE,   "peer_service_truncate")                    \
    X(PEER_SERVICE_INVALID,    "peer_service_invalid")                     \
    X(BASE_SERVICE_TRUNCATE,   "base_service_truncate")                    \
    X(BASE_SERVICE_INVALID,    "base_service_invalid")                     \
    X(SPAN_NAME_EMPTY,         "span_name_empty")                          \
    X(SPAN_NAME_TRUNCATE,      "span_name_truncate")                       \
    X(SPAN_NAME_INVALID,       "span_name_invalid")                        \
    X(RESOURCE_EMPTY,          "resource_empty")                           \
    X(INVALID_DURATION,        "invalid_duration")                         \
    X(INVALID_START_DATE,      "invalid_start_date")                       \
    X(TYPE_TRUNCATE,           "type_truncate")                            \
    X(INVALID_HTTP_STATUS_CODE, "invalid_http_status_code")                \
    X(RESOURCE_TRUNCATE,       "resource_truncate")                        \
    X(META_KEY_TRUNCATE,       "meta_key_truncate")                        \
    X(META_VALUE_TRUNCATE,     "meta_value_truncate")                      \
    X(METRICS_KEY_TRUNCATE,    "metrics_key_truncate")

/* Why a trace was dropped, by Datadog's names and one of ours. */
#define SOURCE_DROP_MAP(X)                     \
    X(PAYLOAD_TOO_LARGE, "payload_too_large")  \
    X(DECODING_ERROR,    "decoding_error")     \
    X(EMPTY_TRACE,       "empty_trace")        \
    X(TRACE_ID_ZERO,     "trace_id_zero")      \
    X(SPAN_ID_ZERO,      "span_id_zero")       \
    X(FOREIGN_SPAN,      "foreign_span")       \
    X(TIMEOUT,           "timeout")            \
    X(UNEXPECTED_EOF,    "unexpected_eof")     \
    X(NO_MEMORY,         "no_memory")
/* clang-format on */

#define SOURCE_PRIORITY_MIN (-10) /* beyond: counted with the nearest */
#define SOURCE_PRIORITY_MAX 10

typedef enum source_count {
    SOURCE_TRACES_RECEIVED,
    SOURCE_BYTES,
    SOURCE_SPANS_RECEIVED,
    SOURCE_SPANS_DROPPED,
    SOURCE_PAYLOADS_ACCEPTED,
    SOURCE_PAYLOADS_REFUSED,
    SOURCE_PAYLOADS_TIMEOUT,
    SOURCE_TRACES_FILTERED,
    SOURCE_SPANS_FILTERED,
    SOURCE_EVENTS_EXTRACTED,
    SOURCE_EVENTS_SAMPLED,
    SOURCE_CLIENT_DROPPED_SPANS,
    SOURCE_CLIENT_DROPPED_TRACES,
    SOURCE_PRIORITY_NONE,
    SOURCE_PRIORITY_FIRST, /* of SOURCE_PRIORITY_MIN; the others follow */
    SOURCE_PRIORITY_LAST = SOURCE_PRIORITY_FIRST + SOURCE_PRIORITY_MAX - SOURCE_PRIORITY_MIN,
#define X(name, text) SOURCE_DROP_##name,
    SOURCE_DROP_MAP(X)
#undef X
#define X(name, text) SOURCE_FIX_##name,
        SOURCE_FIX_MAP(X)
#undef X
            SOURCE_COUNTS
} source_count;

typedef struct payload_source {
    _Atomic uint64_t counts[SOURCE_COUNTS];
    timing served[2];                     /* answers to trace requests: 1 those that were taken */
    uint64_t reported[SOURCE_COUNTS];     /* the reporter's own, as the next */
    uint64_t minute_began[SOURCE_COUNTS]; /* of the last whole minute */
    uint64_t minute_ended[SOURCE_COUNTS];
    uint32_t hash;
    uint32_t tags_len;
    char tags[]; /* "lang:go,lang_version:1.2,..."; "" of those that share one */
} payload_source;

typedef struct payload_sources payload_sources;

/* Empty values make no tag. */
typedef struct source_key {
    sonde_str lang, lang_version, lang_vendor, interpreter, tracer_version;
    sonde_str endpoint_version; /* "v0.4" */
    sonde_str connection_type;  /* "tcp", "uds" */
    sonde_str service;          /* of the first span */
} source_key;

payload_sources *sources_open(void); /* NULL: no memory */
void sources_close(payload_sources *s);

/* Never NULL. */
payload_source *sources_find(payload_sources *s, const source_key *key);

size_t sources_len(const payload_sources *s);
payload_source *sources_at(const payload_sources *s, size_t i);

/* `source` NULL: nobody counts. */
void source_add(payload_source *source, source_count what, uint64_t n);
void source_add_priority(payload_source *source, int32_t priority); /* PRIORITY_NONE: none */
uint64_t source_read(const payload_source *source, source_count what);

#endif /* SONDE_AGENT_PAYLOAD_SOURCE_H */
