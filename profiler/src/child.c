/* child.c - whose code is where. */
#include "child.h"

#include <dlfcn.h>

#include <sys/auxv.h>

#include "maps.h"

static bool keep_out(uint32_t at, const sonde_prof__loaded *object)
{
    if (!object)
        return false;
    sonde_prof__child_code_now.range[at].lo = object->start;
    sonde_prof__child_code_now.range[at].hi = object->start + object->length;
    return true;
}

static const sonde_prof__loaded *object_of(const void *code)
{
    return code ? sonde_prof__maps_find((uint64_t)(uintptr_t)code) : NULL;
}

static const sonde_prof__loaded *loader(void)
{
    uint64_t base = getauxval(AT_BASE);
    uint32_t i;

    for (i = 0; i < sonde_prof__maps_len(); i++) {
        const sonde_prof__loaded *l = sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + i);

        if (l && l->is_loaded && l->bias == base)
            return l;
    }
    return NULL;
}

/* Behind us, or where we are behind it. */
static const sonde_prof__loaded *owner_of(const char *name)
{
    const void *at = dlsym(RTLD_NEXT, name);

    return object_of(at ? at : dlsym(RTLD_DEFAULT, name));
}

void sonde_prof__child_learn(void)
{
    union {
        void (*function)(void);
        const void *code;
    } ours = { sonde_prof__child_learn };

    sonde_prof__child_code_now.is_known =
        keep_out(0, object_of(ours.code)) && keep_out(1, owner_of("pthread_create")) &&
        keep_out(2, loader()) && keep_out(3, owner_of("malloc")) &&
        keep_out(4, object_of(dlsym(RTLD_DEFAULT, "malloc")));
}
