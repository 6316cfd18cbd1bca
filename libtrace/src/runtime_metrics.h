/* runtime_metrics.h - what the kernel and the allocator say about this process, as gauges.
 *
 * Reading costs about 30 us: two files of /proc/self, one system call, and a walk through the
 * descriptors where the kernel (before 6.2) does not tell their number.
 *
 * Threads   pure but for what they read.
 * Source    docs/spec/own-metrics.md, "Runtime metrics" */
#ifndef SONDE_LIBTRACE_RUNTIME_METRICS_H
#define SONDE_LIBTRACE_RUNTIME_METRICS_H

#include <stdint.h>

#include "base/str.h"
#include "sonde/statsd.h"

#define SONDE__FDS_COUNTED_MAX 65536 /* where they have to be walked through */

/* Since the start of the process, or now; -1: not known. */
typedef struct sonde__runtime {
    uint64_t mono_ns; /* when */
    int64_t user_us;
    int64_t system_us;
    int64_t minor_faults;
    int64_t major_faults;
    int64_t voluntary_switches;
    int64_t involuntary_switches;
    int64_t rss_bytes;
    int64_t virtual_bytes;
    int64_t heap_bytes; /* handed out by the C library's allocator */
    int64_t threads;
    int64_t fds;
} sonde__runtime;

void sonde__runtime_read(sonde__runtime *out);

/* From the texts of /proc/self/stat and statm; -1 where they are odd. */
int64_t sonde__runtime_threads(sonde_str stat);
void sonde__runtime_memory(sonde_str statm, int64_t page_bytes, sonde__runtime *out);

/* Sends what is now, and what happened a second since `before`. */
void sonde__runtime_report(sonde_statsd *s, const sonde__runtime *before,
                           const sonde__runtime *now);

#endif /* SONDE_LIBTRACE_RUNTIME_METRICS_H */
