/* code.c - a sorted list under a lock of ours. */
#include "code.h"

#include <string.h>

#include "base/alloc.h"

#include "lock.h"

typedef struct piece {
    uint64_t lo;
    uint64_t bytes;
    char *name; /* owned */
    size_t name_len;
    bool is_taken;
} piece;

static sonde_prof__lock lock; /* guards all below */
static piece *pieces;         /* by lo */
static uint32_t pieces_len, pieces_cap;

/* The first that begins above `address`. */
static uint32_t place_above(uint64_t address)
{
    uint32_t lo = 0, hi = pieces_len;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (pieces[mid].lo <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void remove_locked(uint64_t lo)
{
    uint32_t at = place_above(lo);

    if (at == 0 || pieces[at - 1].lo != lo)
        return;
    sonde_free(pieces[at - 1].name);
    memmove(&pieces[at - 1], &pieces[at], (--pieces_len - (at - 1)) * sizeof(*pieces));
}

static bool room_locked(void)
{
    uint32_t cap = pieces_cap ? pieces_cap * 2 : 64;
    piece *grown;

    if (pieces_len < pieces_cap)
        return true;
    grown = (piece *)sonde_realloc(pieces, cap * sizeof(*grown));
    if (!grown)
        return false;
    pieces = grown;
    pieces_cap = cap;
    return true;
}

static sonde_status add_locked(const piece *p)
{
    uint32_t at;

    remove_locked(p->lo);
    if (pieces_len == SONDE_PROF__CODE_MAX)
        return SONDE_ERR_FULL;
    if (!room_locked())
        return SONDE_ERR_NOMEM;
    at = place_above(p->lo);
    memmove(&pieces[at + 1], &pieces[at], (pieces_len++ - at) * sizeof(*pieces));
    pieces[at] = *p;
    return SONDE_OK;
}

sonde_status sonde_prof__code_add(uint64_t lo, uint64_t bytes, sonde_str name)
{
    piece p = { .lo = lo, .bytes = bytes };
    sonde_status status;

    name.len = sonde_utf8_cut(name, SONDE_PROF__CODE_NAME_MAX);
    if (bytes == 0 || lo + bytes < lo || name.len == 0)
        return SONDE_ERR_INVALID;
    p.name = sonde_strndup(name.ptr, name.len);
    p.name_len = name.len;
    if (!p.name)
        return SONDE_ERR_NOMEM;
    sonde_prof__lock_take(&lock);
    status = add_locked(&p);
    sonde_prof__lock_give(&lock);
    if (status != SONDE_OK)
        sonde_free(p.name);
    return status;
}

void sonde_prof__code_remove(uint64_t lo)
{
    sonde_prof__lock_take(&lock);
    remove_locked(lo);
    sonde_prof__lock_give(&lock);
}

size_t sonde_prof__code_name(uint64_t address, char out[SONDE_PROF__CODE_NAME_MAX])
{
    size_t len = 0;
    uint32_t at;

    sonde_prof__lock_take(&lock);
    at = place_above(address);
    if (at > 0 && address - pieces[at - 1].lo < pieces[at - 1].bytes) {
        len = pieces[at - 1].name_len;
        memcpy(out, pieces[at - 1].name, len);
    }
    sonde_prof__lock_give(&lock);
    return len;
}

void sonde_prof__code_take(bool again,
                           void (*take)(void *user, uint64_t lo, uint64_t bytes, sonde_str name),
                           void *user)
{
    uint32_t i;

    sonde_prof__lock_take(&lock);
    for (i = 0; i < pieces_len; i++) {
        piece *p = &pieces[i];

        if (p->is_taken && !again)
            continue;
        p->is_taken = true;
        take(user, p->lo, p->bytes, (sonde_str){ p->name, p->name_len });
    }
    sonde_prof__lock_give(&lock);
}

void sonde_prof__code_prefork(void)
{
    sonde_prof__lock_take(&lock);
}

void sonde_prof__code_postfork_parent(void)
{
    sonde_prof__lock_give(&lock);
}

void sonde_prof__code_postfork_child(void)
{
    uint32_t i;

    sonde_prof__lock_init(&lock);
    for (i = 0; i < pieces_len; i++)
        pieces[i].is_taken = false;
}
