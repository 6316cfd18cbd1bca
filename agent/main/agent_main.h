/* agent/main/agent_main.h - runs the agent in this process: the door for agent/cli and tests.
 *
 * Threads   the caller's thread opens, waits and stops; everything else runs on the agent's own.
 */
#ifndef SONDE_AGENT_MAIN_AGENT_MAIN_H
#define SONDE_AGENT_MAIN_AGENT_MAIN_H

#include "agent/config/config.h"
#include "agent/ops/notify.h"
#include "sonde/status.h"

typedef struct agent_main agent_main;

typedef struct agent_main_options {
    agent_config *config;     /* a reference is taken */
    const char *local_url;    /* the intake in this process, one endpoint more; NULL: none */
    const notify *supervisor; /* is told how things are; borrowed; NULL: nobody */
} agent_main_options;

/* Starts everything and logs what listens where and where it forwards.  Without any endpoint it fails
 * with SONDE_ERR_CONFIG. */
SONDE_MUST_USE sonde_status agent_main_open(const agent_main_options *options,
                                            agent_main **out_agent, sonde_error *out_error);

/* Takes a new snapshot over as far as a running agent can, and logs what changed and what of it waits for
 * a restart. */
void agent_main_reload(agent_main *a, agent_config *config);

/* Drains within the configured time and logs the sums. */
void agent_main_stop(agent_main *a);
void agent_main_close(agent_main *a); /* NULL does nothing */

#endif /* SONDE_AGENT_MAIN_AGENT_MAIN_H */
