/* agent/cli/collector.h - takes batches of profilers without an agent: a private socket and one profile per process.
 *
 *   program with libsonde-profiler.so ── DD_PROFILING_URL=unix:///…/socket ──▶ collector ──▶ profile
 *
 * Threads   open, take and close: the main thread; batches come in on the server's.  One mutex (rank
 *           SONDE_RANK_ROOM).
 * Bounds    COLLECTOR_PROCESSES_MAX; one profile each (agent/profiles/limits.h).
 * Counters  collector_counters.
 */
#ifndef SONDE_AGENT_CLI_COLLECTOR_H
#define SONDE_AGENT_CLI_COLLECTOR_H

#include <stdint.h>

#include "agent/profiles/profile.h"
#include "sonde/status.h"

#define COLLECTOR_PROCESSES_MAX 256u /* further ones are refused and counted */

typedef struct collector collector;

typedef struct collector_counters {
    uint64_t batches;
    uint64_t refused;    /* malformed, or of a process too many */
    uint64_t strangers;  /* batches of other users' processes that do not descend from us */
    uint64_t rows;       /* taken */
    uint64_t lost;       /* rows for which a profile had no room */
    uint64_t processes;  /* that ever sent a batch */
    int64_t end_unix_ns; /* the end of the latest batch */
} collector_counters;

/* Where a process that sees other files, or is another user's, finds the socket. */
typedef struct collector_place {
    const char *base;  /* an existing folder, as it is called here */
    const char *there; /* as the process calls it */
    uint32_t uid, gid; /* the process's */
} collector_place;

/* inlines: read DWARF for inlined functions and lines.  `place` NULL: as we do. */
SONDE_MUST_USE sonde_status collector_open(bool inlines, const collector_place *place,
                                           collector **out_collector, sonde_error *out_error);
/* After the profiles it gave were closed. */
void collector_close(collector *c);            /* removes the socket; NULL does nothing */
const char *collector_url(const collector *c); /* "unix:///run/..." */
collector_counters collector_read(collector *c);

/* What all processes sent since the last call, as one profile with names; further batches begin the next one.  With more
 * than one process, each has a frame of its own at the root. */
SONDE_MUST_USE sonde_status collector_take(collector *c, profile **out_profile);

#endif /* SONDE_AGENT_CLI_COLLECTOR_H */
