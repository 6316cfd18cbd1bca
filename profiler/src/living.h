/* living.h - the live heap as the drainer tells it: sums by stack.
 *
 * Entries of live.h outlast sessions, whose dictionaries begin anew: their stacks are kept in a trie of their own, and copied
 * into the dictionary for each snapshot.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__LIVING_NODES_MAX nodes; full, the trie is made anew of the stacks that still live; beyond that a stack is
 *           not in the live heap, counted in `lost`.
 * Source    docs/spec/profile-batch.md, LIVE */
#ifndef SONDE_PROFILER_LIVING_H
#define SONDE_PROFILER_LIVING_H

#include <stdint.h>

#include "sonde/status.h"

#include "dict.h"

#define SONDE_PROF__LIVING_NODES_MAX 131072u

typedef struct sonde_prof__living_row {
    uint32_t node; /* of the dictionary */
    uint64_t objects;
    uint64_t bytes;
    uint32_t oldest_age_s;
} sonde_prof__living_row;

typedef struct sonde_prof__living {
    sonde_prof__trie trie;
    sonde_prof__living_row *rows; /* owned: of the last snapshot */
    uint32_t len;
    uint64_t lost;
} sonde_prof__living;

void sonde_prof__living_init(sonde_prof__living *l); /* allocates nothing */
void sonde_prof__living_done(sonde_prof__living *l);

/* A sample of the kind ALLOC was drained: its block, if it still lives, has that stack from now on. */
void sonde_prof__living_note(sonde_prof__living *l, sonde_prof__dict *d,
                             const sonde_prof__sample *s);

/* Rows anew, with nodes in `d`.  SONDE_ERR_NOMEM: no rows. */
SONDE_MUST_USE sonde_status sonde_prof__living_snapshot(sonde_prof__living *l, sonde_prof__dict *d,
                                                        uint64_t now_mono_ns);

#endif /* SONDE_PROFILER_LIVING_H */
