/* base/table.h - hash table from byte strings to pointers, with a key limit.
 *
 * Keys are copied.  Values are borrowed: who puts them in frees them, for instance by walking the
 * table before sonde_table_done().  Open addressing; iteration order is insertion order as long as
 * nothing was removed.
 *
 * Threads   none: the owner guards it.
 * Bounds    max_keys; a new key beyond it is refused with SONDE_ERR_FULL.
 */
#ifndef SONDE_BASE_TABLE_H
#define SONDE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

typedef struct sonde_table_entry {
    sonde_str key; /* owned by the table, NUL-terminated behind its length; NULL ptr: removed */
    void *value;
    uint64_t hash;
} sonde_table_entry;

typedef struct sonde_table {
    sonde_table_entry *entries; /* in insertion order */
    uint32_t *slots;            /* index + 1 into entries, 0 free */
    size_t entries_len;         /* removed ones included */
    size_t entries_cap;
    size_t slots_len; /* power of two */
    size_t count;     /* live keys */
    size_t max_keys;
} sonde_table;

void sonde_table_init(sonde_table *t, size_t max_keys);
void sonde_table_done(sonde_table *t);
void sonde_table_clear(sonde_table *t); /* no keys, memory kept where sensible */

void *sonde_table_get(const sonde_table *t, sonde_str key);               /* NULL: not there */
sonde_status sonde_table_put(sonde_table *t, sonde_str key, void *value); /* adds or replaces */
void *sonde_table_remove(sonde_table *t, sonde_str key); /* the value, NULL: was not there */

/* Walks the live entries: start with *cursor = 0; NULL at the end.  Removing the entry just
 * returned is allowed during a walk, adding is not. */
sonde_table_entry *sonde_table_next(const sonde_table *t, size_t *cursor);

#endif /* SONDE_BASE_TABLE_H */
