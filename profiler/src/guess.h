/* guess.h - a frame pointer nobody told: of a blocked thread the kernel says SP and PC only.
 *
 * What a function with a frame pointer leaves on the stack is a pair {the caller's FP, a return address}.  How far above
 * SP it is, is mostly to be read from the pushes the function begins with.  Where it is not there, it is looked for.  Old
 * pairs lie about, too, in what later frames have not written yet: so the call in front of the return address must be one
 * of the very function the walk is in.  Only where none is, an indirect call will do, or any.
 *
 * Threads   any, not a signal handler.
 * Bounds    16 KiB of the stack. */
#ifndef SONDE_PROFILER_GUESS_H
#define SONDE_PROFILER_GUESS_H

#include <stdbool.h>
#include <stdint.h>

#include "unwind.h"

typedef struct sonde_prof__guess {
    /* The FP of the function `pc` is in, whose frame begins above `sp`.  False: nothing looks like one. */
    bool (*find)(struct sonde_prof__guess *g, const sonde_prof__map *map, uint64_t pc, uint64_t sp,
                 uint64_t *out_fp);
    sonde_prof__stack stack; /* a copy of its first bytes; others are asked for */
    uint32_t found;          /* how many times */
} sonde_prof__guess;

bool sonde_prof__guess_fp(sonde_prof__guess *g, const sonde_prof__map *map, uint64_t pc,
                          uint64_t sp, uint64_t *out_fp);

#endif /* SONDE_PROFILER_GUESS_H */
