/* agent/cli/log_file.h - the log in a file instead of on standard error.
 *
 * Threads   log_file_use() on the main thread; lines come from all.
 */
#ifndef SONDE_AGENT_CLI_LOG_FILE_H
#define SONDE_AGENT_CLI_LOG_FILE_H

#include "base/str.h"
#include "sonde/status.h"

/* From now on lines go there; called again, the file is opened anew (it was rotated) or another one is.
 * "": standard error.  A file that cannot be opened leaves things as they are. */
SONDE_MUST_USE sonde_status log_file_use(sonde_str path, sonde_error *out_error);

#endif /* SONDE_AGENT_CLI_LOG_FILE_H */
