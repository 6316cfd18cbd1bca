/* unwind_table.h - how to step from one frame to its caller, for every instruction of one loaded object.
 *
 *   rows    sorted by offset from text_lo; each holds from there to the next row
 *   rules   what a row says, each once
 *
 *   pc ──▶ offset ──▶ page[offset >> 16] ──▶ rows of that 64 KiB page ──▶ rule
 *
 * A table is smaller than the .eh_frame it was made from, immutable once made, and points into nothing but
 * itself: unloading the object cannot hurt who reads it.
 *
 * Threads   all, signal handlers included.
 * Bounds    65 535 rules (further ones are FPFALLBACK, SONDE_PROF__RULES_FULL), text of 4 GiB.
 * Source    docs/spec/unwind-tables.md */
#ifndef SONDE_PROFILER_UNWIND_TABLE_H
#define SONDE_PROFILER_UNWIND_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* What the canonical frame address (CFA) is: the caller's stack pointer. */
enum sonde_prof__cfa {
    SONDE_PROF__CFA_SP = 0,       /* SP + cfa_off */
    SONDE_PROF__CFA_FP = 1,       /* FP + cfa_off */
    SONDE_PROF__CFA_PLT = 2,      /* SP + 8, and 8 more from byte `post` of a 16-byte entry on */
    SONDE_PROF__CFA_STOP = 3,     /* there is no caller */
    SONDE_PROF__CFA_INVALID = 4,  /* cannot be said */
    SONDE_PROF__CFA_SIGNAL = 5,   /* the registers are in the ucontext at SP */
    SONDE_PROF__CFA_FALLBACK = 6, /* no rule: try a pair {FP, RA} at FP */
    SONDE_PROF__CFA_SP_DEREF = 7, /* *(SP + cfa_off) + post */
    SONDE_PROF__CFA_FP_DEREF = 8, /* *(FP + cfa_off) + post */
    /* + DWARF number 0..15: that register + cfa_off; interrupted frames only */
    SONDE_PROF__CFA_REG = 16,
};

/* Where the second thing is: x86-64 the caller's FP, aarch64 the return address. */
enum sonde_prof__aux {
    SONDE_PROF__AUX_SAME = 0, /* x86-64: FP unchanged; aarch64: RA is in x30 */
    SONDE_PROF__AUX_AT_CFA = 1,
    SONDE_PROF__AUX_UNDEF = 2,
    SONDE_PROF__AUX_AT_FP = 3,
};

enum sonde_prof__rule_flags {
    SONDE_PROF__LEAF_ONLY = 1,
    SONDE_PROF__FP_BELOW_RA = 2, /* aarch64: x29 at aux - 8 */
};

typedef struct sonde_prof__rule {
    int32_t cfa_off;
    int32_t aux_off;
    uint8_t cfa_kind; /* sonde_prof__cfa */
    uint8_t aux_kind; /* sonde_prof__aux */
    uint8_t post;
    uint8_t flags;
} sonde_prof__rule;

typedef struct sonde_prof__row {
    uint16_t lo; /* low half of the offset */
    uint16_t rule;
} sonde_prof__row;

enum sonde_prof__table_flags {
    SONDE_PROF__RULES_FULL = 1,
    SONDE_PROF__FDES_BAD = 2, /* some could not be read: their ranges are INVALID or FPFALLBACK */
};

typedef struct sonde_prof__table {
    uint64_t text_lo; /* addresses covered */
    uint64_t text_hi;
    uint32_t rows_len;
    uint32_t rules_len;
    uint32_t pages_len;
    uint32_t flags;
    const uint32_t *page; /* pages_len + 1: the first row of each page */
    const sonde_prof__rule *rules;
    const sonde_prof__row *rows;
} sonde_prof__table;

_Static_assert(sizeof(sonde_prof__rule) == 12 && sizeof(sonde_prof__row) == 4, "small by design");

/* NULL: no row covers that address.  Signal-safe. */
const sonde_prof__rule *sonde_prof__table_find(const sonde_prof__table *t, uint64_t pc);

size_t sonde_prof__table_bytes(const sonde_prof__table *t); /* memory it holds */

#endif /* SONDE_PROFILER_UNWIND_TABLE_H */
