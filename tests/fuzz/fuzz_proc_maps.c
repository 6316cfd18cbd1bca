/* Any text as /proc/self/maps: what is found lies in ascending ranges, and all is given back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/src/objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_prof__objects o;
    uint32_t i;

    memset(&o, 0, sizeof(o));
    if (sonde_prof__objects_take_maps(&o, (sonde_str){ (const char *)data, size }) == SONDE_OK)
        for (i = 0; i < o.len; i++)
            if (o.items[i].length == 0 || o.items[i].start + o.items[i].length < o.items[i].start)
                abort();
    sonde_prof__objects_done(&o);
    return 0;
}
