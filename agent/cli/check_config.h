/* agent/cli/check_config.h - `sonde agent --check-config`. */
#ifndef SONDE_AGENT_CLI_CHECK_CONFIG_H
#define SONDE_AGENT_CLI_CHECK_CONFIG_H

#include "agent/config/config.h"

/* Prints where the configuration comes from, every key with its value and origin, notes and warnings.
 * EXIT_DONE when the agent would start with it and nothing was warned about, else EXIT_FAILED. */
int check_config(agent_config *c);

#endif /* SONDE_AGENT_CLI_CHECK_CONFIG_H */
