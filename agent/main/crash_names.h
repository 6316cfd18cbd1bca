/* agent/main/crash_names.h - what agent/profiles knows of symbols, lent to agent/crash.
 *
 * An index of its own, made with the first report: that of profiles belongs to their thread.
 *
 * Threads   init, lend, done: the pipeline's owner; what is lent: agent-crash.
 * Bounds    CRASH_NAMES_BYTES of indexes. */
#ifndef SONDE_AGENT_MAIN_CRASH_NAMES_H
#define SONDE_AGENT_MAIN_CRASH_NAMES_H

#include "agent/profiles/symbols.h"
#include "crash/names.h"

#define CRASH_NAMES_BYTES ((size_t)64 << 20)

typedef struct crash_names {
    symbols *symbols; /* NULL: not needed yet */
} crash_names;

void crash_names_init(crash_names *n);
void crash_names_done(crash_names *n); /* every object was closed */
sonde_crash_symbols crash_names_lend(crash_names *n);

#endif /* SONDE_AGENT_MAIN_CRASH_NAMES_H */
