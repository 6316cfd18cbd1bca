/* agent/cli/redact.h - text without secrets, for what leaves the machine.
 *
 * Cut are: every secret of the configuration wherever it stands; what follows a name that sounds like one
 * (api_key, password, token, secret, ...) up to the end of the word; user and password of an address; and
 * words of 32 or 40 hex digits, the forms of Datadog's keys.
 *
 * Threads   none.
 */
#ifndef SONDE_AGENT_CLI_REDACT_H
#define SONDE_AGENT_CLI_REDACT_H

#include "agent/config/config.h"
#include "base/buf.h"
#include "base/str.h"

/* `c` NULL: no secrets are known. */
void redact(const agent_config *c, sonde_str text, sonde_buf *out);

#endif /* SONDE_AGENT_CLI_REDACT_H */
