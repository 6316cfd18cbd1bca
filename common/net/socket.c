/* socket.c - connects and listens; knows addresses, nothing of what is said on the connection.
 *
 * A literal address and "localhost" never reach the resolver: getaddrinfo() loads libraries, opens
 * files and cannot be given a deadline, which a host process should not pay for its own loopback. */
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#include "look_ups.h"

typedef struct address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } as;
} address;

static void close_keeping_errno(int fd)
{
    int saved_errno = errno;

    (void)close(fd);
    errno = saved_errno;
}

static int open_socket(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool literal_address(const char *host, uint16_t port, address *out)
{
    address a = { 0 };

    if (inet_pton(AF_INET, host, &a.as.v4.sin_addr) == 1) {
        a.as.v4.sin_family = AF_INET;
        a.as.v4.sin_port = htons(port);
        a.len = sizeof(a.as.v4);
    } else if (inet_pton(AF_INET6, host, &a.as.v6.sin6_addr) == 1) {
        a.as.v6.sin6_family = AF_INET6;
        a.as.v6.sin6_port = htons(port);
        a.len = sizeof(a.as.v6);
    } else {
        return false;
    }
    *out = a;
    return true;
}

static bool unix_address(const char *path, address *out)
{
    address a = { .len = sizeof(a.as.un) };
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(a.as.un.sun_path))
        return false;
    a.as.un.sun_family = AF_UNIX;
    memcpy(a.as.un.sun_path, path, len + 1);
    *out = a;
    return true;
}

/* The connection under way ends: OK, CONNECT with its errno, or TIMEOUT. */
static sonde_status await_connected(int fd, uint64_t deadline_mono_ns)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    socklen_t len = sizeof(int);
    int error = 0;

    for (;;) {
        int timeout_ms = sonde_ms_left(deadline_mono_ns, sonde_mono_ns());
        int n = poll(&p, 1, timeout_ms);

        if (n > 0)
            break;
        if (n == 0 && timeout_ms == 0) {
            errno = ETIMEDOUT;
            return SONDE_ERR_TIMEOUT;
        }
        if (n < 0 && errno != EINTR)
            return SONDE_ERR_CONNECT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return SONDE_ERR_CONNECT;
    errno = error;
    return error ? SONDE_ERR_CONNECT : SONDE_OK;
}

static sonde_status connect_to(const struct sockaddr *addr, socklen_t len,
                               uint64_t deadline_mono_ns, int *out_fd)
{
    int one = 1;
    int fd = open_socket(addr->sa_family, SOCK_STREAM);
    sonde_status status = SONDE_OK;

    if (fd < 0)
        return SONDE_ERR_CONNECT;
    /* EINTR: the connection goes on being made, as after EINPROGRESS. */
    if (connect(fd, addr, len) != 0)
        status = errno == EINPROGRESS || errno == EINTR ? await_connected(fd, deadline_mono_ns)
                                                        : SONDE_ERR_CONNECT;
    if (status != SONDE_OK) {
        close_keeping_errno(fd);
        return status;
    }
    if (addr->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *out_fd = fd;
    return SONDE_OK;
}

static sonde_status connect_literal(const char *host, uint16_t port, uint64_t deadline_mono_ns,
                                    int *out_fd)
{
    address a;

    if (!literal_address(host, port, &a)) {
        errno = EINVAL;
        return SONDE_ERR_CONNECT;
    }
    return connect_to(&a.as.any, a.len, deadline_mono_ns, out_fd);
}

static sonde_status connect_localhost(uint16_t port, uint64_t deadline_mono_ns, int *out_fd)
{
    sonde_status status = connect_literal("127.0.0.1", port, deadline_mono_ns, out_fd);
    int v4_errno = errno;

    if (status != SONDE_ERR_CONNECT)
        return status;
    status = connect_literal("::1", port, deadline_mono_ns, out_fd);
    if (status == SONDE_ERR_CONNECT)
        errno = v4_errno; /* "connection refused" says more than "no such address family" */
    return status;
}

static bool is_localhost(const sonde_url *url)
{
    return sonde_str_eq_nocase(sonde_str_from(url->host), SONDE_STR("localhost"));
}

bool sonde_is_literal(const sonde_url *url)
{
    address a;

    return url->scheme == SONDE_URL_UNIX || is_localhost(url) ||
           literal_address(url->host, url->port, &a);
}

static struct addrinfo *look_up(const char *host, uint16_t port)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char service[8];
    int error;

    (void)snprintf(service, sizeof(service), "%u", port);
    sonde_look_up_begin();
    error = getaddrinfo(host, service, &hints, &list);
    sonde_look_up_end();
    return error == 0 ? list : NULL;
}

