/* notify.c - a connected datagram socket. */
#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/parse.h"

#define MESSAGE_MAX_BYTES 512

static uint64_t watchdog_interval(sonde_str usec, sonde_str pid)
{
    uint64_t us, meant;

    if (sonde_parse_u64(usec, &us) != SONDE_OK || us > UINT64_MAX / SONDE_NS_PER_US)
        return 0;
    if (pid.len && (sonde_parse_u64(pid, &meant) != SONDE_OK || meant != (uint64_t)getpid()))
        return 0; /* meant for another process */
    return us * SONDE_NS_PER_US;
}

void notify_open(notify *n, sonde_str socket_, sonde_str watchdog_usec, sonde_str watchdog_pid)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + socket_.len);

    *n = (notify){ .fd = -1 };
    if (socket_.len < 2 || socket_.len >= sizeof(to.sun_path) ||
        (socket_.ptr[0] != '/' && socket_.ptr[0] != '@'))
        return;
    memcpy(to.sun_path, socket_.ptr, socket_.len);
    if (socket_.ptr[0] == '@')
        to.sun_path[0] = '\0';
    else
        len++;
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd >= 0 && connect(n->fd, (const struct sockaddr *)&to, len) != 0)
        notify_close(n);
    if (n->fd >= 0)
        n->watchdog_ns = watchdog_interval(watchdog_usec, watchdog_pid);
}

void notify_close(notify *n)
{
    if (n->fd >= 0)
        (void)close(n->fd);
    n->fd = -1;
    n->watchdog_ns = 0;
}

void notify_send(const notify *n, const char *fmt, ...)
{
    char text[MESSAGE_MAX_BYTES];
    va_list args;
    int len;

    if (n->fd < 0)
        return;
    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len > 0)
        (void)send(n->fd, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1,
                   MSG_NOSIGNAL);
}
