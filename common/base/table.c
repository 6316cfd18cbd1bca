/* table.c - open addressing over an array of entries kept in insertion order.
 *
 * `slots` holds indices into `entries`, probed linearly.  Removing closes the gap in `slots` by moving
 * followers back, so there are no tombstones to wade through; the hole in `entries` is closed when the
 * array is full and a quarter of it is holes.
 *
 * Invariants
 *   count == used slots == entries with a key  <= max_keys
 *   every entry is found by probing from its hash without meeting a free slot */
#include "base/table.h"

#include "base/alloc.h"
#include "base/digest.h"

#define ENTRIES_MIN ((size_t)8)

/* Differs from run to run where addresses do: who sends the keys cannot aim at one slot. */
static uint64_t hash_of(sonde_str key)
{
    static const char anchor;

    return sonde_hash((uint64_t)(uintptr_t)&anchor, key.ptr, key.len);
}

void sonde_table_init(sonde_table *t, size_t max_keys)
{
    *t = (sonde_table){ .max_keys = max_keys < UINT32_MAX / 4 ? max_keys : UINT32_MAX / 4 };
}

static void free_keys(sonde_table *t)
{
    size_t i;

    for (i = 0; i < t->entries_len; i++)
        sonde_free((void *)(uintptr_t)t->entries[i].key.ptr);
}

void sonde_table_done(sonde_table *t)
{
    free_keys(t);
    sonde_free(t->entries);
    sonde_free(t->slots);
    *t = (sonde_table){ .max_keys = t->max_keys };
}

void sonde_table_clear(sonde_table *t)
{
    if (t->count < t->entries_cap / 4) { /* an exceptionally full round must not stay for ever */
        sonde_table_done(t);
        return;
    }
    free_keys(t);
    if (t->slots)
        memset(t->slots, 0, t->slots_len * sizeof(*t->slots));
    t->entries_len = 0;
    t->count = 0;
}

static void fill_slots(uint32_t *slots, size_t slots_len, const sonde_table_entry *entries,
                       size_t len)
{
    size_t i;

    memset(slots, 0, slots_len * sizeof(*slots));
    for (i = 0; i < len; i++) {
        size_t at = entries[i].hash & (slots_len - 1);

        while (slots[at])
            at = (at + 1) & (slots_len - 1);
        slots[at] = (uint32_t)(i + 1);
    }
}

/* Closes the holes in `entries`; the order stays. */
static void compact(sonde_table *t)
{
    size_t from, to = 0;

    for (from = 0; from < t->entries_len; from++) {
        if (t->entries[from].key.ptr)
            t->entries[to++] = t->entries[from];
    }
    t->entries_len = to;
    fill_slots(t->slots, t->slots_len, t->entries, to);
}

static bool grow(sonde_table *t)
{
    size_t cap = t->entries_cap ? 2 * t->entries_cap : ENTRIES_MIN;
    size_t slots_len = 2 * cap; /* at most half full */
    uint32_t *slots = (uint32_t *)sonde_calloc(slots_len, sizeof(*slots));
    sonde_table_entry *entries;

    if (!slots)
        return false;
    entries = (sonde_table_entry *)sonde_realloc(t->entries, cap * sizeof(*entries));
    if (!entries) {
        sonde_free(slots);
        return false;
    }
    sonde_free(t->slots);
    t->slots = slots;
    t->slots_len = slots_len;
    t->entries = entries;
    t->entries_cap = cap;
    compact(t); /* also fills the new slots */
    return true;
}

static bool make_room(sonde_table *t)
{
    if (t->entries_len < t->entries_cap)
        return true;
    if (t->entries_cap && t->count <= t->entries_cap - t->entries_cap / 4) {
        compact(t);
        return true;
    }
    return grow(t);
}

/* The slot of `key`, or of the free slot where it would go. */
static size_t find_slot(const sonde_table *t, sonde_str key, uint64_t hash)
{
    size_t at = hash & (t->slots_len - 1);

    for (; t->slots[at]; at = (at + 1) & (t->slots_len - 1)) {
        const sonde_table_entry *e = &t->entries[t->slots[at] - 1];

        if (e->hash == hash && sonde_str_eq(e->key, key))
            break;
    }
    return at;
}

void *sonde_table_get(const sonde_table *t, sonde_str key)
{
    uint32_t index;

    if (t->count == 0)
        return NULL;
    index = t->slots[find_slot(t, key, hash_of(key))];
    return index ? t->entries[index - 1].value : NULL;
}

static sonde_status add(sonde_table *t, sonde_str key, uint64_t hash, void *value)
{
    char *copy;

    if (t->count >= t->max_keys)
        return SONDE_ERR_FULL;
    copy = sonde_strndup(key.ptr, key.len);
    if (!copy)
        return SONDE_ERR_NOMEM;
    if (!make_room(t)) {
        sonde_free(copy);
        return SONDE_ERR_NOMEM;
    }
    t->entries[t->entries_len] = (sonde_table_entry){ { copy, key.len }, value, hash };
    t->slots[find_slot(t, key, hash)] = (uint32_t)(++t->entries_len);
    t->count++;
    return SONDE_OK;
}

sonde_status sonde_table_put(sonde_table *t, sonde_str key, void *value)
{
    uint64_t hash = hash_of(key);
    uint32_t index = t->count ? t->slots[find_slot(t, key, hash)] : 0;

    if (index == 0)
        return add(t, key, hash, value);
    t->entries[index - 1].value = value;
    return SONDE_OK;
}

/* Frees slot `hole`, moving back every follower that its absence would hide. */
static void close_gap(sonde_table *t, size_t hole)
{
    size_t mask = t->slots_len - 1;
    size_t at = hole;

    for (;;) {
        size_t home;

        at = (at + 1) & mask;
        if (t->slots[at] == 0)
            break;
        home = t->entries[t->slots[at] - 1].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* its home lies behind the hole: still found */
        t->slots[hole] = t->slots[at];
        hole = at;
    }
    t->slots[hole] = 0;
}

void *sonde_table_remove(sonde_table *t, sonde_str key)
{
    sonde_table_entry *e;
    size_t slot;

    if (t->count == 0)
        return NULL;
    slot = find_slot(t, key, hash_of(key));
    if (t->slots[slot] == 0)
        return NULL;
    e = &t->entries[t->slots[slot] - 1];
    close_gap(t, slot);
    sonde_free((void *)(uintptr_t)e->key.ptr);
    e->key = (sonde_str){ NULL, 0 };
    t->count--;
    return e->value;
}

sonde_table_entry *sonde_table_next(const sonde_table *t, size_t *cursor)
{
    while (*cursor < t->entries_len) {
        sonde_table_entry *e = &t->entries[(*cursor)++];

        if (e->key.ptr)
            return e;
    }
    return NULL;
}
