/* dashboards/api/profile_request.h - what a request about profiles asks for, read from its parameters.
 *
 * Threads   the handler's.
 * Bounds    PROFILE_IDS_MAX spans and as many local roots.
 * Source    docs/spec/sonde-api.md, "Profiles"
 */
#ifndef SONDE_DASHBOARDS_API_PROFILE_REQUEST_H
#define SONDE_DASHBOARDS_API_PROFILE_REQUEST_H

#include "dashboards/query/profiles.h"
#include "internal.h"

#define PROFILE_IDS_MAX 256

typedef struct profile_request {
    profile_selection selection, base;
    bool has_base;
    sonde_str type; /* empty: the default */
    flametree_filter filter;
    uint64_t spans[PROFILE_IDS_MAX], roots[PROFILE_IDS_MAX];
    bool has_trace; /* samples whose local root is a span of it */
    uint64_t trace_hi, trace_lo;
    bool timeline;          /* with the flame graph: one merge instead of two */
    sonde_str sort, format; /* of tables; of files */
    uint64_t depth, nodes, limit;
    double min_share;
} profile_request;

/* False: an error has been answered.  done() in any case. */
bool profile_request_read(api *a, const http_request *request, http_response *response,
                          profile_request *out);
void profile_request_done(profile_request *q);

/* Lists, merges and finishes the selection in column 0 and the base in column 1; or, with all_types, each
 * type of the list in its own; or, with wants_lanes, lanes of the selection.  With a type nothing has there is nothing in the tree. */
typedef struct profile_answer {
    bool all_types;                              /* in */
    bool keeps_labels;                           /* in */
    bool wants_lanes;                            /* in */
    int64_t bucket_from_unix_ns, bucket_step_ns; /* in, with buckets_len */
    size_t buckets_len;                          /* in; 0: no buckets */
    flametree flame;
    profile_list list, base_list;
    lanes lanes;
    sonde_str type, unit;
    sonde_str beside; /* of lanes: a type in column 1; empty: none */
    bool timed_out;
    uint64_t *ids; /* private: spans of the trace */
} profile_answer;

/* profile_answer_done() also after a failure. */
SONDE_MUST_USE sonde_status profile_request_run(store_reader *r, profile_request *q,
                                                profile_answer *out);
SONDE_MUST_USE sonde_status profile_want_lanes(const profile_request *q, profile_answer *x);
void profile_answer_done(profile_answer *x);

#endif /* SONDE_DASHBOARDS_API_PROFILE_REQUEST_H */
