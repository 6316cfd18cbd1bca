/* agent/payload/stats.h - statistics: from a tracer into the agent, and from the concentrators to the writer.
 *
 * Field for field what travels on the wire (docs/spec/stats-concentrator.md, "Output").
 *
 * Threads   none.
 * Memory    what a sink gets is borrowed from who pushes: it reads during the call and keeps nothing.  What a
 *           tracer sent lives in its payload.
 */
#ifndef SONDE_AGENT_PAYLOAD_STATS_H
#define SONDE_AGENT_PAYLOAD_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"
#include "sonde/str.h"

typedef enum stats_trace_root {
    STATS_ROOT_UNSET = 0,
    STATS_ROOT_TRUE = 1,
    STATS_ROOT_FALSE = 2
} stats_trace_root;

typedef struct stats_group { /* ClientGroupedStats */
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str db_type; /* of a tracer's only; not carried on */
    sonde_str span_kind;
    sonde_str grpc_status_code;
    sonde_str http_method;
    sonde_str http_endpoint;
    sonde_str service_source;
    uint32_t http_status_code;
    int32_t is_trace_root; /* stats_trace_root */
    bool synthetics;
    uint64_t hits;
    uint64_t errors;
    uint64_t top_level_hits;
    uint64_t duration_ns; /* sum */
    sonde_str ok_summary; /* DDSketch protobuf */
    sonde_str error_summary;
    sonde_str *peer_tags;   /* "key:value", sorted */
    sonde_str *metric_tags; /* the same: AdditionalMetricTags, tracers only */
    uint32_t peer_tags_len;
    uint32_t metric_tags_len;
} stats_group;

typedef struct stats_bucket { /* ClientStatsBucket */
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    stats_group *groups;
    uint32_t groups_len;
} stats_bucket;

typedef struct client_stats { /* ClientStatsPayload */
    sonde_str hostname;
    sonde_str env;
    sonde_str version;
    sonde_str lang;
    sonde_str service; /* base service */
    sonde_str container_id;
    sonde_str git_commit_sha;
    sonde_str image_tag;
    sonde_str process_tags;
    uint64_t process_tags_hash;
    stats_bucket *buckets;
    uint32_t buckets_len;
    bool obfuscated; /* the tracer did that to its resources (Datadog-Obfuscation-Version) */
} client_stats;

typedef struct stats_payload {
    const client_stats *stats;
    uint32_t stats_len;
    bool client_computed;
} stats_payload;

typedef struct stats_sink {
    sonde_status (*push)(void *stage, const stats_payload *s);
    void *stage;
} stats_sink;

#endif /* SONDE_AGENT_PAYLOAD_STATS_H */
