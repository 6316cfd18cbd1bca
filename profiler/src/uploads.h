/* uploads.h - windows as whole profiles: encoded, written to files, sent, and encoded smaller when they are too big.
 *
 * Threads   none: the drainer.
 * See also  report.h, pprof.h, symbols.h */
#ifndef SONDE_PROFILER_UPLOADS_H
#define SONDE_PROFILER_UPLOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "report.h"
#include "symbols.h"

typedef struct sonde_prof__uploads {
    sonde_prof__reports reports;
    sonde_prof__symbols symbols;
    sonde_prof__endpoint *endpoints; /* owned; of the window and the one before */
    uint32_t endpoints_len, endpoints_cap;
    uint32_t before_len;           /* of the one before: they come first */
    sonde_prof__pprof pprof;       /* of the newest profile */
    sonde_prof__report_facts last; /* likewise */
    bool can_shrink; /* it can be encoded again: window and dictionary are still there */
} sonde_prof__uploads;

void sonde_prof__uploads_init(sonde_prof__uploads *u);
void sonde_prof__uploads_done(sonde_prof__uploads *u);

/* The dictionary begins anew: nothing of the old one is looked at again. */
void sonde_prof__uploads_forget(sonde_prof__uploads *u);

/* A window that has ended.  `dict`, `window` and `stats` are looked at until forget() or the next close(). */
typedef struct sonde_prof__closed {
    sonde_prof__dict *dict;
    const sonde_prof__window *window;
    const sonde_prof__endpoint *endpoints;
    uint32_t endpoints_len;
    const sonde_prof__identity *who;
    const sonde_prof__stats *stats;
    const sonde_prof__living *living; /* NULL: no live heap */
    sonde_prof__span_of_time time;
    bool sends; /* else files only */
} sonde_prof__closed;

void sonde_prof__uploads_close(sonde_prof__uploads *u, const sonde_prof__closed *c);

/* False: the agent takes no profiles. */
bool sonde_prof__uploads_send(sonde_prof__uploads *u, sonde_prof__link *link, uint64_t period_ns,
                              uint64_t deadline_mono_ns);

#endif /* SONDE_PROFILER_UPLOADS_H */
