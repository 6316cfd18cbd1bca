/* agent/payload/span.h - a span as it travels through the agent.
 *
 * All text is a view: into the request's body, into a static table, or into the payload's arena after a
 * stage rewrote it.  Views are valid UTF-8 once the decoder is through.
 *
 * Threads   none: a span belongs to its payload, which one thread works on at a time.
 */
#ifndef SONDE_AGENT_PAYLOAD_SPAN_H
#define SONDE_AGENT_PAYLOAD_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

typedef struct span_meta {
    sonde_str key;
    sonde_str value;
} span_meta;

typedef struct span_metric {
    sonde_str key;
    double value;
} span_metric;

typedef struct span_link {
    uint64_t trace_id;
    uint64_t trace_id_high;
    uint64_t span_id;
    sonde_str tracestate;
    uint32_t flags;
    uint32_t attributes_len;
    span_meta *attributes;
} span_link;

/* wire numbers of AttributeAnyValue */
typedef enum span_any_type {
    SPAN_ANY_STRING = 0,
    SPAN_ANY_BOOL = 1,
    SPAN_ANY_INT = 2,
    SPAN_ANY_DOUBLE = 3,
    SPAN_ANY_ARRAY = 4,
} span_any_type;

typedef struct span_any {
    int32_t type;        /* span_any_type */
    uint32_t values_len; /* of an array; its elements are not arrays */
    sonde_str str;
    int64_t integer; /* BOOL 0 or 1, INT */
    double number;
    struct span_any *values;
} span_any;

typedef struct span_event_attr {
    sonde_str key;
    span_any value;
} span_event_attr;

typedef struct span_event {
    uint64_t time_unix_nano;
    sonde_str name;
    span_event_attr *attributes;
    uint32_t attributes_len;
} span_event;

typedef struct payload_span {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    uint64_t trace_id; /* low half; the high half is meta _dd.p.tid of the chunk's first span */
    uint64_t span_id;
    uint64_t parent_id;
    int64_t start;    /* unix ns */
    int64_t duration; /* ns */
    int32_t error;
    uint32_t meta_len;
    uint32_t meta_cap;
    uint32_t metrics_len;
    uint32_t metrics_cap;
    uint32_t meta_struct_len; /* value: msgpack bytes, not text */
    uint32_t links_len;
    uint32_t events_len;
    span_meta *meta; /* in wire order; a key appears once */
    span_metric *metrics;
    span_meta *meta_struct;
    span_link *links;
    span_event *events;
} payload_span;

/* The value of a key, or NULL. Linear: spans have a dozen tags. */
sonde_str *span_meta_get(const payload_span *s, sonde_str key);
double *span_metric_get(const payload_span *s, sonde_str key);

/* Adds or replaces; key and value must outlive the payload (static text or its arena). */
SONDE_MUST_USE sonde_status span_meta_set(payload_span *s, sonde_arena *arena, sonde_str key,
                                          sonde_str value);
SONDE_MUST_USE sonde_status span_metric_set(payload_span *s, sonde_arena *arena, sonde_str key,
                                            double value);
void span_meta_remove(payload_span *s, sonde_str key);
void span_metric_remove(payload_span *s, sonde_str key);

/* Metric _top_level or _dd.top_level equals 1. */
bool span_is_top_level(const payload_span *s);
bool span_is_measured(const payload_span *s);

#endif /* SONDE_AGENT_PAYLOAD_SPAN_H */
