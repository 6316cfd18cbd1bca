/* agent/cli/profiled.h - a program under the profiler, its samples coming here.
 *
 *   profiled_begin() ─▶ profiled_wait() ... ─▶ collector_take() ─▶ profiled_end()
 *
 * The program runs in the foreground like one the shell started: Ctrl-C is for it, and it ends when it likes.  Or it is a
 * process that runs already, which is profiled until we want no more, and then goes on.
 *
 * Threads   the main thread; signals are waited for, not handled.
 */
#ifndef SONDE_AGENT_CLI_PROFILED_H
#define SONDE_AGENT_CLI_PROFILED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attached.h"
#include "cli.h"
#include "collector.h"
#include "program.h"

#define PROFILED_EVENTS_USUAL "cpu,wall,heap,lock"

typedef struct profiled_options {
    char **argv;           /* the program and its arguments, NULL at the end */
    const char *pid;       /* instead: of a process that runs; NULL: none */
    bool trusts_seccomp;   /* of that one */
    const char *events;    /* "cpu,lock"; NULL: PROFILED_EVENTS_USUAL */
    const char *frequency; /* CPU samples a second; NULL: the profiler's own */
    unsigned batch_ms;     /* time between batches */
    /* file for what the program prints, which then reads nothing; NULL: as here */
    const char *prints_to;
    bool inlines;
} profiled_options;

typedef struct profiled {
    collector *collector;
    pid_t pid;
    bool is_over; /* it has ended */
    int status;   /* of waitpid() */
    uint64_t began_mono_ns;
    int64_t began_unix_ns;
    bool interrupted; /* somebody asked us to end */
    bool is_attached; /* the process ran before, and will run on */
    attached attached;
    char name[64]; /* for titles */
} profiled;

/* False: said why, *out_exit is the code. */
bool profiled_begin(const command *self, const profiled_options *o, profiled *out, int *out_exit);
void profiled_end(profiled *p); /* what still runs goes on running */

/* It has not ended, and if it is not ours to end, nobody wants us to. */
bool profiled_goes_on(const profiled *p);

/* Until the program ends, somebody interrupts, or the time has come. */
void profiled_wait(profiled *p, uint64_t until_mono_ns);

/* Asks the program to end, after its samples up to now have come; waits for it.  A process that ran before is let alone. */
void profiled_stop(profiled *p, unsigned batch_ms);

/* As a shell would report how it ended: its exit code, or 128 + the signal. */
int profiled_exit_code(const profiled *p);

#endif /* SONDE_AGENT_CLI_PROFILED_H */
