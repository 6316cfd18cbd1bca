/* base/elf_image.h - a loaded ELF object as it lies in memory: symbols and relocations by its dynamic section.
 *
 *   of this process   sonde_elf_open_loaded(), with what the loader says of it
 *   of another        sonde_elf_open_copy(), with a copy of its mappings
 *
 * Nothing it says is trusted: whatever its tables claim, only bytes of its own segments are read.
 *
 * Threads   pure functions over memory that does not go away meanwhile (in dl_iterate_phdr()'s callback).  No allocation and
 *           no lock.
 * Bounds    SONDE_ELF_SEGMENTS_MAX segments; SONDE_ELF_SYMBOLS_MAX symbols and relocations are looked at.
 * Source    System V gABI chapter 5; the processor supplements of x86-64 and AArch64 */
#ifndef SONDE_BASE_ELF_IMAGE_H
#define SONDE_BASE_ELF_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SONDE_ELF_SEGMENTS_MAX 16u
#define SONDE_ELF_SYMBOLS_MAX  (UINT32_C(1) << 24)

typedef struct sonde_elf_range {
    uint64_t lo; /* ELF addresses */
    uint64_t hi;
} sonde_elf_range;

typedef struct sonde_elf_image {
    const uint8_t *bytes; /* where ELF address `lo` lies in this process */
    uint64_t lo;
    uint64_t hi;
    uint64_t bias; /* run-time address = ELF address + bias */
    sonde_elf_range segments[SONDE_ELF_SEGMENTS_MAX];
    uint32_t segments_len;
    sonde_elf_range relro; /* whole pages that are read-only once it is relocated; empty: none */

    uint64_t symtab, strtab, strtab_bytes, gnu_hash, hash, versym; /* ELF addresses; 0: none */
    uint64_t rela[2], rela_bytes[2]; /* of data, of the procedure linkage table */
} sonde_elf_image;

/* False: it has no dynamic section that makes sense. */
bool sonde_elf_open_loaded(sonde_elf_image *out, const Elf64_Phdr *headers, size_t len,
                           uint64_t bias);

/* `bytes`: its mappings from the ELF header on, holes filled with anything; `base`: where that is in the other process. */
bool sonde_elf_open_copy(sonde_elf_image *out, const uint8_t *bytes, size_t len, uint64_t base);

/* The run-time address of the function it defines under that name, of the version new programs get; 0: it has none. */
uint64_t sonde_elf_function(const sonde_elf_image *e, const char *name);

/* Whether it defines that name at all: a function, data or thread-local data. */
bool sonde_elf_defines(const sonde_elf_image *e, const char *name);

/* A relocation that puts a symbol's address into a place of its own. */
typedef struct sonde_elf_slot {
    uint64_t at; /* run-time address, in a segment and aligned */
    const char *name;
    bool is_weak;
    bool is_lazy;   /* may be bound when it is first called through */
    bool is_sealed; /* on a page that is read-only by now */
} sonde_elf_slot;

/* Calls for each JUMP_SLOT, GLOB_DAT and, without an addend, 64 or ABS64. */
void sonde_elf_each_slot(const sonde_elf_image *e,
                         void (*each)(void *user, const sonde_elf_slot *slot), void *user);

/* Its bytes at an ELF address; NULL: not all of them are in a segment. */
const void *sonde_elf_bytes(const sonde_elf_image *e, uint64_t address, uint64_t len);

/* Whether a run-time address lies in it. */
bool sonde_elf_covers(const sonde_elf_image *e, uint64_t address);

#endif /* SONDE_BASE_ELF_IMAGE_H */
