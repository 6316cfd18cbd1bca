/* real.c - finding what is behind us, also where RTLD_NEXT does not look. */
#include "real.h"

#include <stdint.h>

#include "base/got.h"

#include "late.h"

void *sonde_prof__real_next(const char *name, const char *version)
{
    void *at;

    /* Of the version new programs get.  Not by RTLD_DEFAULT, which may find the way through a program's own slot. */
    if (sonde_prof__came_late())
        return (void *)(uintptr_t)sonde_got_find(name, sonde_prof__late_here(), NULL);
    at = version ? dlvsym(RTLD_NEXT, name, version) : NULL;
    return at ? at : dlsym(RTLD_NEXT, name);
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
