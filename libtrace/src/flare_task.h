/* flare_task.h - configurations of the products AGENT_CONFIG and AGENT_TASK, read.
 *
 * Threads   none.
 * Bounds    the rooms below; longer texts are cut, between characters.
 * Source    docs/spec/tracer-flare.md */
#ifndef SONDE_LIBTRACE_FLARE_TASK_H
#define SONDE_LIBTRACE_FLARE_TASK_H

#include <stdbool.h>

#include "base/str.h"
#include "sonde/status.h"

/* Who asked for a flare. */
typedef struct sonde__flare_task {
    char uuid[64]; /* "": none */
    char case_id[64];
    char hostname[256];
    char email[256];
} sonde__flare_task;

/* `config.log_level`, or SONDE__REMOTE_LEVEL_NONE.  SONDE_ERR_SYNTAX: no JSON object, or no level;
 * SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde__flare_level_read(sonde_str json, int *out_level);

/* *out_wanted false: another task, or one without a case.  SONDE_ERR_SYNTAX: no JSON object;
 * SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status sonde__flare_task_read(sonde_str json, sonde__flare_task *out,
                                                   bool *out_wanted);

#endif /* SONDE_LIBTRACE_FLARE_TASK_H */
