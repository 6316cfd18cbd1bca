/* agent/ops/series.h - the agent's own metrics, datadog.trace_agent.*, from the status document.
 *
 * One table (series.c) says which number of which room is which metric; a row may gather several numbers, which
 * are added, as are those of rows with one name and tags.  What is told apart by tracer is in source_series.h.
 *
 * Threads   none: a set belongs to its owner.
 * Bounds    SERIES_MAX metrics.
 * Source    docs/spec/agent-metrics.md
 */
#ifndef SONDE_AGENT_OPS_SERIES_H
#define SONDE_AGENT_OPS_SERIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define SERIES_MAX    128
#define SERIES_PREFIX "datadog.trace_agent."

typedef enum series_kind {
    SERIES_COUNT,
    SERIES_GAUGE,
    SERIES_FILL, /* a gauge of 0 to 1: of several numbers the largest */
} series_kind;

typedef struct series_row {
    const char *path; /* in the status document; '*' stands for one part of it */
    const char *name; /* behind SERIES_PREFIX */
    series_kind kind;
    const char *tags;  /* "sampler:priority"; "" none */
    bool when_changed; /* sent only when it is not zero, unless everything is asked for */
} series_row;

extern const series_row series_rows[];
extern const size_t series_rows_len;

typedef struct series {
    const series_row *row;
    double value; /* counts: since the start */
} series;

typedef struct series_set {
    series items[SERIES_MAX]; /* in the order of the table */
    size_t len;
} series_set;

/* Fills the set anew. */
SONDE_MUST_USE sonde_status series_fill(series_set *s, sonde_str status_json);

/* Sum of all series of that name whose tags contain `tag` ("" all). */
double series_sum(const series_set *s, const char *name, const char *tag);

/* Lines of DogStatsD: counts by how much they grew since `before`, gauges as they are.  `before` may be an
 * empty set.  Lines are handed to `line` one by one, with their line feed. */
void series_to_statsd(const series_set *before, const series_set *now, bool everything,
                      void (*line)(void *user, sonde_str text), void *user);

/* The same in the text form of OpenMetrics, without the final "# EOF". */
void series_to_openmetrics(const series_set *now, sonde_buf *out);

/* Pieces of that form: a family's type, and one sample; `tags` "a:b,c:d" become labels. */
void series_put_type(sonde_buf *out, const char *name, const char *type);
void series_put_sample(sonde_buf *out, const char *name, const char *suffix, sonde_str tags,
                       double value);

#endif /* SONDE_AGENT_OPS_SERIES_H */
