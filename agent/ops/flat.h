/* agent/ops/flat.h - the status document as numbers with names: "receiver.payloads_dropped.timeout" 3.
 *
 * Every room writes its own part of that document, so what is derived from it (the pages, the metrics)
 * follows the rooms and no room knows of metrics.
 *
 * Threads   pure.
 * Bounds    FLAT_PATH_MAX bytes of a name; longer ones are left out.
 */
#ifndef SONDE_AGENT_OPS_FLAT_H
#define SONDE_AGENT_OPS_FLAT_H

#include "base/str.h"
#include "sonde/status.h"

#define FLAT_PATH_MAX 192

/* Elements of an array are named by their index; true and false are 1 and 0; texts are passed over. */
sonde_status flat_walk(sonde_str json, void (*see)(void *user, sonde_str path, double value),
                       void *user);

#endif /* SONDE_AGENT_OPS_FLAT_H */
