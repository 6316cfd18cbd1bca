/* peers.c - connections of the crash socket: who may connect, and the packets they send. */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/socket.h"

/* -- connections ---------------------------------------------------------------------------------- */

void peer_free(crash *c, peer *p)
{
    c->peers[p->index] = c->peers[--c->peers_len];
    c->peers[p->index]->index = p->index;
    crash_close_fd(&p->socket);
    crash_close_fd(&p->file);
    crash_close_fd(&p->pidfd);
    sonde_crash_case_free(p->report);
    sonde_free(p);
    atomic_store_explicit(&c->counters.connections, c->peers_len, memory_order_relaxed);
}

static size_t connections_of(const crash *c, pid_t pid)
{
    size_t i, n = 0;

    for (i = 0; i < c->peers_len; i++)
        n += c->peers[i]->pid == pid;
    return n;
}

static void answer(int socket, enum sonde_crash_reason reason)
{
    const sonde_crash_ack ack = { { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_ACK },
                                  reason };

    (void)send(socket, &ack, sizeof(ack), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static peer *make_peer(crash *c, int socket, pid_t pid)
{
    peer *p = sonde_calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (peer){ .index = c->peers_len, .socket = socket, .file = -1, .pid = pid };
    p->pidfd = ending_pidfd(socket, pid);
    c->peers[c->peers_len++] = p;
    atomic_store_explicit(&c->counters.connections, c->peers_len, memory_order_relaxed);
    return p;
}

static void accept_one(crash *c, int socket)
{
    pid_t pid = sonde_peer_pid(socket);
    peer *p = NULL;

    if (pid > 0 && c->peers_len < CRASH_CONNECTIONS_MAX &&
        connections_of(c, pid) < CRASH_CONNECTIONS_OF_PID)
        p = make_peer(c, socket, pid);
    if (!p) {
        crash_count(&c->counters.refused[REFUSED_TOO_MANY], 1);
        answer(socket, SONDE_CRASH_TOO_MANY);
        (void)close(socket);
        return;
    }
    /* No pidfd: it may have ended already, and its last words are here. */
    if (!crash_watch_fd(c, socket, p) || (p->pidfd >= 0 && !crash_watch_fd(c, p->pidfd, p)))
        p->over = true;
}

void peer_accept_all(crash *c)
{
    int socket;

    while ((socket = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        accept_one(c, socket);
}

/* -- packets -------------------------------------------------------------------------------------- */

/* One packet and its descriptor (-1: none).  Bytes of the packet; 0: hung up; -1: nothing there. */
static ssize_t receive(crash *c, int socket, int *out_fd)
{
    char control[CMSG_SPACE(sizeof(int) * 4)];
    struct iovec bytes = { c->packet, sizeof(c->packet) };
    struct msghdr m = { .msg_iov = &bytes,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *h;

    if (n < 0 && errno == ECONNRESET) { /* it left without our answer: said before its last words */
        m.msg_controllen = sizeof(control);
        n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    }

    *out_fd = -1;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        size_t fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < fds; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (*out_fd < 0)
                *out_fd = fd;
            else
                (void)close(fd); /* one is all that is asked for */
        }
    }
    return n;
}

static enum sonde_crash_reason check_hello(const sonde_crash_hello *h, int fd)
{
    if (h->head.version != SONDE_BLACKBOX_VERSION)
        return SONDE_CRASH_BAD_VERSION;
    return fd >= 0 ? box_check(fd, h->file_bytes) : SONDE_CRASH_ACCEPTED;
}

static void take_hello(crash *c, peer *p, int fd)
{
    sonde_crash_hello hello;
    enum sonde_crash_reason reason;

    memcpy(&hello, c->packet, sizeof(hello));
    reason = check_hello(&hello, fd);
    answer(p->socket, reason);
    if (reason != SONDE_CRASH_ACCEPTED) {
        crash_count(&c->counters.refused[reason - SONDE_CRASH_BAD_VERSION], 1);
        if (fd >= 0)
            (void)close(fd);
        p->over = true;
        return;
    }
    p->file = fd;
    p->said_hello = true;
    ending_watch_begin(&p->watch, p->pid);
}

static bool is_packet(const crash *c, ssize_t n, uint16_t type, size_t least)
{
    sonde_crash_head head;

    if ((size_t)n < least)
        return false;
    memcpy(&head, c->packet, sizeof(head));
    return head.magic == SONDE_BLACKBOX_MAGIC && head.type == type;
}

static peer *reporter_of(const crash *c, pid_t pid)
{
    size_t i;

    for (i = 0; i < c->peers_len; i++)
        if (c->peers[i]->pid == pid && c->peers[i]->report && !c->peers[i]->over)
            return c->peers[i];
    return NULL;
}

/* Of a process the report that says most is kept. */
static void keep_report(crash *c, peer *p, sonde_crash_case *said)
{
    peer *older = reporter_of(c, p->pid);

    if (older) {
        crash_count(&c->counters.reports[REPORT_REPLACED], 1);
        if (!sonde_crash_report_is_better(&said->r, &older->report->r)) {
            sonde_crash_case_free(said);
            return;
        }
        sonde_crash_case_free(older->report);
        older->report = NULL;
    }
    p->report = said;
}

static void take_report(crash *c, peer *p, size_t bytes)
{
    sonde_crash_crash packet;
    sonde_crash_case *said;
    bool malformed;

    memcpy(&packet, c->packet, sizeof(packet));
    p->signo = packet.signo;
    if (bytes == sizeof(packet)) /* a signal without a report */
        return;
    crash_count(&c->counters.reports_received, 1);
    said = sonde_crash_case_new(c->packet, bytes, p->pid, &c->symbols, &malformed);
    if (!said) {
        crash_count(&c->counters.reports[malformed ? REPORT_MALFORMED : REPORT_NO_MEMORY], 1);
        return;
    }
    sonde_crash_case_open(said);
    keep_report(c, p, said);
}

static void take_packet(crash *c, peer *p, ssize_t n, int fd)
{
    if (!p->said_hello && is_packet(c, n, SONDE_CRASH_HELLO, sizeof(sonde_crash_hello))) {
        take_hello(c, p, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (p->said_hello && is_packet(c, n, SONDE_CRASH_CRASH, sizeof(sonde_crash_crash))) {
        take_report(c, p, (size_t)n);
        return;
    }
    crash_count(&c->counters.refused[REFUSED_PACKET], 1);
    p->over = true;
}

/* -- reading -------------------------------------------------------------------------------------- */

bool peer_has_ended(const peer *p)
{
    struct pollfd f = { .fd = p->pidfd, .events = POLLIN };

    if (p->pidfd < 0)
        return p->socket < 0 && kill(p->pid, 0) != 0 && errno == ESRCH;
    return poll(&f, 1, 0) > 0;
}

void peer_read(crash *c, peer *p)
{
    ssize_t n;
    int fd;

    while (p->socket >= 0 && !p->over) {
        n = receive(c, p->socket, &fd);
        if (n < 0)
            return;
        if (n == 0) { /* its last words were read before */
            crash_close_fd(&p->socket);
            p->hung_up_mono_ns = sonde_mono_ns();
        } else {
            take_packet(c, p, n, fd);
        }
    }
}
