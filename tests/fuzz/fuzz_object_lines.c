/* fuzz_object_lines.c - property: whatever debug information a file holds, asking for lines at addresses all over it
 * ends, with as many functions as fit and names that can be read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/profiles/symbols_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    symbol_line lines[SYMBOLS_LINES_MAX];
    dwarf_reader *r = NULL;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (dwarf_reader_open(fd, NULL, "/nonexistent", 1u << 26, &r) != SONDE_OK)
        return 0;
    for (uint64_t address = 0x1000; address < 0x1400; address += 7) {
        size_t len = dwarf_reader_lines(r, address, lines);

        if (len > SYMBOLS_LINES_MAX)
            abort();
        for (size_t i = 0; i < len; i++) {
            if (memchr(lines[i].name.ptr ? lines[i].name.ptr : "", '\0', lines[i].name.len))
                abort();
        }
    }
    dwarf_reader_close(r);
    return 0;
}
