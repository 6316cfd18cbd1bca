/* sonde/log.h - where libtrace's few log lines go.
 *
 * libtrace writes one line when it starts (DD_TRACE_STARTUP_LOGS), and otherwise nothing below a warning; what can repeat is
 * limited to one line a minute per place.  Without a callback lines go to standard error.
 *
 * Threads   sonde_set_log() before sonde_start().  The callback runs on any thread, without a lock of
 *           ours held, and must not call Sonde.
 */
#ifndef SONDE_LOG_H
#define SONDE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "sonde/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Severities as the callback gets them; lower is worse. */
enum sonde_severity {
    SONDE_SEVERITY_ERROR = 0,
    SONDE_SEVERITY_WARN = 1,
    SONDE_SEVERITY_INFO = 2,
    SONDE_SEVERITY_DEBUG = 3,
    SONDE_SEVERITY_TRACE = 4
};

/* line   `len` bytes without a line end, valid during the call. */
typedef void (*sonde_log_callback)(void *user, int32_t severity, const char *line, size_t len);

/* Sends log lines to `callback`; NULL: back to standard error. */
SONDE_API void sonde_set_log(sonde_log_callback callback, void *user);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_LOG_H */
