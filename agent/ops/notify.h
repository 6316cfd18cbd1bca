/* agent/ops/notify.h - what systemd is told: the protocol of sd_notify(3), a datagram of VARIABLE=VALUE lines.
 *
 * Threads   all, once opened; a datagram a call.
 * Failure   a socket that cannot be reached is as if there were none: a supervisor is no reason to fail.
 */
#ifndef SONDE_AGENT_OPS_NOTIFY_H
#define SONDE_AGENT_OPS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

typedef struct notify {
    int fd;               /* -1: nobody listens */
    uint64_t watchdog_ns; /* how often it wants to hear WATCHDOG=1; 0: not at all */
} notify;

/* The texts of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; empty: not set.  "@name" is an abstract socket. */
void notify_open(notify *n, sonde_str socket, sonde_str watchdog_usec, sonde_str watchdog_pid);
void notify_close(notify *n);

/* "READY=1\nSTATUS=..." */
void notify_send(const notify *n, const char *fmt, ...) SONDE_PRINTF(2, 3);

#endif /* SONDE_AGENT_OPS_NOTIFY_H */
