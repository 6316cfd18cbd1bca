/* agent/payload/sink.h - where a stage hands its result: the next stage's shape, not its name.
 *
 * The callee owns the payload on SONDE_OK; on failure the caller still does. agent/main/pipeline.c
 * connects the stages. */
#ifndef SONDE_AGENT_PAYLOAD_SINK_H
#define SONDE_AGENT_PAYLOAD_SINK_H

#include "agent/payload/payload.h"
#include "sonde/status.h"

typedef struct payload_sink {
    sonde_status (*push)(void *stage, payload *p);
    void *stage;
} payload_sink;

/* What a body carries, for counters: spans of traces, groups of statistics, rows of profiles. */
typedef enum upload_kind { UPLOAD_TRACES, UPLOAD_STATS, UPLOAD_PROFILES, UPLOAD_KINDS } upload_kind;

#define UPLOAD_HEADERS_BYTES 1024

/* What writers and profiles hand to the forwarder: one finished request body.  On SONDE_OK the callee has
 * taken `body`. */
typedef struct upload {
    int32_t kind;                       /* upload_kind */
    const char *path;                   /* "/api/v0.2/traces", static */
    const char *content_type;           /* static */
    const char *content_encoding;       /* static; "" none */
    char headers[UPLOAD_HEADERS_BYTES]; /* further "Name: value\n" lines */
    uint8_t *body;                      /* sonde_free() */
    size_t body_len;
    uint64_t items; /* spans, groups or rows inside, for the counters */
    uint64_t chunks;
} upload;

typedef struct upload_sink {
    sonde_status (*push)(void *stage, upload *u);
    void *stage;
} upload_sink;

#endif /* SONDE_AGENT_PAYLOAD_SINK_H */
