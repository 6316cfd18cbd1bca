/* telemetry_metrics.h - counts and sizes of the library's own work, as telemetry tells them.
 *
 * Counts are the differences of what is counted anyway (counters.h), taken every ten seconds and when they
 * are told.  Sizes and times are noted where the background thread works; of many a fair sample is kept.
 *
 * Threads   the flusher's, but for sonde__telemetry_metrics_open().
 * Bounds    SONDE__TELEMETRY_SLOTS of ten seconds: the oldest makes room (telemetry_dropped);
 *           SONDE__TELEMETRY_VALUES of each kind (telemetry_left_out);
 *           SONDE__TELEMETRY_STATUSES of an API, others count as the last.
 * Source    docs/spec/telemetry.md, "Metrics" */
#ifndef SONDE_LIBTRACE_TELEMETRY_METRICS_H
#define SONDE_LIBTRACE_TELEMETRY_METRICS_H

#include "telemetry_request.h"

#define SONDE__TELEMETRY_SLOT_S   10
#define SONDE__TELEMETRY_SLOTS    36
#define SONDE__TELEMETRY_VALUES   256
#define SONDE__TELEMETRY_STATUSES 8

/* Kinds of values.  Those of an API: its first, plus SONDE__VALUE_BYTES or _MS. */
typedef enum sonde__value_kind {
    SONDE__VALUE_CHUNK_SPANS,
    SONDE__VALUE_CHUNK_BYTES,
    SONDE__VALUE_CHUNK_MS,
    SONDE__VALUE_API,
    SONDE__VALUE_INIT_MS = SONDE__VALUE_API + 6,
    SONDE__VALUE_KINDS
} sonde__value_kind;

typedef enum sonde__call {
    SONDE__CALL_TRACE,
    SONDE__CALL_STATS,
    SONDE__CALL_TELEMETRY,
    SONDE__CALLS
} sonde__call;

/* A life begins: what was counted before is not told.  `init_ns`: how long that took. */
void sonde__telemetry_metrics_open(const sonde__config *c, uint64_t init_ns);
void sonde__telemetry_metrics_forget(void);

/* -- noted ---------------------------------------------------------------------------------------- */

bool sonde__telemetry_measures(void); /* false: nobody wants what follows */
void sonde__telemetry_note(sonde__value_kind kind, double value);

/* A request, and what came of it.  `http_status` counts when `status` is SONDE_OK. */
void sonde__telemetry_note_request(sonde__call api, sonde_status status, int http_status,
                                   size_t bytes, uint64_t duration_ns);

/* -- told ----------------------------------------------------------------------------------------- */

/* Puts what was counted since the last sample into the slot of that one: to be called soon after each slot's
 * end (a multiple of SONDE__TELEMETRY_SLOT_S). */
void sonde__telemetry_metrics_sample(int64_t now_unix_ns);

/* The events, if there is anything to tell; told() once they were taken. */
void sonde__telemetry_metrics_put(sonde__telemetry_request *r, const sonde__config *c);
void sonde__telemetry_metrics_told(void);

#endif /* SONDE_LIBTRACE_TELEMETRY_METRICS_H */
