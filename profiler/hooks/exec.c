/* exec.c - no signal of ours waits for the program that takes this one's place.
 *
 * Timers and their signals end with exec; a queued signal of the wall sampler or of a perf event would not, and its default is
 * to end the process.  libc's variants call each other inside, unseen, so each one is here. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include "sonde/export.h"

#include "profiler/src/arena.h"
#include "profiler/src/samplers.h"

#include "real.h"

#define ARGS_ON_STACK 128u

SONDE_PROF__REAL(execve)
SONDE_PROF__REAL(execv)
SONDE_PROF__REAL(execvp)
SONDE_PROF__REAL(execvpe)
SONDE_PROF__REAL(fexecve)

/* A child of vfork() shall not be the first to ask the loader. */
__attribute__((constructor)) static void find_real(void)
{
    (void)real_execve();
    (void)real_execv();
    (void)real_execvp();
    (void)real_execvpe();
    (void)real_fexecve();
}

/* `call` does not come back, or has failed. */
#define EXEC(real, call)                                                                           \
    do {                                                                                           \
        int error;                                                                                 \
                                                                                                   \
        if (!(real)) {                                                                             \
            errno = ENOSYS;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        sonde_prof__exec_begin();                                                                  \
        (void)(call);                                                                              \
        error = errno;                                                                             \
        sonde_prof__exec_failed();                                                                 \
        errno = error;                                                                             \
        return -1;                                                                                 \
    } while (0)

SONDE_API int execve(const char *path, char *const argv[], char *const envp[])
{
    __typeof__(&execve) real = real_execve();

    EXEC(real, real(path, argv, envp));
}

SONDE_API int execv(const char *path, char *const argv[])
{
    __typeof__(&execv) real = real_execv();

    EXEC(real, real(path, argv));
}

SONDE_API int execvp(const char *file, char *const argv[])
{
    __typeof__(&execvp) real = real_execvp();

    EXEC(real, real(file, argv));
}

SONDE_API int execvpe(const char *file, char *const argv[], char *const envp[])
{
    __typeof__(&execvpe) real = real_execvpe();

    EXEC(real, real(file, argv, envp));
}

SONDE_API int fexecve(int fd, char *const argv[], char *const envp[])
{
    __typeof__(&fexecve) real = real_fexecve();

    EXEC(real, real(fd, argv, envp));
}

/* -- arguments one by one --------------------------------------------------------------------------- */

/* In a child of vfork() too: nothing is allocated but for more arguments than anybody writes down. */
typedef struct args {
    char *few[ARGS_ON_STACK];
    char **all;
    size_t bytes; /* mapped; 0: `few` is enough */
} args;

/* Until the NULL, which is in; `rest` is behind it then.  False: no memory. */
static bool take_args(args *a, const char *first, va_list rest)
{
    va_list count;
    size_t n = 1;

    va_copy(count, rest);
    while (first && va_arg(count, char *))
        n++;
    va_end(count);
    a->bytes = n < ARGS_ON_STACK ? 0 : (n + 1) * sizeof(char *);
    a->all = a->bytes ? sonde_prof__pages_map(a->bytes) : a->few;
    if (!a->all)
        return false;
    a->all[0] = (char *)(uintptr_t)first;
    for (n = 0; a->all[n]; n++)
        a->all[n + 1] = va_arg(rest, char *);
    return true;
}

static void give_args(args *a)
{
    int error = errno;

    if (a->bytes)
        sonde_prof__pages_unmap(a->all, a->bytes);
    errno = error;
}

static int no_memory(void)
{
    errno = ENOMEM;
    return -1;
}

SONDE_API int execl(const char *path, const char *arg, ...)
{
    va_list rest;
    args a;
    bool ok;

    va_start(rest, arg);
    ok = take_args(&a, arg, rest);
    va_end(rest);
    if (!ok)
        return no_memory();
    (void)execv(path, a.all);
    give_args(&a);
    return -1;
}

SONDE_API int execlp(const char *file, const char *arg, ...)
{
    va_list rest;
    args a;
    bool ok;

    va_start(rest, arg);
    ok = take_args(&a, arg, rest);
    va_end(rest);
    if (!ok)
        return no_memory();
    (void)execvp(file, a.all);
    give_args(&a);
    return -1;
}

SONDE_API int execle(const char *path, const char *arg, ...)
{
    char *const *envp;
    va_list rest;
    args a;
    bool ok;

    va_start(rest, arg);
    ok = take_args(&a, arg, rest);
    envp = va_arg(rest, char *const *);
    va_end(rest);
    if (!ok)
        return no_memory();
    (void)execve(path, a.all, envp);
    give_args(&a);
    return -1;
}
