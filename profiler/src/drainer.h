/* drainer.h - the thread `sonde-drain`: rings into the window, windows into batches, batches to the agent.
 *
 *   rings ──each 100 ms──▶ window ──each 10 s──▶ batch ──▶ outbox ──▶ our agent
 *                             └────each 60 s──▶ pprof  ──▶ a stock agent, files
 *
 * Threads   start, stop, flush: under the lock of profiler.c.  counts: any.
 * Bounds    those of its parts. */
#ifndef SONDE_PROFILER_DRAINER_H
#define SONDE_PROFILER_DRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

#include "config.h"

/* `config` is borrowed until stop. */
SONDE_MUST_USE sonde_status sonde_prof__drainer_start(const sonde_prof__config *config);

/* Empties the rings once more, sends what there is until the deadline, and lets the thread go; in a process that has
 * none (a forked child), on the calling thread. */
void sonde_prof__drainer_stop(uint64_t deadline_mono_ns);

/* Something was sampled that is not sent yet. */
bool sonde_prof__drainer_has_work(void);

/* The thread did not end in time when it was told to. */
bool sonde_prof__drainer_is_left(void);

/* Closes the window and sends it: SONDE_ERR_TIMEOUT, SONDE_ERR_REFUSED. */
SONDE_MUST_USE sonde_status sonde_prof__drainer_flush(uint64_t deadline_mono_ns);

typedef struct sonde_prof__drainer_counts {
    uint64_t taken; /* events */
    uint64_t sent;
    uint64_t lost;
    uint64_t waiting;
    uint64_t batches_sent;
    uint64_t batches_lost;
} sonde_prof__drainer_counts;

sonde_prof__drainer_counts sonde_prof__drainer_counted(void);

/* Around fork().  The child has no thread until drainer_resume(). */
void sonde_prof__drainer_prefork(void);
void sonde_prof__drainer_postfork_parent(void);
void sonde_prof__drainer_postfork_child(void);
void sonde_prof__drainer_resume(void);

#endif /* SONDE_PROFILER_DRAINER_H */
