/* symbols_index.c - sorted names by address. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "symbols_internal.h"

#include "base/array.h"

#define LOOK_BACK 64 /* entries that may start behind the one that holds an address */

void symbol_index_init(symbol_index *x, size_t max_bytes)
{
    *x = (symbol_index){ .max_bytes = max_bytes };
    sonde_buf_init(&x->names, SYMBOL_NAMES_MAX_BYTES);
}

void symbol_index_done(symbol_index *x)
{
    sonde_free(x->entries);
    sonde_buf_done(&x->names);
    *x = (symbol_index){ 0 };
}

size_t symbol_index_bytes(const symbol_index *x)
{
    return x->cap * sizeof(*x->entries) + x->names.cap;
}

static bool is_nothing(sonde_str name)
{
    if (name.len == 0)
        return true;
    return name.ptr[0] == '$' && name.len >= 2 && strchr("xdat", name.ptr[1]) &&
           (name.len == 2 || name.ptr[2] == '.');
}

sonde_status symbol_index_add(symbol_index *x, sonde_str name, uint64_t address, uint64_t size,
                              symbol_rank rank, bool is_func)
{
    symbol_entry *items;
    size_t at = x->names.len;

    if (is_nothing(name))
        return SONDE_OK;
    if (name.len > SYMBOL_NAME_MAX)
        name.len = SYMBOL_NAME_MAX;
    if (x->len == SYMBOL_INDEX_MAX ||
        (x->len + 1) * sizeof(*items) + x->names.len + name.len + 1 > x->max_bytes) {
        x->cut = true;
        return SONDE_OK;
    }
    items = sonde_array_room(x->entries, x->len, &x->cap, sizeof(*items), SYMBOL_INDEX_MAX);
    if (!items)
        return SONDE_ERR_NOMEM;
    x->entries = items;
    sonde_buf_append_str(&x->names, name);
    sonde_buf_append_byte(&x->names, 0);
    if (x->names.status != SONDE_OK)
        return x->names.status;
    items[x->len++] = (symbol_entry){ address, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
                                      (uint32_t)at, (uint8_t)rank, is_func };
    return SONDE_OK;
}

const char *symbol_index_name(const symbol_index *x, const symbol_entry *e)
{
    return (const char *)x->names.data + e->name;
}

/* Negative: `a` is the better name of their address. */
static int by_merit(const symbol_index *x, const symbol_entry *a, const symbol_entry *b)
{
    const char *an = symbol_index_name(x, a), *bn = symbol_index_name(x, b);
    size_t al = strlen(an), bl = strlen(bn);

    if ((a->is_func && a->size) != (b->is_func && b->size))
        return a->is_func && a->size ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    if ((an[0] == '_') != (bn[0] == '_'))
        return an[0] == '_' ? 1 : -1;
    if (al != bl)
        return al > bl ? -1 : 1;
    return strcmp(an, bn);
}

static int by_address(const void *av, const void *bv, void *x)
{
    const symbol_entry *a = av, *b = bv;

    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    if (((const symbol_index *)x)->last_wins)
        return a->name > b->name ? -1 : 1; /* names are in the order they came */
    return by_merit(x, a, b);
}

void symbol_index_seal(symbol_index *x)
{
    uint32_t kept = 0;

    if (x->len == 0)
        return;
    qsort_r(x->entries, x->len, sizeof(*x->entries), by_address, x);
    for (uint32_t i = 0; i < x->len; i++) {
        if (kept == 0 || x->entries[kept - 1].address != x->entries[i].address)
            x->entries[kept++] = x->entries[i];
    }
    x->len = kept;
}

/* How many entries start at or before `address`. */
static uint32_t count_up_to(const symbol_index *x, uint64_t address)
{
    uint32_t low = 0, high = x->len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (x->entries[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const symbol_entry *symbol_index_find(const symbol_index *x, uint64_t address)
{
    uint32_t end = count_up_to(x, address);

    if (end == 0)
        return NULL;
    if (x->entries[end - 1].size == 0)
        return &x->entries[end - 1];
    for (uint32_t i = end; i > 0 && end - i < LOOK_BACK; i--) {
        const symbol_entry *e = &x->entries[i - 1];

        if (address - e->address < e->size)
            return e;
    }
    return NULL;
}
