/* stage_rules.c - what users say: traces that are dropped, texts that are replaced.
 *
 * Source   docs/spec/filters.md. */
#include "stages.h"

processor_drop stage_filter(run *r, payload_chunk *chunk)
{
    if (r->rules && rules_filter(r->rules, &chunk->spans[chunk->root]))
        return PROCESSOR_DROP_FILTERED;
    return KEEP;
}

processor_drop stage_replace(run *r, payload_chunk *chunk)
{
    uint32_t i;

    if (!r->rules)
        return KEEP;
    for (i = 0; i < chunk->spans_len; i++)
        if (rules_replace(r->rules, &chunk->spans[i], &r->p->arena) != SONDE_OK)
            return PROCESSOR_DROP_NO_MEMORY;
    return KEEP;
}
