/* fuzz_origin_claim.c - property: whatever the two headers say, what is read from them lies within them, and
 * an entity that is one of the documented forms gives exactly the id in it. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/origin/claim.h"

static void must_lie_within(sonde_str part, sonde_str whole)
{
    if (part.len && (part.ptr < whole.ptr || part.ptr + part.len > whole.ptr + whole.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    origin_claim entity = { .cgroup_inode = 0 }, external = { .cgroup_inode = 0 };

    origin_read_entity(text, &entity);
    must_lie_within(entity.container_id, text);
    if (sonde_str_starts(text, SONDE_STR("ci-")) && !memchr(data, ',', size) &&
        entity.container_id.len > size - 3)
        abort();
    origin_read_external(text, &external);
    must_lie_within(external.pod_uid, text);
    must_lie_within(external.container_name, text);
    return 0;
}
