/* log_syslog.c - one descriptor that keeps its number, connected anew when the daemon was. */
#include "log_syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/mutex.h"

#define DEFAULT_URI "unixgram:///dev/log"
#define TAG         "sonde-agent"
#define HEAD_ROOM   384
#define AGAIN_NS    ((uint64_t)SONDE_NS_PER_S)

static struct {
    sonde_mutex mu;
    int fd; /* guarded by mu, as all below */
    struct sockaddr_storage to;
    socklen_t to_len;
    bool rfc5424;
    bool connected;
    uint64_t again_mono_ns; /* not looked for before */
    char host[256];
} out = { .mu = SONDE_MUTEX_INIT(SONDE_RANK_LOG), .fd = -1 };

/* -- where to --------------------------------------------------------------------------------------- */

typedef struct address {
    struct sockaddr_storage to;
    socklen_t len;
} address;

static bool unix_address(sonde_str path, address *a)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a->to;

    if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof(un->sun_path))
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.ptr, path.len);
    a->len = sizeof(*un);
    return true;
}

/* HOST:PORT, the host of IPv6 in brackets. */
static bool udp_address(sonde_str where, address *a)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV }, *found;
    char text[300], *colon, *host = text;

    if (where.len >= sizeof(text))
        return false;
    (void)snprintf(text, sizeof(text), "%.*s", SONDE_STR_ARG(where));
    colon = strrchr(text, ':');
    if (!colon || !colon[1])
        return false;
    *colon = '\0';
    if (*host == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    if (!*host || getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return false;
    memcpy(&a->to, found->ai_addr, found->ai_addrlen);
    a->len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool parse(sonde_str uri, address *a)
{
    static const sonde_str schemes[] = { { "unixgram://", 11 }, { "unix://", 7 } };
    const sonde_str udp = SONDE_STR("udp://");
    size_t i;

    memset(a, 0, sizeof(*a));
    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (sonde_str_starts(uri, schemes[i]))
            return unix_address(sonde_str_sub(uri, schemes[i].len, uri.len), a);
    return sonde_str_starts(uri, udp) && udp_address(sonde_str_sub(uri, udp.len, uri.len), a);
}

/* -- the connection --------------------------------------------------------------------------------- */

/* Under the descriptor lines are sent to. */
static void connect_locked(uint64_t now)
{
    int fd;

    if (out.connected || now < out.again_mono_ns)
        return;
    out.again_mono_ns = now + AGAIN_NS;
    fd = socket(out.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    out.connected = connect(fd, (const struct sockaddr *)&out.to, out.to_len) == 0;
    if (!out.connected) {
        (void)close(fd);
        return;
    }
    if (out.fd < 0) {
        out.fd = fd;
        return;
    }
    (void)dup3(fd, out.fd, O_CLOEXEC);
    (void)close(fd);
}

sonde_status log_syslog_use(sonde_str uri, bool rfc5424, sonde_error *out_error)
{
    address a;

    if (!parse(uri.len ? uri : SONDE_STR(DEFAULT_URI), &a))
        return sonde_fail(out_error, SONDE_ERR_INVALID,
                          "syslog_uri %.*s: expected unixgram:///PATH or udp://HOST:PORT",
                          SONDE_STR_ARG(uri));
    sonde_mutex_lock(&out.mu);
    out.to = a.to;
    out.to_len = a.len;
    out.rfc5424 = rfc5424;
    out.connected = false;
    out.again_mono_ns = 0;
    if (gethostname(out.host, sizeof(out.host) - 1) != 0 || !out.host[0])
        (void)snprintf(out.host, sizeof(out.host), "-");
    connect_locked(sonde_mono_ns());
    sonde_mutex_unlock(&out.mu);
    return SONDE_OK;
}

/* -- lines ------------------------------------------------------------------------------------------ */

static int priority_of(sonde_log_level level)
{
    return LOG_DAEMON | (level <= SONDE_LOG_ERROR  ? LOG_ERR
                         : level == SONDE_LOG_WARN ? LOG_WARNING
                         : level == SONDE_LOG_INFO ? LOG_INFO
                                                   : LOG_DEBUG);
}

static size_t head_locked(sonde_log_level level, char head[HEAD_ROOM])
{
    char time[SONDE_RFC3339_LEN];
    int len;

    if (!out.rfc5424)
        return (size_t)snprintf(head, HEAD_ROOM, "<%d>" TAG "[%d]: ", priority_of(level),
                                (int)getpid());
    (void)sonde_format_rfc3339(sonde_unix_ns(), time);
    len = snprintf(head, HEAD_ROOM, "<%d>1 %.*s %s " TAG " %d - - ", priority_of(level),
                   (int)sizeof(time), time, out.host, (int)getpid());
    return (size_t)len;
}

static bool send_locked(const char *head, size_t head_len, sonde_str text)
{
    struct iovec parts[] = { { (void *)(uintptr_t)head, head_len },
                             { (void *)(uintptr_t)text.ptr, text.len } };
    const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

    return out.connected && (sendmsg(out.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
                             errno == EAGAIN || errno == EMSGSIZE);
}

void log_syslog_write(void *user, sonde_log_level level, const char *line, size_t len)
{
    sonde_str text = { line, len };
    char head[HEAD_ROOM];
    size_t head_len;

    (void)user;
    if (len > 0 && line[0] != '{') /* not JSON: the time goes */
        (void)sonde_str_cut(&text, ' ');
    sonde_mutex_lock(&out.mu);
    head_len = head_locked(level, head);
    if (!send_locked(head, head_len, text)) {
        out.connected = false;
        connect_locked(sonde_mono_ns());
        (void)send_locked(head, head_len, text);
    }
    sonde_mutex_unlock(&out.mu);
}
