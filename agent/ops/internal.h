/* internal.h - what the files of the room share. */
#ifndef SONDE_AGENT_OPS_INTERNAL_H
#define SONDE_AGENT_OPS_INTERNAL_H

#include <stdatomic.h>

#include "agent/ops/ops.h"
#include "agent/ops/series.h"
#include "agent/ops/watchdog.h"
#include "base/mutex.h"
#include "net/statsd_out.h"

#define OPS_PAGE_MAX_BYTES (4u * 1024 * 1024)

struct ops {
    ops_options options;
    agent_config *config; /* shared */
    int64_t started_unix_ns;

    /* the timers thread's */
    watchdog watchdog;
    statsd_out statsd;
    series_set sent; /* as of the last report */
    uint64_t report_at_ns, sources_at_ns, check_at_ns, minute_at_ns, feed_at_ns;
    uint64_t last_taken;
    bool shedding;
    bool above_line; /* when memory was looked at last */

    /* for the pages */
    _Atomic uint64_t memory_bytes;
    _Atomic uint64_t cpu_milli_percent;
    _Atomic uint64_t sheds, fed, not_fed, statsd_sent, statsd_lost;
    sonde_mutex mu; /* of the sources' last minute */
};

void expvar_write(ops *o, const series_set *now, sonde_buf *out);

#endif /* SONDE_AGENT_OPS_INTERNAL_H */
