/* unwind_build.h - an object's .eh_frame to its unwind table.
 *
 * Threads   any, not a signal handler: allocates.
 * Source    docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_UNWIND_BUILD_H
#define SONDE_PROFILER_UNWIND_BUILD_H

#include "sonde/status.h"

#include "cfi.h"
#include "unwind_table.h"

typedef struct sonde_prof__object {
    sonde_prof__arch arch;
    uint64_t text_lo; /* union of the executable segments; 0, 0: what the FDEs are about */
    uint64_t text_hi;
    sonde_prof__image hdr; /* PT_GNU_EH_FRAME; len 0: none */
    /* the segment with .eh_frame: from its address in `hdr` to the segment's end */
    sonde_prof__image eh_frame;
} sonde_prof__object;

/* SONDE_ERR_NOMEM; SONDE_ERR_TOO_BIG: more than 4 GiB of text; SONDE_ERR_NOT_FOUND: no FDE could be found. */
SONDE_MUST_USE sonde_status sonde_prof__table_build(const sonde_prof__object *object,
                                                    sonde_prof__table **out_table);
void sonde_prof__table_free(sonde_prof__table *t); /* NULL does nothing */

/* Where `hdr` says .eh_frame begins; 0: it does not say. */
uint64_t sonde_prof__eh_frame_addr(const sonde_prof__image *hdr);

#endif /* SONDE_PROFILER_UNWIND_BUILD_H */
