/* dashboards/query/services.h - tables and series from the statistics, never from spans.
 *
 * Hits of a service are its top-level hits, its latency that of the groups with any: what came in
 * through its door.  Resources and facets see every group.
 *
 * Threads   none: a view belongs to whoever asked.
 * Bounds    ENTRIES_MAX services or resources (`truncated`), SERVICE_ENVS_MAX names of environments,
 *           SERIES_POINTS_MAX points, FACET_VALUES_MAX values a facet, STATS_VIEW_MAX_BYTES text.
 */
#ifndef SONDE_DASHBOARDS_QUERY_SERVICES_H
#define SONDE_DASHBOARDS_QUERY_SERVICES_H

#include "base/table.h"
#include "dashboards/store/store.h"

#define STATS_ENTRIES_MAX    5000u
#define SERVICE_ENVS_MAX     16u
#define SPARK_POINTS_MAX     60u
#define SERIES_POINTS_MAX    2000u
#define FACET_VALUES_MAX     1000u
#define STATS_VIEW_MAX_BYTES (32u * 1024 * 1024)

typedef struct stats_range {
    int64_t from_s;
    int64_t to_s; /* buckets that start before it */
    int64_t now_s;
    sonde_str service; /* empty: all */
    sonde_str env;     /* empty: all */
} stats_range;

typedef struct stats_sum {
    uint64_t hits;
    uint64_t errors;
    uint64_t top_hits;
    uint64_t duration_ns;
    sonde_sketch latency; /* with and without error */
} stats_sum;

typedef struct latency {
    double avg, p50, p75, p95, p99, max; /* nanoseconds */
} latency;

latency stats_latency(const stats_sum *s); /* zeros for no hits */

/* A service, or a resource of one. */
typedef struct stats_entry {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str kind;
    uint64_t type_hits; /* of the group `type` was taken from */
    sonde_str envs[SERVICE_ENVS_MAX];
    size_t envs_len;
    stats_sum sum;
    uint64_t spark_hits[SPARK_POINTS_MAX];
    uint64_t spark_errors[SPARK_POINTS_MAX];
} stats_entry;

typedef struct stats_view {
    sonde_arena arena;
    sonde_table table;
    stats_entry **entries; /* most hits first */
    size_t len;
    bool truncated;
    uint32_t spark_step_s; /* services only */
    int64_t spark_start_s;
    size_t spark_len;
} stats_view;

SONDE_MUST_USE sonde_status services_read(store_reader *r, const stats_range *range,
                                          stats_view *out);
SONDE_MUST_USE sonde_status resources_read(store_reader *r, const stats_range *range,
                                           stats_view *out);
void stats_view_done(stats_view *v);

typedef struct series_view {
    uint32_t step_s;
    int64_t start_s;
    stats_sum *points;
    size_t len;
} series_view;

/* step_s 0 chooses one for about 200 points; one that is not available is raised. */
SONDE_MUST_USE sonde_status series_read(store_reader *r, const stats_range *range, uint64_t step_s,
                                        series_view *out);
void series_view_done(series_view *v);

typedef enum facet {
    FACET_ENV,
    FACET_SERVICE,
    FACET_OPERATION,
    FACET_TYPE,
    FACET_HOST,
    FACETS
} facet;

typedef struct facets_view {
    sonde_table values[FACETS]; /* keys are the values */
} facets_view;

SONDE_MUST_USE sonde_status facets_read(store_reader *r, const stats_range *range,
                                        facets_view *out);
void facets_view_done(facets_view *v);

#endif /* SONDE_DASHBOARDS_QUERY_SERVICES_H */
