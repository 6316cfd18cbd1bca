/* unwind.h - the stack of an interrupted thread, from its registers, by unwind tables.
 *
 * Nothing is called, locked or allocated on the way, and no address is read that was not checked: a stack that
 * cannot be followed ends there, and says why.
 *
 * Threads   all, signal handlers included.
 * Bounds    SONDE_PROF__FRAMES_MAX.
 * Source    docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_UNWIND_H
#define SONDE_PROFILER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind_table.h"

#define SONDE_PROF__FRAMES_MAX 512

struct sonde_prof__guess; /* guess.h */

typedef struct sonde_prof__regs {
    uint64_t pc;
    uint64_t sp;
    uint64_t fp; /* rbp, x29 */
    uint64_t lr; /* aarch64: x30 */
    /* DWARF numbers 0 to 15 of the interrupted frame (x86-64), for hand-written code; NULL: not known */
    const uint64_t *all;
    struct sonde_prof__guess *guess; /* not NULL: `fp` is not known, and this one is asked for it */
} sonde_prof__regs;

/* Objects loaded, by ascending text_lo. */
typedef struct sonde_prof__map {
    uint32_t len;
    const sonde_prof__table *const *tables;
} sonde_prof__map;

const sonde_prof__table *sonde_prof__map_find(const sonde_prof__map *map,
                                              uint64_t pc); /* NULL: none */

typedef enum sonde_prof__end {
    SONDE_PROF__COMPLETE,   /* at the thread's first function */
    SONDE_PROF__TRUNCATED,  /* more than SONDE_PROF__FRAMES_MAX, or than asked for */
    SONDE_PROF__NO_RULE,    /* code whose frames cannot be said */
    SONDE_PROF__BAD_CFA,    /* would lead down, too far, or nowhere */
    SONDE_PROF__UNREADABLE, /* memory that is not there */
    SONDE_PROF__NO_RANGE,   /* code of no object known */
} sonde_prof__end;

typedef struct sonde_prof__stack {
    uint64_t lo; /* of the thread; 0, 0: not known, then every address is asked for */
    uint64_t hi;
    /* what stands at lo..hi; NULL: to be read there.  Of another thread, which may run or end */
    const uint8_t *copy;
} sonde_prof__stack;

/* Writes up to `max` addresses to `out`, the interrupted one first; of callers the address is inside the call
 * instruction (return address - 1).  Returns how many. */
uint32_t sonde_prof__unwind(const sonde_prof__map *map, const sonde_prof__regs *regs,
                            const sonde_prof__stack *stack, uint64_t *out, uint32_t max,
                            sonde_prof__end *out_end);

#endif /* SONDE_PROFILER_UNWIND_H */
