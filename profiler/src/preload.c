/* preload.c - the profiler starts by itself: when it is named in LD_PRELOAD, or when the environment asks for it.
 *
 * Threads   the constructor: the one that loads us. */
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

__attribute__((constructor)) static void begin(void)
{
    (void)sonde_prof__start(NULL, !is_preloaded());
}
