/* collector.h - what the rings hold, as rows of a window with a dictionary.
 *
 * Threads   none: the drainer, under its lock.  counted: any.
 * Bounds    dict.h, window.h; SONDE_PROF__COLLECTOR_ENDPOINTS reports of a window. */
#ifndef SONDE_PROFILER_COLLECTOR_H
#define SONDE_PROFILER_COLLECTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

#include "config.h"
#include "dict.h"
#include "living.h"
#include "spb.h"
#include "window.h"

#define SONDE_PROF__COLLECTOR_ENDPOINTS 16384u

typedef struct sonde_prof__collector {
    const sonde_prof__config *config; /* borrowed */
    sonde_prof__dict dict;
    sonde_prof__window window;
    sonde_prof__living living;
    sonde_prof__endpoint *endpoints; /* owned; of this window */
    uint32_t endpoints_len, endpoints_cap;
    uint64_t drain_ns;      /* of this window */
    _Atomic uint64_t taken; /* events, those included that found no room */
    _Atomic uint64_t lost;  /* in rings and in windows */
    _Atomic uint64_t in_window;
} sonde_prof__collector;

SONDE_MUST_USE sonde_status sonde_prof__collector_init(sonde_prof__collector *c,
                                                       const sonde_prof__config *config);
void sonde_prof__collector_done(sonde_prof__collector *c);

/* Empties the rings. */
void sonde_prof__collector_empty(sonde_prof__collector *c);

/* The same, and looks at objects, names and endpoints, as they are due. */
void sonde_prof__collector_drain(sonde_prof__collector *c, uint64_t now_mono_ns);

/* What is known of the window so far. */
void sonde_prof__collector_stats(const sonde_prof__collector *c, sonde_prof__stats *out);

/* The window is empty; the caller has what was in it. */
void sonde_prof__collector_next(sonde_prof__collector *c, uint32_t timed_max);

/* The dictionary is empty, too. */
void sonde_prof__collector_restart(sonde_prof__collector *c);

/* In a forked child: what the parent saw is the parent's. */
void sonde_prof__collector_postfork_child(sonde_prof__collector *c);

#endif /* SONDE_PROFILER_COLLECTOR_H */
