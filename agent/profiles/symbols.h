/* agent/profiles/symbols.h - addresses of objects to names of functions.
 *
 *   mapping ─▶ symbols_get(), symbols_open_files(): while the process lives ─▶ symbol_object
 *                                                                             │ first symbols_resolve()
 *                                                                             ▼
 *        companion file ─▶ .symtab ─▶ .gnu_debugdata ─▶ .dynsym ─▶ PLT ─▶ sorted index; lines when asked for
 *
 * One object is shared by all processes that have it, by build-id, or by device, inode and time.
 *
 * Threads   get, put, counters: all; resolve: one thread at a time.  One mutex (rank SONDE_RANK_POOL), which
 *           no file is read under.
 * Bounds    symbols_options.max_bytes of indexes, the one unused longest goes; SYMBOLS_OPEN_MAX files kept open;
 *           what could not be read is not tried again for SYMBOLS_RETRY_NS.
 * Source    docs/spec/profile-batch.md, "Symbols"
 */
#ifndef SONDE_AGENT_PROFILES_SYMBOLS_H
#define SONDE_AGENT_PROFILES_SYMBOLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/str.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#define SYMBOLS_OPEN_MAX     512
#define SYMBOLS_OBJECTS_MAX  16384u
#define SYMBOLS_RETRY_NS     (UINT64_C(600) * 1000000000u)
#define SYMBOLS_BUILD_ID_MAX 32
#define SYMBOLS_LINES_MAX    32u /* functions at one address */

typedef struct symbols symbols;
typedef struct symbols_disk symbols_disk;   /* symbols_disk.h */
typedef struct symbols_fetch symbols_fetch; /* symbols_fetch.h */
typedef struct symbol_object symbol_object; /* shared: get and put */

typedef struct symbols_options {
    size_t max_bytes;      /* 0: 256 MiB */
    bool lines;            /* read DWARF: source lines and inlined functions */
    const char *proc;      /* static; NULL: "/proc" */
    const char *debug_dir; /* static; NULL: "/usr/lib/debug" */
    symbols_disk *disk; /* borrowed; NULL: everything is found out again by every process of ours */
    symbols_fetch *fetch; /* borrowed; NULL: nobody is asked for debug files; else with a disk */
    const sonde_clock *clock; /* NULL: the system's */
} symbols_options;

typedef struct symbols_counters {
    _Atomic uint64_t objects_opened;  /* a file was found and is the one asked for */
    _Atomic uint64_t objects_missing; /* no file, or another one */
    _Atomic uint64_t objects_indexed;
    _Atomic uint64_t objects_failed; /* not an ELF file, damaged, too big */
    _Atomic uint64_t objects_cut;    /* of those indexed: with more symbols than fit */
    _Atomic uint64_t objects_evicted;
    _Atomic uint64_t indexes_dropped; /* of objects still in use, to make room */
    _Atomic uint64_t lines_too_big;   /* objects with more debug information than half the cache */
    _Atomic uint64_t open_limit;      /* SYMBOLS_OPEN_MAX files were open */
    _Atomic uint64_t resolved;        /* addresses that got a name */
    _Atomic uint64_t unresolved;
} symbols_counters;

SONDE_MUST_USE sonde_status symbols_open(const symbols_options *options, symbols **out_symbols);
void symbols_close(symbols *s); /* every object was put; NULL does nothing */
void symbols_write_json(symbols *s, sonde_json_writer *w); /* one object */

typedef struct symbol_request {
    pid_t pid; /* as this process sees it; 0: unknown */
    uint64_t start, length;
    uint64_t flags; /* spb_mapping_flags */
    sonde_str path; /* as the process sees it */
    const uint8_t *build_id;
    size_t build_id_len; /* 0: by device, inode and time */
    uint64_t device, inode, mtime_s;
    uint32_t map_pid; /* not 0: generated code, by /tmp/perf-<map_pid>.map, whatever else is said */
} symbol_request;

/* The object of a mapping, with a reference; NULL: no memory.  Its file is opened by the next call of
 * symbols_open_files(), which should come at once: the process may end any time. */
symbol_object *symbols_get(symbols *s, const symbol_request *r);
void symbols_open_files(symbols *s); /* no lock may be held */

/* Before names are asked for: opens what is to be opened, and waits for those who are at it, five seconds at most. */
void symbols_await_files(symbols *s);
void symbol_object_get(symbol_object *o);
void symbol_object_put(symbol_object *o); /* NULL does nothing */

typedef struct symbol_line {
    sonde_str name;        /* demangled */
    sonde_str system_name; /* as the object has it; empty: the same */
    sonde_str file;        /* empty: unknown */
    uint32_t line;         /* 0: unknown */
    uint32_t start_line;   /* of the function; 0: unknown */
    bool is_short;         /* private: a symbol table may have the name in full */
} symbol_line;

/* What is at an ELF address (in generated code: at an address): the innermost inlined function first, the one that owns the code last.  0: nobody
 * knows.  Valid until the next call with the same symbols. */
size_t symbols_resolve(symbol_object *o, uint64_t address, symbol_line out[SYMBOLS_LINES_MAX]);

/* The variable an ELF address lies in, and how far; empty: none, or nobody knows.  Valid as long. */
sonde_str symbols_resolve_data(symbol_object *o, uint64_t address, uint64_t *out_offset);

#endif /* SONDE_AGENT_PROFILES_SYMBOLS_H */
