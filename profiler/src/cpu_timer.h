/* cpu_timer.h - a timer on the CPU clock of each thread, which signals that very thread.
 *
 * The first expiry is at a random point of the first period: a thread that uses c of CPU is sampled c / period times on
 * average, however short it lives.
 *
 * Threads   arm, disarm: under the registry's lock or on the slot's thread.  Signal-safe: yes, all. */
#ifndef SONDE_PROFILER_CPU_TIMER_H
#define SONDE_PROFILER_CPU_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

/* In siginfo of a signal that is ours. */
extern const char sonde_prof__cpu_cookie;

bool sonde_prof__timer_arm(sonde_prof__slot *slot, int signo,
                           uint64_t period_ns); /* false: errno */
void sonde_prof__timer_disarm(sonde_prof__slot *slot);

/* Disarms at the end of the slot's thread, on it.  Timers fire at the scheduler's tick: what they owe the thread by its
 * clock is returned, as a number of periods, or threads shorter than a tick would hardly be seen. */
uint32_t sonde_prof__timer_end(sonde_prof__slot *slot);

/* Whole periods of the thread's CPU clock that no sample has stood for yet; on the slot's thread.  What wakes the thread, a
 * timer or an event (events.h), says only when to look: no signal that came late or not at all makes a sum wrong. */
uint32_t sonde_prof__cpu_owed(const sonde_prof__slot *slot);
void sonde_prof__cpu_restart(sonde_prof__slot *slot,
                             uint64_t period_ns); /* from now on, at a random point */

uint64_t sonde_prof__thread_cpu_ns(void); /* CPU time of the calling thread */
uint64_t
sonde_prof__cpu_ns_of(uint32_t tid); /* of another one of the process; UINT64_MAX: it is gone */
void sonde_prof__timer_set(sonde_prof__slot *slot, uint64_t period_ns); /* from now on */

#endif /* SONDE_PROFILER_CPU_TIMER_H */
