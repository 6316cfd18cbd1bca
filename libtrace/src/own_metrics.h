/* own_metrics.h - the beat that sends runtime and health metrics, every ten seconds.
 *
 * Threads   the flusher's, as those of every beat; sonde__own_metrics_...() too. */
#ifndef SONDE_LIBTRACE_OWN_METRICS_H
#define SONDE_LIBTRACE_OWN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "beats.h"

extern const sonde__beat sonde__own_metrics_beat;

/* What cannot be told by counters alone.  Nothing happens unless health metrics are on. */
void sonde__health_flushed(uint64_t duration_ns);
void sonde__health_answered(int http_status); /* 0: no answer */

#endif /* SONDE_LIBTRACE_OWN_METRICS_H */
