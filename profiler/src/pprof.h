/* pprof.h - a window as a pprof message, for agents that cannot make it themselves, and for files.
 *
 * Threads   none: the drainer.
 * Bounds    the buffer's ceiling; SONDE_PROF__PPROF_FRAMES of a stack.
 * Failure   the buffer's sticky status, and SONDE_ERR_NOMEM.
 * Source    docs/spec/profile-upload.md */
#ifndef SONDE_PROFILER_PPROF_H
#define SONDE_PROFILER_PPROF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sonde/status.h"

#include "dict.h"
#include "living.h"
#include "spb.h"
#include "symbols.h"
#include "window.h"

#define SONDE_PROF__PPROF_FRAMES 600u /* of a stack: more than a walk has */

/* How much is left out, for profiles that are too big; each step is in the next. */
typedef enum sonde_prof__pprof_step {
    SONDE_PROF__PPROF_WHOLE,
    SONDE_PROF__PPROF_NO_TIMES, /* samples of one stack, thread and span are one */
    SONDE_PROF__PPROF_SHALLOW,  /* the innermost 128 frames */
    SONDE_PROF__PPROF_COARSE,   /* what is below a 10 000th of each column is `[other]` */
    SONDE_PROF__PPROF_STEPS
} sonde_prof__pprof_step;

typedef struct sonde_prof__pprof {
    sonde_prof__dict *dict;
    const sonde_prof__window *window;
    sonde_prof__symbols *symbols;
    const sonde_prof__endpoint *endpoints; /* of this window and the one before */
    uint32_t endpoints_len;
    const sonde_prof__endpoint *finished; /* of this window: what is counted */
    uint32_t finished_len;
    sonde_prof__span_of_time time;
    uint32_t kinds;                   /* bit per sonde_prof__kind whose columns there are */
    const sonde_prof__living *living; /* its last snapshot; NULL: no columns of the live heap */
    uint64_t cpu_period_ns;
    uint32_t pid;
    sonde_str process_name;
    bool unknown_frames; /* out: some have no name but a build-id: somebody else may find it */
} sonde_prof__pprof;

SONDE_MUST_USE sonde_status sonde_prof__pprof_write(sonde_prof__pprof *p,
                                                    sonde_prof__pprof_step step, sonde_buf *out);

#endif /* SONDE_PROFILER_PPROF_H */