sonde_status sonde_resolve(sonde_url *url)
{
    char text[INET6_ADDRSTRLEN];
    struct addrinfo *list;
    sonde_status status = SONDE_ERR_CONNECT;

    if (sonde_is_literal(url))
        return SONDE_OK;
    list = look_up(url->host, url->port);
    if (list && getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0,
                            NI_NUMERICHOST) == 0) {
        memcpy(url->host, text, strlen(text) + 1);
        status = SONDE_OK;
    }
    if (list)
        freeaddrinfo(list);
    return status;
}

static sonde_status connect_resolved(const char *host, uint16_t port, uint64_t deadline_mono_ns,
                                     int *out_fd)
{
    struct addrinfo *list = look_up(host, port), *a;
    sonde_status status = SONDE_ERR_CONNECT;

    if (!list) {
        errno = EHOSTUNREACH;
        return SONDE_ERR_CONNECT;
    }
    for (a = list; a && status == SONDE_ERR_CONNECT; a = a->ai_next)
        status = connect_to(a->ai_addr, a->ai_addrlen, deadline_mono_ns, out_fd);
    freeaddrinfo(list);
    return status;
}

sonde_status sonde_connect(const sonde_url *url, uint64_t deadline_mono_ns, int *out_fd)
{
    address a;

    if (url->scheme == SONDE_URL_UNIX) {
        if (!unix_address(url->path, &a)) {
            errno = ENAMETOOLONG;
            return SONDE_ERR_CONNECT;
        }
        return connect_to(&a.as.any, a.len, deadline_mono_ns, out_fd);
    }
    if (literal_address(url->host, url->port, &a))
        return connect_to(&a.as.any, a.len, deadline_mono_ns, out_fd);
    if (is_localhost(url))
        return connect_localhost(url->port, deadline_mono_ns, out_fd);
    return connect_resolved(url->host, url->port, deadline_mono_ns, out_fd);
}

sonde_status sonde_listen_tcp(const char *host, uint16_t port, int *out_fd, sonde_error *out_error)
{
    bool local = sonde_str_eq_nocase(sonde_str_from(host), SONDE_STR("localhost"));
    address a;
    int one = 1;
    int fd;

    if (!literal_address(local ? "127.0.0.1" : host, port, &a))
        return sonde_fail(out_error, SONDE_ERR_INVALID,
                          "cannot listen on \"%s\": neither an address nor localhost", host);
    fd = open_socket(a.as.any.sa_family, SOCK_STREAM);
    if (fd < 0)
        return sonde_fail_sys(out_error, errno, "cannot listen on %s port %u", host, port);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, &a.as.any, a.len) != 0 || listen(fd, SOMAXCONN) != 0) {
        close_keeping_errno(fd);
        return sonde_fail_sys(out_error, errno, "cannot listen on %s port %u", host, port);
    }
    *out_fd = fd;
    return SONDE_OK;
}

/* A socket nobody listens on any more, left behind by a process that is gone. */
static bool is_stale(const address *a, int type)
{
    int fd = open_socket(AF_UNIX, type);
    bool stale;

    if (fd < 0)
        return false;
    stale = connect(fd, &a->as.any, a->len) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return stale;
}

