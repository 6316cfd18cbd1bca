/* agent/ops/watchdog.h - memory and CPU of this process against their limits.
 *
 * Above the memory limit requests are refused until it is below nine tenths of it again, so that the line
 * one and a half times as high, where the process ends for its supervisor to start it anew, is seldom seen.
 * CPU is measured over at least 20 s and only reported.
 *
 * Threads   none: the clock and the figures come from the caller.
 */
#ifndef SONDE_AGENT_OPS_WATCHDOG_H
#define SONDE_AGENT_OPS_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHDOG_CPU_SPAN_NS UINT64_C(20000000000)

typedef enum watch_verdict { WATCH_FINE, WATCH_SHED, WATCH_KILL } watch_verdict;

typedef struct watchdog {
    uint64_t limit_bytes;
    uint64_t kill_bytes; /* 0: memory is only reported */
    bool shedding;
    uint64_t sheds;       /* how often it began */
    double cpu_percent;   /* of one CPU, user time */
    double cpu_from_s;    /* where the measurement began */
    uint64_t cpu_from_ns; /* 0: not yet */
} watchdog;

void watchdog_init(watchdog *w, uint64_t limit_bytes, uint64_t kill_bytes);
watch_verdict watchdog_see(watchdog *w, uint64_t memory_bytes, double cpu_user_s,
                           uint64_t now_mono_ns);

#endif /* SONDE_AGENT_OPS_WATCHDOG_H */
