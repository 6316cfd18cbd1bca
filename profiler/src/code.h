/* code.h - code that was made while the program runs, as the program tells of it: names for frames without a symbol.
 *
 * Threads   all; signal-safe: no.
 * Bounds    SONDE_PROF__CODE_MAX pieces at a time; names of SONDE_PROF__CODE_NAME_MAX bytes, cut. */
#ifndef SONDE_PROFILER_CODE_H
#define SONDE_PROFILER_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE_PROF__CODE_MAX      16384u
#define SONDE_PROF__CODE_NAME_MAX 512u

/* One that begins there already is replaced.  SONDE_ERR_FULL, SONDE_ERR_NOMEM, SONDE_ERR_INVALID: empty. */
sonde_status sonde_prof__code_add(uint64_t lo, uint64_t bytes, sonde_str name);
void sonde_prof__code_remove(uint64_t lo);

/* The name of what covers `address`; its length, 0: nothing does. */
size_t sonde_prof__code_name(uint64_t address, char out[SONDE_PROF__CODE_NAME_MAX]);

/* Those not taken yet, in ascending order; `again`: all.  Called under the lock: not to add or remove. */
void sonde_prof__code_take(bool again,
                           void (*take)(void *user, uint64_t lo, uint64_t bytes, sonde_str name),
                           void *user);

void sonde_prof__code_prefork(void);
void sonde_prof__code_postfork_parent(void);
void sonde_prof__code_postfork_child(void); /* the code is there too */

#endif /* SONDE_PROFILER_CODE_H */
