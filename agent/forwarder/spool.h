/* agent/forwarder/spool.h - what waits for one endpoint on disk: a folder with one file a body.
 *
 *   <storage>/<endpoint>/<sequence>.part   being written; what is found at a start was cut off
 *   <storage>/<endpoint>/<sequence>.body   whole, until the intake has answered
 *
 * The files are touched by spool_write/read/remove, the index in memory by the rest.  A file goes only
 * after its answer, so a kill repeats at most what was in flight and loses nothing.  Nothing is synced:
 * the kernel holds what a killed process wrote; after a power cut the checksum tells.
 *
 * Threads   the file functions: any, without a lock.  The index: the owner's lock.
 * Bounds    max_bytes, the part of the file system that may be full, SPOOL_FILES_MAX.
 * Failure   a full, read-only or broken disk is counted and rested from; the caller keeps the body.
 * Files     0600 in folders 0700.
 */
#ifndef SONDE_AGENT_FORWARDER_SPOOL_H
#define SONDE_AGENT_FORWARDER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/sink.h"
#include "sonde/status.h"

#include "delivery.h"
#include "spool_entry.h"

#define SPOOL_PATH_MAX  512
#define SPOOL_FILES_MAX 16384
#define SPOOL_REST_NS   (UINT64_C(30) * 1000000000u) /* after a disk error */

typedef struct spool_counters {
    uint64_t written; /* bodies */
    uint64_t read;
    uint64_t partial; /* files cut off by the end of a former life, removed */
    uint64_t corrupt; /* files that were not what they should be, removed */
    uint64_t errors;  /* of the disk */
    int last_errno;
} spool_counters;

typedef struct spool {
    char dir[SPOOL_PATH_MAX]; /* "": there is none */
    uint64_t max_bytes;
    double max_disk_ratio;
    spool_entry *entries; /* by sequence, oldest first */
    size_t first, len, cap;
    uint64_t bytes; /* of all files, those in flight included */
    uint64_t rest_until_mono_ns;
    spool_counters counters;
} spool;

typedef struct spool_options {
    const char *dir; /* made when it is not there; the folder above it exists */
    uint64_t max_bytes;
    double max_disk_ratio; /* 0: 1 */
    int64_t now_unix_ns;
    uint64_t now_mono_ns;
} spool_options;

/* Reads the folder: whole files into the index, the rest is removed and counted. */
SONDE_MUST_USE sonde_status spool_open(spool *s, const spool_options *options,
                                       sonde_error *out_error);
void spool_close(spool *s); /* the files stay */

bool spool_is_usable(const spool *s, uint64_t now_mono_ns); /* there, and not resting */

/* ---- files ---- */

/* Writes `d`'s body; *out_bytes is the size of its file.  On failure nothing is left behind. */
SONDE_MUST_USE sonde_status spool_write(const spool *s, const delivery *d, int64_t accepted_unix_ns,
                                        uint64_t *out_bytes, int *out_errno);

/* A delivery with the body read back.  NOT_FOUND (the file is gone), SYNTAX (it is not whole), NOMEM, SYS. */
SONDE_MUST_USE sonde_status spool_read(const spool *s, const spool_entry *entry,
                                       delivery **out_delivery);
void spool_remove(const spool *s, uint64_t sequence);

/* How many bytes the spool may have now, from its own limit and what the file system has left. */
uint64_t spool_limit(const spool *s, uint64_t own_bytes);

/* ---- index ---- */

SONDE_MUST_USE sonde_status spool_put(spool *s, const spool_entry *entry); /* at its place */
const spool_entry *spool_oldest(const spool *s);                           /* NULL: empty */
spool_entry spool_take(spool *s);                                          /* the oldest */
uint64_t spool_last_sequence(const spool *s);                              /* 0: empty */

void spool_failed(spool *s, int error, uint64_t now_mono_ns); /* counts, and rests */

#endif /* SONDE_AGENT_FORWARDER_SPOOL_H */
