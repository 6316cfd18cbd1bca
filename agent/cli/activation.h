/* agent/cli/activation.h - sockets that systemd opened for us (sd_listen_fds(3)).
 *
 * Threads   the main thread, before others exist.
 */
#ifndef SONDE_AGENT_CLI_ACTIVATION_H
#define SONDE_AGENT_CLI_ACTIVATION_H

#include "base/str.h"

#define ACTIVATION_FIRST_FD 3
#define ACTIVATION_FDS_MAX  16

typedef struct activation {
    int tcp; /* the first listening TCP socket; -1 none */
    int unix_stream;
} activation;

/* From the texts of LISTEN_FDS and LISTEN_PID (empty: not set).  All descriptors become close-on-exec; those
 * that are no listening stream socket, or the second of their kind, are left alone and logged. */
void activation_find(activation *a, sonde_str listen_fds, sonde_str listen_pid);

#endif /* SONDE_AGENT_CLI_ACTIVATION_H */
