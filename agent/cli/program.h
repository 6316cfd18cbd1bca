/* agent/cli/program.h - a program that is about to be run with the profiler preloaded.
 *
 *   program_find() ─▶ program_obstacle() ─▶ environment_open(), environment_set() ... ─▶ execve
 *
 * Threads   none.
 */
#ifndef SONDE_AGENT_CLI_PROGRAM_H
#define SONDE_AGENT_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "sonde/status.h"

#define PROFILER_LIBRARY "libsonde-profiler.so"

/* The file a shell would run for `name`; false: errno says why not. */
bool program_find(const char *name, char out[PATH_MAX]);

/* Why a library cannot be preloaded into it, in words for a user; NULL: it can, as far as one sees from outside.  A
 * script stands for its interpreter. */
const char *program_obstacle(const char *path);

/* Where the profiler's library is: beside this program, in the build tree, or where it was installed.  False: nowhere. */
bool program_find_profiler(char out[PATH_MAX]);

/* This process's environment with changes. */
typedef struct environment {
    char **all; /* NAME=value, NULL at the end; owned, as those texts that were set */
    size_t len;
} environment;

SONDE_MUST_USE sonde_status environment_open(environment *e);
void environment_done(environment *e);
SONDE_MUST_USE sonde_status environment_set(environment *e, const char *name, const char *value);

/* Before what is there already. */
SONDE_MUST_USE sonde_status environment_preload(environment *e, const char *library);

#endif /* SONDE_AGENT_CLI_PROGRAM_H */
