/* real.c - finding what is behind us where RTLD_NEXT does not look. */
#include "real.h"

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
    void *at = dlsym(RTLD_NEXT, name);

    return at ? at : find_behind(name, caller);
}
