/* agent/ops/log_ring.h - the last lines of the log, for those who look at a running agent.
 *
 * Threads   all.
 * Bounds    LOG_RING_BYTES; the oldest lines leave.
 */
#ifndef SONDE_AGENT_OPS_LOG_RING_H
#define SONDE_AGENT_OPS_LOG_RING_H

#include "base/buf.h"

#define LOG_RING_BYTES (32u * 1024)

/* One per process, as the log itself is.  From now on every line that is logged is kept. */
void log_ring_start(void);
void log_ring_stop(void);            /* forgets them */
void log_ring_write(sonde_buf *out); /* whole lines, oldest first */

#endif /* SONDE_AGENT_OPS_LOG_RING_H */
