/* cfi.h - call frame information: one FDE of an .eh_frame section, run, as rules of an unwind table.
 *
 * The bytes come from a file that may be anything: every read is checked, unknown instructions end the FDE
 * with an INVALID rule for its whole range.
 *
 * Threads   pure functions.
 * Source    DWARF 5, section 6.4; Linux Standard Base, ".eh_frame"; docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_CFI_H
#define SONDE_PROFILER_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind_table.h"

typedef enum sonde_prof__arch { SONDE_PROF__X86_64, SONDE_PROF__AARCH64 } sonde_prof__arch;

#if defined(__x86_64__)
#    define SONDE_PROF__ARCH_HERE SONDE_PROF__X86_64
#else
#    define SONDE_PROF__ARCH_HERE SONDE_PROF__AARCH64
#endif

/* Bytes as they lie at an address: what is relative is resolved against it. */
typedef struct sonde_prof__image {
    const uint8_t *bytes;
    size_t len;
    uint64_t addr;
} sonde_prof__image;

typedef struct sonde_prof__fde {
    uint64_t lo;
    uint64_t hi;
    bool is_signal; /* its caller was interrupted by a signal */
    /* private: what runs */
    uint64_t code_align;
    int64_t data_align;
    const uint8_t *cie_code, *cie_end;
    const uint8_t *fde_code, *fde_end;
    uint8_t pointers; /* encoding of pc */
} sonde_prof__fde;

/* Reads the FDE at `addr` and its CIE.  False: it is none, or it is broken. */
bool sonde_prof__fde_read(const sonde_prof__image *eh_frame, uint64_t addr, sonde_prof__fde *out);

/* Called in ascending order of pc; false ends the run. */
typedef bool (*sonde_prof__emit)(void *user, uint64_t pc, const sonde_prof__rule *rule);

/* Runs it: a rule for fde->lo, and for each place from which another holds.  False: emit said so, or an
 * instruction is not known or broken (then what was emitted is not to be used). */
bool sonde_prof__fde_run(const sonde_prof__fde *fde, sonde_prof__arch arch, sonde_prof__emit emit,
                         void *user);

/* -- reading ---------------------------------------------------------------------------------------- */

typedef struct sonde_prof__cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad; /* read beyond the end, or nonsense; everything is 0 from then on */
} sonde_prof__cursor;

uint64_t sonde_prof__take(sonde_prof__cursor *c, unsigned bytes); /* little endian, 1 to 8 */

#define SONDE_PROF__PE_OMIT 0xff

/* A pointer in DW_EH_PE form.  `data_base` is what "datarel" refers to.  Indirect ones are read as the
 * address of the pointer (nobody needs them). */
uint64_t sonde_prof__take_pointer(sonde_prof__cursor *c, const sonde_prof__image *image,
                                  uint8_t encoding, uint64_t data_base);

#endif /* SONDE_PROFILER_CFI_H */
