/* fuzz_object_symbols.c - property: whatever a file holds, reading its identity, its symbols of every kind and its link to
 * a debug file ends, and every symbol found has a name that can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/profiles/symbols_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned all = ELF_SYMTAB | ELF_DYNSYM | ELF_PLT | ELF_DEBUGDATA;
    int fd = memfd_create("elf", MFD_CLOEXEC);
    elf_identity id;
    elf_debuglink link;
    symbol_index x;
    unsigned found = 0;
    sonde_buf readable;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    symbol_index_init(&x, 1u << 24);
    sonde_buf_init(&readable, 1u << 20);
    if (elf_read_identity(fd, &id) == SONDE_OK && id.build_id_len > sizeof(id.build_id))
        abort();
    if (elf_read_debuglink(fd, &link) == SONDE_OK && strlen(link.name) > ELF_LINK_NAME_MAX)
        abort();
    if (elf_read_symbols(fd, all, &x, &found) == SONDE_OK) {
        symbol_index_seal(&x);
        for (uint32_t i = 0; i < x.len && i < 1000; i++) {
            const symbol_entry *e = symbol_index_find(&x, x.entries[i].address);

            if (!e || strlen(symbol_index_name(&x, e)) == 0)
                abort();
            sonde_buf_reset(&readable);
            (void)symbol_demangle(symbol_index_name(&x, e), &readable);
        }
    }
    symbol_index_done(&x);
    sonde_buf_done(&readable);
    (void)close(fd);
    return 0;
}
