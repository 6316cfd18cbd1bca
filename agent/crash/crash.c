/* crash.c - the thread of the crash socket: connections, packets, deaths. */
#include "crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/socket.h"

#include "box.h"
#include "ending.h"

#define SOCKET_MODE 0722
#define SOCKET_NAME "crash.socket"
#define PATH_ROOM   108
#define EVENTS      64
#define PACKET_ROOM (sizeof(sonde_crash_crash) + SONDE_CRASH_REPORT_MAX)
#define DYING_NS    (UINT64_C(2) * SONDE_NS_PER_S) /* from the hang-up to the pidfd */
#define NO_NUMBER   0
#define STACK_BYTES (256u * 1024)

enum refusal {
    REFUSED_VERSION,
    REFUSED_SIZE,
    REFUSED_SEALS,
    REFUSED_TOO_MANY,
    REFUSED_PACKET,
    REFUSALS
};

typedef struct peer {
    struct crash *c;
    size_t index; /* in crash.peers */
    int socket;   /* -1: hung up */
    int file;     /* the box; -1: none */
    int pidfd;
    pid_t pid;
    bool said_hello;
    bool over; /* to be freed when the round is done */
    int signo; /* of a CRASH packet; 0: none came */
    uint64_t hung_up_mono_ns;
    ending_watch watch;
} peer;

typedef struct crash_counters {
    _Atomic uint64_t connections; /* now */
    _Atomic uint64_t refused[REFUSALS];
    _Atomic uint64_t deaths[BOX_CAUSES];
    _Atomic uint64_t ends_in_order;
    _Atomic uint64_t deaths_dropped; /* beyond CRASH_DEATHS_PER_MINUTE */
    _Atomic uint64_t detached;       /* hung up, and lived on */
    _Atomic uint64_t spans;          /* submitted */
    _Atomic uint64_t spans_unplaced; /* the process had no place for */
    _Atomic uint64_t torn;
    _Atomic uint64_t lost; /* boxes not read to the end, payloads not taken */
} crash_counters;

struct crash {
    char path[PATH_ROOM];
    payload_sink sink;
    int listener;
    int epoll;
    int wake; /* eventfd: stop */
    pthread_t thread;
    bool has_thread;
    peer *peers[CRASH_CONNECTIONS_MAX];
    size_t peers_len;
    int64_t minute; /* of the deaths below */
    unsigned deaths_this_minute;
    crash_counters counters;
    uint8_t packet[PACKET_ROOM];
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* -- connections ---------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void free_peer(crash *c, peer *p)
{
    c->peers[p->index] = c->peers[--c->peers_len];
    c->peers[p->index]->index = p->index;
    close_fd(&p->socket);
    close_fd(&p->file);
    close_fd(&p->pidfd);
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

static bool watch_fd(crash *c, int fd, void *what)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = what };

    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static peer *make_peer(crash *c, int socket, pid_t pid)
{
    peer *p = sonde_calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (peer){ .c = c, .index = c->peers_len, .socket = socket, .file = -1, .pid = pid };
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
        add(&c->counters.refused[REFUSED_TOO_MANY], 1);
        answer(socket, SONDE_CRASH_TOO_MANY);
        (void)close(socket);
        return;
    }
    if (p->pidfd < 0 || !watch_fd(c, socket, p) || !watch_fd(c, p->pidfd, p))
        p->over = true;
}

static void accept_all(crash *c)
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
        add(&c->counters.refused[reason - SONDE_CRASH_BAD_VERSION], 1);
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

