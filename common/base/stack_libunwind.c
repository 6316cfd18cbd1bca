/* base/stack_libunwind.c - unw_backtrace() by dlopen, names by dladdr(). */
#include "base/stack_libunwind.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <dlfcn.h>
#include <pthread.h>

typedef int (*backtrace_call)(void **frames, int count);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static backtrace_call unw_backtrace;

static void load(void)
{
    void *library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    void *found = library ? dlsym(library, "unw_backtrace") : NULL;

    memcpy(&unw_backtrace, &found,
           sizeof(found)); /* ISO C does not convert object to function pointers */
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Writes one line; returns its length, 0 when it does not fit. */
static size_t write_frame(char *out, size_t room, int number, const void *frame)
{
    uintptr_t at = (uintptr_t)frame;
    Dl_info info;
    int n;

    if (dladdr(frame, &info) == 0 || !info.dli_fname)
        n = snprintf(out, room, "#%d 0x%" PRIxPTR "\n", number, at);
    else if (info.dli_sname)
        n = snprintf(out, room, "#%d 0x%" PRIxPTR " %s+0x%" PRIxPTR " (%s+0x%" PRIxPTR ")\n",
                     number, at, info.dli_sname, at - (uintptr_t)info.dli_saddr,
                     base_name(info.dli_fname), at - (uintptr_t)info.dli_fbase);
    else
        n = snprintf(out, room, "#%d 0x%" PRIxPTR " (%s+0x%" PRIxPTR ")\n", number, at,
                     base_name(info.dli_fname), at - (uintptr_t)info.dli_fbase);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

size_t sonde_stack_text(char *out, size_t bytes)
{
    void *frames[SONDE_STACK_FRAMES_MAX];
    size_t len = 0;
    int count, i;

    (void)pthread_once(&once, load);
    if (!unw_backtrace)
        return 0;
    count = unw_backtrace(frames, SONDE_STACK_FRAMES_MAX);
    for (i = 0; i < count; i++) {
        size_t line = write_frame(out + len, bytes - len, i, frames[i]);

        if (line == 0)
            break;
        len += line;
    }
    return len;
}
