/* flare_log.h - a copy of the library's own log lines, for a flare.
 *
 * Threads   all: lines come from any; beginning, ending and reading from one.  A mutex, SONDE_RANK_LOG; nobody
 *           waits for it when no copy is made.
 * Bounds    SONDE__FLARE_LOG_MAX_BYTES; when that is full the older half goes, counted in the text. */
#ifndef SONDE_LIBTRACE_FLARE_LOG_H
#define SONDE_LIBTRACE_FLARE_LOG_H

#include "base/buf.h"
#include "sonde/status.h"

#define SONDE__FLARE_LOG_MAX_BYTES (256u << 10)

/* Lines are copied from now on; does nothing while they are.  SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde__flare_log_begin(void);
void sonde__flare_log_end(void); /* no more, and what was copied is forgotten */

/* Appends the lines, oldest first; a first line says how many are missing, if any. */
void sonde__flare_log_read(sonde_buf *out);

void sonde__flare_log_prefork(void);
void sonde__flare_log_postfork(void);

#endif /* SONDE_LIBTRACE_FLARE_LOG_H */
