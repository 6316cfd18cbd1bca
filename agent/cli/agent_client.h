/* agent/cli/agent_client.h - asks the agent of this machine, for the commands that look at it.
 *
 * Threads   none: belongs to its owner.
 * Bounds    an answer AGENT_ANSWER_MAX_BYTES, five seconds.
 */
#ifndef SONDE_AGENT_CLI_AGENT_CLIENT_H
#define SONDE_AGENT_CLI_AGENT_CLIENT_H

#include "agent/config/config.h"
#include "net/http_plain.h"
#include "net/url.h"
#include "sonde/status.h"

#define AGENT_ANSWER_MAX_BYTES (8u * 1024 * 1024)
#define AGENT_STATUS_PATH      "/sonde/v1/status"

typedef struct agent_client {
    char address[1100]; /* "http://localhost:8126" */
    sonde_url url;
    sonde_http_plain *http;
} agent_client;

/* The agent that listens as the configuration says, or at a Unix socket (NULL: not asked for).  Connects
 * with the first question. */
SONDE_MUST_USE sonde_status agent_client_open(agent_client *a, const agent_config *c,
                                              const char *socket, sonde_error *out_error);
void agent_client_close(agent_client *a);

SONDE_MUST_USE sonde_status agent_client_get(agent_client *a, const char *path,
                                             sonde_http_plain_answer *out_answer);

#endif /* SONDE_AGENT_CLI_AGENT_CLIENT_H */
