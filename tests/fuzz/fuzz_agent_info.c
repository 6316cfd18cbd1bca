/* fuzz_agent_info.c - the body of an agent's /info.
 *
 * Property: never crashes; what was read is within its ceilings and does not depend on the input's memory
 * any more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/src/agent_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t weigh(const sonde__texts *list)
{
    size_t sum = 0;
    uint32_t i, j;

    if (list->len > SONDE__AGENT_LIST_MAX)
        abort();
    for (i = 0; i < list->len; i++)
        for (j = 0; j < list->item[i].len; j++)
            sum += (unsigned char)list->item[i].ptr[j];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = (char *)malloc(size + 1);
    sonde__agent_info info;
    sonde_status status;
    size_t sum;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    status = sonde__agent_info_parse((sonde_str){ copy, size }, &info);
    free(copy);
    if (status != SONDE_OK)
        return 0;
    sum = weigh(&info.endpoints) + weigh(&info.peer_tags) + weigh(&info.span_kinds) +
          weigh(&info.require) + weigh(&info.reject) + weigh(&info.require_regex) +
          weigh(&info.reject_regex) + weigh(&info.ignore_resources) + info.version.len;
    if (sum == SIZE_MAX || info.texts.held_bytes > SONDE__AGENT_INFO_MAX_BYTES)
        abort();
    sonde__agent_info_done(&info);
    return 0;
}
