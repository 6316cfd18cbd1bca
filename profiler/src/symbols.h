/* symbols.h - names of functions, from the symbol tables of loaded files: only for agents that cannot do it.
 *
 * .symtab where a file has one, else .dynsym; no debug information.  Names of C++ and Rust are made readable where that
 * is simple (symbols_name), else they stay as they are.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__SYMBOLS_BYTES for all tables; a file that no longer fits stays without names (counted).  Files
 *           are read, not mapped: one that shrinks meanwhile must not end the process. */
#ifndef SONDE_PROFILER_SYMBOLS_H
#define SONDE_PROFILER_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#include "maps.h"

#define SONDE_PROF__SYMBOLS_BYTES ((size_t)64 << 20)
#define SONDE_PROF__SYMBOL_MAX    4096u /* bytes of a name */

typedef struct sonde_prof__symbol {
    uint64_t vaddr;
    uint32_t size; /* 0: to the next one */
    uint32_t name; /* in the names */
} sonde_prof__symbol;

typedef struct sonde_prof__symbol_table {
    sonde_prof__symbol *items; /* owned; by address, one for each */
    uint32_t len;
    char *names; /* owned; each ended by NUL */
    size_t names_len;
} sonde_prof__symbol_table;

/* Where an ELF file is: a descriptor, or memory when `fd` is -1. */
typedef struct sonde_prof__elf_source {
    int fd;
    const uint8_t *bytes;
    uint64_t len;
} sonde_prof__elf_source;

/* SONDE_ERR_SYNTAX: no ELF file of this machine's kind; SONDE_ERR_NOMEM; SONDE_ERR_TOO_BIG: above `max_bytes`, for
 * the table or while reading.  A file without symbols has an empty table. */
SONDE_MUST_USE sonde_status sonde_prof__symbol_table_read(const sonde_prof__elf_source *file,
                                                          size_t max_bytes,
                                                          sonde_prof__symbol_table *out);

/* The same of the file an object was loaded from; SONDE_ERR_NOT_FOUND: it is not there, or another one by now. */
SONDE_MUST_USE sonde_status sonde_prof__symbol_table_of(const sonde_prof__loaded *object,
                                                        size_t max_bytes,
                                                        sonde_prof__symbol_table *out);
void sonde_prof__symbol_table_done(sonde_prof__symbol_table *t);

/* The function at that address, "" for none. */
sonde_str sonde_prof__symbol_at(const sonde_prof__symbol_table *t, uint64_t vaddr);

typedef struct sonde_prof__symbols {
    struct sonde_prof__symbols_of *objects; /* owned, by map id */
    uint32_t len;
    size_t bytes;
    uint64_t full; /* files without names for lack of room */
} sonde_prof__symbols;

void sonde_prof__symbols_init(sonde_prof__symbols *s);
void sonde_prof__symbols_done(sonde_prof__symbols *s);

/* The name as it stands in the file, valid until done(); "" when it is not known. */
sonde_str sonde_prof__symbols_find(sonde_prof__symbols *s, const sonde_prof__loaded *object,
                                   uint64_t vaddr);

/* Writes the readable form of simple C++ and Rust names, else the name itself; returns its length. */
size_t sonde_prof__readable(sonde_str name, char out[SONDE_PROF__SYMBOL_MAX]);

#endif /* SONDE_PROFILER_SYMBOLS_H */