static void take_packet(crash *c, peer *p, ssize_t n, int fd)
{
    sonde_crash_crash packet;

    if (!p->said_hello && is_packet(c, n, SONDE_CRASH_HELLO, sizeof(sonde_crash_hello))) {
        take_hello(c, p, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (p->said_hello && is_packet(c, n, SONDE_CRASH_CRASH, sizeof(packet))) {
        memcpy(&packet, c->packet, sizeof(packet));
        p->signo = packet.signo;
        return;
    }
    add(&c->counters.refused[REFUSED_PACKET], 1);
    p->over = true;
}

/* -- deaths --------------------------------------------------------------------------------------- */

/* How it ended; false: in order, nothing to submit. */
static bool find_cause(const peer *p, box_death *out)
{
    int signo = 0, status;
    uint32_t state = p->file >= 0 ? box_state(p->file, &signo) : 0;

    *out = (box_death){ BOX_UNKNOWN, NO_NUMBER, p->pid, sonde_unix_ns() };
    if (state == SONDE_BLACKBOX_CLOSED)
        return false;
    if (p->signo || (state == SONDE_BLACKBOX_CRASHED && signo)) {
        out->cause = BOX_SIGNAL;
        out->number = p->signo ? p->signo : signo;
        return true;
    }
    if (!ending_status(p->pidfd, p->pid, &status)) {
        if (ending_was_oom_killed(&p->watch))
            out->cause = BOX_OOM_KILL;
        return true;
    }
    if (WIFSIGNALED(status)) {
        bool oom = WTERMSIG(status) == SIGKILL && ending_was_oom_killed(&p->watch);

        out->cause = oom ? BOX_OOM_KILL : BOX_SIGNAL;
        out->number = WTERMSIG(status);
        return true;
    }
    out->cause = BOX_EXIT;
    out->number = WEXITSTATUS(status);
    return out->number != 0;
}

static bool within_limit(crash *c, int64_t unix_ns)
{
    int64_t minute = unix_ns / (60 * (int64_t)SONDE_NS_PER_S);

    if (minute != c->minute) {
        c->minute = minute;
        c->deaths_this_minute = 0;
    }
    return c->deaths_this_minute++ < CRASH_DEATHS_PER_MINUTE;
}

static void submit(crash *c, const peer *p, const box_death *death)
{
    char cause[BOX_CAUSE_ROOM];
    box_counts n;
    payload *what = box_read(p->file, death, &n);

    add(&c->counters.torn, n.torn);
    add(&c->counters.spans_unplaced, n.unplaced);
    add(&c->counters.lost, n.lost);
    if (!what)
        return;
    box_cause_text(death, cause);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "process %d ended (%s): %u open spans submitted", death->pid,
                     cause, n.spans);
    if (c->sink.push(c->sink.stage, what) == SONDE_OK) {
        add(&c->counters.spans, n.spans);
        return;
    }
    add(&c->counters.lost, 1);
    payload_free(what);
}

static void bury(crash *c, peer *p)
{
    box_death death;

    p->over = true;
    if (!p->said_hello)
        return;
    if (!find_cause(p, &death)) {
        add(&c->counters.ends_in_order, 1);
        return;
    }
    add(&c->counters.deaths[death.cause], 1);
    if (p->file < 0)
        return;
    if (!within_limit(c, death.unix_ns)) {
        add(&c->counters.deaths_dropped, 1);
        return;
    }
    submit(c, p, &death);
}

/* -- the thread ----------------------------------------------------------------------------------- */

static bool has_ended(const peer *p)
{
    struct pollfd f = { .fd = p->pidfd, .events = POLLIN };

    return poll(&f, 1, 0) > 0;
}

static void read_peer(crash *c, peer *p)
{
    ssize_t n;
    int fd;

    while (p->socket >= 0 && !p->over) {
        n = receive(c, p->socket, &fd);
        if (n < 0)
            return;
        if (n == 0) { /* its last words were read before */
            close_fd(&p->socket);
            p->hung_up_mono_ns = sonde_mono_ns();
        } else {
            take_packet(c, p, n, fd);
        }
    }
}

static void look_at(crash *c, peer *p)
{
    if (p->over)
        return;
    read_peer(c, p);
    if (!p->over && has_ended(p))
        bury(c, p);
}

/* Frees what is over, and those that hung up and live on; when to look again, in ms. */
static int sweep(crash *c)
{
    uint64_t now = sonde_mono_ns();
    size_t i = 0;
    int wait_ms = -1;

    while (i < c->peers_len) {
        peer *p = c->peers[i];

        if (!p->over && p->socket < 0) {
            if (has_ended(p)) {
                bury(c, p);
            } else if (now - p->hung_up_mono_ns > DYING_NS) {
                add(&c->counters.detached, 1);
                p->over = true;
            } else {
                wait_ms = 100;
            }
        }
        if (p->over)
            free_peer(c, p);
        else
            i++;
    }
    return wait_ms;
}

static void *run(void *arg)
{
    struct epoll_event events[EVENTS];
    crash *c = arg;
    int wait_ms = -1, n, i;

    for (;;) {
        n = epoll_wait(c->epoll, events, EVENTS, wait_ms);
        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == &c->wake)
                return NULL;
            if (events[i].data.ptr == &c->listener)
                accept_all(c);
            else
                look_at(c, events[i].data.ptr);
        }
        wait_ms = sweep(c);
    }
}

