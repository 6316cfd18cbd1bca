/* agent/cli/inject.h - a thread of its own for the profiler in a process that runs (docs/decisions/0014-attach.md).
 *
 *   one thread of it is stopped, where it cannot hold a lock the new one needs
 *     ▶ maps a block, starts a thread, goes on where it was, as if nothing had happened
 *   the new thread loads the library, or calls into the one that is there (base/attach.h)
 *
 * Threads   the main thread: the kernel knows who traces.
 * Bounds    INJECT_TRY_S seconds of looking for a thread; it is stopped for about a millisecond, and goes on by itself when this
 *           program ends meanwhile, whatever ended it.
 */
#ifndef SONDE_AGENT_CLI_INJECT_H
#define SONDE_AGENT_CLI_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attach.h"
#include "target.h"

#define INJECT_TRY_S 10u

typedef struct inject_request {
    const char *library;  /* path here */
    bool copies;          /* it cannot be opened by the process: take a copy along */
    const char *settings; /* "NAME=value", each NUL-terminated, one behind the other */
    size_t settings_len;  /* with all NULs */
} inject_request;

/* Where the block is; false: `why`, and the process is as it was. */
bool inject(const target *t, const inject_request *r, uint64_t *out_block, char why[TARGET_WHY]);

#endif /* SONDE_AGENT_CLI_INJECT_H */
