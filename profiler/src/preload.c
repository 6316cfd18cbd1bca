/* preload.c - the profiler starts by itself: when it is named in LD_PRELOAD, or when the environment asks for it.
 *
 * Threads   the constructor: the one that loads us. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#include "profiler.h"

#define LIBRARY "libsonde-profiler.so"

/* Under whatever version and path. */
static bool is_preloaded(void)
{
    const char *list = secure_getenv("LD_PRELOAD");

    return list && strstr(list, LIBRARY) != NULL;
}

/* A dlopen() of us while the process ends would run it again. */
__attribute__((constructor)) static void begin(void)
{
    static bool has_begun;

    if (has_begun)
        return;
    has_begun = true;
    (void)sonde_prof__start(NULL, !is_preloaded());
}
