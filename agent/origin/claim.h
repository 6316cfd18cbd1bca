/* agent/origin/claim.h - what the head of a request says about where it comes from.
 *
 * Threads   pure.  Memory: views of the headers. */
#ifndef SONDE_AGENT_ORIGIN_CLAIM_H
#define SONDE_AGENT_ORIGIN_CLAIM_H

#include <stdint.h>

#include "base/str.h"

typedef struct origin_claim {
    sonde_str container_id; /* empty: not said */
    uint64_t cgroup_inode;  /* 0: not said */
    sonde_str pod_uid;      /* of the external environment; empty: not said */
    sonde_str container_name;
    bool is_init; /* an init container of that pod */
} origin_claim;

/* Datadog-Entity-ID: "ci-<id>", "cid-<id>", "in-<inode>", a bare id, or a comma list, in which only "ci-"
 * and "in-" count.  What is no such thing changes nothing. */
void origin_read_entity(sonde_str value, origin_claim *out);

/* Datadog-External-Env: "it-<bool>", "cn-<name>", "pu-<uid>" in any order. */
void origin_read_external(sonde_str value, origin_claim *out);

#endif /* SONDE_AGENT_ORIGIN_CLAIM_H */
