/* fuzz_elf_image.c - property: whatever the mappings of an object hold, looking up its functions and going through its slots
 * ends and reads nothing but them, and every slot has a name and lies in a segment. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/elf_image.h"

#define BASE UINT64_C(0x7f0000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(void *user, const sonde_elf_slot *slot)
{
    const sonde_elf_image *e = user;

    if (strlen(slot->name) == 0 || !sonde_elf_covers(e, slot->at) || slot->at % 8 != e->bias % 8)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1); /* so that a byte too many is seen */
    sonde_elf_image e;

    if (!exact)
        abort();
    memcpy(exact, data, size);
    if (sonde_elf_open_copy(&e, exact, size, BASE)) {
        (void)sonde_elf_function(&e, "malloc");
        (void)sonde_elf_function(&e, "got_call");
        (void)sonde_elf_covers(&e, BASE + size / 2);
        sonde_elf_each_slot(&e, check, &e);
    }
    free(exact);
    return 0;
}
