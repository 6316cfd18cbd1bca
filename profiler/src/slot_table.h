/* slot_table.h - where the slots are; for threads.c, which writes it, and slot_sig.c.
 *
 * Threads   written under the registry's lock, read by all. */
#ifndef SONDE_PROFILER_SLOT_TABLE_H
#define SONDE_PROFILER_SLOT_TABLE_H

#include "slot.h"

#define SONDE_PROF__SLOT_LISTS 4096u

typedef struct sonde_prof__slot_table {
    _Atomic uint32_t count;                         /* slots there are */
    _Atomic uint32_t first[SONDE_PROF__SLOT_LISTS]; /* by tid: number + 1 of a slot, or 0 */
    _Atomic(sonde_prof__slot *) at[SONDE_PROF__SLOTS_MAX];
} sonde_prof__slot_table;

extern sonde_prof__slot_table sonde_prof__slots;

#endif /* SONDE_PROFILER_SLOT_TABLE_H */
