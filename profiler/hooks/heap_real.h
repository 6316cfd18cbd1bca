/* heap_real.h - the allocator behind ours, and the little one that serves while it is being found.
 *
 * dlsym() may allocate before it has told us where malloc() is: until then blocks come from a static arena, which free()
 * knows and leaves alone.
 *
 * Threads   all.
 * Bounds    SONDE_PROF__EARLY_BYTES; then NULL and ENOMEM. */
#ifndef SONDE_PROFILER_HOOKS_HEAP_REAL_H
#define SONDE_PROFILER_HOOKS_HEAP_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#define SONDE_PROF__EARLY_BYTES (256u * 1024)

/* Members are NULL when the process has no such function. */
typedef struct sonde_prof__heap_real {
    void *(*malloc)(size_t bytes);
    void *(*calloc)(size_t count, size_t bytes);
    void *(*realloc)(void *block, size_t bytes);
    void (*free)(void *block);
    int (*posix_memalign)(void **out_block, size_t alignment, size_t bytes);
    void *(*aligned_alloc)(size_t alignment, size_t bytes);
    void *(*memalign)(size_t alignment, size_t bytes);
    void *(*valloc)(size_t bytes);
    void *(*pvalloc)(size_t bytes);
    size_t (*malloc_usable_size)(void *block);
    void *(*mmap)(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
    int (*munmap)(void *at, size_t bytes);
    void *(*mremap)(void *from, size_t old_bytes, size_t bytes, int flags, ...);
    uintptr_t lo; /* the allocator's own code: what it maps is no allocation of the program */
    uintptr_t hi;
} sonde_prof__heap_real;

extern sonde_prof__heap_real sonde_prof__heap_real_now; /* all zero until found */

/* Finds them; false: somebody is at it, the early arena serves. */
bool sonde_prof__heap_real_find(void);

void *sonde_prof__early_alloc(size_t alignment,
                              size_t bytes); /* zeroed; alignment a power of two */
size_t sonde_prof__early_size(const void *block);

extern unsigned char sonde_prof__early[SONDE_PROF__EARLY_BYTES];

static inline bool sonde_prof__early_is(const void *block)
{
    return (uintptr_t)block - (uintptr_t)sonde_prof__early < SONDE_PROF__EARLY_BYTES;
}

#endif /* SONDE_PROFILER_HOOKS_HEAP_REAL_H */
