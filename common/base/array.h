/* base/array.h - growing arrays with a ceiling, and a hash index over the ids of one.
 *
 *   thing *items = sonde_array_room(p->things, p->things_len, &p->things_cap, sizeof(*items), THINGS_MAX);
 *   if (!items) return SONDE_ERR_FULL;          the old array is untouched
 *   p->things = items;
 *
 * Threads   none: the owner's. */
#ifndef SONDE_BASE_ARRAY_H
#define SONDE_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for one more element behind `len`; NULL: no memory, or `max` elements are there.  What is new is
 * zero. */
void *sonde_array_room(void *items, uint32_t len, uint32_t *cap, size_t item_bytes, uint32_t max);

/* Open addressing; an id is found by its hash and what the owner says about it. */
typedef struct sonde_id_slot {
    uint32_t hash;
    uint32_t id_plus_1; /* 0: free */
} sonde_id_slot;

typedef struct sonde_id_index {
    sonde_id_slot *slots; /* owned */
    uint32_t slots_len;   /* a power of two, or 0 */
    uint32_t used;
} sonde_id_index;

typedef bool (*sonde_id_same)(const void *of, uint32_t id, const void *key);

/* False: not there. */
bool sonde_id_index_find(const sonde_id_index *x, uint64_t hash, sonde_id_same same, const void *of,
                         const void *key, uint32_t *out_id);
bool sonde_id_index_add(sonde_id_index *x, uint64_t hash, uint32_t id); /* false: no memory */
void sonde_id_index_done(sonde_id_index *x);

#endif /* SONDE_BASE_ARRAY_H */
