/* heap.c - malloc() and its family, mmap(), and what gives memory back.
 *
 * The real function does the work; what it gave is then one subtraction away from being forgotten.  Before a block goes
 * back it is looked up, for its address may be another thread's at once. */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sonde/export.h"

#include "profiler/src/heap.h"

#include "heap_real.h"

#define real                 sonde_prof__heap_real_now
#define CALLER               __builtin_return_address(0)
#define IS_READY(function)   (__builtin_expect(real.function != NULL, true) || find(&real.function))
#define DEFAULT_ALIGNMENT    16u
#define NOTES(block, caller) ((block) && sonde_prof__heap_looks() && !is_allocators(caller))

/* True: the function is known now. */
static __attribute__((noinline, cold)) bool find(const void *function)
{
    void *at;

    if (!sonde_prof__heap_real_find())
        return false;
    memcpy(&at, function, sizeof(at));
    return at != NULL;
}

static inline bool is_allocators(const void *caller)
{
    return (uintptr_t)caller - real.lo < real.hi - real.lo;
}

static inline void *note(void *block, size_t bytes, const void *caller)
{
    if (block && sonde_prof__heap_looks())
        sonde_prof__heap_allocated(block, bytes, caller);
    return block;
}

/* -- malloc and family ------------------------------------------------------------------------------ */

SONDE_API void *malloc(size_t bytes)
{
    if (!IS_READY(malloc))
        return sonde_prof__early_alloc(DEFAULT_ALIGNMENT, bytes);
    return note(real.malloc(bytes), bytes, CALLER);
}

