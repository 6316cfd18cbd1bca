/* discovery.h - lets the agent find this process: a sealed memory file among its descriptors says who it is.
 *
 *   /proc/<pid>/fd/<n> -> /memfd:datadog-tracer-info-XXXXXXXX (deleted)
 *
 * There is one from the start to the stop while tracing is on, and a forked child makes its own.  What
 * fails costs nothing but the file (one log line).
 *
 * Threads   none: under the lock of tracer.c.
 * Source    docs/spec/process-discovery.md */
#ifndef SONDE_LIBTRACE_DISCOVERY_H
#define SONDE_LIBTRACE_DISCOVERY_H

#include "config.h"

#define SONDE__DISCOVERY_MAX_BYTES 65536

/* Makes the file, in place of the one there is. */
void sonde__discovery_open(const sonde__config *c, const char *runtime_id);
void sonde__discovery_close(void);

#endif /* SONDE_LIBTRACE_DISCOVERY_H */
