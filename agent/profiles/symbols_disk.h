/* agent/profiles/symbols_disk.h - what was found out about objects, kept on disk: a restarted agent need not find it out
 * again, and knows names of programs that are gone.
 *
 *   FOLDER/BUILD-ID.names    a sealed index: see symbols_image.c
 *   FOLDER/BUILD-ID.debug    a debug file somebody sent (symbols_fetch.h)
 *   FOLDER/BUILD-ID.N.part   one that is being written
 *
 * Files are ours alone (0600, in a folder 0700), appear whole by rename, and are not believed: what is not as it was
 * written is removed and made again.
 *
 * Threads   any: one mutex (rank SONDE_RANK_STORE), under which folders are read and files removed, and no more.
 * Bounds    max_bytes of files, SYMBOLS_DISK_FILES_MAX of them: those unused longest go.
 * Source    docs/spec/profile-batch.md, "Symbols"
 */
#ifndef SONDE_AGENT_PROFILES_SYMBOLS_DISK_H
#define SONDE_AGENT_PROFILES_SYMBOLS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/json_write.h"
#include "sonde/status.h"

#include "symbols_internal.h"

#define SYMBOLS_DISK_FILES_MAX 4096u
#define SYMBOLS_DISK_LEAST                                                                         \
    2048u /* symbols an index has to have: smaller ones are quicker made than looked for */
#define SYMBOLS_DISK_SHARE 2u /* of max_bytes: one file */

typedef struct symbols_disk_counters {
    _Atomic uint64_t names_read; /* indexes that were there */
    _Atomic uint64_t names_written;
    _Atomic uint64_t names_damaged; /* removed */
    _Atomic uint64_t names_too_big; /* for the memory there is, or for the folder */
    _Atomic uint64_t debug_read;    /* debug files that were there */
    _Atomic uint64_t debug_written;
    _Atomic uint64_t debug_damaged; /* of another object than their name says: removed */
    _Atomic uint64_t files_dropped; /* to make room */
    _Atomic uint64_t failed_writes; /* the file system said no */
} symbols_disk_counters;

/* Makes the folder; removes what a process that was killed left half written. */
SONDE_MUST_USE sonde_status symbols_disk_open(const char *folder, uint64_t max_bytes,
                                              symbols_disk **out_disk);
void symbols_disk_close(symbols_disk *d); /* NULL does nothing */

/* The index of an object, in place of the empty `x`.  Else `x` stays empty: SONDE_ERR_NOT_FOUND, _SYNTAX: damaged,
 * _TOO_BIG: for x->max_bytes, _NOMEM. */
SONDE_MUST_USE sonde_status symbols_disk_load(symbols_disk *d, const elf_identity *id,
                                              symbol_index *x);

/* Whether it is worth it is decided here; failures are counted. */
void symbols_disk_save(symbols_disk *d, const elf_identity *id, const symbol_index *x);

/* A debug file of that build-id, open, or -1. */
int symbols_disk_open_debug(symbols_disk *d, const elf_identity *id);

/* A new debug file: open and empty, or -1.  end(): closes it, and puts it in its place or, with an error, away. */
#define SYMBOLS_DISK_NAME_MAX (2 * SYMBOLS_BUILD_ID_MAX + 32)
int symbols_disk_begin_debug(symbols_disk *d, const elf_identity *id,
                             char out_part[SYMBOLS_DISK_NAME_MAX]);
sonde_status symbols_disk_end_debug(symbols_disk *d, int fd, const char *part,
                                    const elf_identity *id, sonde_status so_far);
uint64_t symbols_disk_file_max_bytes(const symbols_disk *d);

void symbols_disk_write_json(symbols_disk *d, sonde_json_writer *w); /* one object */

/* ---- symbols_image.c ---- */

/* A sealed index as a file, from its beginning; *out_bytes is how long it became. */
SONDE_MUST_USE sonde_status symbol_image_write(int fd, const elf_identity *id,
                                               const symbol_index *x, uint64_t *out_bytes);

/* As symbols_disk_load(). */
SONDE_MUST_USE sonde_status symbol_image_read(int fd, const elf_identity *id, symbol_index *x);

#endif /* SONDE_AGENT_PROFILES_SYMBOLS_DISK_H */
