/* telemetry_libraries.h - the shared libraries of the process, for telemetry.
 *
 * Threads   the flusher's; the loader's list is walked under its own lock, for moments.
 * Bounds    SONDE__TELEMETRY_LIBRARIES, and as many told over the life of the process; others are counted
 *           (telemetry_dropped).
 * Source    docs/spec/telemetry.md, "Dependencies" */
#ifndef SONDE_LIBTRACE_TELEMETRY_LIBRARIES_H
#define SONDE_LIBTRACE_TELEMETRY_LIBRARIES_H

#include "telemetry_request.h"

#define SONDE__TELEMETRY_LIBRARIES 512

/* The event with what was not told yet, if the loader has loaded anything since; told() once it was taken. */
void sonde__telemetry_libraries_put(sonde__telemetry_request *r);
void sonde__telemetry_libraries_told(void);
void sonde__telemetry_libraries_forget(void);

/* All of them, as entries of an array that is open. */
void sonde__telemetry_libraries_put_all(sonde_json_writer *w);

/* -- for tests ------------------------------------------------------------------------------------ */

/* The version in the name of a file: "1.2.13" of libz.so.1.2.13, "3.0" of libssl-3.0.so; empty: none. */
sonde_str sonde__library_version(sonde_str file);

#endif /* SONDE_LIBTRACE_TELEMETRY_LIBRARIES_H */
