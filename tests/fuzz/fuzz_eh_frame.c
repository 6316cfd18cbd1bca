/* fuzz_eh_frame.c - property: whatever .eh_frame and its header say, building ends, the table is in order, and every
 * look-up in it gives a rule that the walk knows.
 *
 * The first byte chooses the machine, and whether the text is known or what the FDEs are about (as of registered code); the
 * next two how many bytes are the header. */
#include <stdint.h>
#include <stdlib.h>

#include "profiler/src/unwind_build.h"

#define TEXT  0x10000u
#define BYTES 0x40000u
#define FRAME 0x100000u

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check(const sonde_prof__table *t)
{
    uint32_t i;
    uint64_t pc;

    must(t->page[0] == 0 && t->page[t->pages_len] == t->rows_len);
    for (i = 0; i < t->pages_len; i++)
        must(t->page[i] <= t->page[i + 1]);
    for (i = 0; i < t->rows_len; i++)
        must(t->rows[i].rule < t->rules_len);
    for (pc = t->text_lo; pc < t->text_hi && pc < t->text_lo + BYTES; pc += 97) {
        const sonde_prof__rule *r = sonde_prof__table_find(t, pc);

        must(r && (r->cfa_kind <= SONDE_PROF__CFA_FP_DEREF ||
                   (r->cfa_kind >= SONDE_PROF__CFA_REG && r->cfa_kind < SONDE_PROF__CFA_REG + 16)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_prof__object o = { .text_lo = 0 };
    sonde_prof__table *t = NULL;
    size_t hdr;

    if (size < 3)
        return 0;
    o.arch = data[0] & 1 ? SONDE_PROF__AARCH64 : SONDE_PROF__X86_64;
    if (!(data[0] & 2)) {
        o.text_lo = TEXT;
        o.text_hi = TEXT + BYTES;
    }
    hdr = data[1] | (size_t)data[2] << 8;
    data += 3;
    size -= 3;
    hdr = hdr > size ? size : hdr;
    o.hdr = (sonde_prof__image){ data, hdr, FRAME - 0x10000 };
    o.eh_frame = (sonde_prof__image){ data + hdr, size - hdr, FRAME };
    (void)sonde_prof__eh_frame_addr(&o.hdr);
    if (sonde_prof__table_build(&o, &t) == SONDE_OK)
        check(t);
    sonde_prof__table_free(t);
    return 0;
}
