/* dashboards/model/lanes.h - what each thread did when: for every thread, steps of time with a value for each kind of doing.
 *
 *     lanes_init(&l, LANE_KINDS, from_unix_ns, step_ns, 200);
 *     lanes_add(&l, name, id, LANE_LOCK, start, end, value);      // of every sample
 *     ... l.items[i], lanes_values(&l, i, kind)[step] ...
 *
 * Threads   none.
 * Bounds    LANES_MAX threads, LANES_STEPS_MAX steps; samples of further threads are counted in `left_out`.
 */
#ifndef SONDE_DASHBOARDS_MODEL_LANES_H
#define SONDE_DASHBOARDS_MODEL_LANES_H

#include "base/arena.h"
#include "base/table.h"
#include "sonde/status.h"

#define LANES_MAX            200u
#define LANES_STEPS_MAX      500u
#define LANES_TEXT_MAX_BYTES (256u * 1024)

/* Kinds of doing; lanes of another type of sample have one kind, 0. */
typedef enum lane_kind { LANE_RUNNING, LANE_IO, LANE_LOCK, LANE_WAITING, LANE_KINDS } lane_kind;

typedef struct lane {
    sonde_str name, id; /* of a thread; either may be empty */
    int64_t total[LANE_KINDS];
    double *values; /* kinds * steps */
} lane;

typedef struct lanes {
    size_t kinds, steps;
    int64_t from_unix_ns, step_ns;
    bool has_cpu; /* who adds to it has CPU time in column 0: wall clock time tells of waits only */
    sonde_table table; /* id and name -> index + 1 */
    lane *items;
    size_t len;
    uint64_t left_out;
    bool no_memory; /* sticks */
    sonde_arena text;
} lanes;

/* done() also after a failure. */
SONDE_MUST_USE sonde_status lanes_init(lanes *l, size_t kinds, int64_t from_unix_ns,
                                       int64_t step_ns, size_t steps);
void lanes_done(lanes *l);

/* `value` is spread evenly from `start` to `end`; what is outside of the steps counts nowhere. */
void lanes_add(lanes *l, sonde_str name, sonde_str id, size_t kind, int64_t start_unix_ns,
               int64_t end_unix_ns, int64_t value);

/* What a wait is, by the label of its sample; an unknown one is LANE_WAITING. */
lane_kind lane_kind_of(sonde_str thread_state);

static inline const double *lanes_values(const lanes *l, size_t index, size_t kind)
{
    return l->items[index].values + kind * l->steps;
}

/* By how much they ran, the busiest first. */
void lanes_sort(lanes *l);

#endif /* SONDE_DASHBOARDS_MODEL_LANES_H */
