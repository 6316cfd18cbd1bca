/* agent/cli/local_intake.h - the intake in this process, or the news that this build has none.
 *
 * local_intake_here.c when the dashboards are built, else local_intake_absent.c.
 *
 * Threads   the caller's.
 */
#ifndef SONDE_AGENT_CLI_LOCAL_INTAKE_H
#define SONDE_AGENT_CLI_LOCAL_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "sonde/status.h"

typedef struct local_intake local_intake;

bool local_intake_exists(void); /* is it part of this build? */

/* Starts it with the sonde.local.* settings.  `api_keys`: comma list; NULL: any key. */
SONDE_MUST_USE sonde_status local_intake_open(const agent_config *c, const char *api_keys,
                                              local_intake **out_intake, sonde_error *out_error);
const char *local_intake_url(const local_intake *i);                 /* "http://127.0.0.1:8127" */
void local_intake_close(local_intake *i, uint64_t deadline_mono_ns); /* NULL does nothing */

#endif /* SONDE_AGENT_CLI_LOCAL_INTAKE_H */
