/* statsd_socket.c - addresses of DogStatsD servers and the sockets to them. */
#include "statsd_socket.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/look_ups.h"

#define RETRY_NS SONDE_NS_PER_S

static _Atomic uint32_t agent_port;

void sonde__statsd_set_agent_port(uint32_t port)
{
    atomic_store_explicit(&agent_port, port <= UINT16_MAX ? port : 0, memory_order_relaxed);
}

/* -- addresses ------------------------------------------------------------------------------------ */

static sonde_status parse_path(sonde_str path, sonde__statsd_address *a)
{
    if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof(a->path) ||
        memchr(path.ptr, '\0', path.len))
        return SONDE_ERR_SYNTAX;
    memcpy(a->path, path.ptr, path.len);
    a->path[path.len] = '\0';
    return SONDE_OK;
}

/* Hosts and ports are those of other addresses; only the default port differs. */
static sonde_status parse_host(sonde_str text, sonde__statsd_address *a)
{
    char url_text[SONDE_URL_HOST_MAX + 40];
    const char *port = "";
    sonde_url url;
    size_t i;

    if (text.len > SONDE_URL_HOST_MAX + 8)
        return SONDE_ERR_SYNTAX;
    for (i = text.len; i > 0 && text.ptr[i - 1] != ':' && text.ptr[i - 1] != ']'; i--)
        ;
    if (i == 0 || text.ptr[i - 1] == ']')
        port = ":8125";
    (void)snprintf(url_text, sizeof(url_text), "http://%.*s%s", SONDE_STR_ARG(text), port);
    if (sonde_url_parse(sonde_str_from(url_text), &url, NULL) != SONDE_OK || url.path[0])
        return SONDE_ERR_SYNTAX;
    memcpy(a->host, url.host, sizeof(a->host));
    a->port = url.port;
    return SONDE_OK;
}

sonde_status sonde__statsd_address_parse(sonde_str text, sonde__statsd_address *out)
{
    static const struct {
        sonde_str prefix;
        sonde__statsd_kind kind;
    } schemes[] = {
        { { "udp://", 6 }, SONDE__STATSD_UDP },
        { { "unix://", 7 }, SONDE__STATSD_UNIX },
        { { "unixgram://", 11 }, SONDE__STATSD_UNIXGRAM },
        { { "unixstream://", 13 }, SONDE__STATSD_UNIXSTREAM },
    };
    sonde__statsd_address a = { .kind = SONDE__STATSD_UDP };
    sonde_status status;
    size_t i;

    if (sonde_str_starts(text, SONDE_STR("/")))
        a.kind = SONDE__STATSD_UNIX;
    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (sonde_str_starts(text, schemes[i].prefix)) {
            a.kind = (int32_t)schemes[i].kind;
            text = sonde_str_sub(text, schemes[i].prefix.len, text.len);
            break;
        }
    }
    status = a.kind == SONDE__STATSD_UDP ? parse_host(text, &a) : parse_path(text, &a);
    if (status == SONDE_OK)
        *out = a;
    return status;
}

void sonde__statsd_address_print(const sonde__statsd_address *a, char out[300])
{
    static const char *const scheme[] = { "udp", "unix", "unixgram", "unixstream" };

    if (a->kind != SONDE__STATSD_UDP)
        (void)snprintf(out, 300, "%s://%s", scheme[a->kind], a->path);
    else
        (void)snprintf(out, 300, strchr(a->host, ':') ? "udp://[%s]:%u" : "udp://%s:%u", a->host,
                       (unsigned)a->port);
}

/* -- connecting ----------------------------------------------------------------------------------- */

static uint16_t port_now(const sonde__statsd_address *to)
{
    uint32_t told = to->port_is_told ? atomic_load_explicit(&agent_port, memory_order_relaxed) : 0;

    return told ? (uint16_t)told : to->port;
}

static int connect_to(int family, int type, const struct sockaddr *address, socklen_t len)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int saved_errno;

    if (fd < 0 || connect(fd, address, len) == 0)
        return fd;
    saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
    return -1;
}

