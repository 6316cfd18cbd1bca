/* dashboards/model/summary.h - what is known of the traces in a frame without decoding it.
 *
 * A frame_part is one trace's share of one frame.  All parts of a frame are packed together, column by
 * column, with a table of their own for text; docs/spec/store.md has the format.
 *
 * Threads   none: a view belongs to whoever holds it.
 * Bounds    as a frame's; SUMMARY_RAW_MAX_BYTES inflated.
 */
#ifndef SONDE_DASHBOARDS_MODEL_SUMMARY_H
#define SONDE_DASHBOARDS_MODEL_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define SUMMARY_SERVICES_MAX  16u
#define SUMMARY_RAW_MAX_BYTES (32u * 1024 * 1024)

typedef struct frame_part {
    uint64_t trace_hi;
    uint64_t trace_lo;
    int64_t start_unix_ns;
    int64_t end_unix_ns;
    uint32_t spans;
    uint32_t errors; /* spans with an error */
    bool has_root;   /* the fields below are those of the root span, else of the local root */
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str env;
    sonde_str http_status; /* tag http.status_code of the span above */
    sonde_str services;    /* all services in it, joined by '\n', at most SUMMARY_SERVICES_MAX */
} frame_part;

/* A part to be written: its text as indices into a table of strings. */
typedef struct summary_row {
    frame_part part; /* numbers only */
    uint32_t service, name, resource, type, env, http_status;
    uint32_t services[SUMMARY_SERVICES_MAX];
    uint32_t services_len;
} summary_row;

/* Appends the packed rows; only strings they use are kept. */
SONDE_MUST_USE sonde_status summary_write(const sonde_str *strings, size_t strings_len,
                                          const summary_row *rows, size_t rows_len, sonde_buf *out);

typedef struct summary_view {
    sonde_buf raw;
    sonde_str *strings;
    frame_part *parts; /* sorted by (trace_lo, trace_hi) */
    size_t parts_len;
} summary_view;

void summary_view_init(summary_view *v);
void summary_view_done(summary_view *v);

/* SONDE_ERR_SYNTAX for anything not made by summary_write() of this version. */
SONDE_MUST_USE sonde_status summary_view_decode(summary_view *v, sonde_str packed);

/* The part of that trace; trace_hi 0 matches any.  NULL: not in this frame. */
const frame_part *summary_view_find(const summary_view *v, uint64_t trace_hi, uint64_t trace_lo);

#endif /* SONDE_DASHBOARDS_MODEL_SUMMARY_H */
