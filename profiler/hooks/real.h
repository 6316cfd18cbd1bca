/* real.h - the function behind ours.
 *
 * Threads   all.  The first call of each asks the loader, which may allocate. */
#ifndef SONDE_PROFILER_HOOKS_REAL_H
#define SONDE_PROFILER_HOOKS_REAL_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

/* Declares real_NAME(): the next definition of NAME after ours; NULL: there is none. */
#define SONDE_PROF__REAL(name)                                                                     \
    static __typeof__(&(name)) real_##name(void)                                                   \
    {                                                                                              \
        static _Atomic(void *) found;                                                              \
        union {                                                                                    \
            void *object;                                                                          \
            __typeof__(&(name)) function;                                                          \
        } at = { atomic_load_explicit(&found, memory_order_relaxed) };                             \
                                                                                                   \
        if (!at.object) {                                                                          \
            at.object = dlsym(RTLD_NEXT, #name);                                                   \
            atomic_store_explicit(&found, at.object, memory_order_relaxed);                        \
        }                                                                                          \
        return at.function;                                                                        \
    }

/* The same, and where that finds nothing, as the caller's own libraries have it; NULL: nobody has it. */
void *sonde_prof__real_for(const char *name, const void *caller);

#endif /* SONDE_PROFILER_HOOKS_REAL_H */
