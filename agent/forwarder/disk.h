/* agent/forwarder/disk.h - the steps between memory and disk that touch files.
 *
 * Called with the forwarder's mutex held, by the one thread that decides; they let go of it while a file
 * is read, written or removed, so that a slow disk never holds up who pushes.
 */
#ifndef SONDE_AGENT_FORWARDER_DISK_H
#define SONDE_AGENT_FORWARDER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mutex.h"

#include "endpoint.h"

/* Writes the oldest body when memory holds too many (or `all`).  False: there was nothing to write. */
bool disk_spill_locked(sonde_mutex *mu, endpoint *e, bool all, uint64_t now_mono_ns)
    SONDE_REQUIRES(mu);

/* Reads the oldest file when it is its turn; NULL: nothing to send.  *out_tried: something was done. */
delivery *disk_load_locked(sonde_mutex *mu, endpoint *e, uint64_t now_mono_ns, bool *out_tried)
    SONDE_REQUIRES(mu);

/* Drops what is too old. */
void disk_expire_locked(sonde_mutex *mu, endpoint *e, uint64_t now_mono_ns) SONDE_REQUIRES(mu);

#endif /* SONDE_AGENT_FORWARDER_DISK_H */
