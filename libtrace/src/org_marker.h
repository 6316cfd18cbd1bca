/* org_marker.h - the mark of our organisation, and what becomes of traces that bear another's.
 *
 * The agent says which mark is ours.  With the guard on, decisions, origin and tags of a trace that comes from
 * elsewhere are not taken over, and what leaves bears our mark.
 *
 * Threads   the flusher's learns, all read: a mark does not change once it was published.
 * Bounds    SONDE__ORG_MARKERS_MAX different marks in the life of a process, of SONDE__ORG_MARKER_MAX_BYTES; what
 *           is beyond counts as unknown, with a warning.
 * Source    docs/spec/propagation.md, "Organisation". */
#ifndef SONDE_LIBTRACE_ORG_MARKER_H
#define SONDE_LIBTRACE_ORG_MARKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "config.h"

#define SONDE__ORG_MARKERS_MAX      8
#define SONDE__ORG_MARKER_MAX_BYTES 128

extern sonde_str sonde__org_markers[SONDE__ORG_MARKERS_MAX]; /* published ones do not change */
extern _Atomic uint32_t sonde__org_known;                    /* which is ours, from 1; 0: unknown */

/* What the agent says; an empty view: nothing.  A text that no header could carry counts as nothing.  Without
 * the guard there is nothing to know. */
void sonde__org_learn(const sonde__config *c, sonde_str marker);

/* Ours while the guard is on and the agent has told it, else an empty view. */
static inline sonde_str sonde__org_marker(void)
{
    /* pairs with sonde__org_learn() */
    uint32_t known = atomic_load_explicit(&sonde__org_known, memory_order_acquire);

    return known ? sonde__org_markers[known - 1] : (sonde_str){ NULL, 0 };
}

/* Whether a trace that came with `inbound` (empty: with none) is one of ours, which are marked `ours`. */
bool sonde__org_accepts(const sonde__config *c, sonde_str ours, sonde_str inbound);

#endif /* SONDE_LIBTRACE_ORG_MARKER_H */
