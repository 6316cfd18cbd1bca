/* files.c - a table of descriptors of one's own, and the way back to standard error. */
#include "files.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proc.h"
#include "slot.h"

#ifndef SYS_close_range
#    define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#    define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#    define SYS_pidfd_getfd 438
#endif
#define CLOSE_UNSHARES 2u /* close_range() gives the caller its own table first */

/* Of the thread to come. */
static _Atomic enum {
    FILES_COMMON, /* a filter may end the process for a call it does not know, and is inherited */
    FILES_INHERITED, /* a table of ours */
    FILES_OWN,
} files_next;

void sonde_prof__files_look(void)
{
    bool is_filtered = sonde_prof__proc_is_filtered();

    atomic_store_explicit(&files_next,
                          !is_filtered                 ? FILES_OWN
                          : sonde_prof__self.own_files ? FILES_INHERITED
                                                       : FILES_COMMON,
                          memory_order_relaxed);
}

void sonde_prof__files_own(void)
{
    switch (atomic_load_explicit(&files_next, memory_order_relaxed)) {
    case FILES_OWN:
        sonde_prof__self.own_files = syscall(SYS_close_range, 0u, ~0u, CLOSE_UNSHARES) == 0;
        break;
    case FILES_INHERITED:
        sonde_prof__self.own_files = 1;
        break;
    default:
        break;
    }
}

/* -1: not to be had.  A filter may have come since. */
static int stderr_of_program(int *pid_fd)
{
    if (sonde_prof__proc_is_filtered())
        return -1;
    *pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return *pid_fd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, *pid_fd, STDERR_FILENO, 0);
}

void sonde_prof__files_log(void *user, sonde_log_level level, const char *line, size_t len)
{
    struct iovec parts[] = { { (void *)(uintptr_t)line, len }, { (void *)(uintptr_t) "\n", 1 } };
    int pid_fd = -1;
    int fd = sonde_prof__self.own_files ? stderr_of_program(&pid_fd) : STDERR_FILENO;

    ssize_t n = 0;

    (void)user, (void)level;
    do
        n = fd < 0 ? 0 : writev(fd, parts, 2);
    while (n < 0 && errno == EINTR);
    if (pid_fd >= 0 && fd >= 0)
        (void)close(fd);
    if (pid_fd >= 0)
        (void)close(pid_fd);
}
