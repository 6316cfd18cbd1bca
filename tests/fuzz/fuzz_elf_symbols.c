/* Any bytes as an ELF file: its functions are read or refused, every address has a name or none, and names that are
 * made readable stay within their room. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "profiler/src/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const sonde_prof__elf_source source = { -1, data, size };
    char room[SONDE_PROF__SYMBOL_MAX];
    sonde_prof__symbol_table t;
    uint32_t i;

    if (sonde_prof__symbol_table_read(&source, (size_t)1 << 20, &t) != SONDE_OK)
        return 0;
    for (i = 0; i < t.len; i++) {
        sonde_str name = sonde_prof__symbol_at(&t, t.items[i].vaddr);

        if (name.len > 0 && sonde_prof__readable(name, room) > sizeof(room))
            abort();
        if (i > 0 && t.items[i - 1].vaddr >= t.items[i].vaddr)
            abort();
    }
    sonde_prof__symbol_table_done(&t);
    return 0;
}
