/* preload.c - the profiler starts by itself: when it is named in LD_PRELOAD, or when the environment asks for it.
 *
 * Threads   the constructor: the one that loads us. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#include "profiler.h"

#define VARIABLE  "LD_PRELOAD"
#define LIBRARY   "libsonde-profiler.so"
#define SEPARATOR " :"

/* Under whatever version and path. */
static bool is_preloaded(void)
{
    const char *list = secure_getenv(VARIABLE);

    return list && strstr(list, LIBRARY) != NULL;
}

static bool is_us(sonde_str entry)
{
    const char *slash = entry.len ? memrchr(entry.ptr, '/', entry.len) : NULL;

    if (slash)
        entry = sonde_str_sub(entry, (size_t)(slash - entry.ptr) + 1, entry.len);
    return sonde_str_starts(entry, SONDE_STR(LIBRARY));
}

/* Programs this one executes, in whatever way, do not get us.  In place: nobody else runs yet, and the list only gets
 * shorter. */
static void stay_here(void)
{
    char *list = secure_getenv(VARIABLE), *to = list, *from = list;

    while (from && *from) {
        size_t len = strcspn(from, SEPARATOR), gap = strspn(from + len, SEPARATOR);

        if (!is_us((sonde_str){ from, len })) {
            memmove(to, from, len + gap);
            to += len + gap;
        }
        from += len + gap;
    }
    while (to > list && strchr(SEPARATOR, to[-1]))
        to--;
    if (list)
        *to = '\0';
}

/* A dlopen() of us while the process ends would run it again. */
__attribute__((constructor)) static void begin(void)
{
    static bool has_begun;
    bool preloaded = is_preloaded();

    if (has_begun)
        return;
    has_begun = true;
    (void)sonde_prof__start(NULL, !preloaded);
    if (preloaded && !sonde_prof__follows_execs())
        stay_here();
}