/* An address in digits does not reach the resolver; "localhost" is made one. */
static int connect_udp(sonde__statsd_socket *s, bool may_resolve)
{
    bool is_local = strcmp(s->to.host, "localhost") == 0, is_looked_up = may_resolve && !is_local;
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    struct addrinfo *a;
    char port[8];
    int fd = -1, error;

    s->port = port_now(&s->to);
    (void)snprintf(port, sizeof(port), "%u", (unsigned)s->port);
    hints.ai_flags = AI_NUMERICSERV | (is_looked_up ? 0 : AI_NUMERICHOST);
    if (is_looked_up)
        sonde_look_up_begin();
    error = getaddrinfo(is_local ? "127.0.0.1" : s->to.host, port, &hints, &found);
    if (is_looked_up)
        sonde_look_up_end();
    if (error != 0)
        return -1;
    for (a = found; a && fd < 0; a = a->ai_next)
        fd = connect_to(a->ai_family, SOCK_DGRAM, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

static int connect_unix(sonde__statsd_socket *s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = -1;

    _Static_assert(sizeof(address.sun_path) >= sizeof(s->to.path), "a path fits");
    memcpy(address.sun_path, s->to.path, sizeof(s->to.path));
    s->is_stream = s->to.kind == SONDE__STATSD_UNIXSTREAM;
    if (!s->is_stream)
        fd = connect_to(AF_UNIX, SOCK_DGRAM, (struct sockaddr *)&address, sizeof(address));
    if (fd < 0 && (s->is_stream || (s->to.kind == SONDE__STATSD_UNIX && errno == EPROTOTYPE))) {
        s->is_stream = true;
        fd = connect_to(AF_UNIX, SOCK_STREAM, (struct sockaddr *)&address, sizeof(address));
    }
    return fd;
}

static bool is_connected(sonde__statsd_socket *s, bool may_resolve)
{
    uint64_t now;

    if (s->fd >= 0 && s->to.port_is_told && s->port != port_now(&s->to))
        sonde__statsd_socket_reset(s);
    if (s->fd >= 0)
        return true;
    now = sonde_mono_ns();
    if (now < s->retry_mono_ns)
        return false;
    s->fd = s->to.kind == SONDE__STATSD_UDP ? connect_udp(s, may_resolve) : connect_unix(s);
    if (s->fd >= 0)
        s->connects++;
    else if (may_resolve || s->to.kind != SONDE__STATSD_UDP)
        s->retry_mono_ns = now + RETRY_NS;
    return s->fd >= 0;
}

void sonde__statsd_socket_connect(sonde__statsd_socket *s)
{
    (void)is_connected(s, true);
}

void sonde__statsd_socket_reset(sonde__statsd_socket *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->retry_mono_ns = 0;
    s->rest_at = s->rest_end = 0;
}

sonde_status sonde__statsd_socket_open(sonde__statsd_socket *s, const sonde__statsd_address *to,
                                       size_t max_bytes)
{
    *s = (sonde__statsd_socket){ .to = *to, .fd = -1 };
    if (to->kind != SONDE__STATSD_UNIX && to->kind != SONDE__STATSD_UNIXSTREAM)
        return SONDE_OK;
    s->rest = (uint8_t *)sonde_malloc(max_bytes + 4);
    return s->rest ? SONDE_OK : SONDE_ERR_NOMEM;
}

void sonde__statsd_socket_close(sonde__statsd_socket *s)
{
    sonde__statsd_socket_reset(s);
    sonde_free(s->rest);
    s->rest = NULL;
}

/* -- sending -------------------------------------------------------------------------------------- */

/* False: the deadline passed, or the socket broke (the next send says how). */
static bool wait_for_room(int fd, uint64_t deadline_mono_ns)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int left = deadline_mono_ns ? sonde_ms_left(deadline_mono_ns, sonde_mono_ns()) : 0;
    bool ready = left > 0 && poll(&p, 1, left) > 0;

    errno = EAGAIN; /* why it was called, and again if it did not help */
    return ready;
}

/* Bytes the kernel took, or -1. */
static ssize_t push(int fd, const uint8_t *data, size_t len, uint64_t deadline_mono_ns)
{
    ssize_t n;

    do
        n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_room(fd, deadline_mono_ns))));
    return n;
}

static sonde__statsd_verdict judge_failure(sonde__statsd_socket *s)
{
    if (errno == EAGAIN || errno == ENOBUFS)
        return SONDE__STATSD_SOCKET_FULL;
    if (errno == EMSGSIZE)
        return SONDE__STATSD_TOO_BIG;
    if (s->to.kind == SONDE__STATSD_UDP && errno == ECONNREFUSED)
        return SONDE__STATSD_UNREACHABLE; /* of the datagram before; the socket is as good as new */
    sonde__statsd_socket_reset(s);
    return SONDE__STATSD_UNREACHABLE;
}

static sonde__statsd_verdict push_rest(sonde__statsd_socket *s, uint64_t deadline_mono_ns)
{
    while (s->rest_at < s->rest_end) {
        ssize_t n = push(s->fd, s->rest + s->rest_at, s->rest_end - s->rest_at, deadline_mono_ns);

        if (n < 0)
            return judge_failure(s);
        s->rest_at += (size_t)n;
    }
    return SONDE__STATSD_SENT;
}

static sonde__statsd_verdict send_frame(sonde__statsd_socket *s, const uint8_t *data, size_t len,
                                        uint64_t deadline_mono_ns)
{
    sonde__statsd_verdict verdict = push_rest(s, deadline_mono_ns);
    size_t i;

    if (verdict != SONDE__STATSD_SENT)
        return verdict;
    for (i = 0; i < 4; i++)
        s->rest[i] = (uint8_t)(len >> 8 * i);
    memcpy(s->rest + 4, data, len);
    s->rest_at = 0;
    s->rest_end = len + 4;
    verdict = push_rest(s, deadline_mono_ns);
    if (verdict != SONDE__STATSD_SOCKET_FULL)
        return verdict;
    if (s->rest_at > 0)
        return SONDE__STATSD_SENT; /* begun: it must go on, and will */
    s->rest_end = 0;
    return verdict;
}

sonde__statsd_verdict sonde__statsd_socket_send(sonde__statsd_socket *s, const uint8_t *data,
                                                size_t len, uint64_t deadline_mono_ns,
                                                bool may_resolve)
{
    bool was_open = s->fd >= 0;
    bool tried = false;
    sonde__statsd_verdict verdict = SONDE__STATSD_UNREACHABLE;

    while (is_connected(s, may_resolve)) {
        tried = true;
        if (s->is_stream)
            verdict = send_frame(s, data, len, deadline_mono_ns);
        else
            verdict = push(s->fd, data, len, deadline_mono_ns) >= 0 ? SONDE__STATSD_SENT
                                                                    : judge_failure(s);
        if (verdict != SONDE__STATSD_UNREACHABLE || s->fd >= 0 || !was_open)
            break;
        was_open = false; /* the server was started anew: once more */
    }
    if (tried && s->fd < 0)
        s->retry_mono_ns = sonde_deadline(sonde_mono_ns(), RETRY_NS);
    return verdict;
}
