/* maps.h - the objects loaded now: their unwind tables for handlers, their identity for the drainer.
 *
 * The drainer looks for changes (after a dlopen() or dlclose() seen by our hooks, once a second, and when a handler met
 * code of no object), builds what is missing and publishes a new snapshot.  An old one is freed when no handler can
 * hold it any more: the count of handlers under way was seen 0 twice, a whole drain cycle apart.
 *
 * Threads   current: all, between enter and leave.  The rest: the drainer.
 * Bounds    SONDE_PROF__OBJECTS_MAX objects at once; SONDE_PROF__GARBAGE_MAX_BYTES of snapshots waiting to be freed, then
 *           no new ones (counter `maps_garbage_full`).
 * Source    docs/spec/profile-batch.md, MAPPINGS; docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_MAPS_H
#define SONDE_PROFILER_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"
#include "unwind.h"

#define SONDE_PROF__OBJECTS_MAX       4096
#define SONDE_PROF__GARBAGE_MAX_BYTES (64u * 1024 * 1024)
#define SONDE_PROF__BUILD_ID_MAX      32

enum sonde_prof__object_flags { /* those of the batch format */
                                SONDE_PROF__OBJECT_EXEC = 1,
                                SONDE_PROF__OBJECT_VDSO = 2,
                                SONDE_PROF__OBJECT_ANON = 4,
                                SONDE_PROF__OBJECT_MAIN = 8,
                                SONDE_PROF__OBJECT_DELETED = 16,
                                SONDE_PROF__OBJECT_EH_FRAME = 32,
                                SONDE_PROF__OBJECT_ID_SYNTHETIC = 64
};

typedef struct sonde_prof__loaded {
    uint32_t
        id; /* never used again in this process; from 2 on (0: no mapping, 1: synthetic frames) */
    uint32_t flags;
    uint64_t start; /* of its executable part, as mapped */
    uint64_t length;
    uint64_t file_offset;
    uint64_t bias; /* address = ELF address + bias */
    uint64_t device;
    uint64_t inode;
    uint64_t mtime_s;
    sonde_str path; /* "" for none */
    uint8_t build_id[SONDE_PROF__BUILD_ID_MAX];
    uint8_t build_id_len;
    sonde_prof__table *table; /* NULL: walked by frame pointers */
} sonde_prof__loaded;

/* Handlers and hooks, around every use of current().  Signal-safe: yes. */
void sonde_prof__maps_enter(void);
void sonde_prof__maps_leave(void);
const sonde_prof__map *sonde_prof__maps_current(void); /* NULL: not yet */
void sonde_prof__maps_missed(void);                    /* met code of no object: look soon */

SONDE_MUST_USE sonde_status
sonde_prof__maps_refresh(void);   /* the drainer: look, build, publish, free */
void sonde_prof__maps_poke(void); /* dlopen, dlclose: look at the next drain */

/* The drainer's: which object an address belongs to; NULL: none.  Objects unloaded are remembered until the next
 * batch was written. */
const sonde_prof__loaded *sonde_prof__maps_find(uint64_t address);
const sonde_prof__loaded *sonde_prof__maps_by_id(uint32_t id);

/* Objects seen since the process began, in the order of their ids, unloaded ones too. */
uint32_t sonde_prof__maps_len(void);

#endif /* SONDE_PROFILER_MAPS_H */
