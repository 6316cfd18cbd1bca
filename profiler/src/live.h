/* live.h - sampled allocations that have not been freed: the live heap.
 *
 *   address ──hash──▶ shard ──▶ entry: what it stands for, who allocated it, its stack once the drainer knows it
 *
 * An address is asked for at every free() of the program, so a filter of small counters in front of the shards says `not
 * here` for nearly all of them without a lock.  Mapped regions, which can be given back in parts, are kept in a list.
 *
 * Threads   all; signal-safe: no, but live_may_hold().  A shard's lock is held for moments.
 * Bounds    the `max` of start; SONDE_PROF__LIVE_REGIONS regions.  What finds no room is not in the live heap (`live_full`); the
 *           allocation profile does not miss it.
 * See also  heap.h */
#ifndef SONDE_PROFILER_LIVE_H
#define SONDE_PROFILER_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SONDE_PROF__LIVE_SHARDS      64u
#define SONDE_PROF__LIVE_FILTER_BITS 18u
#define SONDE_PROF__LIVE_REGIONS     4096u

typedef struct sonde_prof__live {
    uint64_t address; /* 0: none */
    uint64_t bytes;   /* of the allocation itself */
    float weight;     /* objects it stands for */
    uint32_t node;    /* of the drainer's; 0: not drained yet */
    uint32_t serial;  /* ties it to its sample: addresses come again */
    uint32_t tid;
    uint32_t time_s; /* monotonic, when it was made */
    uint32_t reserved;
} sonde_prof__live;

extern _Atomic uint8_t sonde_prof__live_filter[1u << SONDE_PROF__LIVE_FILTER_BITS];

static inline uint64_t sonde_prof__live_hash(uint64_t address)
{
    return (address >> 4) * UINT64_C(0x9E3779B97F4A7C15);
}

/* False: no allocation at this address is in the table. */
static inline bool sonde_prof__live_may_hold(uint64_t address)
{
    return atomic_load_explicit(&sonde_prof__live_filter[sonde_prof__live_hash(address) >>
                                                         (64 - SONDE_PROF__LIVE_FILTER_BITS)],
                                memory_order_relaxed) != 0;
}

void sonde_prof__live_open(uint32_t max_entries); /* empty; from here on entries are taken */

/* An entry of the same address is replaced: its free was missed.  False: no room. */
bool sonde_prof__live_put(const sonde_prof__live *entry);

/* Takes the entry of an address out; false: there is none. */
bool sonde_prof__live_take(uint64_t address, sonde_prof__live *out);

/* The same for mapped regions.  unmap() takes out what lies in [lo, lo + bytes) and shrinks what lies across its ends; move()
 * follows mremap(). */
bool sonde_prof__live_map(const sonde_prof__live *entry);
void sonde_prof__live_unmap(uint64_t lo, uint64_t bytes);
void sonde_prof__live_move(uint64_t from, uint64_t old_bytes, uint64_t to, uint64_t bytes);
bool sonde_prof__live_has_regions(void);

/* The drainer has seen the entry's sample.  False: freed meanwhile. */
bool sonde_prof__live_resolve(uint64_t address, uint32_t serial, uint32_t node);

/* Calls for every entry whose node is known, under its shard's lock; each may change `node`. */
void sonde_prof__live_each(void (*each)(void *user, sonde_prof__live *entry), void *user);

uint32_t sonde_prof__live_len(void);
uint64_t sonde_prof__live_full(void);

void sonde_prof__live_prefork(void);
void sonde_prof__live_postfork_parent(void);
void sonde_prof__live_postfork_child(void); /* the heap was copied: what lives, lives on */

#endif /* SONDE_PROFILER_LIVE_H */
