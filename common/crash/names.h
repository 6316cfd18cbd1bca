/* crash/names.h - names for addresses, lent by whoever has them.
 *
 * Threads   none.
 * Failure   no name is an ordinary answer. */
#ifndef SONDE_CRASH_NAMES_H
#define SONDE_CRASH_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/str.h"

#include "report.h"

#define SONDE_CRASH_LINES_MAX 32u /* functions at one address */

typedef struct sonde_crash_line {
    sonde_str name;        /* readable */
    sonde_str system_name; /* as the object has it; empty: the same */
    sonde_str file;        /* empty: unknown */
    uint32_t line;         /* 0: unknown */
} sonde_crash_line;

/* All NULL: nothing is known. */
typedef struct sonde_crash_symbols {
    void *user;
    /* While the process is still there; a reference, or NULL. */
    void *(*open)(void *user, pid_t pid, const sonde_crash_report_module *m);
    /* What is at an ELF address, the innermost inlined function first; valid until the next call. */
    size_t (*resolve)(void *user, void *object, uint64_t address,
                      sonde_crash_line out[SONDE_CRASH_LINES_MAX]);
    void (*close)(void *user, void *object);
} sonde_crash_symbols;

#endif /* SONDE_CRASH_NAMES_H */
