/* dashboards/query/spans.h - spans that match a search, in order of start, page by page.
 *
 * Frames are decoded from the end the order asks for, those the filters exclude are skipped, and
 * decoding stops when no frame left can hold a span that belongs on the page.
 *
 * Threads   none.  Bounds: SPANS_LIMIT_MAX a page, the deadline (`timed_out`: the page is what was
 *           found until then).
 */
#ifndef SONDE_DASHBOARDS_QUERY_SPANS_H
#define SONDE_DASHBOARDS_QUERY_SPANS_H

#include "dashboards/query/frame_cache.h"
#include "dashboards/query/search.h"
#include "dashboards/query/trace.h"

#define SPANS_LIMIT_MAX    1000u
#define SPANS_CURSOR_BYTES 33 /* hex of both halves, NUL */

typedef enum spans_order { SPANS_LATEST_FIRST, SPANS_EARLIEST_FIRST } spans_order;

typedef struct spans_request {
    const search *search;
    int64_t from_unix_ns; /* both included */
    int64_t to_unix_ns;
    spans_order order;
    size_t limit;
    sonde_str cursor; /* of the page before; empty: the first */
    uint64_t deadline_mono_ns;
} spans_request;

typedef struct span_place {
    int64_t start_unix_ns;
    uint64_t span_id;
    int32_t day;
    int64_t frame;
    uint32_t index; /* in the frame */
} span_place;

typedef struct spans_page {
    span_place *places; /* in order */
    size_t len;
    char next[SPANS_CURSOR_BYTES]; /* "": no more */
    bool timed_out;
    uint64_t frames_decoded;
} spans_page;

/* SONDE_ERR_INVALID: the cursor is not one. */
SONDE_MUST_USE sonde_status spans_find(store_reader *r, const spans_request *request,
                                       spans_page *out);
void spans_page_done(spans_page *p);

#endif /* SONDE_DASHBOARDS_QUERY_SPANS_H */
