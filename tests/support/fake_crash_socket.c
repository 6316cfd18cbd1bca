/* fake_crash_socket.c - one thread, poll over its connections. */
#include "support/fake_crash_socket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef struct guest {
    int fd; /* -1: gone */
    int file;
    bool said_hello;
    bool ended;
    sonde_crash_hello hello;
} guest;

struct fake_crash_socket {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int listener;
    int wake[2];
    char path[108];
    int answer; /* guarded by mu, as all below */
    guest guests[FAKE_CRASH_HELLOS];
    unsigned len;
    unsigned hellos;
};

static void fail(const char *what)
{
    perror(what);
    abort();
}

static int take_hello(guest *g)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { &g->hello, sizeof(g->hello) };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    ssize_t n = recvmsg(g->fd, &m, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    if (n <= 0)
        return -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&g->file, CMSG_DATA(c), sizeof(g->file));
    return (size_t)n == sizeof(g->hello) ? 1 : 0;
}

static void answer(const fake_crash_socket *s, const guest *g)
{
    sonde_crash_ack ack = { { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_ACK },
                            (uint32_t)s->answer };

    if (s->answer != FAKE_CRASH_SILENT)
        (void)send(g->fd, &ack, sizeof(ack), MSG_NOSIGNAL);
}

static void serve(fake_crash_socket *s, guest *g)
{
    int got = take_hello(g);

    if (got < 0) {
        g->ended = true;
        (void)close(g->fd);
        g->fd = -1;
    } else if (got > 0 && !g->said_hello) {
        g->said_hello = true;
        s->hellos++;
        answer(s, g);
    }
}

static void admit(fake_crash_socket *s)
{
    int fd = accept(s->listener, NULL, NULL);

    if (fd >= 0 && s->len < FAKE_CRASH_HELLOS)
        s->guests[s->len++] = (guest){ .fd = fd, .file = -1 };
    else if (fd >= 0)
        (void)close(fd);
}

static void *run(void *arg)
{
    fake_crash_socket *s = (fake_crash_socket *)arg;
    struct pollfd p[FAKE_CRASH_HELLOS + 2];
    unsigned i, n;

    for (;;) {
        (void)pthread_mutex_lock(&s->mu);
        n = s->len;
        for (i = 0; i < n; i++)
            p[i + 2] = (struct pollfd){ s->guests[i].fd, POLLIN, 0 };
        (void)pthread_mutex_unlock(&s->mu);
        p[0] = (struct pollfd){ s->wake[0], POLLIN, 0 };
        p[1] = (struct pollfd){ s->listener, POLLIN, 0 };
        if (poll(p, n + 2, -1) < 0)
            continue;
        if (p[0].revents)
            return NULL;
        (void)pthread_mutex_lock(&s->mu);
        for (i = 0; i < n; i++)
            if (p[i + 2].revents && s->guests[i].fd >= 0)
                serve(s, &s->guests[i]);
        if (p[1].revents)
            admit(s);
        (void)pthread_cond_broadcast(&s->changed);
        (void)pthread_mutex_unlock(&s->mu);
    }
}

fake_crash_socket *fake_crash_socket_open(const char *path)
{
    fake_crash_socket *s = (fake_crash_socket *)calloc(1, sizeof(*s));
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    if (!s || strlen(path) >= sizeof(at.sun_path))
        fail("fake_crash_socket");
    (void)strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
    (void)strncpy(s->path, path, sizeof(s->path) - 1);
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(s->listener, 16) != 0 || pipe(s->wake) != 0)
        fail(path);
    (void)pthread_mutex_init(&s->mu, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        fail("pthread_create");
    return s;
}

void fake_crash_socket_close(fake_crash_socket *s)
{
    unsigned i;

    (void)!write(s->wake[1], "", 1);
    (void)pthread_join(s->thread, NULL);
    for (i = 0; i < s->len; i++) {
        if (s->guests[i].fd >= 0)
            (void)close(s->guests[i].fd);
        if (s->guests[i].file >= 0)
            (void)close(s->guests[i].file);
    }
    (void)close(s->listener);
    (void)close(s->wake[0]);
    (void)close(s->wake[1]);
    (void)unlink(s->path);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->mu);
    free(s);
}

void fake_crash_socket_answer(fake_crash_socket *s, int reason)
{
    (void)pthread_mutex_lock(&s->mu);
    s->answer = reason;
    (void)pthread_mutex_unlock(&s->mu);
}

/* -- waiting -------------------------------------------------------------------------------------- */

static bool has_hellos(const fake_crash_socket *s, unsigned n)
{
    return s->hellos >= n;
}

static bool has_ended(const fake_crash_socket *s, unsigned i)
{
    return i < s->len && s->guests[i].ended;
}

static bool wait_for(fake_crash_socket *s, bool (*is_so)(const fake_crash_socket *s, unsigned n),
                     unsigned n, unsigned timeout_ms)
{
    struct timespec until;
    bool ok;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&s->mu);
    while (!is_so(s, n) && pthread_cond_timedwait(&s->changed, &s->mu, &until) == 0)
        ;
    ok = is_so(s, n);
    (void)pthread_mutex_unlock(&s->mu);
    return ok;
}

bool fake_crash_socket_wait(fake_crash_socket *s, unsigned hellos, unsigned timeout_ms)
{
    return wait_for(s, has_hellos, hellos, timeout_ms);
}

bool fake_crash_socket_wait_end(fake_crash_socket *s, unsigned i, unsigned timeout_ms)
{
    return wait_for(s, has_ended, i, timeout_ms);
}

unsigned fake_crash_socket_hellos(fake_crash_socket *s)
{
    unsigned n;

    (void)pthread_mutex_lock(&s->mu);
    n = s->hellos;
    (void)pthread_mutex_unlock(&s->mu);
    return n;
}

sonde_crash_hello fake_crash_socket_hello(fake_crash_socket *s, unsigned i)
{
    sonde_crash_hello hello;

    (void)pthread_mutex_lock(&s->mu);
    hello = s->guests[i].hello;
    (void)pthread_mutex_unlock(&s->mu);
    return hello;
}

int fake_crash_socket_file(fake_crash_socket *s, unsigned i)
{
    int file;

    (void)pthread_mutex_lock(&s->mu);
    file = s->guests[i].file;
    (void)pthread_mutex_unlock(&s->mu);
    return file;
}

void fake_crash_socket_hang_up(fake_crash_socket *s, unsigned i)
{
    (void)pthread_mutex_lock(&s->mu);
    (void)shutdown(s->guests[i].fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&s->mu);
}
