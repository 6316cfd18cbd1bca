/* telemetry_integrations.h - what <sonde/integration.h> was told, for telemetry.
 *
 * Threads   the flusher's.
 * Bounds    SONDE__INTEGRATIONS reports in the life of a process; others are refused and counted
 *           (telemetry_dropped).
 * Source    docs/spec/telemetry.md, "Integrations" */
#ifndef SONDE_LIBTRACE_TELEMETRY_INTEGRATIONS_H
#define SONDE_LIBTRACE_TELEMETRY_INTEGRATIONS_H

#include "telemetry_request.h"

#define SONDE__INTEGRATIONS 64

/* The event with what was not told yet; told() once it was taken. */
void sonde__telemetry_integrations_put(sonde__telemetry_request *r);
void sonde__telemetry_integrations_told(void);
void sonde__telemetry_integrations_forget(void); /* that anything was told */

/* All that holds, as entries of an array that is open. */
void sonde__telemetry_integrations_put_all(sonde_json_writer *w);

#endif /* SONDE_LIBTRACE_TELEMETRY_INTEGRATIONS_H */
