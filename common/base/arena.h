/* base/arena.h - memory with one lifetime: many allocations, one release.
 *
 * Use one arena per thing that lives and dies as a whole: a trace segment, one request, one payload.
 * Nothing allocated from it is freed on its own.
 *
 * Threads   none: an arena belongs to whoever owns its object.
 * Failure   NULL when memory ran out or `max_bytes` is reached; the arena stays usable.
 * Cost      a pointer bump; a new block (4 KiB doubling to 64 KiB, larger for a larger request) when
 *           the current one is full.  sonde_arena_reset() keeps the first block.
 */
#ifndef SONDE_BASE_ARENA_H
#define SONDE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct sonde_arena_block sonde_arena_block;

typedef struct sonde_arena {
    sonde_arena_block *blocks; /* newest first */
    uint8_t *next;             /* next free byte of the newest block */
    uint8_t *end;              /* end of the newest block */
    size_t held_bytes;         /* sum of all block sizes, headers included */
    size_t max_bytes;          /* ceiling of held_bytes; 0 is not allowed */
} sonde_arena;

void sonde_arena_init(sonde_arena *a, size_t max_bytes);
void sonde_arena_done(sonde_arena *a);  /* gives every block back; `a` may be re-initialised */
void sonde_arena_reset(sonde_arena *a); /* keeps the first block for the next round */

void *sonde_arena_alloc_slow(sonde_arena *a, size_t bytes, size_t align);

/* Not zeroed, aligned to `align` (a power of two up to 16). */
static inline void *sonde_arena_alloc_aligned(sonde_arena *a, size_t bytes, size_t align)
{
    uintptr_t at = ((uintptr_t)a->next + (align - 1)) & ~(uintptr_t)(align - 1);

    bool fits = a->next != NULL && at <= (uintptr_t)a->end && bytes <= (uintptr_t)a->end - at;

    if (__builtin_expect(fits, 1)) {
        a->next = (uint8_t *)at + bytes;
        return (void *)at;
    }
    return sonde_arena_alloc_slow(a, bytes, align);
}

static inline void *sonde_arena_alloc(sonde_arena *a, size_t bytes)
{
    return sonde_arena_alloc_aligned(a, bytes, 16);
}

/* Zeroed; NULL when the product overflows. */
void *sonde_arena_zalloc(sonde_arena *a, size_t count, size_t bytes);

/* NUL-terminated behind its length; { NULL, 0 } on failure. */
sonde_str sonde_arena_copy(sonde_arena *a, sonde_str s);

#endif /* SONDE_BASE_ARENA_H */
