/* window.h - the samples of one batch, by stack, thread and span; with timeline each by itself.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__ROWS_MAX rows; beyond them a sample that fits into no row is lost and counted by kind, its value
 *           too.  `timed_max` rows with a time of their own; beyond them samples are added up.
 * Source    docs/spec/profile-batch.md, SAMPLES */
#ifndef SONDE_PROFILER_WINDOW_H
#define SONDE_PROFILER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

#include "dict.h"
#include "sample.h"

#define SONDE_PROF__ROWS_MAX 131072u
#define SONDE_PROF__ENDS     8u /* of walks, or more */

/* What a row is about; equal keys are one row. */
typedef struct sonde_prof__tally_key {
    uint32_t kind; /* sonde_prof__kind */
    uint32_t thread;
    uint32_t context;
    uint32_t node;
    /* WALL state; LOCK, RELEASE name, kind; IO operation, class; EXCEPTION type; CUSTOM type, unit */
    uint32_t extra[2];
} sonde_prof__tally_key;

typedef struct sonde_prof__tally {
    sonde_prof__tally_key key;
    uint64_t mono_ns; /* of the sample; of rows that are sums: of the first */
    uint64_t events;
    int64_t value[3]; /* the columns of the format; ALLOC: objects in 256ths */
    bool timed;
} sonde_prof__tally;

typedef struct sonde_prof__window {
    sonde_prof__tally *rows; /* owned */
    uint32_t *slots;         /* owned; place + 1 of rows that are sums */
    uint32_t len, cap, slots_len;
    uint32_t timed_len;
    uint32_t timed_max;
    uint32_t rows_of[SONDE_PROF__KINDS];
    uint64_t samples[SONDE_PROF__KINDS];    /* events taken in */
    uint64_t lost[SONDE_PROF__KINDS];       /* events that found no room */
    uint64_t lost_value[SONDE_PROF__KINDS]; /* theirs */
    uint64_t ends[SONDE_PROF__ENDS];        /* walks by sonde_prof__end */
} sonde_prof__window;

void sonde_prof__window_init(sonde_prof__window *w, uint32_t timed_max); /* allocates nothing */
void sonde_prof__window_done(sonde_prof__window *w);
void sonde_prof__window_clear(sonde_prof__window *w); /* empty; memory is kept */

/* The sample is in the window, or counted as lost. */
void sonde_prof__window_add(sonde_prof__window *w, sonde_prof__dict *d, const sonde_prof__sample *s,
                            uint32_t thread);

/* 256ths to the nearest whole, halves to the even one. */
uint64_t sonde_prof__round_256(int64_t value);

#endif /* SONDE_PROFILER_WINDOW_H */
