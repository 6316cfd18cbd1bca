/* alloc.c - the heap behind a replaceable table; libc is the default.
 *
 * The only file of the house that calls malloc, realloc and free. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *libc_realloc(void *user, void *ptr, size_t bytes)
{
    (void)user;
    return realloc(ptr, bytes);
}

static void libc_free(void *user, void *ptr)
{
    (void)user;
    free(ptr);
}

static const sonde_allocator libc_allocator = { libc_realloc, libc_free, NULL };
static sonde_allocator current = { libc_realloc, libc_free, NULL };

void sonde_alloc_set(const sonde_allocator *allocator)
{
    current = allocator ? *allocator : libc_allocator;
}

void *sonde_malloc(size_t bytes)
{
    return current.realloc(current.user, NULL, bytes ? bytes : 1);
}

void *sonde_calloc(size_t count, size_t bytes)
{
    size_t total;
    void *ptr;

    if (!sonde_mul_size(count, bytes, &total))
        return NULL;
    if (total == 0)
        total = 1;
    if (current.realloc == libc_realloc)
        return calloc(1, total); /* leaves fresh pages untouched */
    ptr = current.realloc(current.user, NULL, total);
    if (ptr)
        memset(ptr, 0, total);
    return ptr;
}

void *sonde_realloc(void *ptr, size_t bytes)
{
    return current.realloc(current.user, ptr, bytes ? bytes : 1);
}

void sonde_free(void *ptr)
{
    if (ptr)
        current.free(current.user, ptr);
}

char *sonde_strndup(const char *ptr, size_t len)
{
    size_t bytes;
    char *copy;

    if (!sonde_add_size(len, 1, &bytes))
        return NULL;
    copy = (char *)sonde_malloc(bytes);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}
