/* span_index.c - finds the spans of a chunk by their ids.
 *
 * Most chunks have a handful of spans, where looking through them is fastest.  Larger ones get an open
 * addressing table, seeded so that a sender cannot aim at one slot.
 *
 * Bounds   at most 4 slots a span, in the payload's arena, reused by the chunks that follow.
 */
#include "stages.h"

#include <string.h>

#define SEARCH_MAX 12 /* spans up to which a chunk is searched one by one */

static uint32_t first_slot(const run *r, uint64_t id)
{
    uint64_t h = (id ^ r->seed) * 0x9e3779b97f4a7c15u;

    return (uint32_t)(h >> 32) & r->index.mask;
}

static sonde_status make_slots(run *r, uint32_t spans)
{
    uint32_t wanted = 64;

    while (wanted < 2 * spans)
        wanted *= 2;
    if (wanted > r->index.slots_cap) {
        r->index.slots = sonde_arena_alloc(&r->p->arena, wanted * sizeof(*r->index.slots));
        if (!r->index.slots)
            return SONDE_ERR_NOMEM;
        r->index.slots_cap = wanted;
    }
    r->index.mask = wanted - 1;
    memset(r->index.slots, 0, wanted * sizeof(*r->index.slots));
    return SONDE_OK;
}

static uint32_t count_repeated(const payload_chunk *chunk)
{
    uint32_t repeated = 0;

    for (uint32_t i = 1; i < chunk->spans_len; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (chunk->spans[k].span_id == chunk->spans[i].span_id) {
                repeated++;
                break;
            }
        }
    }
    return repeated;
}

sonde_status span_index_build(run *r, const payload_chunk *chunk, uint32_t *out_repeated)
{
    uint32_t repeated = 0;

    r->index.mask = 0;
    if (chunk->spans_len <= SEARCH_MAX) {
        *out_repeated = count_repeated(chunk);
        return SONDE_OK;
    }
    if (make_slots(r, chunk->spans_len) != SONDE_OK) {
        r->index.mask = 0;
        return SONDE_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < chunk->spans_len; i++) {
        uint64_t id = chunk->spans[i].span_id;
        uint32_t at = first_slot(r, id);

        while (r->index.slots[at] && chunk->spans[r->index.slots[at] - 1].span_id != id)
            at = (at + 1) & r->index.mask;
        repeated += r->index.slots[at] != 0;
        r->index.slots[at] = i + 1;
    }
    *out_repeated = repeated;
    return SONDE_OK;
}

const payload_span *span_index_find(const run *r, const payload_chunk *chunk, uint64_t span_id)
{
    if (r->index.mask == 0) {
        for (uint32_t i = chunk->spans_len; i-- > 0;) {
            if (chunk->spans[i].span_id == span_id)
                return &chunk->spans[i];
        }
        return NULL;
    }
    for (uint32_t at = first_slot(r, span_id); r->index.slots[at]; at = (at + 1) & r->index.mask) {
        const payload_span *s = &chunk->spans[r->index.slots[at] - 1];

        if (s->span_id == span_id)
            return s;
    }
    return NULL;
}
