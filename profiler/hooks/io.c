/* io.c - time in calls that read, write, connect and accept.  Off unless asked for: each call is timed then.
 *
 * Also calls that would not block are timed: a wait of nothing is hardly ever sampled. */
#include <errno.h>
#include <stdbool.h>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "sonde/export.h"

#include "profiler/src/waits.h"

#include "real.h"

#define CALLER __builtin_return_address(0)

/* A function NAME of a descriptor; SIZED: its result is a number of bytes. */
#define IO(type, name, operation, is_sized, PARAMS, ARGS)                                          \
    SONDE_PROF__REAL(name)                                                                         \
    SONDE_API type name PARAMS                                                                     \
    {                                                                                              \
        __typeof__(&(name)) real = real_##name();                                                  \
        uint64_t from;                                                                             \
        type result;                                                                               \
                                                                                                   \
        if (!real) {                                                                               \
            errno = ENOSYS;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        if (!sonde_prof__waits_look(&sonde_prof__io_on))                                           \
            return real ARGS;                                                                      \
        from = sonde_mono_ns();                                                                    \
        result = real ARGS;                                                                        \
        sonde_prof__io_waited(fd, operation, sonde_mono_ns() - from,                               \
                              (is_sized) && result > 0 ? (uint64_t)result : 0, CALLER);            \
        return result;                                                                             \
    }

IO(ssize_t, read, SONDE_PROF__IO_READ, true, (int fd, void *to, size_t bytes), (fd, to, bytes))
IO(ssize_t, pread, SONDE_PROF__IO_READ, true, (int fd, void *to, size_t bytes, off_t at),
   (fd, to, bytes, at))
IO(ssize_t, readv, SONDE_PROF__IO_READ, true, (int fd, const struct iovec *to, int len),
   (fd, to, len))
IO(ssize_t, recv, SONDE_PROF__IO_READ, true, (int fd, void *to, size_t bytes, int flags),
   (fd, to, bytes, flags))
IO(ssize_t, recvfrom, SONDE_PROF__IO_READ, true,
   (int fd, void *to, size_t bytes, int flags, __SOCKADDR_ARG from_whom, socklen_t *len),
   (fd, to, bytes, flags, from_whom, len))
IO(ssize_t, recvmsg, SONDE_PROF__IO_READ, true, (int fd, struct msghdr *to, int flags),
   (fd, to, flags))
IO(ssize_t, write, SONDE_PROF__IO_WRITE, true, (int fd, const void *bytes, size_t len),
   (fd, bytes, len))
IO(ssize_t, pwrite, SONDE_PROF__IO_WRITE, true, (int fd, const void *bytes, size_t len, off_t at),
   (fd, bytes, len, at))
IO(ssize_t, writev, SONDE_PROF__IO_WRITE, true, (int fd, const struct iovec *parts, int len),
   (fd, parts, len))
IO(ssize_t, send, SONDE_PROF__IO_WRITE, true, (int fd, const void *bytes, size_t len, int flags),
   (fd, bytes, len, flags))
IO(ssize_t, sendto, SONDE_PROF__IO_WRITE, true,
   (int fd, const void *bytes, size_t len, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_len),
   (fd, bytes, len, flags, to, to_len))
IO(ssize_t, sendmsg, SONDE_PROF__IO_WRITE, true, (int fd, const struct msghdr *parts, int flags),
   (fd, parts, flags))
IO(int, fsync, SONDE_PROF__IO_SYNC, false, (int fd), (fd))
IO(int, fdatasync, SONDE_PROF__IO_SYNC, false, (int fd), (fd))
IO(int, connect, SONDE_PROF__IO_CONNECT, false, (int fd, __CONST_SOCKADDR_ARG to, socklen_t to_len),
   (fd, to, to_len))
IO(int, accept, SONDE_PROF__IO_ACCEPT, false, (int fd, __SOCKADDR_ARG who, socklen_t *len),
   (fd, who, len))
IO(int, accept4, SONDE_PROF__IO_ACCEPT, false,
   (int fd, __SOCKADDR_ARG who, socklen_t *len, int flags), (fd, who, len, flags))

/* Handlers of signals call these: the loader is not asked then. */
__attribute__((constructor(101))) static void find_all(void)
{
    (void)real_read();
    (void)real_pread();
    (void)real_readv();
    (void)real_recv();
    (void)real_recvfrom();
    (void)real_recvmsg();
    (void)real_write();
    (void)real_pwrite();
    (void)real_writev();
    (void)real_send();
    (void)real_sendto();
    (void)real_sendmsg();
    (void)real_fsync();
    (void)real_fdatasync();
    (void)real_connect();
    (void)real_accept();
    (void)real_accept4();
}
