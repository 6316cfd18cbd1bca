/* heap_operators.c - C++'s operators new and delete, for allocators that define them beside malloc().
 *
 * libstdc++'s and libc++'s operators call malloc(), which is where their allocations are looked at; they are passed through
 * here.  tcmalloc, jemalloc and mimalloc have operators of their own that do not.
 *
 * `new` may throw through these functions: nothing is held across the call. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "sonde/export.h"

#include "profiler/src/heap.h"

#include "heap_real.h"
#include "real.h"

#define CALLER __builtin_return_address(0)

typedef struct operator_ {
    const char *name;
    _Atomic(void *) at;  /* NULL: not looked for, or not there */
    _Atomic bool counts; /* it is the allocator's own */
} operator_;

static __attribute__((noinline, cold)) void *look_for(operator_ *o, const void *caller)
{
    void *at = sonde_prof__real_for(o->name, caller);

    (void)sonde_prof__heap_real_find();
    atomic_store_explicit(&o->counts,
                          (uintptr_t)at - sonde_prof__heap_real_now.lo <
                              sonde_prof__heap_real_now.hi - sonde_prof__heap_real_now.lo,
                          memory_order_relaxed);
    atomic_store_explicit(&o->at, at, memory_order_release);
    return at;
}

static inline void *find(operator_ *o, const void *caller)
{
    void *at = atomic_load_explicit(&o->at, memory_order_acquire);

    return __builtin_expect(at != NULL, true) ? at : look_for(o, caller);
}

/* Without a real one, what the real one would have begun with. */
#define OPERATOR_NEW(symbol, PARAMS, ARGS)                                                         \
    SONDE_API void *symbol PARAMS;                                                                 \
    SONDE_API void *symbol PARAMS                                                                  \
    {                                                                                              \
        static operator_ it = { .name = #symbol };                                                 \
        union {                                                                                    \
            void *object;                                                                          \
            void *(*call)PARAMS;                                                                   \
        } real = { find(&it, CALLER) };                                                            \
        void *block;                                                                               \
                                                                                                   \
        if (!real.object)                                                                          \
            return malloc(bytes);                                                                  \
        block = real.call ARGS;                                                                    \
        if (block && atomic_load_explicit(&it.counts, memory_order_relaxed) &&                     \
            sonde_prof__heap_looks())                                                              \
            sonde_prof__heap_allocated(block, bytes, CALLER);                                      \
        return block;                                                                              \
    }

#define OPERATOR_DELETE(symbol, PARAMS, ARGS)                                                      \
    SONDE_API void symbol PARAMS;                                                                  \
    SONDE_API void symbol PARAMS                                                                   \
    {                                                                                              \
        static operator_ it = { .name = #symbol };                                                 \
        union {                                                                                    \
            void *object;                                                                          \
            void(*call) PARAMS;                                                                    \
        } real = { find(&it, CALLER) };                                                            \
                                                                                                   \
        if (!real.object || sonde_prof__early_is(block)) {                                         \
            free(block);                                                                           \
            return;                                                                                \
        }                                                                                          \
        if (atomic_load_explicit(&it.counts, memory_order_relaxed))                                \
            sonde_prof__heap_freed(block);                                                         \
        real.call ARGS;                                                                            \
    }

/* The names are those of the Itanium C++ ABI: nw new, na new[], dl delete, da delete[]. */
OPERATOR_NEW(_Znwm, (size_t bytes), (bytes))
OPERATOR_NEW(_Znam, (size_t bytes), (bytes))
OPERATOR_NEW(_ZnwmRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow))
OPERATOR_NEW(_ZnamRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow))
OPERATOR_NEW(_ZnwmSt11align_val_t, (size_t bytes, size_t align), (bytes, align))
OPERATOR_NEW(_ZnamSt11align_val_t, (size_t bytes, size_t align), (bytes, align))
OPERATOR_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *nothrow),
             (bytes, align, nothrow))
OPERATOR_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *nothrow),
             (bytes, align, nothrow))

OPERATOR_DELETE(_ZdlPv, (void *block), (block))
OPERATOR_DELETE(_ZdaPv, (void *block), (block))
OPERATOR_DELETE(_ZdlPvm, (void *block, size_t bytes), (block, bytes))
OPERATOR_DELETE(_ZdaPvm, (void *block, size_t bytes), (block, bytes))
OPERATOR_DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(_ZdlPvSt11align_val_t, (void *block, size_t align), (block, align))
OPERATOR_DELETE(_ZdaPvSt11align_val_t, (void *block, size_t align), (block, align))
OPERATOR_DELETE(_ZdlPvmSt11align_val_t, (void *block, size_t bytes, size_t align),
                (block, bytes, align))
OPERATOR_DELETE(_ZdaPvmSt11align_val_t, (void *block, size_t bytes, size_t align),
                (block, bytes, align))
OPERATOR_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
                (void *block, size_t align, const void *nothrow), (block, align, nothrow))
OPERATOR_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
                (void *block, size_t align, const void *nothrow), (block, align, nothrow))
