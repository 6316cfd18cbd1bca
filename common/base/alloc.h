/* base/alloc.h - the one way to the heap.
 *
 * Every allocation of the house goes through these, so that a host application can bring its own
 * allocator and tests can make the n-th allocation fail.
 *
 * Threads   all; sonde_alloc_set() only before anything was allocated.
 * Failure   NULL; errno is not part of the contract.
 */
#ifndef SONDE_BASE_ALLOC_H
#define SONDE_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sonde_allocator {
    void *(*realloc)(void *user, void *ptr, size_t bytes); /* ptr NULL allocates; bytes > 0 */
    void (*free)(void *user, void *ptr);                   /* ptr is never NULL */
    void *user;
} sonde_allocator;

void sonde_alloc_set(const sonde_allocator *allocator); /* NULL: back to libc */

void *sonde_malloc(size_t bytes);               /* bytes 0 behaves like 1 */
void *sonde_calloc(size_t count, size_t bytes); /* zeroed; NULL when the product overflows */
void *sonde_realloc(void *ptr, size_t bytes);
void sonde_free(void *ptr);                       /* NULL does nothing */
char *sonde_strndup(const char *ptr, size_t len); /* NUL-terminated copy */

/* a * b into *out unless it overflows. */
static inline bool sonde_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool sonde_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

#endif /* SONDE_BASE_ALLOC_H */
