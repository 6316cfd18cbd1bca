/* grpc_server.c - the socket half: one thread, poll, connections in an array.
 *
 * The thread sleeps without a time-out while nobody is connected. */
#include "grpc_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "conn.h"

#define STACK_BYTES     (512u * 1024) /* handlers run here */
#define READ_BYTES      65536
#define TICK_MS         500
#define CLOSING_TICK_MS 20
#define READS_PER_ROUND 8 /* of one connection, so that none starves the others */
#define LINGER_NS       (UINT64_C(500) * SONDE_NS_PER_MS) /* for the client to read our last words */

enum { POLL_WAKE, POLL_LISTEN, POLL_CONNS };

typedef struct slot {
    int fd;
    grpc_conn *conn;
    bool is_blocked;   /* the socket takes no more */
    uint64_t ended_ns; /* we have said all; 0: we have not */
} slot;

struct grpc_server {
    grpc_core core;
    int listen_fd;
    int wake_fd;
    slot *slots;
    unsigned slots_len;
    struct pollfd *polls;
    pthread_t thread;
    bool joined;
    _Atomic bool closing;
    _Atomic uint64_t deadline_ns;
    uint8_t read[READ_BYTES];
};

static void drop_slot(grpc_server *s, unsigned i, bool failed)
{
    if (failed)
        atomic_fetch_add_explicit(&s->core.counters.connections_failed, 1, memory_order_relaxed);
    grpc_conn_close(s->slots[i].conn);
    (void)close(s->slots[i].fd);
    s->slots[i] = s->slots[--s->slots_len];
}

/* Sends what there is; false: the connection is broken. */
static bool flush(slot *at)
{
    sonde_str out;

    at->is_blocked = false;
    for (;;) {
        ssize_t n;

        if (grpc_conn_output(at->conn, &out) != SONDE_OK)
            return false;
        if (out.len == 0)
            return true;
        n = send(at->fd, out.ptr, out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            at->is_blocked = errno == EAGAIN || errno == EWOULDBLOCK;
            return at->is_blocked;
        }
        grpc_conn_sent(at->conn, (size_t)n, sonde_mono_ns());
    }
}

typedef enum read_end { READ_ALIVE, READ_CLOSED, READ_FAILED } read_end;

