/* dashboards/api/profile_views.h - what is shown of merged profiles: one function a path below
 * /api/sonde/v1/profiles, and what several of them write.
 *
 * Threads   the handler's.
 * Source    docs/spec/sonde-api.md, "Profiles"
 */
#ifndef SONDE_DASHBOARDS_API_PROFILE_VIEWS_H
#define SONDE_DASHBOARDS_API_PROFILE_VIEWS_H

#include "profile_request.h"

/* Each runs the request and fills the response. */
SONDE_MUST_USE sonde_status profile_answer_flamegraph(store_reader *r, profile_request *q,
                                                      http_response *response);
SONDE_MUST_USE sonde_status profile_answer_top(store_reader *r, profile_request *q,
                                               http_response *response);
SONDE_MUST_USE sonde_status profile_answer_timeline(store_reader *r, profile_request *q,
                                                    http_response *response);
SONDE_MUST_USE sonde_status profile_answer_lanes(store_reader *r, profile_request *q,
                                                 http_response *response);
SONDE_MUST_USE sonde_status profile_answer_traces(store_reader *r, profile_request *q,
                                                  http_response *response);
SONDE_MUST_USE sonde_status profile_answer_download(store_reader *r, profile_request *q,
                                                    http_response *response);

/* "types": of a list; what every answer about merged profiles begins with; "nodes" and "frames". */
void profile_put_types(sonde_json_writer *w, const sonde_pprof_type *types, size_t len);
void profile_write_about(sonde_json_writer *w, const profile_answer *x, const profile_request *q);
SONDE_MUST_USE sonde_status profile_write_tree(const flametree *f, const profile_request *q,
                                               sonde_json_writer *w);

/* Buckets of the selection's time, before the request runs; "step_s", "start" and "values" after it. */
void profile_want_timeline(const profile_request *q, profile_answer *x);
void profile_write_timeline(sonde_json_writer *w, const profile_answer *x);

/* A tree with a column for each of `types`, as a pprof message; upright: not inverted.  Labels are, as far as there was room. */
void profile_write_pprof(const flametree *f, const sonde_pprof_type *types, bool is_upright,
                         int64_t start_unix_ns, int64_t end_unix_ns, sonde_buf *out);

#endif /* SONDE_DASHBOARDS_API_PROFILE_VIEWS_H */
