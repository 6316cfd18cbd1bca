/* dashboards/model/frame.h - many chunks as one compressed, indexed piece of bytes, and back.
 *
 * A frame_builder takes chunks one after another; frame_builder_finish() makes a frame: the zstd
 * body, the filter (which values occur in it) and the summary (a line about every trace in it).
 * A frame_view is a decoded body.  The format is in docs/spec/store.md.
 *
 * Threads   none: builder, frame and view belong to whoever holds them.
 * Memory    text given to a builder is borrowed until finish() or reset().
 * Bounds    FRAME_SPANS_MAX and FRAME_RAW_MAX_BYTES: frame_builder_is_full() says when to finish.
 * Failure   the builder's status is sticky; finish() returns it.
 */
#ifndef SONDE_DASHBOARDS_MODEL_FRAME_H
#define SONDE_DASHBOARDS_MODEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "dashboards/model/filter.h"
#include "dashboards/model/span.h"
#include "sonde/status.h"

#define FRAME_SPANS_MAX        2048u               /* small enough to decode in a millisecond */
#define FRAME_RAW_TARGET_BYTES (2u * 1024 * 1024)  /* text in a frame before it counts as full */
#define FRAME_SPAN_MAX_BYTES   (8u * 1024 * 1024)  /* a larger span is not accepted */
#define FRAME_RAW_MAX_BYTES    (32u * 1024 * 1024) /* what a decoder will inflate */
#define FRAME_ITEMS_MAX        (1u << 20)          /* strings, attributes, references: each */

typedef struct frame_trace {
    uint64_t lo, hi;
} frame_trace;

typedef struct frame {
    uint8_t *body; /* zstd */
    size_t body_len;
    uint32_t crc; /* CRC-32C of body */
    uint8_t *filter;
    size_t filter_len;
    uint8_t *summary; /* of its traces, see summary.h */
    size_t summary_len;
    frame_trace *traces; /* sorted by (lo, hi), unique */
    size_t traces_len;
    uint32_t spans;
    uint32_t chunks;
    int64_t min_start_unix_ns;
    int64_t max_start_unix_ns;
    size_t held_bytes; /* memory of all the above */
} frame;

void frame_done(frame *f); /* empty afterwards */

/* ---- building ---- */

typedef struct frame_builder frame_builder;

typedef struct frame_span {
    uint64_t span_id;
    uint64_t parent_id;
    int64_t start_unix_ns;
    int64_t duration_ns;
    int32_t error;
    uint32_t service; /* ids of frame_builder_str() */
    uint32_t name;
    uint32_t resource;
    uint32_t type;
    sonde_str extra;
} frame_span;

typedef struct frame_chunk {
    uint64_t trace_hi;
    uint64_t trace_lo;
    int32_t priority;
    sonde_str origin;
} frame_chunk;

frame_builder *frame_builder_new(void); /* NULL: no memory */
void frame_builder_free(frame_builder *b);
void frame_builder_reset(frame_builder *b);
bool frame_builder_is_full(const frame_builder *b);
uint32_t frame_builder_spans(const frame_builder *b);
sonde_status frame_builder_status(const frame_builder *b);

void frame_builder_source(frame_builder *b,
                          const model_source *source); /* of the chunks that follow */
uint32_t frame_builder_str(frame_builder *b, sonde_str s);

/* Adds a reference to the attribute written as `raw` by the sender to the span or chunk in hand.
 * `false` when these bytes were not seen in this frame yet: decode them and call
 * frame_builder_new_attr(), which remembers `raw`. */
bool frame_builder_known_attr(frame_builder *b, model_attr_kind kind, sonde_str raw);
void frame_builder_new_attr(frame_builder *b, sonde_str raw, const model_attr *attr);

/* Ends the span whose attributes were just added. */
void frame_builder_end_span(frame_builder *b, const frame_span *span);

/* Ends the chunk of the spans added since the last chunk; attributes added since the last span are
 * the chunk's own.  Without spans it does nothing. */
void frame_builder_end_chunk(frame_builder *b, const frame_chunk *chunk);

/* Makes the frame and empties the builder, also on failure. */
SONDE_MUST_USE sonde_status frame_builder_finish(frame_builder *b, frame *out);

/* ---- reading ---- */

typedef struct frame_view {
    sonde_buf raw; /* inflated */
    sonde_str *strings;
    size_t strings_len;
    model_attr *attrs;
    size_t attrs_len;
    model_source *sources;
    size_t sources_len;
    model_chunk *chunks;
    size_t chunks_len;
    model_span *spans;
    size_t spans_len;
    uint32_t *refs; /* what chunks' and spans' attrs point into */
    size_t refs_len;
} frame_view;

void frame_view_init(frame_view *v);
void frame_view_done(frame_view *v);

/* Decodes `body`; what the view held before is released.  SONDE_ERR_SYNTAX for anything not made by a
 * builder of this version. */
SONDE_MUST_USE sonde_status frame_view_decode(frame_view *v, sonde_str body);

/* The first attribute of `span` with that key; NULL: it has none. */
const model_attr *frame_view_attr(const frame_view *v, const model_span *span, sonde_str key);

#endif /* SONDE_DASHBOARDS_MODEL_FRAME_H */
