/* agent/cli/log_file.h - the log in a file.
 *
 * Threads   log_file_use() on the main thread; lines come from all.
 * Bounds    (rolls + 1) * max_bytes on disk, and a line more for each thread.
 */
#ifndef SONDE_AGENT_CLI_LOG_FILE_H
#define SONDE_AGENT_CLI_LOG_FILE_H

#include <stdint.h>

#include "base/log.h"
#include "base/str.h"
#include "sonde/status.h"

/* Where log_file_write() writes; called again, the file is opened anew (it was rotated) or another one is.  Above `max_bytes` it is renamed to path.1, path.1 to path.2, up to path.<rolls>, and
 * begun anew; with no rolls it grows.  A file that cannot be opened leaves things as they are. */
SONDE_MUST_USE sonde_status log_file_use(sonde_str path, uint64_t max_bytes, unsigned rolls,
                                         sonde_error *out_error);

/* A sink of base/log.h. */
void log_file_write(void *user, sonde_log_level level, const char *line, size_t len);

#endif /* SONDE_AGENT_CLI_LOG_FILE_H */
