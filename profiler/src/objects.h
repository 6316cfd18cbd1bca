/* objects.h - what is loaded into this process now, as the loader and the kernel say it.
 *
 * The loader's list gives segments, unwind information and build-ids; /proc/self/maps gives files, and executable
 * memory that belongs to none.  In the loader's callback, under its lock, is only copied.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__OBJECTS_MAX objects; SONDE_PROF__MAPS_TEXT_MAX bytes of /proc/self/maps, what is behind them is
 *           not seen. */
#ifndef SONDE_PROFILER_OBJECTS_H
#define SONDE_PROFILER_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#include "maps.h"

#define SONDE_PROF__MAPS_TEXT_MAX (8u << 20)
#define SONDE_PROF__SEGMENTS_MAX  16

typedef struct sonde_prof__range {
    uint64_t lo;
    uint64_t hi;
} sonde_prof__range;

typedef struct sonde_prof__found {
    uint64_t bias;
    sonde_prof__range text; /* union of the executable segments */
    uint64_t start;         /* of the first of them, whole pages, up to the end of the last */
    uint64_t length;
    uint64_t file_offset;
    sonde_prof__range hdr; /* .eh_frame_hdr; empty: none */
    sonde_prof__range segments[SONDE_PROF__SEGMENTS_MAX];
    uint32_t segments_len;
    uint32_t flags; /* sonde_prof__object_flags */
    uint64_t device;
    uint64_t inode;
    uint64_t mtime_s;
    char *path; /* owned; NULL: none */
    uint8_t build_id[SONDE_PROF__BUILD_ID_MAX];
    uint8_t build_id_len;
} sonde_prof__found;

typedef struct sonde_prof__objects {
    sonde_prof__found *items; /* owned */
    uint32_t len;
    uint32_t cap;
    bool cut; /* there are more */
} sonde_prof__objects;

/* How often the loader has added and removed something: changes when it does. */
uint64_t sonde_prof__objects_generation(void);

/* SONDE_ERR_NOMEM: then `out` is empty. */
SONDE_MUST_USE sonde_status sonde_prof__objects_read(sonde_prof__objects *out);
void sonde_prof__objects_done(sonde_prof__objects *o);

/* Appends /proc/self/maps.  SONDE_ERR_NOMEM; what cannot be read is empty. */
sonde_status sonde_prof__objects_maps_text(sonde_buf *to);

/* Adds what a text in the form of /proc/self/maps says: devices and inodes to objects that lie there, and the
 * executable memory that belongs to no file.  Lines that are none are passed over. */
SONDE_MUST_USE sonde_status sonde_prof__objects_take_maps(sonde_prof__objects *o, sonde_str text);

/* The build-id in an ELF note section; 0: none. */
uint8_t sonde_prof__build_id(const uint8_t *notes, size_t len,
                             uint8_t out[SONDE_PROF__BUILD_ID_MAX]);

#endif /* SONDE_PROFILER_OBJECTS_H */
