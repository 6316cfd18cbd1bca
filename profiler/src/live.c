/* live.c - shards of open addressing; what is taken out closes its gap, so that nothing is ever only marked.
 *
 *   shard ──▶ entries[cap]   an entry stands at its hash or behind it, with no gap between
 */
#include "live.h"

#include <stddef.h>
#include <string.h>

#include "arena.h"
#include "lock.h"

#define FIRST_CAP        64u
#define FORK_WAIT_MS     10u
#define FILTER_SATURATED 255u

typedef struct shard {
    _Alignas(64) sonde_prof__lock lock;
    uint32_t len; /* guarded by lock, as all here */
    uint32_t cap; /* a power of two, or 0 */
    sonde_prof__live *entries;
} shard;

_Atomic uint8_t sonde_prof__live_filter[1u << SONDE_PROF__LIVE_FILTER_BITS];

static shard shards[SONDE_PROF__LIVE_SHARDS];
static uint32_t shard_max; /* places; a power of two */
static _Atomic uint32_t total;
static _Atomic uint64_t full;

static sonde_prof__lock regions_lock;
static sonde_prof__live *regions; /* guarded by regions_lock */
static _Atomic uint32_t regions_len;

static uint32_t locks_held; /* between prefork and postfork */

/* -- the filter ------------------------------------------------------------------------------------- */

static _Atomic uint8_t *filter_of(uint64_t address)
{
    return &sonde_prof__live_filter[sonde_prof__live_hash(address) >>
                                    (64 - SONDE_PROF__LIVE_FILTER_BITS)];
}