SONDE_API void *calloc(size_t count, size_t bytes)
{
    size_t product;

    if (__builtin_mul_overflow(count, bytes, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!IS_READY(calloc))
        return sonde_prof__early_alloc(DEFAULT_ALIGNMENT, product);
    return note(real.calloc(count, bytes), product, CALLER);
}

/* Out of the early arena, into what there is now. */
static void *move_early(void *block, size_t bytes)
{
    size_t held = sonde_prof__early_size(block);
    void *to =
        IS_READY(malloc) ? real.malloc(bytes) : sonde_prof__early_alloc(DEFAULT_ALIGNMENT, bytes);

    if (to)
        memcpy(to, block, held < bytes ? held : bytes);
    return to;
}

static void *reallocate(void *block, size_t bytes, const void *caller)
{
    sonde_prof__live was;
    bool known;
    void *to;

    if (sonde_prof__early_is(block) || !IS_READY(realloc))
        return block ? move_early(block, bytes) : sonde_prof__early_alloc(DEFAULT_ALIGNMENT, bytes);
    known = sonde_prof__live_may_hold((uintptr_t)block) &&
            sonde_prof__live_take((uintptr_t)block, &was);
    to = real.realloc(block, bytes);
    if (to)
        return note(to, bytes, caller);
    if (known && bytes > 0) /* it failed: the old block is still there */
        (void)sonde_prof__live_put(&was);
    return NULL;
}

SONDE_API void *realloc(void *block, size_t bytes)
{
    return reallocate(block, bytes, CALLER);
}

SONDE_API void *reallocarray(void *block, size_t count, size_t bytes)
{
    size_t product;

    if (__builtin_mul_overflow(count, bytes, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return reallocate(block, product, CALLER);
}

SONDE_API void free(void *block)
{
    if (sonde_prof__early_is(block) || !IS_READY(free))
        return;
    sonde_prof__heap_freed(block);
    real.free(block);
}

/* C23; a C library that has them would do the same. */
SONDE_API void free_sized(void *block, size_t bytes);
SONDE_API void free_sized(void *block, size_t bytes)
{
    (void)bytes;
    free(block);
}

SONDE_API void free_aligned_sized(void *block, size_t alignment, size_t bytes);
SONDE_API void free_aligned_sized(void *block, size_t alignment, size_t bytes)
{
    (void)alignment;
    (void)bytes;
    free(block);
}

SONDE_API int posix_memalign(void **out_block, size_t alignment, size_t bytes)
{
    int error;

    if (!IS_READY(posix_memalign))
        return (*out_block = sonde_prof__early_alloc(alignment, bytes)) ? 0 : ENOMEM;
    error = real.posix_memalign(out_block, alignment, bytes);
    if (error == 0)
        (void)note(*out_block, bytes, CALLER);
    return error;
}

SONDE_API void *aligned_alloc(size_t alignment, size_t bytes)
{
    if (!IS_READY(aligned_alloc))
        return sonde_prof__early_alloc(alignment, bytes);
    return note(real.aligned_alloc(alignment, bytes), bytes, CALLER);
}

SONDE_API void *memalign(size_t alignment, size_t bytes)
{
    if (!IS_READY(memalign))
        return sonde_prof__early_alloc(alignment, bytes);
    return note(real.memalign(alignment, bytes), bytes, CALLER);
}

SONDE_API void *valloc(size_t bytes)
{
    if (!IS_READY(valloc))
        return sonde_prof__early_alloc((size_t)sysconf(_SC_PAGESIZE), bytes);
    return note(real.valloc(bytes), bytes, CALLER);
}

SONDE_API void *pvalloc(size_t bytes)
{
    if (!IS_READY(pvalloc))
        return sonde_prof__early_alloc((size_t)sysconf(_SC_PAGESIZE), bytes);
    return note(real.pvalloc(bytes), bytes, CALLER);
}

SONDE_API size_t malloc_usable_size(void *block)
{
    if (sonde_prof__early_is(block))
        return sonde_prof__early_size(block);
    return IS_READY(malloc_usable_size) ? real.malloc_usable_size(block) : 0;
}

/* -- mappings --------------------------------------------------------------------------------------- */

static void *map(void *at, size_t bytes, int prot, int flags, int fd, off_t offset,
                 const void *caller)
{
    void *region;

    if (!IS_READY(mmap)) /* while the loader is asked */
        return (void *)syscall(SYS_mmap, at, bytes, prot, flags, fd, offset);
    region = real.mmap(at, bytes, prot, flags, fd, offset);
    if (region == MAP_FAILED || at || fd != -1 || bytes < SONDE_PROF__MMAP_BYTES_MIN)
        return region;
    if (NOTES(region, caller))
        sonde_prof__heap_mapped(region, bytes, caller);
    return region;
}

SONDE_API void *mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    return map(at, bytes, prot, flags, fd, offset, CALLER);
}

#undef mmap64
SONDE_API void *mmap64(void *at, size_t bytes, int prot, int flags, int fd, off64_t offset)
{
    return map(at, bytes, prot, flags, fd, offset, CALLER);
}

SONDE_API int munmap(void *at, size_t bytes)
{
    if (sonde_prof__live_has_regions() && sonde_prof__self.depth == 0)
        sonde_prof__live_unmap((uintptr_t)at, bytes);
    if (!IS_READY(munmap))
        return (int)syscall(SYS_munmap, at, bytes);
    return real.munmap(at, bytes);
}

/* A region that moves or grows is given back and mapped anew. */
SONDE_API void *mremap(void *from, size_t old_bytes, size_t bytes, int flags, ...)
{
    void *to, *wanted = NULL;
    va_list more;

    va_start(more, flags);
    if (flags & MREMAP_FIXED)
        wanted = va_arg(more, void *);
    va_end(more);
    to = IS_READY(mremap) ? real.mremap(from, old_bytes, bytes, flags, wanted)
                          : (void *)syscall(SYS_mremap, from, old_bytes, bytes, flags, wanted);
    if (to == MAP_FAILED || !sonde_prof__live_has_regions() || sonde_prof__self.depth > 0)
        return to;
    sonde_prof__live_move((uintptr_t)from, old_bytes, (uintptr_t)to, bytes);
    return to;
}
