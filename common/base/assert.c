/* assert.c - what happens when an invariant does not hold. */
#include "base/assert.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include "base/log.h"

static _Atomic uint64_t internal_errors;

void sonde_assert_failed(const char *cond, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "%s:%d: assertion failed: %s\n", file, line, cond);

    if (len > (int)sizeof(text) - 1)
        len = (int)sizeof(text) - 1;
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort(); /* nothing more can be said */
    abort();
}

void sonde_internal_error(const char *cond, const char *file, int line)
{
    atomic_fetch_add_explicit(&internal_errors, 1, memory_order_relaxed);
    SONDE_LOG(SONDE_LOG_ERROR, "internal error, going on without: check=\"%s\" at=%s:%d", cond,
              file, line);
}

uint64_t sonde_internal_errors(void)
{
    return atomic_load_explicit(&internal_errors, memory_order_relaxed);
}