/* -- life ----------------------------------------------------------------------------------------- */

static sonde_status find_path(crash *c, sonde_str trace_socket, sonde_error *out_error)
{
    size_t folder = trace_socket.len;

    while (folder > 0 && trace_socket.ptr[folder - 1] != '/')
        folder--;
    if (folder == 0 || folder + sizeof(SOCKET_NAME) > sizeof(c->path))
        return sonde_fail(out_error, SONDE_ERR_INVALID, "no room for a socket beside %.*s",
                          SONDE_STR_ARG(trace_socket));
    (void)snprintf(c->path, sizeof(c->path), "%.*s" SOCKET_NAME, (int)folder, trace_socket.ptr);
    return SONDE_OK;
}

static sonde_status start(crash *c, sonde_error *out_error)
{
    sonde_status status = sonde_listen_packets(c->path, SOCKET_MODE, &c->listener, out_error);

    if (status != SONDE_OK)
        return status;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->epoll < 0 || c->wake < 0 || !watch_fd(c, c->listener, &c->listener) ||
        !watch_fd(c, c->wake, &c->wake))
        return sonde_fail_sys(out_error, errno, "crash socket");
    status = sonde_thread_start(&c->thread, "agent-crash", STACK_BYTES, run, c);
    c->has_thread = status == SONDE_OK;
    return status == SONDE_OK ? status
                              : sonde_fail(out_error, status, "thread of the crash socket");
}

sonde_status crash_open(const crash_options *options, crash **out_crash, sonde_error *out_error)
{
    crash *c = sonde_calloc(1, sizeof(*c));
    sonde_status status;

    if (!c)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "crash socket");
    c->sink = options->sink;
    c->listener = c->epoll = c->wake = -1;
    status = find_path(c, options->trace_socket, out_error);
    if (status == SONDE_OK)
        status = start(c, out_error);
    if (status != SONDE_OK) {
        crash_close(c);
        return status;
    }
    *out_crash = c;
    return SONDE_OK;
}

void crash_stop(crash *c)
{
    const uint64_t one = 1;

    if (!c || !c->has_thread)
        return;
    (void)!write(c->wake, &one, sizeof(one));
    (void)pthread_join(c->thread, NULL);
    c->has_thread = false;
}

void crash_close(crash *c)
{
    if (!c)
        return;
    crash_stop(c);
    while (c->peers_len > 0)
        free_peer(c, c->peers[0]);
    close_fd(&c->listener);
    close_fd(&c->epoll);
    close_fd(&c->wake);
    sonde_free(c);
}

sonde_str crash_socket_path(const crash *c)
{
    return c ? sonde_str_from(c->path) : (sonde_str){ NULL, 0 };
}

static void put_all(sonde_json_writer *w, const char *key, const char *const *names,
                    const _Atomic uint64_t *counters, size_t len)
{
    size_t i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (i = 0; i < len; i++)
        sonde_json_put_counter(w, names[i], &counters[i]);
    sonde_json_end_object(w);
}

void crash_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const refusals[REFUSALS] = { "version", "size", "seals", "too_many",
                                                    "packet" };
    static const char *const causes[BOX_CAUSES] = { "signal", "oom_kill", "exit", "unknown" };
    const crash_counters *n = &((const crash *)arg)->counters;

    sonde_json_begin_object(w);
    sonde_json_put_counter(w, "connections", &n->connections);
    put_all(w, "refused", refusals, n->refused, REFUSALS);
    put_all(w, "deaths", causes, n->deaths, BOX_CAUSES);
    sonde_json_put_counter(w, "ends_in_order", &n->ends_in_order);
    sonde_json_put_counter(w, "deaths_dropped", &n->deaths_dropped);
    sonde_json_put_counter(w, "detached", &n->detached);
    sonde_json_put_counter(w, "spans", &n->spans);
    sonde_json_put_counter(w, "spans_unplaced", &n->spans_unplaced);
    sonde_json_put_counter(w, "torn", &n->torn);
    sonde_json_put_counter(w, "lost", &n->lost);
    sonde_json_end_object(w);
}
