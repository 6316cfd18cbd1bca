/* kernel.h - names of the kernel's functions, from /proc/kallsyms, as far as this process may read addresses there.
 *
 * Named here and not by the agent: who may see the kernel's frames may mostly read this file too, while the agent may be another
 * user, and so no address of the kernel leaves the process.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__KERNEL_BYTES for the table, which is read when the first name is asked for (some 5 MiB for a
 *           distribution's kernel); beyond it the functions read last have no name. */
#ifndef SONDE_PROFILER_KERNEL_H
#define SONDE_PROFILER_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "symbols.h"

#define SONDE_PROF__KERNEL_BYTES ((size_t)16 << 20)

/* A table as it grows. */
typedef struct sonde_prof__kernel_table {
    sonde_prof__symbol_table symbols; /* owned; sorted by finish() */
    uint32_t items_cap;
    size_t names_cap;
    size_t max_bytes;
} sonde_prof__kernel_table;

/* Takes the whole lines of `text` and returns their bytes; what is no line of a function's is passed over.  finish: they are
 * in order, and none of no address is among them. */
size_t sonde_prof__kernel_take(sonde_prof__kernel_table *t, sonde_str text);
void sonde_prof__kernel_finish(sonde_prof__kernel_table *t);
void sonde_prof__kernel_done(sonde_prof__kernel_table *t);

/* Of the running kernel; "": not known.  Valid until forget(). */
sonde_str sonde_prof__kernel_name(uint64_t address);
void sonde_prof__kernel_forget(void);

#endif /* SONDE_PROFILER_KERNEL_H */
