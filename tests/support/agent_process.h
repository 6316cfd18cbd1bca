/* support/agent_process.h - a real `sonde agent` for a test, on a port of its own.
 *
 * Threads   the test's. */
#ifndef SONDE_TESTS_SUPPORT_AGENT_PROCESS_H
#define SONDE_TESTS_SUPPORT_AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct agent_process {
    pid_t pid;
    uint16_t port;
    char data_dir[256]; /* removed at its end */
} agent_process;

/* Starts it forwarding to `intake_url` and waits until it listens.  `environment`: "NAME=value" ..., NULL at the
 * end; may be NULL.  Stops the program when it does not come up. */
void agent_process_start(agent_process *a, const char *intake_url, const char *const *environment);

/* Sends SIGTERM and waits; the exit code, -1 when a signal ended it. */
int agent_process_stop(agent_process *a);
void agent_process_kill(agent_process *a); /* SIGKILL */

uint16_t agent_process_free_port(void);

#endif /* SONDE_TESTS_SUPPORT_AGENT_PROCESS_H */
