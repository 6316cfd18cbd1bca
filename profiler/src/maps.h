/* maps.h - the objects loaded now: their unwind tables for handlers, their identity for the drainer.
 *
 * The drainer looks for changes (after a dlopen() or dlclose() seen by our hooks, once a second, and when a handler met
 * code of no object), builds what is missing and publishes a new snapshot.  An old one is freed when no handler can
 * hold it any more: the count of handlers under way was seen 0 twice, a whole drain cycle apart.
 *
 * Threads   enter, leave, current, missed, poke: all, signal-safe.  The rest: the drainer.
 * Bounds    SONDE_PROF__OBJECTS_MAX objects at once; SONDE_PROF__RECORDS_MAX ever: further ones are not known (counter
 *           `maps_full`); SONDE_PROF__GARBAGE_MAX_BYTES of snapshots waiting to be freed, then no new ones (counter
 *           `maps_garbage_full`).
 * Source    docs/spec/profile-batch.md, MAPPINGS; docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_MAPS_H
#define SONDE_PROFILER_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"
#include "unwind.h"

#define SONDE_PROF__OBJECTS_MAX       4096
#define SONDE_PROF__RECORDS_MAX       16384
#define SONDE_PROF__GARBAGE_MAX_BYTES ((size_t)64 << 20)
#define SONDE_PROF__BUILD_ID_MAX      32
#define SONDE_PROF__FIRST_MAP         2u /* 0: no mapping, 1: synthetic frames */

/* those of the batch format */
enum sonde_prof__object_flags {
    SONDE_PROF__OBJECT_EXEC = 1,
    SONDE_PROF__OBJECT_VDSO = 2,
    SONDE_PROF__OBJECT_ANON = 4,
    SONDE_PROF__OBJECT_MAIN = 8,
    SONDE_PROF__OBJECT_DELETED = 16,
    SONDE_PROF__OBJECT_EH_FRAME = 32,
    SONDE_PROF__OBJECT_ID_SYNTHETIC = 64
};

typedef struct sonde_prof__loaded {
    /* from SONDE_PROF__FIRST_MAP on; the same when it is loaded again in the same place */
    uint32_t id;
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
    bool is_loaded;
    uint64_t unloaded_mono_ns; /* when it was seen to be gone; 0: never */
    sonde_prof__table *table;  /* NULL: walked by frame pointers */
} sonde_prof__loaded;

/* Handlers and hooks, around every use of current(). */
void sonde_prof__maps_enter(void);
void sonde_prof__maps_leave(void);
const sonde_prof__map *sonde_prof__maps_current(void); /* NULL: not yet */
void sonde_prof__maps_missed(void);                    /* met code of no object: look soon */
void sonde_prof__maps_poke(void);                      /* dlopen, dlclose: look at the next drain */
uint32_t sonde_prof__maps_under_way(void); /* handlers and hooks between enter and leave */

/* The drainer, each time it drains: looks if it is due, builds, publishes, frees.  SONDE_ERR_NOMEM: what was known
 * stays, and is looked at again a second later. */
SONDE_MUST_USE sonde_status sonde_prof__maps_refresh(uint64_t now_mono_ns);

/* Which object an address belongs to; NULL: none.  Objects unloaded are found until forget(). */
const sonde_prof__loaded *sonde_prof__maps_find(uint64_t address);
const sonde_prof__loaded *sonde_prof__maps_by_id(uint32_t id); /* NULL: no such */
void sonde_prof__maps_forget(void);                            /* the batch was written */

/* Ids there are: FIRST_MAP .. FIRST_MAP + len - 1. */
uint32_t sonde_prof__maps_len(void);

typedef struct sonde_prof__maps_counts {
    uint64_t refreshes; /* snapshots published */
    uint64_t full;
    uint64_t garbage_full;
    uint64_t missed;      /* walks that met code of no object */
    uint64_t table_bytes; /* now */
} sonde_prof__maps_counts;

sonde_prof__maps_counts sonde_prof__maps_counted(void);

/* In a forked child: whoever was under way in the parent is not here. */
void sonde_prof__maps_postfork_child(void);

/* For tests, and when no thread can be under way: everything is given back. */
void sonde_prof__maps_done(void);

#endif /* SONDE_PROFILER_MAPS_H */
