/* heap_real.c - who allocates when we do not. */
#include "heap_real.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "real.h"

#define ALIGNMENT 16u /* of malloc(), and of the size in front of a block */

enum { NOT_LOOKED, LOOKING, FOUND };

sonde_prof__heap_real sonde_prof__heap_real_now;
_Alignas(64) unsigned char sonde_prof__early[SONDE_PROF__EARLY_BYTES];

static _Atomic size_t early_used;
static _Atomic int state;

/* -- the early arena -------------------------------------------------------------------------------- */

void *sonde_prof__early_alloc(size_t alignment, size_t bytes)
{
    size_t from = atomic_load_explicit(&early_used, memory_order_relaxed), at;

    if (alignment < ALIGNMENT)
        alignment = ALIGNMENT;
    do {
        at = (from + ALIGNMENT + alignment - 1) & ~(alignment - 1);
        if (at > SONDE_PROF__EARLY_BYTES || bytes > SONDE_PROF__EARLY_BYTES - at) {
            errno = ENOMEM;
            return NULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&early_used, &from, at + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    memcpy(sonde_prof__early + at - sizeof(bytes), &bytes, sizeof(bytes));
    return sonde_prof__early + at;
}

size_t sonde_prof__early_size(const void *block)
{
    size_t bytes;

    memcpy(&bytes, (const unsigned char *)block - sizeof(bytes), sizeof(bytes));
    return bytes;
}

/* -- the real one ----------------------------------------------------------------------------------- */

static void find(void *function, const char *name)
{
    void *at = sonde_prof__real_next(name, NULL);

    memcpy(function, &at, sizeof(at)); /* ISO C has no other way from object to function */
}

static int note_code(struct dl_phdr_info *object, size_t bytes, void *user)
{
    sonde_prof__heap_real *r = user;
    uintptr_t malloc_at, lo, hi;
    int i;

    (void)bytes;
    memcpy(&malloc_at, &r->malloc, sizeof(malloc_at));
    for (i = 0; i < object->dlpi_phnum; i++) {
        lo = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        hi = lo + object->dlpi_phdr[i].p_memsz;
        if (object->dlpi_phdr[i].p_type != PT_LOAD || malloc_at < lo || malloc_at >= hi)
            continue;
        r->lo = lo;
        r->hi = hi;
        return 1;
    }
    return 0;
}

bool sonde_prof__heap_real_find(void)
{
    int expected = NOT_LOOKED;
    sonde_prof__heap_real r;

    if (!atomic_compare_exchange_strong_explicit(&state, &expected, LOOKING, memory_order_acquire,
                                                 memory_order_acquire))
        return expected == FOUND;
    memset(&r, 0, sizeof(r));
    find(&r.malloc, "malloc");
    find(&r.calloc, "calloc");
    find(&r.realloc, "realloc");
    find(&r.free, "free");
    find(&r.posix_memalign, "posix_memalign");
    find(&r.aligned_alloc, "aligned_alloc");
    find(&r.memalign, "memalign");
    find(&r.valloc, "valloc");
    find(&r.pvalloc, "pvalloc");
    find(&r.malloc_usable_size, "malloc_usable_size");
    find(&r.mmap, "mmap");
    find(&r.munmap, "munmap");
    find(&r.mremap, "mremap");
    (void)dl_iterate_phdr(note_code, &r);
    sonde_prof__heap_real_now = r;
    atomic_store_explicit(&state, FOUND, memory_order_release);
    return true;
}

/* Before main() has threads, and before constructors that allocate much. */
__attribute__((constructor(101))) static void find_at_start(void)
{
    (void)sonde_prof__heap_real_find();
}
