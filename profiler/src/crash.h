/* crash.h - crash reports: what a fatal signal interrupted is told to the agent, and then happens as it would have.
 *
 *   fault ──▶ on_crash ──▶ report, in memory set aside ──▶ crash socket ──▶ agent
 *                └─▶ then the program's own handler; without one the default action
 *
 * Where nobody listens on that socket a copy of the process sends the report (receiver.h).
 *
 * Nothing is open until then: the handler connects, sends two packets and hangs up, without waiting for an answer.  So
 * no descriptor of the program's table is ours, and fork(), exec() and a new agent need no care.  The handler is installed
 * once and stays, after sonde_prof_stop() too.
 *
 * The program is told what it asked for itself: its sigaction() of these signals is kept here, with its flags and mask in
 * force.  A signal it ignores is ignored.
 *
 * Threads   start, look, describe: the owner (profiler.c, drainer.c).  request, thread_begin: all.
 * Bounds    one report at a time, of SONDE_CRASH_REPORT_MAX; two lists of modules of MODULES_BYTES; an alternate stack of
 *           STACK_BYTES for each thread, untouched until needed, STACKS_MAX of them (counter `crash_no_stack`).
 * Source    docs/spec/crash-report.md */
#ifndef SONDE_PROFILER_CRASH_H
#define SONDE_PROFILER_CRASH_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "config.h"

#define SONDE_PROF__CRASH_STACK_BYTES   ((size_t)64 << 10) /* and a page below that faults */
#define SONDE_PROF__CRASH_STACKS_MAX    8192u
#define SONDE_PROF__CRASH_MODULES_BYTES ((size_t)512 << 10)

/* Installs the handler, once; with nothing to report, for the guard (guard.h). */
sonde_status sonde_prof__crash_start(const sonde_prof__config *c);

/* Signal-safe: yes. */
bool sonde_prof__crash_is_on(void);

/* Who the process is; again in a forked child. */
void sonde_prof__crash_describe(const sonde_prof__config *c, const char *runtime_id);

/* Each time the drainer has looked at what is loaded. */
void sonde_prof__crash_look(void);

/* The calling thread begins: it gets an alternate stack if it has none.  Freed when it ends. */
void sonde_prof__crash_thread_begin(void);

/* The program's sigaction().  False: not ours, the real one decides. */
bool sonde_prof__crash_request(int signo, const struct sigaction *action, struct sigaction *out_old,
                               int *out_result);

void sonde_prof__crash_postfork_child(void);

#endif /* SONDE_PROFILER_CRASH_H */
