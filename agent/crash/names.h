/* agent/crash/names.h - names for addresses, as agent/main lends them: rooms of one floor do not see each other.
 *
 * Threads   agent-crash.
 * Failure   no name is an ordinary answer. */
#ifndef SONDE_AGENT_CRASH_NAMES_H
#define SONDE_AGENT_CRASH_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/str.h"

#include "report.h"

#define CRASH_LINES_MAX 32u /* functions at one address */

typedef struct crash_line {
    sonde_str name;        /* readable */
    sonde_str system_name; /* as the object has it; empty: the same */
    sonde_str file;        /* empty: unknown */
    uint32_t line;         /* 0: unknown */
} crash_line;

/* All NULL: nothing is known. */
typedef struct crash_symbols {
    void *user;
    /* While the process is still there; a reference, or NULL. */
    void *(*open)(void *user, pid_t pid, const report_module *m);
    /* What is at an ELF address, the innermost inlined function first; valid until the next call. */
    size_t (*resolve)(void *user, void *object, uint64_t address, crash_line out[CRASH_LINES_MAX]);
    void (*close)(void *user, void *object);
} crash_symbols;

#endif /* SONDE_AGENT_CRASH_NAMES_H */