/* A counter that is full stays so: it then only costs a look into the shard. */
static void filter_add(uint64_t address)
{
    _Atomic uint8_t *counter = filter_of(address);
    uint8_t seen = atomic_load_explicit(counter, memory_order_relaxed);

    while (seen < FILTER_SATURATED &&
           !atomic_compare_exchange_weak_explicit(counter, &seen, (uint8_t)(seen + 1),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static void filter_remove(uint64_t address)
{
    _Atomic uint8_t *counter = filter_of(address);
    uint8_t seen = atomic_load_explicit(counter, memory_order_relaxed);

    while (seen > 0 && seen < FILTER_SATURATED &&
           !atomic_compare_exchange_weak_explicit(counter, &seen, (uint8_t)(seen - 1),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* -- a shard ---------------------------------------------------------------------------------------- */

static shard *shard_of(uint64_t address)
{
    /* the filter uses the topmost bits, the place within the shard those below */
    return &shards[(sonde_prof__live_hash(address) >> 20) % SONDE_PROF__LIVE_SHARDS];
}

static uint32_t home(const shard *s, uint64_t address)
{
    return (uint32_t)(sonde_prof__live_hash(address) >> 32) & (s->cap - 1);
}

/* Where the address is, or the free place where it would be; cap > len. */
static sonde_prof__live *place_locked(const shard *s, uint64_t address)
{
    uint32_t i = home(s, address);

    while (s->entries[i].address != 0 && s->entries[i].address != address)
        i = (i + 1) & (s->cap - 1);
    return &s->entries[i];
}

/* Moves up what would not be found any more. */
static void close_gap_locked(shard *s, uint32_t gap)
{
    uint32_t i = gap;

    for (;;) {
        i = (i + 1) & (s->cap - 1);
        if (s->entries[i].address == 0)
            break;
        if (((i - home(s, s->entries[i].address)) & (s->cap - 1)) >= ((i - gap) & (s->cap - 1))) {
            s->entries[gap] = s->entries[i];
            gap = i;
        }
    }
    s->entries[gap].address = 0;
}

static bool grow_locked(shard *s)
{
    shard bigger = { .cap = s->cap ? s->cap * 2 : FIRST_CAP };
    uint32_t i;

    if (bigger.cap > shard_max)
        return false;
    bigger.entries = sonde_prof__pages_map(bigger.cap * sizeof(*bigger.entries));
    if (!bigger.entries)
        return false;
    for (i = 0; i < s->cap; i++)
        if (s->entries[i].address != 0)
            *place_locked(&bigger, s->entries[i].address) = s->entries[i];
    sonde_prof__pages_unmap(s->entries, s->cap * sizeof(*s->entries));
    s->entries = bigger.entries;
    s->cap = bigger.cap;
    return true;
}

static bool put_locked(shard *s, const sonde_prof__live *entry)
{
    sonde_prof__live *at;

    if (s->len >= s->cap - s->cap / 8 && !grow_locked(s) && s->len >= s->cap - s->cap / 8)
        return false;
    at = place_locked(s, entry->address);
    if (at->address == 0) {
        s->len++;
        atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
        filter_add(entry->address);
    }
    *at = *entry;
    return true;
}

bool sonde_prof__live_put(const sonde_prof__live *entry)
{
    shard *s = shard_of(entry->address);
    bool ok;

    sonde_prof__lock_take(&s->lock);
    ok = put_locked(s, entry);
    sonde_prof__lock_give(&s->lock);
    if (!ok)
        atomic_fetch_add_explicit(&full, 1, memory_order_relaxed);
    return ok;
}

bool sonde_prof__live_take(uint64_t address, sonde_prof__live *out)
{
    shard *s = shard_of(address);
    sonde_prof__live *at = NULL;

    sonde_prof__lock_take(&s->lock);
    if (s->len > 0)
        at = place_locked(s, address);
    if (at && at->address != 0) {
        *out = *at;
        close_gap_locked(s, (uint32_t)(at - s->entries));
        s->len--;
        atomic_fetch_sub_explicit(&total, 1, memory_order_relaxed);
        filter_remove(address);
    } else {
        at = NULL;
    }
    sonde_prof__lock_give(&s->lock);
    return at != NULL;
}

/* -- regions ---------------------------------------------------------------------------------------- */

bool sonde_prof__live_has_regions(void)
{
    return atomic_load_explicit(&regions_len, memory_order_relaxed) > 0;
}

/* Under the lock.  SONDE_PROF__LIVE_REGIONS: all places are taken. */
static uint32_t region_free_locked(void)
{
    uint32_t i = 0;

    while (i < SONDE_PROF__LIVE_REGIONS && regions[i].address != 0)
        i++;
    return i;
}

static bool region_put_locked(const sonde_prof__live *entry)
{
    uint32_t i;

    if (!regions)
        regions = sonde_prof__pages_map(SONDE_PROF__LIVE_REGIONS * sizeof(*regions));
    if (!regions || (i = region_free_locked()) == SONDE_PROF__LIVE_REGIONS) {
        atomic_fetch_add_explicit(&full, 1, memory_order_relaxed);
        return false;
    }
    regions[i] = *entry;
    atomic_fetch_add_explicit(&regions_len, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    return true;
}

bool sonde_prof__live_map(const sonde_prof__live *entry)
{
    bool ok;

    sonde_prof__lock_take(&regions_lock);
    ok = region_put_locked(entry);
    sonde_prof__lock_give(&regions_lock);
    return ok;
}

/* [lo, hi) goes; what stays of the region keeps its weight per byte. */
static void region_cut_locked(sonde_prof__live *region, uint64_t lo, uint64_t hi)
{
    uint64_t from = region->address, to = from + region->bytes;
    sonde_prof__live upper = *region;

    if (hi <= from || lo >= to)
        return;
    if (hi < to) { /* the upper part stays */
        upper.address = hi;
        upper.bytes = to - hi;
    }
    if (lo > from) { /* the lower part stays */
        region->bytes = lo - from;
        if (hi < to)
            (void)region_put_locked(&upper);
        return;
    }
    if (hi < to) {
        *region = upper;
        return;
    }
    region->address = 0;
    atomic_fetch_sub_explicit(&regions_len, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&total, 1, memory_order_relaxed);
}

void sonde_prof__live_unmap(uint64_t lo, uint64_t bytes)
{
    uint32_t i;

    if (!sonde_prof__live_has_regions())
        return;
    sonde_prof__lock_take(&regions_lock);
    for (i = 0; i < SONDE_PROF__LIVE_REGIONS; i++)
        if (regions[i].address != 0)
            region_cut_locked(&regions[i], lo, lo + bytes);
    sonde_prof__lock_give(&regions_lock);
}

/* A region that is moved whole keeps what it is; of anything else the old place is given up. */
void sonde_prof__live_move(uint64_t from, uint64_t old_bytes, uint64_t to, uint64_t bytes)
{
    bool moved = false;
    uint32_t i;

    sonde_prof__lock_take(&regions_lock);
    for (i = 0; regions && i < SONDE_PROF__LIVE_REGIONS; i++)
        if (regions[i].address == from && regions[i].bytes == old_bytes) {
            regions[i].address = to;
            regions[i].bytes = bytes;
            moved = true;
        }
    sonde_prof__lock_give(&regions_lock);
    if (!moved)
        sonde_prof__live_unmap(from, old_bytes);
}

/* -- the drainer ------------------------------------------------------------------------------------ */

static bool resolve_region(uint64_t address, uint32_t serial, uint32_t node)
{
    bool found = false;
    uint32_t i;

    (void)address; /* may have been cut since */
    sonde_prof__lock_take(&regions_lock);
    for (i = 0; regions && i < SONDE_PROF__LIVE_REGIONS; i++)
        if (regions[i].address != 0 && regions[i].serial == serial) {
            regions[i].node = node;
            found = true;
        }
    sonde_prof__lock_give(&regions_lock);
    return found;
}

bool sonde_prof__live_resolve(uint64_t address, uint32_t serial, uint32_t node)
{
    shard *s = shard_of(address);
    sonde_prof__live *at = NULL;

    sonde_prof__lock_take(&s->lock);
    if (s->len > 0)
        at = place_locked(s, address);
    if (at && (at->address == 0 || at->serial != serial))
        at = NULL;
    if (at)
        at->node = node;
    sonde_prof__lock_give(&s->lock);
    return at ? true : resolve_region(address, serial, node);
}

static void each_of(sonde_prof__live *entries, uint32_t len,
                    void (*each)(void *user, sonde_prof__live *entry), void *user)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        if (entries[i].address != 0 && entries[i].node != 0)
            each(user, &entries[i]);
}

void sonde_prof__live_each(void (*each)(void *user, sonde_prof__live *entry), void *user)
{
    uint32_t i;

    for (i = 0; i < SONDE_PROF__LIVE_SHARDS; i++) {
        sonde_prof__lock_take(&shards[i].lock);
        each_of(shards[i].entries, shards[i].cap, each, user);
        sonde_prof__lock_give(&shards[i].lock);
    }
    sonde_prof__lock_take(&regions_lock);
    if (regions)
        each_of(regions, SONDE_PROF__LIVE_REGIONS, each, user);
    sonde_prof__lock_give(&regions_lock);
}

uint32_t sonde_prof__live_len(void)
{
    return atomic_load_explicit(&total, memory_order_relaxed);
}

uint64_t sonde_prof__live_full(void)
{
    return atomic_load_explicit(&full, memory_order_relaxed);
}

/* -- life ------------------------------------------------------------------------------------------- */

void sonde_prof__live_open(uint32_t max_entries)
{
    uint32_t i, each = max_entries / SONDE_PROF__LIVE_SHARDS;

    for (shard_max = FIRST_CAP; shard_max < each; shard_max *= 2)
        ;
    for (i = 0; i < SONDE_PROF__LIVE_SHARDS; i++) {
        sonde_prof__lock_take(&shards[i].lock);
        sonde_prof__pages_unmap(shards[i].entries, shards[i].cap * sizeof(*shards[i].entries));
        shards[i].entries = NULL;
        shards[i].cap = shards[i].len = 0;
        sonde_prof__lock_give(&shards[i].lock);
    }
    sonde_prof__lock_take(&regions_lock);
    sonde_prof__pages_unmap(regions, SONDE_PROF__LIVE_REGIONS * sizeof(*regions));
    regions = NULL;
    atomic_store_explicit(&regions_len, 0, memory_order_relaxed);
    atomic_store_explicit(&total, 0, memory_order_relaxed);
    sonde_prof__lock_give(&regions_lock);
    for (i = 0; i < 1u << SONDE_PROF__LIVE_FILTER_BITS; i++)
        if (atomic_load_explicit(&sonde_prof__live_filter[i], memory_order_relaxed) != 0)
            atomic_store_explicit(&sonde_prof__live_filter[i], 0, memory_order_relaxed);
}

/* In the order of the shards.  One that cannot be had in time is left: its thread is not there in the child, and the
 * child begins with that shard empty. */
void sonde_prof__live_prefork(void)
{
    uint32_t i;

    locks_held = 0;
    for (i = 0; i < SONDE_PROF__LIVE_SHARDS; i++, locks_held++)
        if (!sonde_prof__lock_try(&shards[i].lock, FORK_WAIT_MS))
            return;
    if (sonde_prof__lock_try(&regions_lock, FORK_WAIT_MS))
        locks_held++;
}

void sonde_prof__live_postfork_parent(void)
{
    uint32_t i;

    if (locks_held > SONDE_PROF__LIVE_SHARDS)
        sonde_prof__lock_give(&regions_lock);
    for (i = 0; i < locks_held && i < SONDE_PROF__LIVE_SHARDS; i++)
        sonde_prof__lock_give(&shards[i].lock);
    locks_held = 0;
}

void sonde_prof__live_postfork_child(void)
{
    uint32_t i;

    for (i = 0; i < SONDE_PROF__LIVE_SHARDS; i++) {
        if (i >= locks_held) { /* somebody was changing it */
            atomic_fetch_sub_explicit(&total, shards[i].len, memory_order_relaxed);
            shards[i].entries = NULL;
            shards[i].cap = shards[i].len = 0;
        }
        sonde_prof__lock_init(&shards[i].lock);
    }
    if (locks_held <= SONDE_PROF__LIVE_SHARDS) {
        regions = NULL;
        atomic_store_explicit(&regions_len, 0, memory_order_relaxed);
    }
    sonde_prof__lock_init(&regions_lock);
    locks_held = 0;
}
