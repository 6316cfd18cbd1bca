/* real.h - the function behind ours.
 *
 * Threads   all.  The first call of each asks the loader, which may allocate. */
#ifndef SONDE_PROFILER_HOOKS_REAL_H
#define SONDE_PROFILER_HOOKS_REAL_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

/* The next definition after ours, or, where we came late, the one that everybody else has found, of that version where there
 * is such a one (NULL: any); NULL: there is none. */
void *sonde_prof__real_next(const char *name, const char *version);

/* Declares real_NAME(): that function; and known_NAME(), which does not look:
 * NULL before real_NAME() was called. */
#define SONDE_PROF__REAL(name) SONDE_PROF__REAL_OF(name, NULL)

/* The same of the VERSION of that name, where there is such a one. */
#define SONDE_PROF__REAL_OF(name, version)                                                         \
    static _Atomic(void *) found_##name;                                                           \
                                                                                                   \
    static inline __attribute__((unused)) __typeof__(&(name)) known_##name(void)                   \
    {                                                                                              \
        union {                                                                                    \
            void *object;                                                                          \
            __typeof__(&(name)) function;                                                          \
        } at = { atomic_load_explicit(&found_##name, memory_order_relaxed) };                      \
                                                                                                   \
        return at.function;                                                                        \
    }                                                                                              \
                                                                                                   \
    static __typeof__(&(name)) real_##name(void)                                                   \
    {                                                                                              \
        union {                                                                                    \
            void *object;                                                                          \
            __typeof__(&(name)) function;                                                          \
        } at = { atomic_load_explicit(&found_##name, memory_order_relaxed) };                      \
                                                                                                   \
        if (!at.object) {                                                                          \
            at.object = sonde_prof__real_next(#name, version);                                     \
            atomic_store_explicit(&found_##name, at.object, memory_order_relaxed);                 \
        }                                                                                          \
        return at.function;                                                                        \
    }

/* The next one, and where that finds nothing, as the caller's own libraries have it; NULL: nobody has it. */
void *sonde_prof__real_for(const char *name, const void *caller);

#endif /* SONDE_PROFILER_HOOKS_REAL_H */
