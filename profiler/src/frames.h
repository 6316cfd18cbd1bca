/* frames.h - unwind tables of code that was made while the program runs: .eh_frame sections it registers, as a JIT does with
 * __register_frame() or sonde_prof_register_frames().
 *
 *   add, remove ──▶ list of sections ──▶ drainer: copies, builds ──▶ tables of the next snapshot (maps.h)
 *
 * A section is copied by the drainer, under the lock that remove() takes: whoever has taken its section back may free it.
 * It is read as memory that may not be there, and parsed as bytes that may be anything.
 *
 * Threads   add, remove: all; before the profiler has started, too; signal-safe: no.  The rest: the drainer.
 * Bounds    SONDE_PROF__SECTIONS_MAX sections at a time (counter `frames_full`), SONDE_PROF__SECTION_BYTES_MAX of each: code
 *           that is described behind them is followed by frame pointers; SONDE_PROF__SECTION_TABLES_MAX bytes of tables
 *           (counter `frames_full`). */
#ifndef SONDE_PROFILER_FRAMES_H
#define SONDE_PROFILER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonde/status.h"

#include "unwind_table.h"

#define SONDE_PROF__SECTIONS_MAX       4096u
#define SONDE_PROF__SECTION_BYTES_MAX  ((size_t)1 << 20)
#define SONDE_PROF__SECTION_TABLES_MAX ((size_t)8 << 20)

/* bytes       0: up to the entry of no length that ends it.
 * is_passed   whether somebody behind us was told, too
 *
 * One that begins there already is replaced.  SONDE_ERR_FULL; SONDE_ERR_INVALID: NULL. */
sonde_status sonde_prof__frames_add(const void *section, uint64_t bytes, bool is_passed);

/* Whether those behind us know it: they were told, or it is none of ours. */
bool sonde_prof__frames_remove(const void *section);

/* Whether something came or went since the last each(). */
bool sonde_prof__frames_changed(void);

/* Builds what is missing.  SONDE_ERR_NOMEM: not all. */
SONDE_MUST_USE sonde_status sonde_prof__frames_refresh(void);

uint32_t sonde_prof__frames_len(void); /* tables at most: of what is there, and of what is gone */

/* Calls for each table of a section that is there, the oldest first: it is in a snapshot from here on. */
void sonde_prof__frames_each(void (*take)(void *user, sonde_prof__table *table), void *user);

/* Hands over the tables of sections that are gone: those in snapshots go to `dead`, which has room for frames_len(). */
uint32_t sonde_prof__frames_gone(sonde_prof__table **dead);

size_t sonde_prof__frames_table_bytes(void);

void sonde_prof__frames_prefork(void);
void sonde_prof__frames_postfork_parent(void);
void sonde_prof__frames_postfork_child(void); /* the code is there too */

void sonde_prof__frames_done(void); /* tables are given back; the list stays */

#endif /* SONDE_PROFILER_FRAMES_H */
