/* wall.h - where threads spend real time, running or not.
 *
 * Every interval (with a jitter, so that nothing beats with it) some threads are looked at:
 *
 *   CPU clock as at the last look ──▶ asleep ever since: the same stack again
 *   blocked in a system call      ──▶ its stack is read from here; if its clock moved meanwhile, thrown away
 *   running                       ──▶ it is asked, and looks itself when its CPU timer or event signals next
 *
 * A thread that sleeps, or is about to, is never interrupted: no system call ends with EINTR because of us
 * (docs/decisions/0017-running-threads-answer-by-their-clock.md).  Each sample weighs the time
 * since the last round, times the threads of its kind over those looked at; threads in a span are one kind, the rest
 * the other.
 *
 * Threads   one of its own, `sonde-wall`; start and stop on the drainer's.
 * Bounds    wall_threads looks a round. */
#ifndef SONDE_PROFILER_WALL_H
#define SONDE_PROFILER_WALL_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

#include "samplers.h"

SONDE_MUST_USE sonde_status sonde_prof__wall_start(const sonde_prof__sampler_settings *settings);
void sonde_prof__wall_stop(void); /* twice does nothing */
void sonde_prof__wall_set_interval(uint64_t interval_ns);
uint64_t sonde_prof__wall_interval_ns(void);
bool sonde_prof__wall_is_running(void);
void sonde_prof__wall_no_signals(void);     /* from now on: the signal is not ours any more */
void sonde_prof__wall_postfork_child(void); /* its thread is not there any more */

/* No signal of the wall sampler is sent to the slot's thread from now on, or may be again; one may be under way.  False: there
 * was no wall sampler. */
bool sonde_prof__wall_refuse(sonde_prof__slot *slot, bool refuse);

/* One round, dt after the last one; what the thread does.  For tests. */
void sonde_prof__wall_round(uint64_t dt_ns);

/* What "NR ARG... SP PC" of /proc/self/task/TID/syscall says; false: it says nothing of use. */
typedef struct sonde_prof__place {
    sonde_prof__state state;
    uint64_t sp; /* not when running */
    uint64_t pc;
} sonde_prof__place;

bool sonde_prof__place_read(const char *text, sonde_prof__place *out);

#endif /* SONDE_PROFILER_WALL_H */
