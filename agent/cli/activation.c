/* activation.c - tells the sockets apart by what they are, so that units may name them as they like. */
#include "activation.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/log.h"
#include "base/parse.h"

static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* AF_INET, AF_INET6, AF_UNIX; 0: not a listening stream socket. */
static int family_of(int fd)
{
    if (option(fd, SO_ACCEPTCONN) != 1 || option(fd, SO_TYPE) != SOCK_STREAM)
        return 0;
    return option(fd, SO_DOMAIN);
}

static void take(activation *a, int fd)
{
    int family = family_of(fd);
    int *place = family == AF_UNIX ? &a->unix_stream : &a->tcp;

    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if ((family != AF_UNIX && family != AF_INET && family != AF_INET6) || *place >= 0)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "socket activation: descriptor %d is of no use here", fd);
    else
        *place = fd;
}

void activation_find(activation *a, sonde_str listen_fds, sonde_str listen_pid)
{
    uint64_t count, pid;

    *a = (activation){ -1, -1 };
    if (sonde_parse_u64(listen_pid, &pid) != SONDE_OK || pid != (uint64_t)getpid() ||
        sonde_parse_u64(listen_fds, &count) != SONDE_OK)
        return; /* not for this process */
    if (count > ACTIVATION_FDS_MAX)
        count = ACTIVATION_FDS_MAX;
    for (uint64_t i = 0; i < count; i++)
        take(a, ACTIVATION_FIRST_FD + (int)i);
}
