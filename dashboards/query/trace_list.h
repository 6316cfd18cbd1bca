/* dashboards/query/trace_list.h - traces with a span that matches a search, one row a trace.
 *
 * Rows come from the summaries the store keeps of every part of a trace; frames are decoded only where
 * a summary cannot say whether one of its spans matches.
 *
 * Threads   none.
 * Bounds    TRACES_LIMIT_MAX rows, the deadline (`timed_out`), TRACE_PARTS_MAX parts a trace.
 */
#ifndef SONDE_DASHBOARDS_QUERY_TRACE_LIST_H
#define SONDE_DASHBOARDS_QUERY_TRACE_LIST_H

#include "dashboards/query/search.h"
#include "dashboards/store/store.h"

#define TRACES_LIMIT_MAX    200u
#define TRACE_PARTS_MAX     4096u
#define TRACES_CURSOR_BYTES 49 /* hex of the key and the id, NUL */

typedef enum traces_order {
    TRACES_LATEST_FIRST,
    TRACES_EARLIEST_FIRST,
    TRACES_LONGEST_FIRST,
    TRACES_SHORTEST_FIRST,
} traces_order;

typedef struct traces_request {
    const search *search;
    sonde_str env;        /* empty: all */
    int64_t from_unix_ns; /* of the start of a part; both included */
    int64_t to_unix_ns;
    traces_order order;
    size_t limit;
    sonde_str cursor;
    uint64_t deadline_mono_ns;
} traces_request;

/* A trace as one row; `part` is the sum of its parts, with the text of the root's. */
typedef struct trace_row {
    frame_part part;
    int64_t key; /* what the order goes by */
} trace_row;

typedef struct traces_page {
    sonde_arena text;
    trace_row *rows;
    size_t len;
    char next[TRACES_CURSOR_BYTES]; /* "": no more */
    bool timed_out;
} traces_page;

/* SONDE_ERR_INVALID: the cursor is not one. */
SONDE_MUST_USE sonde_status traces_find(store_reader *r, const traces_request *request,
                                        traces_page *out);
void traces_page_done(traces_page *p);

#endif /* SONDE_DASHBOARDS_QUERY_TRACE_LIST_H */
