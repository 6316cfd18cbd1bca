/* symbols_internal.h - what the files of the symbolizer share. */
#ifndef SONDE_AGENT_PROFILES_SYMBOLS_INTERNAL_H
#define SONDE_AGENT_PROFILES_SYMBOLS_INTERNAL_H

#include "base/buf.h"
#include "symbols.h"

/* ---- symbols_index.c: names by address ---- */

#define SYMBOL_INDEX_MAX       4194304u             /* symbols of one object */
#define SYMBOL_NAMES_MAX_BYTES (512u * 1024 * 1024) /* their names */
#define SYMBOL_NAME_MAX        65536                /* one; longer ones are cut */

/* Better ones win when several start at one address. */
typedef enum symbol_rank { SYMBOL_LOCAL, SYMBOL_WEAK, SYMBOL_GLOBAL } symbol_rank;

typedef struct symbol_entry {
    uint64_t address;
    uint32_t size; /* 0: up to the next one */
    uint32_t name; /* offset in `names` */
    uint8_t rank;
    bool is_func;
} symbol_entry;

typedef struct symbol_index {
    symbol_entry *entries; /* by address, once sealed */
    uint32_t len, cap;
    sonde_buf names;  /* NUL-terminated, one after the other */
    size_t max_bytes; /* of entries and names; what does not fit is left out */
    bool cut;         /* something was */
    bool last_wins;   /* generated code takes the place of older code */
} symbol_index;

void symbol_index_init(symbol_index *x, size_t max_bytes);
void symbol_index_done(symbol_index *x);
size_t symbol_index_bytes(const symbol_index *x);
/* Beyond the ceilings: left out.  A name that is empty or a mapping symbol ($x, $d, $a) is nothing. */
SONDE_MUST_USE sonde_status symbol_index_add(symbol_index *x, sonde_str name, uint64_t address,
                                             uint64_t size, symbol_rank rank, bool is_func);
void symbol_index_seal(symbol_index *x); /* sorts; one entry for each address stays */
const symbol_entry *symbol_index_find(const symbol_index *x, uint64_t address); /* NULL: none */
const char *symbol_index_name(const symbol_index *x, const symbol_entry *e);

/* ---- symbols_elf.c: an ELF file to an index ---- */

typedef struct elf_identity {
    uint8_t build_id[SYMBOLS_BUILD_ID_MAX];
    size_t build_id_len;
} elf_identity;

#define ELF_FILE_MAX_BYTES (UINT64_C(8) * 1024 * 1024 * 1024)

/* SONDE_ERR_SYNTAX: not an ELF file.  Without a build-id the length is 0. */
SONDE_MUST_USE sonde_status elf_read_identity(int fd, elf_identity *out);

/* Everything the sections say is there: the file was not cut off. */
bool elf_is_whole(int fd);

enum elf_symbol_sources { ELF_SYMTAB = 1, ELF_DYNSYM = 2, ELF_PLT = 4, ELF_DEBUGDATA = 8 };

/* Adds the symbols of the tables asked for, and to *found those that were there. */
SONDE_MUST_USE sonde_status elf_read_symbols(int fd, unsigned sources, symbol_index *x,
                                             unsigned *found);

#define ELF_LINK_NAME_MAX 255
typedef struct elf_debuglink {
    char name[ELF_LINK_NAME_MAX + 1]; /* empty: none */
    uint32_t crc;
} elf_debuglink;

SONDE_MUST_USE sonde_status elf_read_debuglink(int fd, elf_debuglink *out);

/* ---- symbols_open.c: which file ---- */

/* The mapped file, open, or -1. */
int object_open(const char *proc, const symbol_request *r);

/* A file with the symbols of `fd`, or -1: by build-id, then by debuglink. */
int companion_open(const char *debug_dir, const char *proc, const symbol_request *r, int fd,
                   const elf_identity *id);

/* A regular file, or -1.  root: below which links lead nowhere else; NULL: ours. */
int symbols_open_under(const char *root, const char *path);

/* The perf map of a process, open, or -1. */
int perf_map_open(const char *proc, const symbol_request *r);

/* ---- symbols_perf_map.c ---- */

#define PERF_MAP_SYMBOLS_MAX (1u << 20)
#define PERF_MAP_MAX_BYTES   (256u * 1024 * 1024)
#define PERF_MAP_LOOK_NS     (UINT64_C(5) * 1000000000u) /* how often it is looked at */

SONDE_MUST_USE sonde_status perf_map_read(int fd, symbol_index *x);

/* ---- symbols_dwarf.c ---- */

typedef struct dwarf_reader dwarf_reader;

/* Takes over `fd` in every case.  root: where the process has its files, looked into first; NULL: ours only.  SONDE_ERR_SYNTAX: there is no debug information in it; SONDE_ERR_TOO_BIG: there is
 * more of it than `max_bytes`. */
SONDE_MUST_USE sonde_status dwarf_reader_open(int fd, const char *root, const char *debug_dir,
                                              size_t max_bytes, dwarf_reader **out_reader);
void dwarf_reader_close(dwarf_reader *r); /* NULL does nothing */
size_t dwarf_reader_bytes(const dwarf_reader *r);

/* As symbols_resolve(), with names as the file has them; a name may be empty (a line of no function). */
size_t dwarf_reader_lines(dwarf_reader *r, uint64_t address, symbol_line out[SYMBOLS_LINES_MAX]);

/* ---- symbols_unpack.c ---- */

typedef struct Elf Elf; /* libelf's */

bool elf_has_zstd(Elf *e); /* in its debug information */

/* A file in memory with the debug information of `e`, unpacked.  SONDE_ERR_TOO_BIG: it is more than `max_bytes`. */
SONDE_MUST_USE sonde_status elf_unpack_zstd(Elf *e, size_t max_bytes, int *out_fd);

/* ---- symbols_name.c ---- */

/* The readable form of a C++ or Rust name, NUL-terminated in `out`; false: it is none (out is unchanged). */
bool symbol_demangle(const char *mangled, sonde_buf *out);

#endif /* SONDE_AGENT_PROFILES_SYMBOLS_INTERNAL_H */