static sonde_status make_way(const char *path, const address *a, int type, sonde_error *out_error)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? SONDE_OK
                               : sonde_fail_sys(out_error, errno, "cannot listen on %s", path);
    if (!S_ISSOCK(st.st_mode))
        return sonde_fail(out_error, SONDE_ERR_INVALID,
                          "cannot listen on %s: something that is no socket is there", path);
    if (!is_stale(a, type))
        return sonde_fail_sys(out_error, EADDRINUSE, "cannot listen on %s", path);
    if (unlink(path) != 0)
        return sonde_fail_sys(out_error, errno, "cannot replace %s", path);
    return SONDE_OK;
}

static sonde_status listen_unix(const char *path, int type, mode_t mode, int *out_fd,
                                sonde_error *out_error)
{
    address a;
    sonde_status status;
    int fd;

    if (!unix_address(path, &a))
        return sonde_fail(out_error, SONDE_ERR_INVALID,
                          "cannot listen on \"%s\": a socket's path has 1 to %zu bytes", path,
                          sizeof(a.as.un.sun_path) - 1);
    status = make_way(path, &a, type, out_error);
    if (status != SONDE_OK)
        return status;
    fd = open_socket(AF_UNIX, type);
    if (fd < 0)
        return sonde_fail_sys(out_error, errno, "cannot listen on %s", path);
    /* chmod before listen: nobody gets in with the umask's mode. */
    if (bind(fd, &a.as.any, a.len) != 0 || chmod(path, mode) != 0 || listen(fd, SOMAXCONN) != 0) {
        close_keeping_errno(fd);
        return sonde_fail_sys(out_error, errno, "cannot listen on %s", path);
    }
    *out_fd = fd;
    return SONDE_OK;
}

sonde_status sonde_listen_unix(const char *path, mode_t mode, int *out_fd, sonde_error *out_error)
{
    return listen_unix(path, SOCK_STREAM, mode, out_fd, out_error);
}

sonde_status sonde_listen_packets(const char *path, mode_t mode, int *out_fd,
                                  sonde_error *out_error)
{
    return listen_unix(path, SOCK_SEQPACKET, mode, out_fd, out_error);
}

uint16_t sonde_local_port(int fd)
{
    address a = { .len = sizeof(a.as) };

    if (getsockname(fd, &a.as.any, &a.len) != 0)
        return 0;
    if (a.as.any.sa_family == AF_INET)
        return ntohs(a.as.v4.sin_port);
    return a.as.any.sa_family == AF_INET6 ? ntohs(a.as.v6.sin6_port) : 0;
}

static int option_of(int fd, int option)
{
    socklen_t len = sizeof(int);
    int value = -1;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static sonde_status make_ready(int fd, sonde_error *out_error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return sonde_fail(out_error, SONDE_ERR_SYS, "descriptor %d: fcntl failed", fd);
    return SONDE_OK;
}

static bool is_tcp(int fd)
{
    int domain = option_of(fd, SO_DOMAIN);

    return option_of(fd, SO_TYPE) == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6);
}

sonde_status sonde_inherit_listener(int fd, bool is_unix, sonde_error *out_error)
{
    bool right_kind =
        is_unix ? option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_DOMAIN) == AF_UNIX
                : is_tcp(fd);

    if (!right_kind || option_of(fd, SO_ACCEPTCONN) != 1)
        return sonde_fail(out_error, SONDE_ERR_INVALID, "descriptor %d is no listening %s socket",
                          fd, is_unix ? "Unix" : "TCP");
    return make_ready(fd, out_error);
}

sonde_status sonde_inherit_connection(int fd, sonde_error *out_error)
{
    if (!is_tcp(fd) || option_of(fd, SO_ACCEPTCONN) != 0)
        return sonde_fail(out_error, SONDE_ERR_INVALID, "descriptor %d is no TCP connection", fd);
    return make_ready(fd, out_error);
}

pid_t sonde_peer_pid(int fd)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return 0;
    return peer.pid;
}

bool sonde_peer_is_loopback(int fd)
{
    address a = { .len = sizeof(a.as) };

    if (getpeername(fd, &a.as.any, &a.len) != 0)
        return false;
    if (a.as.any.sa_family == AF_INET)
        return ntohl(a.as.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (a.as.any.sa_family != AF_INET6)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&a.as.v6.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&a.as.v6.sin6_addr) &&
            a.as.v6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}
