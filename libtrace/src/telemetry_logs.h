/* telemetry_logs.h - the library's own errors and warnings, for telemetry.
 *
 * What is told is the wording in the source, never what was filled in: names, addresses and values of the
 * program stay here.  The same wording is told once, with how often it was meant to be printed.
 *
 * Threads   noting: any.  The rest: the flusher's, but for open().
 * Bounds    SONDE__TELEMETRY_LOGS wordings until they are told; others are counted (telemetry_dropped).
 * Source    docs/spec/telemetry.md, "Logs" */
#ifndef SONDE_LIBTRACE_TELEMETRY_LOGS_H
#define SONDE_LIBTRACE_TELEMETRY_LOGS_H

#include "telemetry_request.h"

#define SONDE__TELEMETRY_LOGS 32

void sonde__telemetry_logs_open(void);  /* listens from now on */
void sonde__telemetry_logs_close(void); /* and no longer */
void sonde__telemetry_logs_forget(void);

/* The event, if there is anything to tell; told() once it was taken. */
void sonde__telemetry_logs_put(sonde__telemetry_request *r, int64_t now_unix_ns);
void sonde__telemetry_logs_told(void);

#endif /* SONDE_LIBTRACE_TELEMETRY_LOGS_H */
