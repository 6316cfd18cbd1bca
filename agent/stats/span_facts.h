/* agent/stats/span_facts.h - the few tags statistics read, collected in one walk over a span.
 *
 * A span has a dozen tags and statistics ask for twenty; asking one by one would cost more than all
 * the rest together.
 *
 * Threads   pure.
 * Source    docs/spec/stats-concentrator.md, "Keys".
 */
#ifndef SONDE_AGENT_STATS_SPAN_FACTS_H
#define SONDE_AGENT_STATS_SPAN_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/span.h"

/* clang-format off */
#define STAT_TAG_MAP(X)                                    \
    X(KIND,            "span.kind")                        \
    X(TOP_LEVEL,       "_top_level")                       \
    X(DD_TOP_LEVEL,    "_dd.top_level")                    \
    X(MEASURED,        "_dd.measured")                     \
    X(PARTIAL_VERSION, "_dd.partial_version")              \
    X(SVC_SRC,         "_dd.svc_src")                      \
    X(BASE_SERVICE,    "_dd.base_service")                 \
    X(HTTP_STATUS,     "http.status_code")                 \
    X(HTTP_STATUS_2,   "http.response.status_code")        \
    X(GRPC_STATUS,     "rpc.grpc.status_code")             \
    X(GRPC_STATUS_2,   "grpc.code")                        \
    X(GRPC_STATUS_3,   "rpc.grpc.status.code")             \
    X(GRPC_STATUS_4,   "grpc.status.code")                 \
    X(RPC_STATUS,      "rpc.response.status_code")         \
    X(RPC_SYSTEM_NAME, "rpc.system.name")                  \
    X(RPC_SYSTEM,      "rpc.system")
/* clang-format on */

typedef enum stat_tag {
#define X(name, text) STAT_TAG_##name,
    STAT_TAG_MAP(X)
#undef X
        STAT_TAGS
} stat_tag;

typedef struct span_facts {
    uint32_t meta_seen; /* bit per stat_tag; the fields below are set where the bit is */
    uint32_t metric_seen;
    sonde_str meta[STAT_TAGS];
    double metric[STAT_TAGS];
} span_facts;

void span_facts_collect(span_facts *f, const payload_span *s);

sonde_str facts_meta(const span_facts *f, stat_tag tag); /* empty: absent */
bool facts_is_top_level(const span_facts *f);
bool facts_is_measured(const span_facts *f);
bool facts_is_partial(const span_facts *f); /* snapshot of a span still open */

typedef enum span_kind {
    KIND_NONE,
    KIND_INTERNAL,
    KIND_SERVER,
    KIND_CLIENT,
    KIND_PRODUCER,
    KIND_CONSUMER,
    KIND_OTHER
} span_kind;

span_kind facts_kind(const span_facts *f);
uint32_t facts_http_status(const span_facts *f); /* 0: none */

#define GRPC_STATUS_SCRATCH_BYTES 24

/* The code as decimal text, empty when there is none: a view of the span, of static text or of
 * `scratch`. */
sonde_str facts_grpc_status(const span_facts *f, char scratch[GRPC_STATUS_SCRATCH_BYTES]);

#endif /* SONDE_AGENT_STATS_SPAN_FACTS_H */
