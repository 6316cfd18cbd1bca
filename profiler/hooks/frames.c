/* frames.c - unwind information of generated code, as it is registered for C++ exceptions.  Seen before the profiler has
 * started, too: the code stays.
 *
 * Where nobody else has these functions, a program that looks for them finds ours, which take note and do no more; what was
 * registered then is not taken back from a libgcc that came later: it ends the process for what it does not know. */
#include <stdatomic.h>
#include <stddef.h>

#include "sonde/export.h"

#include "profiler/src/frames.h"
#include "profiler/src/maps.h"

#include "real.h"

typedef void register_fn(const void *section);
typedef void register_info_fn(const void *section, void *object);
typedef void *deregister_info_fn(const void *section);

typedef union real {
    void *object;
    register_fn *with;
    register_info_fn *with_info;
    deregister_info_fn *without_info;
} real;

static real real_of(_Atomic(void *) *found, const char *name, const void *caller)
{
    real at = { atomic_load_explicit(found, memory_order_relaxed) };

    if (!at.object) {
        at.object = sonde_prof__real_for(name, caller);
        atomic_store_explicit(found, at.object, memory_order_relaxed);
    }
    return at;
}

static void note(const void *section, bool is_passed)
{
    (void)sonde_prof__frames_add(section, 0, is_passed);
    sonde_prof__maps_poke();
}

SONDE_API void __register_frame(const void *section);
SONDE_API void __register_frame(const void *section)
{
    static _Atomic(void *) found;
    real behind = real_of(&found, "__register_frame", __builtin_return_address(0));

    note(section, behind.object != NULL);
    if (behind.object)
        behind.with(section);
}

SONDE_API void __register_frame_info(const void *section, void *object);
SONDE_API void __register_frame_info(const void *section, void *object)
{
    static _Atomic(void *) found;
    real behind = real_of(&found, "__register_frame_info", __builtin_return_address(0));

    note(section, behind.object != NULL);
    if (behind.object)
        behind.with_info(section, object);
}

SONDE_API void __deregister_frame(const void *section);
SONDE_API void __deregister_frame(const void *section)
{
    static _Atomic(void *) found;
    real behind = real_of(&found, "__deregister_frame", __builtin_return_address(0));

    if (sonde_prof__frames_remove(section) && behind.object)
        behind.with(section);
}

SONDE_API void *__deregister_frame_info(const void *section);
SONDE_API void *__deregister_frame_info(const void *section)
{
    static _Atomic(void *) found;
    real behind = real_of(&found, "__deregister_frame_info", __builtin_return_address(0));

    return sonde_prof__frames_remove(section) && behind.object ? behind.without_info(section)
                                                               : NULL;
}
