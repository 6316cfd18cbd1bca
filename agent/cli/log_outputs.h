/* agent/cli/log_outputs.h - where the log goes: a file, standard error, syslog, as configured.
 *
 * Standard error unless there is a file; log_to_console says otherwise; log_to_syslog is on top.
 *
 * Threads   log_outputs_use() on the main thread; lines come from all.
 */
#ifndef SONDE_AGENT_CLI_LOG_OUTPUTS_H
#define SONDE_AGENT_CLI_LOG_OUTPUTS_H

#include "agent/config/config.h"

/* Again after a reload: files are opened anew.  What cannot be had is warned about, and standard error stands in for the
 * file. */
void log_outputs_use(const agent_config *c);

#endif /* SONDE_AGENT_CLI_LOG_OUTPUTS_H */
