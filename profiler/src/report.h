/* report.h - profiles for an agent that takes no batches: event.json and the pprof in one multipart body; and files.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__REPORTS_MAX bodies wait, the oldest goes; a profile of SONDE_PROF__REPORT_MAX_BYTES, beyond it
 *           less is told (pprof.h, steps).
 * Source    docs/spec/profile-upload.md */
#ifndef SONDE_PROFILER_REPORT_H
#define SONDE_PROFILER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sonde/status.h"

#include "identity.h"
#include "link.h"
#include "pprof.h"

#define SONDE_PROF__REPORTS_MAX      2
#define SONDE_PROF__REPORT_TRIES     2
#define SONDE_PROF__REPORT_MAX_BYTES ((size_t)8 << 20) /* of the packed profile */

typedef struct sonde_prof__upload {
    sonde_buf body;
    char boundary[23]; /* "sonde-" and 16 digits */
    uint64_t events;
    uint32_t tries;
} sonde_prof__upload;

typedef struct sonde_prof__reports {
    sonde_prof__upload items[SONDE_PROF__REPORTS_MAX]; /* oldest first */
    uint32_t len;
    uint64_t seq; /* of the process: profile_seq */
    uint64_t next_try_ns;
    uint64_t sent; /* profiles */
    uint64_t lost;
    uint64_t written; /* files */
    uint64_t events_sent;
    uint64_t events_lost;
} sonde_prof__reports;

void sonde_prof__reports_init(sonde_prof__reports *r);
void sonde_prof__reports_done(sonde_prof__reports *r); /* what waits is lost, and counted */

typedef struct sonde_prof__report_facts {
    sonde_prof__pprof *pprof;
    const sonde_prof__identity *who;
    const sonde_prof__stats *stats;
    uint64_t events;
    sonde_prof__pprof_step step; /* to begin with */
} sonde_prof__report_facts;

/* The packed profile and event.json, from `step` on as many steps down as it takes. */
SONDE_MUST_USE sonde_status sonde_prof__report_encode(const sonde_prof__reports *r,
                                                      sonde_prof__report_facts *f,
                                                      sonde_buf *out_profile, sonde_buf *out_event);

/* Into the files of DD_PROFILING_OUTPUT_..., as far as they are wanted. */
bool sonde_prof__report_wants_files(const sonde_prof__config *c);
void sonde_prof__report_write_files(sonde_prof__reports *r, const sonde_prof__report_facts *f,
                                    sonde_str profile, sonde_str event);

/* Puts a body behind those that wait. */
void sonde_prof__report_push(sonde_prof__reports *r, sonde_str profile, sonde_str event,
                             uint64_t events);

typedef enum sonde_prof__reporting {
    SONDE_PROF__REPORTED,     /* nothing waits */
    SONDE_PROF__REPORT_LATER, /* at next_try_ns */
    SONDE_PROF__REPORT_TOO_BIG, /* the newest was, and is still there: encode less, and replace() it */
    SONDE_PROF__REPORT_NEVER, /* the agent takes no profiles */
} sonde_prof__reporting;

/* `period_ns`: a retry comes within it. */
sonde_prof__reporting sonde_prof__report_send(sonde_prof__reports *r, sonde_prof__link *link,
                                              uint64_t period_ns, uint64_t deadline_mono_ns);

/* The newest body is this instead. */
void sonde_prof__report_replace(sonde_prof__reports *r, sonde_str profile, sonde_str event);
void sonde_prof__report_drop_newest(sonde_prof__reports *r);

uint64_t sonde_prof__report_events(const sonde_prof__reports *r); /* waiting */

/* "key:value,..." of event.json. */
void sonde_prof__report_tags(sonde_buf *b, const sonde_prof__identity *who, uint64_t seq,
                             bool unknown_frames);

#endif /* SONDE_PROFILER_REPORT_H */
