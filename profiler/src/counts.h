/* counts.h - what the samplers count about themselves.
 *
 * Threads   all; signal-safe. */
#ifndef SONDE_PROFILER_COUNTS_H
#define SONDE_PROFILER_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

/* clang-format off */
#define SONDE_PROF__COUNTS_MAP(X)                                                                   \
    X(unknown_thread,   "signals on threads without a slot")                                        \
    X(nested,           "signals on a thread whose sampler was at work already: lost")              \
    X(foreign_signals,  "signals of our number that others sent: chained")                          \
    X(swallowed,        "of these, those whose default would have ended the process")               \
    X(handler_lost,     "times the program took our signal by the bare system call: off from then on") \
    X(handler_ns,       "time in the handler")                                                      \
    X(hook_ns,          "time in hooks that took a sample")                                         \
    X(handler_max_ns,   "the longest")                                                              \
    X(handler_long,     "handlers of more than a millisecond of CPU")                               \
    X(breaker_shallow,  "times the depth was cut to 128 because handlers took long")                \
    X(breaker_open,     "times the CPU sampler was off for a minute because handlers took long")    \
    X(made_rarer,       "times samples were made rarer because they cost too much")                 \
    X(shed,             "times less was kept because memory was short")                             \
    X(timer_failures,   "CPU timers that could not be made")                                        \
    X(event_failures,   "threads whose perf event could not be had: sampled by their timer")         \
    X(event_stuck,      "threads whose perf event did not end in time before exec")                  \
    X(slots_full,       "threads that found the table full")                                        \
    X(crowd_passed,     "threads of a crowd that have no slot: others stand for them")              \
    X(rings_failed,     "slots without memory for a ring")                                          \
    X(threads_seen,     "threads that were given a slot")                                           \
    X(records_full,     "libtrace's records that could not be remembered")                          \
    X(wall_ticks,       "rounds of the wall sampler")                                               \
    X(wall_reused,      "wall samples of threads that had not moved")                               \
    X(wall_discarded,   "wall samples thrown away because the thread woke up")                      \
    X(wall_signals,     "wall samples of running threads, by themselves")                                             \
    X(wall_pending,     "wall samples of threads that had not answered the last signal yet: added up")   \
    X(wall_unknown,     "wall looks at threads that could not be read")                             \
    X(wall_failures,    "times the wall sampler's thread or ring could not be had")                    \
    X(fp_guessed,       "wall stacks whose frame pointer was found by looking")                     \
    X(endpoints_lost,   "endpoints that found the list full")                                       \
    X(crash_no_stack,   "threads without an alternate stack for crash reports")                           \
    X(frames_full,      "sections of generated code's unwind information beyond the ceilings")              \
    X(heap_no_slot,     "sampled allocations of threads without a slot: lost, unless others stand for those")                      \
    X(waiters_full,     "waits for locks that found the table full: who lets go is not seen")       \
    X(releases_full,    "stacks of who lets a lock go that found no room")                          \
    X(sig_blocked,      "threads that block our signal, at the last look")
/* clang-format on */

typedef struct sonde_prof__counts {
#define X(name, text) _Atomic uint64_t name;
    SONDE_PROF__COUNTS_MAP(X)
#undef X
} sonde_prof__counts;

extern sonde_prof__counts sonde_prof__count;

#define SONDE_PROF__COUNT(name) SONDE_PROF__COUNT_ADD(name, 1)
#define SONDE_PROF__COUNT_ADD(name, n)                                                             \
    ((void)atomic_fetch_add_explicit(&sonde_prof__count.name, (n), memory_order_relaxed))

#endif /* SONDE_PROFILER_COUNTS_H */
