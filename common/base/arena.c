/* arena.c - blocks, newest first; a pointer moves through the newest one.
 *
 * Bounds   held_bytes <= max_bytes.  Blocks double from 4 KiB to 64 KiB; a request that would not fit
 *          an ordinary block gets one of its own, placed behind the newest, which stays in use. */
#include "base/arena.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

#define BLOCK_MIN_BYTES ((size_t)4096)
#define BLOCK_MAX_BYTES ((size_t)65536)

struct sonde_arena_block {
    sonde_arena_block *older;
    size_t bytes; /* header included */
};

_Static_assert(sizeof(sonde_arena_block) % 16 == 0, "what follows the header is aligned to 16");

void sonde_arena_init(sonde_arena *a, size_t max_bytes)
{
    SONDE_ASSERT(max_bytes > 0);
    *a = (sonde_arena){ .max_bytes = max_bytes };
}

static void free_chain(sonde_arena_block *block)
{
    while (block) {
        sonde_arena_block *older = block->older;

        sonde_free(block);
        block = older;
    }
}

void sonde_arena_done(sonde_arena *a)
{
    free_chain(a->blocks);
    *a = (sonde_arena){ .max_bytes = a->max_bytes };
}

static void use_block(sonde_arena *a, sonde_arena_block *block)
{
    a->next = (uint8_t *)(block + 1);
    a->end = (uint8_t *)block + block->bytes;
}

void sonde_arena_reset(sonde_arena *a)
{
    sonde_arena_block **link = &a->blocks;
    sonde_arena_block *first;

    if (!a->blocks)
        return;
    while ((*link)->older)
        link = &(*link)->older;
    first = *link;
    if (first->bytes > BLOCK_MAX_BYTES) { /* one huge request must not stay for ever */
        sonde_arena_done(a);
        return;
    }
    *link = NULL;
    free_chain(a->blocks);
    a->blocks = first;
    a->held_bytes = first->bytes;
    use_block(a, first);
}

static sonde_arena_block *block_new(sonde_arena *a, size_t bytes)
{
    sonde_arena_block *block = (sonde_arena_block *)sonde_malloc(bytes);

    if (!block)
        return NULL;
    block->older = NULL;
    block->bytes = bytes;
    a->held_bytes += bytes;
    return block;
}

/* The size of the next ordinary block: twice the newest, within the two bounds. */
static size_t next_block_bytes(const sonde_arena *a)
{
    size_t bytes = a->blocks ? a->blocks->bytes : 0;

    if (bytes >= BLOCK_MAX_BYTES / 2)
        return BLOCK_MAX_BYTES;
    return bytes < BLOCK_MIN_BYTES ? BLOCK_MIN_BYTES : 2 * bytes;
}

/* A new block for `bytes` becomes the newest one. */
static void *alloc_from_new_block(sonde_arena *a, size_t bytes, size_t block_bytes)
{
    sonde_arena_block *block = block_new(a, block_bytes);
    uint8_t *at;

    if (!block)
        return NULL;
    block->older = a->blocks;
    a->blocks = block;
    use_block(a, block);
    at = a->next;
    a->next += bytes;
    return at;
}

/* A block for this request alone; the newest block stays the one we carve from. */
static void *alloc_own_block(sonde_arena *a, size_t block_bytes)
{
    sonde_arena_block *block = block_new(a, block_bytes);

    if (!block)
        return NULL;
    block->older = a->blocks->older;
    a->blocks->older = block;
    return block + 1;
}

void *sonde_arena_alloc_slow(sonde_arena *a, size_t bytes, size_t align)
{
    size_t left = a->max_bytes - a->held_bytes;
    size_t ordinary = next_block_bytes(a);
    size_t need;

    SONDE_ASSERT(align <= 16);
    if (!sonde_add_size(bytes, sizeof(sonde_arena_block), &need) || need > left)
        return NULL;
    if (need > ordinary && a->blocks)
        return alloc_own_block(a, need);
    if (need < ordinary)
        need = ordinary < left ? ordinary : left;
    return alloc_from_new_block(a, bytes, need);
}

void *sonde_arena_zalloc(sonde_arena *a, size_t count, size_t bytes)
{
    size_t total;
    void *ptr;

    if (!sonde_mul_size(count, bytes, &total))
        return NULL;
    ptr = sonde_arena_alloc(a, total);
    if (ptr)
        memset(ptr, 0, total);
    return ptr;
}

sonde_str sonde_arena_copy(sonde_arena *a, sonde_str s)
{
    size_t bytes;
    char *copy;

    if (!sonde_add_size(s.len, 1, &bytes))
        return (sonde_str){ NULL, 0 };
    copy = (char *)sonde_arena_alloc_aligned(a, bytes, 1);
    if (!copy)
        return (sonde_str){ NULL, 0 };
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (sonde_str){ copy, s.len };
}
