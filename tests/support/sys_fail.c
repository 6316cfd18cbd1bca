/* sys_fail.c - the wrappers the linker puts in place of system calls (--wrap).
 *
 * The fortified names (__read_chk, ...) are what release builds call instead of read, recv and poll.
 *
 * Threads   the wrappers any; the functions of the header the test's main thread. */
#include "support/sys_fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ALWAYS UINT64_MAX

static struct {
    _Atomic uint64_t seen;
    _Atomic uint64_t fail_at; /* value of `seen` at which to fail; 0: never; ALWAYS */
    _Atomic int error;
} calls[SYS_FAIL_CALLS];

void sys_fail(sys_fail_call call, uint64_t n, int error)
{
    uint64_t seen = atomic_load_explicit(&calls[call].seen, memory_order_relaxed);

    atomic_store_explicit(&calls[call].error, error, memory_order_relaxed);
    /* pairs with fails() */
    atomic_store_explicit(&calls[call].fail_at, n ? seen + n : 0, memory_order_release);
}

void sys_fail_always(sys_fail_call call, int error)
{
    atomic_store_explicit(&calls[call].error, error, memory_order_relaxed);
    atomic_store_explicit(&calls[call].fail_at, ALWAYS,
                          memory_order_release); /* pairs with fails() */
}

void sys_fail_clear(void)
{
    int i;

    for (i = 0; i < SYS_FAIL_CALLS; i++) {
        atomic_store_explicit(&calls[i].fail_at, 0, memory_order_relaxed);
        atomic_store_explicit(&calls[i].seen, 0, memory_order_relaxed);
    }
}

uint64_t sys_fail_count(sys_fail_call call)
{
    return atomic_load_explicit(&calls[call].seen, memory_order_relaxed);
}

/* Counts the call; true when it is to fail, with its error number in *out_error. */
static bool fails(sys_fail_call call, int *out_error)
{
    uint64_t seen = atomic_fetch_add_explicit(&calls[call].seen, 1, memory_order_relaxed) + 1;
    /* pairs with sys_fail() */
    uint64_t fail_at = atomic_load_explicit(&calls[call].fail_at, memory_order_acquire);

    *out_error = atomic_load_explicit(&calls[call].error, memory_order_relaxed);
    return fail_at == ALWAYS || fail_at == seen;
}

/* clang-format off */
#define WRAP(CALL, result, name, params, args, failure)                                                 \
    result __real_##name params;                                                                        \
    result __wrap_##name params;                                                                        \
    result __wrap_##name params                                                                         \
    {                                                                                                   \
        int error;                                                                                      \
                                                                                                        \
        if (fails(SYS_FAIL_##CALL, &error)) {                                                           \
            errno = error;                                                                              \
            return failure;                                                                             \
        }                                                                                               \
        return __real_##name args;                                                                      \
    }

WRAP(SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1)
WRAP(CONNECT, int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), -1)
WRAP(BIND, int, bind, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), -1)
WRAP(LISTEN, int, listen, (int fd, int backlog), (fd, backlog), -1)
WRAP(SEND, ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), -1)
WRAP(RECV, ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), -1)
WRAP(POLL, int, poll, (struct pollfd *fds, nfds_t count, int ms), (fds, count, ms), -1)
WRAP(READ, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), -1)
WRAP(WRITE, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), -1)
WRAP(FSYNC, int, fsync, (int fd), (fd), -1)
WRAP(RENAME, int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(MMAP, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at), MAP_FAILED)
WRAP(MEMFD_CREATE, int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
WRAP(PTHREAD_CREATE, int, pthread_create,
     (pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
     (t, attr, run, arg), error)

#ifdef __GLIBC__
WRAP(READ, ssize_t, __read_chk, (int fd, void *p, size_t n, size_t cap), (fd, p, n, cap), -1)
WRAP(RECV, ssize_t, __recv_chk, (int fd, void *p, size_t n, size_t cap, int flags),
     (fd, p, n, cap, flags), -1)
WRAP(POLL, int, __poll_chk, (struct pollfd *fds, nfds_t count, int ms, size_t cap),
     (fds, count, ms, cap), -1)
#endif
/* clang-format on */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    int error;

    if (fails(SYS_FAIL_OPEN, &error)) {
        errno = error;
        return -1;
    }
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list args;

        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return __real_open(path, flags, mode);
}
