/* startup_log.h - the one line that says how the tracer was set up: "DATADOG TRACER CONFIGURATION - {...}".
 *
 * Threads   all: the configuration is only read.
 * Source    docs/spec/startup-log.md */
#ifndef SONDE_LIBTRACE_STARTUP_LOG_H
#define SONDE_LIBTRACE_STARTUP_LOG_H

#include "base/buf.h"
#include "config.h"

/* The JSON behind the dash.  Each value is cut at SONDE_SETTING_ROOM; no secrets. */
void sonde__startup_json(const sonde__config *c, int64_t now_unix_ns, sonde_buf *out);

/* Logs it, when the configuration says so. */
void sonde__startup_log(const sonde__config *c);

#endif /* SONDE_LIBTRACE_STARTUP_LOG_H */
