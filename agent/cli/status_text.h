/* agent/cli/status_text.h - the status document as text for people.
 *
 * Threads   pure.
 */
#ifndef SONDE_AGENT_CLI_STATUS_TEXT_H
#define SONDE_AGENT_CLI_STATUS_TEXT_H

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

/* One heading per room, one line per value; zeros inside "dropped" objects are left out.  SONDE_ERR_SYNTAX: `json` is
 * not the document of GET /sonde/v1/status. */
SONDE_MUST_USE sonde_status status_text_write(sonde_str json, sonde_buf *out);

#endif /* SONDE_AGENT_CLI_STATUS_TEXT_H */
