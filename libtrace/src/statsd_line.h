/* statsd_line.h - one metric, event or service check as a line of DogStatsD.
 *
 * A function that puts a line returns the place behind its line feed, NULL when it does not fit into
 * [to, end): nothing counts as written then.  What would end a field or the line is replaced.
 *
 * Threads   pure.
 * Source    docs/spec/statsd.md, "Lines" */
#ifndef SONDE_LIBTRACE_STATSD_LINE_H
#define SONDE_LIBTRACE_STATSD_LINE_H

#include <stdint.h>

#include "base/str.h"
#include "sonde/statsd.h"

enum sonde__cardinality {
    SONDE__CARDINALITY_UNSET, /* not a choice of DD_CARDINALITY; the others in its order */
    SONDE__CARDINALITY_NONE,
    SONDE__CARDINALITY_LOW,
    SONDE__CARDINALITY_ORCHESTRATOR,
    SONDE__CARDINALITY_HIGH,
    SONDE__CARDINALITIES
};

#define SONDE__CARDINALITY_CHOICES "none,low,orchestrator,high"

/* SONDE__CARDINALITY_UNSET for NULL and unknown words. */
uint32_t sonde__cardinality_parse(const char *word);

/* What all lines of a client share. */
typedef struct sonde__statsd_shared {
    sonde_str prefix;
    sonde_str tags;
    sonde_str local_data;    /* "ci-...", "in-..." */
    sonde_str external_data; /* DD_EXTERNAL_ENV */
    uint32_t cardinality;
} sonde__statsd_shared;

typedef struct sonde__statsd_line {
    int32_t type; /* sonde_statsd_type, valid */
    uint32_t cardinality;
    sonde_str name; /* not empty */
    sonde_str tags;
    sonde_str member; /* of a set, not empty */
    const double *values;
    size_t values_len;
    double rate;    /* 1: none on the line */
    int64_t unix_s; /* 0: none */
} sonde__statsd_line;

/* Puts as many values as fit, one at least, from number *io_at on, and moves it. */
char *sonde__statsd_put_metric(const sonde__statsd_shared *shared, const sonde__statsd_line *line,
                               size_t *io_at, char *to, const char *end);
char *sonde__statsd_put_event(const sonde__statsd_shared *shared, const sonde_statsd_event *event,
                              char *to, const char *end);
char *sonde__statsd_put_check(const sonde__statsd_shared *shared, const sonde_statsd_check *check,
                              char *to, const char *end);

#endif /* SONDE_LIBTRACE_STATSD_LINE_H */
