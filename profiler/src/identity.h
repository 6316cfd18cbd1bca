/* identity.h - who this process is, as batches and profiles say it.
 *
 * Threads   none: made once, again in a forked child.
 * Bounds    SONDE_PROF__TAGS_MAX tags of the user; further ones are left out. */
#ifndef SONDE_PROFILER_IDENTITY_H
#define SONDE_PROFILER_IDENTITY_H

#include <stdint.h>

#include "base/arena.h"

#include "config.h"
#include "spb.h"

#define SONDE_PROF__TAGS_MAX    128
#define SONDE_PROF__NS_PIDS_MAX 32

typedef struct sonde_prof__identity {
    const sonde_prof__config *config;
    uint32_t pid;
    uint32_t ns_pids[SONDE_PROF__NS_PIDS_MAX]; /* outermost first; one is none */
    uint32_t ns_pids_len;
    char runtime_id[37];
    bool has_met; /* the tracer's is ours */
    char libc[48];
    sonde_str tags[SONDE_PROF__TAGS_MAX]; /* "key:value" of the user */
    uint32_t tags_len;
    sonde_str process_tags;               /* "key:value,..." */
    uint64_t interval[SONDE_PROF__KINDS]; /* of the samplers that are on; the drainer's */
    sonde_arena texts;                    /* owned */
} sonde_prof__identity;

void sonde_prof__identity_init(sonde_prof__identity *id, const sonde_prof__config *c);
void sonde_prof__identity_done(sonde_prof__identity *id);

/* The child is another process: new pid and runtime-id. */
void sonde_prof__identity_renew(sonde_prof__identity *id);

/* Looks whether a tracer says who this process is; true: the runtime-id is another one now. */
bool sonde_prof__identity_meet(sonde_prof__identity *id);

/* What of a HELLO is known here; session, sequence and times are the caller's. */
void sonde_prof__identity_hello(const sonde_prof__identity *id, sonde_prof__hello *out);

extern const char sonde_prof__arch[]; /* "amd64" */

#endif /* SONDE_PROFILER_IDENTITY_H */
