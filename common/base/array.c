/* array.c - growing arrays, and the index over their ids. */
#include "base/array.h"

#include <string.h>

#include "base/alloc.h"

#define FIRST_ITEMS 16u
#define FIRST_SLOTS 64u

void *sonde_array_room(void *items, uint32_t len, uint32_t *cap, size_t item_bytes, uint32_t max)
{
    uint32_t more;
    size_t bytes;
    uint8_t *grown;

    if (len < *cap)
        return items;
    if (len >= max)
        return NULL;
    more = *cap == 0 ? FIRST_ITEMS : *cap > max / 2 ? max : *cap * 2;
    if (more > max)
        more = max;
    if (!sonde_mul_size(more, item_bytes, &bytes))
        return NULL;
    grown = sonde_realloc(items, bytes);
    if (!grown)
        return NULL;
    memset(grown + (size_t)*cap * item_bytes, 0, bytes - (size_t)*cap * item_bytes);
    *cap = more;
    return grown;
}

bool sonde_id_index_find(const sonde_id_index *x, uint64_t hash, sonde_id_same same, const void *of,
                         const void *key, uint32_t *out_id)
{
    uint32_t mask = x->slots_len - 1;

    if (x->slots_len == 0)
        return false;
    for (uint32_t i = (uint32_t)hash & mask; x->slots[i].id_plus_1; i = (i + 1) & mask) {
        if (x->slots[i].hash == (uint32_t)hash && same(of, x->slots[i].id_plus_1 - 1, key)) {
            *out_id = x->slots[i].id_plus_1 - 1;
            return true;
        }
    }
    return false;
}

static void put(sonde_id_slot *slots, uint32_t mask, sonde_id_slot what)
{
    uint32_t i = what.hash & mask;

    while (slots[i].id_plus_1)
        i = (i + 1) & mask;
    slots[i] = what;
}

static bool grow(sonde_id_index *x)
{
    uint32_t len = x->slots_len ? x->slots_len * 2 : FIRST_SLOTS;
    sonde_id_slot *slots = sonde_calloc(len, sizeof(*slots));

    if (!slots)
        return false;
    for (uint32_t i = 0; i < x->slots_len; i++) {
        if (x->slots[i].id_plus_1)
            put(slots, len - 1, x->slots[i]);
    }
    sonde_free(x->slots);
    x->slots = slots;
    x->slots_len = len;
    return true;
}

bool sonde_id_index_add(sonde_id_index *x, uint64_t hash, uint32_t id)
{
    if ((uint64_t)x->used * 4 >= (uint64_t)x->slots_len * 3 && !grow(x))
        return false;
    put(x->slots, x->slots_len - 1, (sonde_id_slot){ (uint32_t)hash, id + 1 });
    x->used++;
    return true;
}

void sonde_id_index_done(sonde_id_index *x)
{
    sonde_free(x->slots);
    *x = (sonde_id_index){ 0 };
}
