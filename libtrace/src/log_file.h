/* log_file.h - log lines into a file of our own, DD_TRACE_LOG_DIRECTORY.
 *
 * The file is sonde-<pid>.log in that directory, which must exist; a forked child goes on in its parent's.
 *
 * Threads   open and close: under the tracer's lock.
 * Bounds    SONDE__LOG_FILE_MAX_BYTES are written in one life, then no more. */
#ifndef SONDE_LIBTRACE_LOG_FILE_H
#define SONDE_LIBTRACE_LOG_FILE_H

#include "base/str.h"
#include "sonde/status.h"

#define SONDE__LOG_FILE_MAX_BYTES (64u << 20)

/* Lines go to the file from now on.  SONDE_ERR_SYS (errno): they go where they went before. */
SONDE_MUST_USE sonde_status sonde__log_file_open(sonde_str directory);

/* Lines go to standard error again, if they went to a file. */
void sonde__log_file_close(void);

#endif /* SONDE_LIBTRACE_LOG_FILE_H */
