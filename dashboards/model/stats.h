/* dashboards/model/stats.h - one group of statistics, and sketches packed for storage.
 *
 * Threads   plain data and pure functions.
 * Memory    text in a stats_row is borrowed; who makes rows says from where.
 */
#ifndef SONDE_DASHBOARDS_MODEL_STATS_H
#define SONDE_DASHBOARDS_MODEL_STATS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/sketch.h"
#include "sonde/status.h"

#define STATS_STEP_S 10u /* bucket width of the agents */

typedef struct stats_row {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str kind;
    sonde_str env;
    sonde_str host;
    uint32_t http_status;
    int64_t bucket_s; /* start, Unix seconds, a multiple of its step */
    uint64_t hits;
    uint64_t errors;
    uint64_t top_hits; /* hits of top-level spans */
    uint64_t duration_ns;
    sonde_str ok_sketch;  /* packed latencies of hits without an error; empty: none */
    sonde_str err_sketch; /* ... with one */
} stats_row;

/* Appends the sketch: nothing for an empty one, else a few bytes a used bin (docs/spec/store.md). */
void stats_sketch_pack(const sonde_sketch *s, sonde_buf *out);

/* Makes `out` (initialised, content thrown away) the packed sketch.  SONDE_ERR_SYNTAX, NOMEM. */
SONDE_MUST_USE sonde_status stats_sketch_unpack(sonde_str packed, sonde_sketch *out);

/* Adds a packed sketch to `into`; `scratch` is any initialised sketch, its content is lost. */
SONDE_MUST_USE sonde_status stats_sketch_merge(sonde_sketch *into, sonde_str packed,
                                               sonde_sketch *scratch);

#endif /* SONDE_DASHBOARDS_MODEL_STATS_H */
