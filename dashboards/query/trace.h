/* dashboards/query/trace.h - one whole trace.
 *
 * Threads   none: a trace_view belongs to whoever asked.
 * Bounds    TRACE_SPANS_MAX spans from TRACE_FRAMES_MAX frames; beyond them `truncated`.
 */
#ifndef SONDE_DASHBOARDS_QUERY_TRACE_H
#define SONDE_DASHBOARDS_QUERY_TRACE_H

#include "dashboards/store/store.h"

#define TRACE_SPANS_MAX    20000u
#define TRACE_FRAMES_MAX   64u
#define TRACE_SERVICES_MAX 64u

/* A span and the frame its text and attributes are in. */
typedef struct found_span {
    const frame_view *frame;
    const model_span *span;
} found_span;

typedef struct trace_view {
    uint64_t trace_hi;
    uint64_t trace_lo;
    int64_t start_unix_ns;
    int64_t end_unix_ns;
    bool truncated;
    found_span *spans; /* in order of start */
    size_t spans_len;
    sonde_str services[TRACE_SERVICES_MAX]; /* in order of first span */
    size_t services_len;
    frame_view *frames; /* own the text */
    size_t frames_len;
} trace_view;

/* trace_hi 0 matches any high half.  SONDE_ERR_NOT_FOUND.  A damaged frame is passed over. */
SONDE_MUST_USE sonde_status trace_read(store_reader *r, uint64_t trace_hi, uint64_t trace_lo,
                                       trace_view *out);
void trace_view_done(trace_view *t);

/* 32 or 16 hex digits, or the low half in decimal. */
SONDE_MUST_USE sonde_status trace_parse_id(sonde_str text, uint64_t *out_hi, uint64_t *out_lo);

#endif /* SONDE_DASHBOARDS_QUERY_TRACE_H */
