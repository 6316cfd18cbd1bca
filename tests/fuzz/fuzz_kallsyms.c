/* Any text as /proc/kallsyms, in two pieces: names are in order, end in their table, and all is given back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "profiler/src/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_prof__kernel_table t = { .max_bytes = (size_t)1 << 20 };
    sonde_str text = { (const char *)data, size }, rest;
    uint32_t i;

    rest = sonde_str_sub(text, sonde_prof__kernel_take(&t, sonde_str_sub(text, 0, size / 2)), size);
    if (sonde_prof__kernel_take(&t, rest) > rest.len)
        abort();
    sonde_prof__kernel_finish(&t);
    for (i = 0; i < t.symbols.len; i++) {
        const sonde_prof__symbol *s = &t.symbols.items[i];

        if (s->name >= t.symbols.names_len || (i > 0 && s->vaddr < s[-1].vaddr) ||
            sonde_prof__symbol_at(&t.symbols, s->vaddr).len == 0)
            abort();
    }
    sonde_prof__kernel_done(&t);
    return 0;
}
