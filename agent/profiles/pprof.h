/* agent/profiles/pprof.h - a profile as pprof's protobuf message.
 *
 * Threads   the profile's owner.
 * Bounds    the buffer's ceiling; PROFILE_DEPTH_MAX frames a stack, PROFILE_LABELS_MAX labels a row.
 * Source    docs/spec/profile-batch.md, "pprof"
 */
#ifndef SONDE_AGENT_PROFILES_PPROF_H
#define SONDE_AGENT_PROFILES_PPROF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sonde/status.h"

#include "profile.h"

typedef struct pprof_options {
    int64_t start_unix_ns;
    uint64_t duration_ns;
    sonde_str process_id, process_name, container_id; /* labels of every row; empty: none */
    /* all functions of an address in one location; else one location for each */
    bool inlines_in_one;
    bool no_timeline;   /* sum up rows that differ in time only */
    uint32_t max_depth; /* frames of a stack, the innermost; 0: PROFILE_DEPTH_MAX */
    uint32_t cut_share; /* rows below a cut_share-th of each column go into "[other]"; 0: none */
} pprof_options;

/* Appends the message.  What `p` is asked for (texts of columns and labels) is interned in it. */
SONDE_MUST_USE sonde_status pprof_encode(profile *p, const pprof_options *options, sonde_buf *out);

/* True when some written location of a known object has no function: somebody else may know it by its
 * build-id. */
bool pprof_has_unknown(const profile *p);

#endif /* SONDE_AGENT_PROFILES_PPROF_H */
