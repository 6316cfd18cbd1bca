/* statsd_beat.h - statsd clients tended by the background thread. */
#ifndef SONDE_LIBTRACE_STATSD_BEAT_H
#define SONDE_LIBTRACE_STATSD_BEAT_H

#include "beats.h"

extern const sonde__beat sonde__statsd_beat;

#endif /* SONDE_LIBTRACE_STATSD_BEAT_H */
