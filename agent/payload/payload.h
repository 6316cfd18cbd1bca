/* agent/payload/payload.h - what travels from receiver to writer: one request's chunks, or its statistics.
 *
 * A payload owns the request's body and an arena; everything inside points into the two.  It is handed
 * on whole from stage to stage and freed by whoever holds it last.  The writer encodes kept chunks into
 * its own buffer, so a payload never waits for the network.
 *
 * Threads   none: one owner at a time.
 * Bounds    the arena: PAYLOAD_ARENA_FACTOR times the body (limits.h).
 */
#ifndef SONDE_AGENT_PAYLOAD_PAYLOAD_H
#define SONDE_AGENT_PAYLOAD_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/span.h"
#include "agent/payload/stats.h"
#include "base/arena.h"
#include "base/str.h"

#define PRIORITY_NONE (-128) /* the tracer gave none */

typedef struct payload_chunk {
    payload_span *spans;
    uint32_t spans_len;
    uint32_t root;      /* index of the trace root, set by the processor */
    int32_t priority;   /* -1, 0, 1, 2 or PRIORITY_NONE */
    bool dropped_trace; /* sent for its single spans or events only */
    sonde_str origin;
    span_meta *tags; /* chunk tags (_dd.p.dm, ...) */
    uint32_t tags_len;
    uint32_t tags_cap;
} payload_chunk;

typedef struct payload {
    sonde_arena arena;
    void (*release_body)(struct payload *p); /* gives the body back; NULL: none */
    void *body_owner;                        /* for release_body */
    sonde_str body;
    size_t charged_bytes; /* what this payload counts for in queues: body + arena estimate */

    payload_chunk *chunks;
    uint32_t chunks_len;
    client_stats *stats; /* of /v0.6/stats, which carries no chunks; else NULL */

    /* from headers (v0.1-v0.5) or body (v0.7, v1.0) */
    sonde_str container_id;
    sonde_str language_name;
    sonde_str language_version;
    sonde_str tracer_version;
    sonde_str runtime_id;
    sonde_str env;
    sonde_str hostname;
    sonde_str app_version;
    span_meta *tags;
    uint32_t tags_len;
    uint32_t tags_cap;

    /* who sent it (agent/payload/source.h), for the counters; may be NULL */
    struct payload_source *source;
    const char *endpoint_version; /* "v0.4", static */
    bool is_cut; /* the body goes on where it was too large: what is whole counts */
    bool client_computed_top_level;
    bool client_computed_stats;
    int64_t client_dropped_p0_traces;
    int64_t client_dropped_p0_spans;
} payload;

payload *payload_new(size_t max_arena_bytes); /* NULL: out of memory */
void payload_free(payload *p);                /* NULL does nothing; gives the body back */

SONDE_MUST_USE sonde_status payload_tag_set(payload *p, sonde_str key, sonde_str value);
sonde_str *payload_tag_get(const payload *p, sonde_str key); /* NULL: absent */

/* The value of "name:" among the tags of the payload's container (_dd.tags.container); empty: none. */
sonde_str payload_container_tag(const payload *p, sonde_str name);
SONDE_MUST_USE sonde_status chunk_tag_set(payload_chunk *c, sonde_arena *arena, sonde_str key,
                                          sonde_str value);

#endif /* SONDE_AGENT_PAYLOAD_PAYLOAD_H */
