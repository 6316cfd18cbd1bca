/* hooks.h - how samples learn whose work they saw: records of libtrace, or of another publisher.
 *
 *   libtrace ──set_context_record()──▶ records known ──▶ slot->record ──▶ handler
 *
 * Exported for libtrace: sonde_prof_set_context_record, sonde_prof_endpoint (<sonde/profiler_hooks.h>).
 *
 * Threads   all; signal-safe: no.
 * Bounds    8 192 records of libtrace (counter `records_full`). */
#ifndef SONDE_PROFILER_HOOKS_IN_H
#define SONDE_PROFILER_HOOKS_IN_H

#include <stdbool.h>

#include "sonde/profiler_hooks.h"

#include "slot.h"

SONDE_API sonde_prof_set_context_record_fn sonde_prof_set_context_record;
SONDE_API sonde_prof_endpoint_fn sonde_prof_endpoint;

/* Tells libtrace that we are here, when the loader shows it to us.  True: told.  Who starts us: it asks the loader, which may
 * allocate. */
bool sonde_prof__hooks_announce(void);

/* The same of one that is hidden (dlopen(RTLD_LOCAL)), in the object with that bias.  The drainer. */
bool sonde_prof__hooks_announce_in(uint64_t bias);

void sonde_prof__hooks_withdraw(void); /* whoever was told is told that we stop */

/* For the registry: libtrace's record of this slot's thread, made before the slot. */
void sonde_prof__hooks_find_record(sonde_prof__slot *slot);

/* The calling thread's pointer variable of another publisher; NULL: there is none. */
void *_Atomic *sonde_prof__hooks_foreign(void);

/* Which attribute of another publisher's record is the local root span; -1: none. */
void sonde_prof__hooks_set_local_root_key(int key);

/* Where endpoints go; NULL: nowhere.  Called on the program's threads, under no lock of ours; the texts are valid during
 * the call. */
void sonde_prof__hooks_set_endpoint_sink(sonde_prof_endpoint_fn *sink);

#endif /* SONDE_PROFILER_HOOKS_IN_H */
