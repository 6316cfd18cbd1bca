/* real.c - finding what is behind us, also where RTLD_NEXT does not look. */
#include "real.h"

#include <stdint.h>

#include "base/got.h"

#include "late.h"

void *sonde_prof__real_next(const char *name, const char *version)
{
    bool late = sonde_prof__came_late();
    void *at = version ? dlvsym(late ? RTLD_DEFAULT : RTLD_NEXT, name, version) : NULL;

    if (at)
        return at;
    if (!late)
        return dlsym(RTLD_NEXT, name);
    return (void *)(uintptr_t)sonde_got_find(name, sonde_prof__late_here(), NULL);
}

/* A program in C whose plugin brings C++ along, unseen by others: the plugin's libraries know. */
static void *find_behind(const char *name, const void *caller)
{
    Dl_info who;
    void *handle;

    if (!dladdr(caller, &who) || !who.dli_fname)
        return NULL;
    handle = dlopen(who.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    return handle ? dlsym(handle, name) : NULL;
}

void *sonde_prof__real_for(const char *name, const void *caller)
{
    void *at = sonde_prof__real_next(name, NULL);

    return at ? at : find_behind(name, caller);
}
