/* events.h - perf events in place of timers: sampling finer than the scheduler's tick, and the kernel's frames.
 *
 *   sonde-perf: event of a thread ──▶ signal to that thread ──▶ handler: its own walk, and the kernel's frames from the ring
 *
 * A thread begins with its timer (cpu_timer.h); a moment later its event takes over.  What a sample weighs is the CPU clock's
 * to say in both cases, so the change costs nothing.
 *
 * Every descriptor is in the table of sonde-perf (files.h): the program can neither meet nor close one, and no child has it.
 * Where such a table cannot be had, timers stay.
 *
 * Threads   as said at each.
 * Bounds    one event for each thread, as many as descriptors are allowed; further ones keep their timer (event_failures).
 * See also  docs/decisions/0016-perf-events.md */
#ifndef SONDE_PROFILER_EVENTS_H
#define SONDE_PROFILER_EVENTS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

/* numbers are those of the statistics */
typedef enum sonde_prof__perf {
    SONDE_PROF__PERF_NONE = 0,   /* timers */
    SONDE_PROF__PERF_USER = 1,   /* the kernel's part is not ours to see */
    SONDE_PROF__PERF_KERNEL = 2, /* with its frames */
} sonde_prof__perf;

/* Asks the kernel, says in the log if it refuses, and begins; again: does nothing, also after a refusal, until stop.  Under
 * the samplers' lock. */
void sonde_prof__events_start(int signo);
void sonde_prof__events_stop(void); /* no event is left after it */

sonde_prof__perf sonde_prof__events_mode(void); /* any thread */

/* threads came or went, or the period is another; signal-safe */
void sonde_prof__events_wake(void);

/* The calling thread is about to exec: its event has ended when hold comes back.  False: it had none. */
bool sonde_prof__event_hold(sonde_prof__slot *slot);
void sonde_prof__event_release(sonde_prof__slot *slot);

/* In a forked child, of every slot, and then of all. */
void sonde_prof__event_forget(sonde_prof__slot *slot);
void sonde_prof__events_postfork_child(void);

/* -- in handlers ------------------------------------------------------------------------------------ */

/* The signal is of the event of the calling thread.  `slot` NULL: it is on its way out, or is passed by. */
bool sonde_prof__event_is(const sonde_prof__slot *slot, const siginfo_t *info);

/* Samples that wait in a ring. */
uint32_t sonde_prof__event_waiting(const void *page);

/* The oldest one's frames, innermost first, written so that they end before `end`; returns how many, 0 for none. */
uint32_t sonde_prof__event_next(void *page, uint64_t *end, uint32_t max);

/* What is in it came while the handler ran: the program is not in those system calls. */
void sonde_prof__event_skip(void *page);

#endif /* SONDE_PROFILER_EVENTS_H */
