/* agent/cli/attached.h - the profiler in a process that runs already, for as long as we want it.
 *
 *   attached_begin() ─▶ attached_beat() ... ─▶ attached_end()
 *
 * Threads   the main thread.
 * See also  inject.h, base/attach.h
 */
#ifndef SONDE_AGENT_CLI_ATTACHED_H
#define SONDE_AGENT_CLI_ATTACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector.h"
#include "inject.h"
#include "target.h"

typedef struct attached {
    target target;
    uint64_t block;
    uint32_t beat;
    int folder; /* where the collector's socket is to be; stays open: the process may end first */
    char base[64];     /* its name here */
    const char *there; /* and there */
    char why[TARGET_WHY];
} attached;

/* Whether it can be done.  False: a->why.  In any case followed by attached_close(). */
bool attached_open(attached *a, pid_t pid, bool trusts_seccomp);
void attached_close(attached *a);

/* Where the process will find a socket. */
collector_place attached_place(const attached *a);

/* Profiling begins, with these settings ("NAME=value", each NUL-terminated).  False: a->why, the process goes on without. */
bool attached_begin(attached *a, const char *library, const char *settings, size_t settings_len);

/* At least once in SONDE_ATTACH_SILENCE_S seconds, or it ends by itself.  False: the process is over, or has ended it. */
bool attached_beat(attached *a);

/* Profiling ends; all that was seen has been sent when it returns. */
void attached_end(attached *a);

#endif /* SONDE_AGENT_CLI_ATTACHED_H */
