/* agent/cli/log_syslog.h - lines of the log as datagrams to a syslog daemon.
 *
 * Facility daemon, tag "sonde-agent[PID]"; the time in front of a line of text is left to the daemon.
 *
 * Threads   log_syslog_use() on the main thread; lines come from all, and never wait.
 * Failure   a line that is not taken is lost here, and the daemon is looked for again, once a second at most.
 */
#ifndef SONDE_AGENT_CLI_LOG_SYSLOG_H
#define SONDE_AGENT_CLI_LOG_SYSLOG_H

#include <stdbool.h>

#include "base/log.h"
#include "base/str.h"
#include "sonde/status.h"

/* "": unixgram:///dev/log; or unixgram:///PATH, unix:///PATH (the same), udp://HOST:PORT.  `rfc5424`: its header, else that of
 * RFC 3164.  A daemon that is not there yet is no error. */
SONDE_MUST_USE sonde_status log_syslog_use(sonde_str uri, bool rfc5424, sonde_error *out_error);

/* A sink of base/log.h. */
void log_syslog_write(void *user, sonde_log_level level, const char *line, size_t len);

#endif /* SONDE_AGENT_CLI_LOG_SYSLOG_H */
