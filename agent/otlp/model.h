/* model.h - a span as OTLP says it, between the readers (protobuf, JSON) and the mapping.
 *
 * Texts are views into the body or live in the arena of the payload under construction.  The lists
 * belong to the builder and are used again for every span, so nothing here is allocated per span.
 *
 * Threads   none.  Bounds: SPAN_ENTRIES_MAX entries of each list (agent/payload/limits.h). */
#ifndef SONDE_AGENT_OTLP_MODEL_H
#define SONDE_AGENT_OTLP_MODEL_H

#include <stdint.h>

#include "base/str.h"
#include "keys.h"

typedef enum otlp_type {
    OTLP_NONE, /* a value that says nothing: the empty text */
    OTLP_STRING,
    OTLP_BOOL,
    OTLP_INT,
    OTLP_DOUBLE,
    OTLP_JSON, /* array or map, as JSON text; bytes, as a JSON string of base64 */
} otlp_type;

typedef struct otlp_value {
    int32_t type;    /* otlp_type */
    sonde_str text;  /* STRING, JSON */
    int64_t integer; /* BOOL 0 or 1, INT */
    double number;   /* DOUBLE */
} otlp_value;

typedef struct otlp_attr {
    sonde_str key;
    otlp_key known;
    otlp_value value;
} otlp_attr;

typedef struct otlp_attrs {
    otlp_attr *items; /* owned */
    uint32_t len;
    uint32_t cap;
    uint16_t known[OTLP_KEYS]; /* index + 1 of the attribute with that key */
} otlp_attrs;

/* Attributes of events and links follow each other in one list; each owner has a range of it. */
typedef struct otlp_event {
    uint64_t time_unix_nano;
    sonde_str name;
    uint32_t attrs_from;
    uint32_t attrs_len;
} otlp_event;

typedef struct otlp_link {
    uint64_t trace_id_high;
    uint64_t trace_id;
    uint64_t span_id;
    sonde_str tracestate;
    uint32_t flags;
    uint32_t attrs_from;
    uint32_t attrs_len;
} otlp_link;

typedef enum otlp_kind {
    OTLP_UNSPECIFIED,
    OTLP_INTERNAL,
    OTLP_SERVER,
    OTLP_CLIENT,
    OTLP_PRODUCER,
    OTLP_CONSUMER,
    OTLP_KIND_COUNT
} otlp_kind;

typedef enum otlp_code { OTLP_UNSET, OTLP_OK, OTLP_ERROR, OTLP_CODE_COUNT } otlp_code;

typedef struct otlp_span {
    uint64_t trace_id_high;
    uint64_t trace_id;
    uint64_t span_id;
    uint64_t parent_id;
    sonde_str tracestate;
    sonde_str name;
    uint64_t start;
    uint64_t end;
    int32_t kind; /* otlp_kind; what is beyond counts as unspecified */
    int32_t code; /* otlp_code; what is beyond counts as unset */
    sonde_str message;
    otlp_attrs attrs;
    otlp_event *events; /* owned */
    uint32_t events_len, events_cap;
    otlp_link *links; /* owned */
    uint32_t links_len, links_cap;
    otlp_attrs more; /* attributes of events and links */
} otlp_span;

typedef struct otlp_scope {
    sonde_str name;
    sonde_str version;
    otlp_attrs attrs;
} otlp_scope;

#endif /* SONDE_AGENT_OTLP_MODEL_H */
