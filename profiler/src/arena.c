/* arena.c - blocks of a few sizes cut from chunks, and large ones mapped alone.
 *
 *   block    16 bytes of head, then what was asked for
 *   sizes    32, 48, 64, 96, 128, ... 24 KiB: two to an octave; a free block is kept in its size's list
 *   chunk    256 KiB, cut from its front; never unmapped
 *   larger   whole pages, unmapped when freed */
#include "arena.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

#include "lock.h"

#define HEAD_BYTES  16u
#define CHUNK_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES  ((size_t)4096)
#define SIZES       20u /* 32 * 2^9 * 1.5 = 24 KiB is the last one */
#define LARGE       UINT32_MAX

typedef struct block {
    union {
        struct {
            size_t bytes;  /* of room behind the head; of a large one: mapped, head included */
            uint32_t size; /* its number, or LARGE */
        };
        _Alignas(16) uint8_t head[HEAD_BYTES];
    };
    struct block *next; /* while it is free; else the first bytes of what was asked for */
} block;

static sonde_prof__lock lock;
static block *free_blocks[SIZES]; /* guarded by lock, like the next two */
static uint8_t *chunk_at, *chunk_end;
static _Atomic size_t mapped;
static _Atomic size_t ceiling = SIZE_MAX;
static _Atomic uint64_t refused;
static bool lock_is_ours; /* between prefork and postfork */

/* -- pages ------------------------------------------------------------------------------------------ */

static size_t whole_pages(size_t bytes)
{
    return bytes > SIZE_MAX - PAGE_BYTES ? 0 : (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static bool reserve(size_t bytes)
{
    size_t max = atomic_load_explicit(&ceiling, memory_order_relaxed);
    size_t before = atomic_fetch_add_explicit(&mapped, bytes, memory_order_relaxed);

    if (bytes != 0 && before <= max && bytes <= max - before)
        return true;
    atomic_fetch_sub_explicit(&mapped, bytes, memory_order_relaxed);
    return false;
}

void *sonde_prof__pages_map(size_t bytes)
{
    size_t whole = whole_pages(bytes);
    void *pages = MAP_FAILED;

    if (reserve(whole)) {
        pages = (void *)syscall(SYS_mmap, NULL, whole, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L); /* not by way of our hook */
        if (pages == MAP_FAILED)
            atomic_fetch_sub_explicit(&mapped, whole, memory_order_relaxed);
    }
    if (pages != MAP_FAILED)
        return pages;
    atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
    return NULL;
}

void sonde_prof__pages_unmap(void *pages, size_t bytes)
{
    if (!pages)
        return;
    (void)syscall(SYS_munmap, pages, whole_pages(bytes));
    atomic_fetch_sub_explicit(&mapped, whole_pages(bytes), memory_order_relaxed);
}

/* -- blocks ----------------------------------------------------------------------------------------- */

static size_t bytes_of(uint32_t size)
{
    return ((size_t)32 << size / 2) + (size % 2 ? (size_t)16 << size / 2 : 0);
}

/* SIZES: none is that large. */
static uint32_t size_for(size_t bytes)
{
    uint32_t size = 0;

    while (size < SIZES && bytes_of(size) < bytes)
        size++;
    return size;
}

static block *cut(size_t bytes)
{
    block *b;

    if ((size_t)(chunk_end - chunk_at) < bytes) { /* the rest of the old one stays unused */
        uint8_t *chunk = sonde_prof__pages_map(CHUNK_BYTES);

        if (!chunk)
            return NULL;
        chunk_at = chunk;
        chunk_end = chunk + CHUNK_BYTES;
    }
    b = (block *)(void *)chunk_at;
    chunk_at += bytes;
    return b;
}

static block *take_small(uint32_t size)
{
    block *b;

    sonde_prof__lock_take(&lock);
    b = free_blocks[size];
    if (b)
        free_blocks[size] = b->next;
    else
        b = cut(HEAD_BYTES + bytes_of(size));
    sonde_prof__lock_give(&lock);
    if (b) {
        b->bytes = bytes_of(size);
        b->size = size;
    }
    return b;
}

static block *take_large(size_t bytes)
{
    block *b = bytes > SIZE_MAX - HEAD_BYTES ? NULL : sonde_prof__pages_map(bytes + HEAD_BYTES);

    if (b) {
        b->bytes = whole_pages(bytes + HEAD_BYTES) - HEAD_BYTES;
        b->size = LARGE;
    }
    return b;
}

static void *arena_malloc(size_t bytes)
{
    uint32_t size = size_for(bytes);
    block *b = size < SIZES ? take_small(size) : take_large(bytes);

    return b ? (uint8_t *)b + HEAD_BYTES : NULL;
}

static block *block_of(void *ptr)
{
    return (block *)(void *)((uint8_t *)ptr - HEAD_BYTES);
}

static void arena_free(void *user, void *ptr)
{
    block *b = block_of(ptr);

    (void)user;
    if (b->size == LARGE) {
        sonde_prof__pages_unmap(b, b->bytes + HEAD_BYTES);
        return;
    }
    sonde_prof__lock_take(&lock);
    b->next = free_blocks[b->size];
    free_blocks[b->size] = b;
    sonde_prof__lock_give(&lock);
}

static void *arena_realloc(void *user, void *ptr, size_t bytes)
{
    void *to;

    if (ptr && bytes <= block_of(ptr)->bytes)
        return ptr;
    to = arena_malloc(bytes);
    if (to && ptr) {
        memcpy(to, ptr, block_of(ptr)->bytes);
        arena_free(user, ptr);
    }
    return to;
}

/* -- outside ---------------------------------------------------------------------------------------- */

void sonde_prof__arena_install(void)
{
    static const sonde_allocator arena = { arena_realloc, arena_free, NULL };

    sonde_alloc_set(&arena);
}

void sonde_prof__arena_limit(size_t max_bytes)
{
    atomic_store_explicit(&ceiling, max_bytes, memory_order_relaxed);
}

size_t sonde_prof__arena_bytes(void)
{
    return atomic_load_explicit(&mapped, memory_order_relaxed);
}

uint64_t sonde_prof__arena_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

void sonde_prof__arena_prefork(void)
{
    lock_is_ours = sonde_prof__lock_try(&lock, 10);
}

void sonde_prof__arena_postfork_parent(void)
{
    if (lock_is_ours)
        sonde_prof__lock_give(&lock);
    lock_is_ours = false;
}

/* The thread that had the lock, if it was not ours, is gone, and what it was at is not to be trusted. */
void sonde_prof__arena_postfork_child(void)
{
    if (!lock_is_ours) {
        memset((void *)free_blocks, 0, sizeof(free_blocks));
        chunk_at = chunk_end = NULL;
    }
    lock_is_ours = false;
    sonde_prof__lock_init(&lock);
}
