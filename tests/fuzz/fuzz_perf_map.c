/* fuzz_perf_map.c - property: whatever a map of generated code says, reading it ends, and the first address of each
 * symbol found finds it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/profiles/symbols_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("map", MFD_CLOEXEC);
    symbol_index x;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    symbol_index_init(&x, 1u << 26);
    x.last_wins = true;
    if (perf_map_read(fd, &x) != SONDE_OK)
        abort();
    symbol_index_seal(&x);
    for (uint32_t i = 0; i < x.len; i++) {
        if (symbol_index_find(&x, x.entries[i].address) != &x.entries[i])
            abort();
    }
    symbol_index_done(&x);
    (void)close(fd);
    return 0;
}
