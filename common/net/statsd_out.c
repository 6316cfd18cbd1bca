/* statsd_out.c - a connected datagram socket, opened when it is needed and again after a failure. */
#include "net/statsd_out.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

void statsd_out_init(statsd_out *s, sonde_str socket_, uint16_t port)
{
    s->fd = -1;
    s->socket = socket_;
    s->port = port;
    s->set = socket_.len > 0 || port > 0;
    s->max = socket_.len ? STATSD_OUT_UNIX_BYTES : STATSD_OUT_UDP_BYTES;
    s->len = 0;
    s->sent = s->lost = 0;
}

void statsd_out_done(statsd_out *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

static void connect_unix(statsd_out *s)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    if (s->socket.len >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, s->socket.ptr, s->socket.len);
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd >= 0 && connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        statsd_out_done(s);
}

static void connect_udp(statsd_out *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd >= 0 && connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        statsd_out_done(s);
}

void statsd_out_flush(statsd_out *s)
{
    if (!s->len)
        return;
    if (s->fd < 0 && s->socket.len)
        connect_unix(s);
    else if (s->fd < 0)
        connect_udp(s);
    if (s->fd >= 0 && send(s->fd, s->text, s->len, MSG_NOSIGNAL) == (ssize_t)s->len) {
        s->sent++;
    } else {
        s->lost++;
        statsd_out_done(s);
    }
    s->len = 0;
}

void statsd_out_line(void *statsd_out_, sonde_str line)
{
    statsd_out *s = statsd_out_;

    if (!s->set)
        return;
    if (line.len > sizeof(s->text)) {
        s->lost++;
        return;
    }
    if (s->len + line.len > s->max)
        statsd_out_flush(s);
    memcpy(s->text + s->len, line.ptr, line.len);
    s->len += line.len;
}
