/* endpoints.h - what local root spans are requests of, from the tracer to the drainer.
 *
 * Threads   report: all, the program's among them.  take: the drainer.
 * Bounds    SONDE_PROF__ENDPOINTS_MAX reports between two takes, further ones are lost (counted). */
#ifndef SONDE_PROFILER_ENDPOINTS_H
#define SONDE_PROFILER_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SONDE_PROF__ENDPOINTS_MAX 8192

typedef struct sonde_prof__report {
    uint64_t local_root_id;
    uint32_t finished;
    uint32_t type_at; /* in text */
    uint32_t text_len;
    char text[]; /* resource, then type */
} sonde_prof__report;

/* As <sonde/profiler_hooks.h> has it. */
void sonde_prof__endpoints_report(uint64_t local_root_id, sonde_str resource, sonde_str type,
                                  uint32_t finished);

/* Calls `take` for each report there is, in their order. */
void sonde_prof__endpoints_take(void (*take)(void *user, const sonde_prof__report *r), void *user);

bool sonde_prof__endpoints_finished(void); /* some local root has, ever */

void sonde_prof__endpoints_prefork(void);
void sonde_prof__endpoints_postfork_parent(void);
void sonde_prof__endpoints_postfork_child(void); /* the reports are the parent's */

#endif /* SONDE_PROFILER_ENDPOINTS_H */
