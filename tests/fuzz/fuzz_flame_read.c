/* fuzz_flame_read.c - property: whatever a file of a profile says, reading it ends, every node of the flame has a parent
 * before it, and nothing is negative. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/profiles/flame_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const sonde_str file = { (const char *)data, size };
    flame *f = NULL;

    if (flame_open(&f) != SONDE_OK)
        abort();
    (void)!flame_read(f, file, (sonde_str){ NULL, 0 }, 0);
    (void)!flame_read_pprof(f, file, (sonde_str){ NULL, 0 }, 1);
    flame_sum(f);
    for (uint32_t i = 1; i < f->tree.nodes_len; i++) {
        const sonde_flame_node *n = &f->tree.nodes[i];

        if (n->parent >= i || n->frame == 0 || n->frame >= f->tree.frames_len ||
            flame_total(f, i, 0) < flame_self(f, i, 0) || flame_self(f, i, 0) < 0 ||
            flame_self(f, i, 1) < 0)
            abort();
    }
    flame_close(f);
    return 0;
}
