/* exception.c - C++ exceptions, as they are thrown.  Off unless asked for. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sonde/export.h"

#include "profiler/src/waits.h"

#include "real.h"

typedef void throw_fn(void *object, void *type, void (*destroy)(void *));

static _Atomic(void *) found;

static throw_fn *real_throw(const void *caller)
{
    union {
        void *object;
        throw_fn *function;
    } at = { atomic_load_explicit(&found, memory_order_relaxed) };

    if (!at.object) {
        at.object = sonde_prof__real_for("__cxa_throw", caller);
        atomic_store_explicit(&found, at.object, memory_order_relaxed);
    }
    return at.function;
}

/* A std::type_info: virtual table, then the name. */
static const char *name_of(const void *type)
{
    const char *name;

    memcpy(&name, (const char *)type + sizeof(void *), sizeof(name));
    return name;
}

SONDE_API _Noreturn void __cxa_throw(void *object, void *type, void (*destroy)(void *));
SONDE_API _Noreturn void __cxa_throw(void *object, void *type, void (*destroy)(void *))
{
    const void *caller = __builtin_return_address(0);

    if (sonde_prof__waits_look(&sonde_prof__throws_on) && type)
        sonde_prof__threw(name_of(type), caller);
    real_throw(caller)(object, type, destroy);
    __builtin_unreachable(); /* the caller has one, or could not be running */
}
