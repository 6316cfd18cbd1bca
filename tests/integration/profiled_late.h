/* profiled_late.h - the profiler comes when the program is running: SONDE_LATE names the library.
 *
 * A block that was allocated before is given back after. */
#ifndef SONDE_TESTS_PROFILED_LATE_H
#define SONDE_TESTS_PROFILED_LATE_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void load_late(void)
{
    enum { BEFORE = 100 };
    const char *library = getenv("SONDE_LATE");
    void *volatile before[BEFORE];
    int i;

    if (!library)
        return;
    for (i = 0; i < BEFORE; i++)
        before[i] = malloc((size_t)(i + 1) * 1000);
    if (!dlopen(library, RTLD_NOW | RTLD_LOCAL)) {
        (void)fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    for (i = 0; i < BEFORE; i++)
        free(before[i]);
}

#endif /* SONDE_TESTS_PROFILED_LATE_H */
