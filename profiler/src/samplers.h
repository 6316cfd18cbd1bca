/* samplers.h - CPU and wall samples of every thread, from start to stop.
 *
 * Life, on any threads:
 *
 *   samplers_start() ──▶ samplers_tick() at every drain ──▶ samplers_stop()
 *
 * Start finds the threads that are there and arms a timer on each; tick looks for new ones once a second, tries failed
 * timers again, reads names, and opens and closes the circuit breaker; stop leaves the signal's handler in place, which then
 * only chains.
 *
 * Threads   as said at each.
 * Bounds    SONDE_PROF__SLOTS_MAX threads.
 * See also  slot.h (who is there, rings), counts.h (what is counted), hooks.h (spans) */
#ifndef SONDE_PROFILER_SAMPLERS_H
#define SONDE_PROFILER_SAMPLERS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

#include "slot.h"

#define SONDE_PROF__CPU_PERIOD_NS    10101010u /* 99 Hz */
#define SONDE_PROF__WALL_INTERVAL_NS 50000000u
#define SONDE_PROF__WALL_THREADS     16u

typedef enum sonde_prof__wall_engine {
    SONDE_PROF__WALL_AUTO,     /* running threads answer by their CPU clock's signal */
    SONDE_PROF__WALL_SIGNAL,   /* a signal for each */
    SONDE_PROF__WALL_NOSIGNAL, /* running threads are not looked at */
} sonde_prof__wall_engine;

/* Zero-initialise: a zero means the default, but for the two engines that are off then. */
typedef struct sonde_prof__sampler_settings {
    bool cpu;
    bool wall;
    int signo;                 /* 0: SIGPROF */
    uint64_t cpu_period_ns;    /* 0: SONDE_PROF__CPU_PERIOD_NS */
    uint64_t wall_interval_ns; /* 0: SONDE_PROF__WALL_INTERVAL_NS */
    uint32_t wall_threads;     /* looked at per round; 0: SONDE_PROF__WALL_THREADS */
    uint32_t frames_max;       /* 0: SONDE_PROF__FRAMES_MAX */
    sonde_prof__wall_engine wall_engine;
    bool perf; /* perf events wake threads for CPU samples, where they can be had */
} sonde_prof__sampler_settings;

/* Also to start again after stop.  SONDE_ERR_SYS: the signal cannot be had; SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status
sonde_prof__samplers_start(const sonde_prof__sampler_settings *settings);
void sonde_prof__samplers_stop(void); /* no sample is taken after it; twice does nothing */
void sonde_prof__samplers_tick(uint64_t now_mono_ns);

/* From now on, on threads as they are sampled next; 0 leaves one as it is.  Each sample weighs the period it came by.
 * Threads: any. */
void sonde_prof__samplers_set_interval(uint64_t cpu_period_ns, uint64_t wall_interval_ns);
uint64_t sonde_prof__samplers_cpu_period_ns(void); /* 0: off */
uint64_t sonde_prof__samplers_wall_interval_ns(void);

/* CPU time of handlers and of the threads of ours, so far.  Threads: any. */
uint64_t sonde_prof__samplers_own_ns(void);

/* A sampler met a ring that is filling: the drainer sleeps in wait() until then, or for as long as it says.  A futex, no
 * descriptor: the program may close those.  wake: any thread, signal-safe. */
void sonde_prof__samplers_wake(void);
void sonde_prof__samplers_wait(uint64_t timeout_ns);

/* Around fork(), from pthread_atfork(); in the child its only thread is armed again. */
void sonde_prof__samplers_prefork(void);
void sonde_prof__samplers_postfork_parent(void);
void sonde_prof__samplers_postfork_child(void);

/* For the registry, under its lock: a slot has been given to a thread, or is about to be taken away. */
void sonde_prof__sampler_attach(sonde_prof__slot *slot);
void sonde_prof__sampler_detach(sonde_prof__slot *slot);

void sonde_prof__samplers_unblock(void); /* our signal, on the calling thread */

/* What the program asks for our signal is kept and answered, and ours stays (sigaction(), signal()).  False: it is not
 * our signal, or we are not there: the caller goes to libc. */
bool sonde_prof__signal_request(int signo, const struct sigaction *action,
                                struct sigaction *out_old);

/* The calling thread is about to exec, or has failed to: no signal of ours waits for the program that comes, which would end
 * by it.  Timers' signals end with exec; those of the wall sampler and of perf events do not. */
void sonde_prof__exec_begin(void);
void sonde_prof__exec_failed(void);

/* For those who wait for signals: ours is in the set, and we are there. */
bool sonde_prof__signal_is_in(const sigset_t *set);
bool sonde_prof__signal_is_ours(const siginfo_t *info); /* one of our own sending */
void sonde_prof__signal_take_out(sigset_t *set);

#endif /* SONDE_PROFILER_SAMPLERS_H */
