/* sonde/log_ids.h - the ids of the active span for the lines of a program's own log.
 *
 *   sonde_log_ids ids;
 *   if (sonde_log_ids_current(&ids))
 *       printf(SONDE_LOG_IDS_FMT " order shipped\n", SONDE_LOG_IDS_ARG(ids));
 *
 *   char text[SONDE_LOG_ROOM];
 *   syslog(LOG_INFO, "%s order shipped", sonde_log_text(text, sizeof(text)));
 *   printf("{\"message\":\"order shipped\"%s}\n", sonde_log_json(text, sizeof(text)));
 *
 * Log collectors find a line's trace by these fields.  A trace id is 32 hex digits, or the decimal low half
 * where the upper half is 0 or DD_TRACE_128_BIT_TRACEID_LOGGING_ENABLED=false; a span id is decimal.
 *
 * Threads   all; what is active on the calling thread.
 * Failure   no active span: no ids.  Tracing off or DD_LOGS_INJECTION=false: nothing at all.
 * Bounds    a field that does not fit whole is left out; SONDE_LOG_ROOM holds all of usual length.
 * Cost      no allocation, no lock.
 * Source    docs/spec/spans.md, "Logs"
 */
#ifndef SONDE_LOG_IDS_H
#define SONDE_LOG_IDS_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stddef.h>

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonde_span sonde_span;

#define SONDE_LOG_ROOM 512

/* Its size is part of the ABI and does not change. */
typedef struct sonde_log_ids {
    char trace_id[33];
    char span_id[23]; /* at most 20 digits */
} sonde_log_ids;

#define SONDE_LOG_IDS_FMT      "dd.trace_id=%s dd.span_id=%s"
#define SONDE_LOG_IDS_ARG(ids) (ids).trace_id, (ids).span_id

/* 1 and the ids; 0 and two empty texts. */
SONDE_API int sonde_log_ids_current(sonde_log_ids *out);
SONDE_API int sonde_log_ids_of_span(const sonde_span *span, sonde_log_ids *out);

/* dd.service=web dd.env=prod dd.version=1.2 dd.trace_id="67400000000000000000000000000001" dd.span_id="2"
 *
 * Writes what there is to `out`, with a NUL, and returns `out` ("" when `out` is NULL or has no room). */
SONDE_API const char *sonde_log_text(char *out, size_t bytes);

/* The same as members of a JSON object, each with a comma before it: ,"dd.service":"web" ... */
SONDE_API const char *sonde_log_json(char *out, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_LOG_IDS_H */
