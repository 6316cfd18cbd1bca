/* dashboards/model/span.h - a stored span, as everything above the store sees it.
 *
 * A model_span is a view: its text points into the frame_view it was decoded from and lives as long
 * as that.
 *
 * Threads   plain data.
 */
#ifndef SONDE_DASHBOARDS_MODEL_SPAN_H
#define SONDE_DASHBOARDS_MODEL_SPAN_H

#include <stdint.h>

#include "base/str.h"

typedef enum model_attr_kind {
    MODEL_ATTR_META,   /* text */
    MODEL_ATTR_METRIC, /* number */
    MODEL_ATTR_STRUCT, /* text: msgpack bytes */
    MODEL_ATTR_KINDS,
} model_attr_kind;

typedef struct model_attr {
    sonde_str key;
    sonde_str text;
    double number;
    uint8_t kind; /* model_attr_kind */
} model_attr;

/* Who sent a chunk: one tracer in one process. */
typedef struct model_source {
    sonde_str env;
    sonde_str host;
    sonde_str version; /* of the application */
    sonde_str language;
    sonde_str language_version;
    sonde_str tracer_version;
    sonde_str runtime_id;
    sonde_str container_id;
} model_source;

#define MODEL_SOURCE_FIELDS 8 /* all of them sonde_str, in this order */

typedef struct model_chunk {
    uint64_t trace_hi;
    uint64_t trace_lo;
    int32_t priority;
    sonde_str origin;
    const model_source *source; /* borrowed from the frame */
    const uint32_t *attrs;      /* tags of the chunk: indices into the frame's attributes */
    uint32_t attrs_len;
    uint32_t first_span; /* index of its first span in the frame */
    uint32_t spans_len;
} model_chunk;

typedef struct model_span {
    uint64_t span_id;
    uint64_t parent_id; /* 0: root */
    int64_t start_unix_ns;
    int64_t duration_ns;
    int32_t error;
    uint32_t attrs_len;
    const uint32_t *attrs; /* indices into the frame's attributes */
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    /* protobuf fields 14 (links) and 15 (events) of the Span message, as received */
    sonde_str extra;
    const model_chunk *chunk; /* borrowed from the frame */
} model_span;

#endif /* SONDE_DASHBOARDS_MODEL_SPAN_H */