static read_end receive(grpc_server *s, slot *at)
{
    for (int i = 0; i < READS_PER_ROUND; i++) {
        ssize_t n = recv(at->fd, s->read, sizeof(s->read), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? READ_ALIVE : READ_FAILED;
        if (n == 0)
            return READ_CLOSED;
        if (grpc_conn_feed(at->conn, (sonde_str){ (const char *)s->read, (size_t)n },
                           sonde_mono_ns()) != SONDE_OK) {
            (void)flush(at); /* GOAWAY says why */
            return READ_FAILED;
        }
        if ((size_t)n < sizeof(s->read))
            return READ_ALIVE;
    }
    return READ_ALIVE;
}

static void accept_one(grpc_server *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    slot *at = &s->slots[s->slots_len];
    int yes = 1;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    atomic_fetch_add_explicit(&s->core.counters.connections, 1, memory_order_relaxed);
    *at = (slot){ .fd = fd };
    if (grpc_conn_open(&s->core, sonde_mono_ns(), &at->conn) != SONDE_OK) {
        atomic_fetch_add_explicit(&s->core.counters.connections_failed, 1, memory_order_relaxed);
        (void)close(fd);
        return;
    }
    s->slots_len++;
    if (!flush(at))
        drop_slot(s, s->slots_len - 1, true);
}

/* We have said all: what the client still says is thrown away until it hangs up, because closing on it
 * could cost it what it has not read yet. */
static void end_slot(slot *at)
{
    (void)shutdown(at->fd, SHUT_WR);
    at->ended_ns = sonde_mono_ns();
}

static void serve_ended(grpc_server *s, unsigned i)
{
    ssize_t n = recv(s->slots[i].fd, s->read, sizeof(s->read), 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        drop_slot(s, i, false);
}

static void serve_slot(grpc_server *s, unsigned i, short events)
{
    slot *at = &s->slots[i];
    read_end end = events & (POLLIN | POLLHUP | POLLERR) ? receive(s, at) : READ_ALIVE;

    if (end != READ_ALIVE || !flush(at))
        drop_slot(s, i, end != READ_CLOSED);
    else if (grpc_conn_is_over(at->conn))
        end_slot(at);
}

static void tick(grpc_server *s)
{
    uint64_t now_ns = sonde_mono_ns();

    for (unsigned i = s->slots_len; i-- > 0;) {
        slot *at = &s->slots[i];

        if (at->ended_ns) {
            if (now_ns - at->ended_ns >= LINGER_NS)
                drop_slot(s, i, false);
        } else if (!grpc_conn_tick(at->conn, now_ns) || !flush(at)) {
            drop_slot(s, i, true);
        } else if (grpc_conn_is_over(at->conn)) {
            end_slot(at);
        }
    }
}

static void wait_for_events(grpc_server *s, bool closing)
{
    bool has_room = s->slots_len < s->core.options.max_connections;
    int timeout_ms = closing ? CLOSING_TICK_MS : s->slots_len ? TICK_MS : -1;

    s->polls[POLL_WAKE] = (struct pollfd){ .fd = closing ? -1 : s->wake_fd, .events = POLLIN };
    s->polls[POLL_LISTEN] =
        (struct pollfd){ .fd = closing || !has_room ? -1 : s->listen_fd, .events = POLLIN };
    for (unsigned i = 0; i < s->slots_len; i++) {
        short events = s->slots[i].is_blocked ? POLLIN | POLLOUT : POLLIN;

        s->polls[POLL_CONNS + i] = (struct pollfd){ .fd = s->slots[i].fd, .events = events };
    }
    if (poll(s->polls, POLL_CONNS + s->slots_len, timeout_ms) < 0) {
        for (unsigned i = 0; i < POLL_CONNS + s->slots_len; i++)
            s->polls[i].revents = 0;
    }
}

static void serve_events(grpc_server *s)
{
    /* from the end: a slot that goes is replaced by one that was served already */
    for (unsigned i = s->slots_len; i-- > 0;) {
        if (!s->polls[POLL_CONNS + i].revents)
            continue;
        if (s->slots[i].ended_ns)
            serve_ended(s, i);
        else
            serve_slot(s, i, s->polls[POLL_CONNS + i].revents);
    }
    if (s->polls[POLL_LISTEN].revents)
        accept_one(s);
}

static void say_goaway(grpc_server *s)
{
    if (!s->core.options.is_shared) /* who connects now is refused, instead of waiting for nobody */
        (void)shutdown(s->listen_fd, SHUT_RDWR);
    for (unsigned i = s->slots_len; i-- > 0;) {
        if (s->slots[i].ended_ns)
            continue;
        grpc_conn_goaway(s->slots[i].conn, sonde_mono_ns());
        if (!flush(&s->slots[i]))
            drop_slot(s, i, true);
    }
}

static void *run(void *arg)
{
    grpc_server *s = arg;
    uint64_t next_tick_ns = 0;
    bool said = false;

    for (;;) {
        bool closing = atomic_load(&s->closing);

        if (closing && !said)
            say_goaway(s);
        said = closing;
        if (closing && (s->slots_len == 0 || sonde_mono_ns() >= atomic_load(&s->deadline_ns)))
            break;
        wait_for_events(s, closing);
        serve_events(s);
        if (closing || sonde_mono_ns() >= next_tick_ns) {
            tick(s);
            next_tick_ns = sonde_mono_ns() + (uint64_t)TICK_MS * SONDE_NS_PER_MS;
        }
    }
    while (s->slots_len)
        drop_slot(s, s->slots_len - 1, false);
    return NULL;
}

static void free_server(grpc_server *s)
{
    if (s->listen_fd >= 0)
        (void)close(s->listen_fd);
    if (s->wake_fd >= 0)
        (void)close(s->wake_fd);
    sonde_free(s->slots);
    sonde_free(s->polls);
    sonde_free(s);
}

static sonde_status start(grpc_server *s)
{
    unsigned max = s->core.options.max_connections;

    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->slots = sonde_calloc(max, sizeof(*s->slots));
    s->polls = sonde_calloc((size_t)max + POLL_CONNS, sizeof(*s->polls));
    if (s->wake_fd < 0)
        return SONDE_ERR_SYS;
    if (!s->slots || !s->polls)
        return SONDE_ERR_NOMEM;
    return sonde_thread_start(&s->thread, s->core.options.name, STACK_BYTES, run, s);
}

sonde_status grpc_server_open(const grpc_server_options *options, int listen_fd,
                              grpc_server **out_server, sonde_error *out_error)
{
    grpc_server *s = sonde_calloc(1, sizeof(*s));
    sonde_status status;

    if (!s) {
        (void)close(listen_fd);
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "grpc server");
    }
    grpc_core_init(&s->core, options);
    s->listen_fd = listen_fd;
    s->wake_fd = -1;
    status = start(s);
    if (status != SONDE_OK) {
        free_server(s);
        return sonde_fail(out_error, status, "grpc server");
    }
    *out_server = s;
    return SONDE_OK;
}

void grpc_server_drain(grpc_server *s, uint64_t deadline_mono_ns)
{
    if (!s || s->joined)
        return;
    atomic_store(&s->deadline_ns, deadline_mono_ns);
    atomic_store(&s->closing, true);
    (void)eventfd_write(s->wake_fd, 1);
    (void)pthread_join(s->thread, NULL);
    s->joined = true;
}

void grpc_server_close(grpc_server *s, uint64_t deadline_mono_ns)
{
    if (!s)
        return;
    grpc_server_drain(s, deadline_mono_ns);
    free_server(s);
}

const grpc_server_counters *grpc_server_read_counters(const grpc_server *s)
{
    return &s->core.counters;
}
