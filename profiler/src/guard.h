/* guard.h - a program that crashes as soon as it is profiled is profiled less: CPU only in the next run, nothing for an hour
 * after another crash.
 *
 *   fatal signal, first 10 s ──▶ mark in a file ──▶ next start: less ──▶ 10 s of life, or an orderly exit: mark removed
 *
 * A mark is evidence: it is written by the handler of fatal signals, when the default action is due for a fault or an abort()
 * of the process's own.  Whoever is killed, or ends by _exit(), leaves none; how many run at once does not matter.
 *
 * The file is sonde-crash-HASH, of executable and service, in XDG_RUNTIME_DIR, else in /tmp/sonde-UID; a folder that others can
 * write to, or that is somebody else's, is not used, and no link is followed.
 *
 * Threads   begin, end: under the lock of profiler.c; look: the drainer; crashed: handlers.
 * Bounds    one file of two bytes for each executable and service.
 * Source    docs/decisions/0009-a-mark-of-crashes.md */
#ifndef SONDE_PROFILER_GUARD_H
#define SONDE_PROFILER_GUARD_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"

#define SONDE_PROF__GUARD_YOUNG_S 10u
#define SONDE_PROF__GUARD_OFF_S   3600u

typedef enum sonde_prof__allowed {
    SONDE_PROF__ALLOW_NOTHING,
    SONDE_PROF__ALLOW_CPU,
    SONDE_PROF__ALLOW_ALL
} sonde_prof__allowed;

/* Whether the configuration wants it. */
bool sonde_prof__guard_is_on(const sonde_prof__config *c);

/* What the mark of an earlier run allows, with a line in the log when it is less than all; from here on a crash is marked. */
sonde_prof__allowed sonde_prof__guard_begin(const sonde_prof__config *c, uint64_t now_mono_ns);

void sonde_prof__guard_look(uint64_t now_mono_ns); /* after 10 s: all is well */
void sonde_prof__guard_end(void);                  /* in order: all is well, too */

/* The default action of a fatal signal is due.  Signal-safe. */
void sonde_prof__guard_crashed(const siginfo_t *info);

/* Between guard.c and guard_sig.c. */
typedef struct sonde_prof__guard_state {
    char path[256];
    _Atomic uint64_t until_mono_ns; /* 0: nothing is marked */
    bool was_marked;                /* the run before had crashed, too */
} sonde_prof__guard_state;

extern sonde_prof__guard_state sonde_prof__guard_now;

#endif /* SONDE_PROFILER_GUARD_H */
