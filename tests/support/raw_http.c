/* raw_http.c - blocking sockets with a time limit; nothing of the code under test.
 *
 * recvfrom and sendto, because support/sys_fail.h may just be failing recv and send. */
#include "support/raw_http.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/parse.h"
#include "support/test.h"

static void limit_waiting(int fd)
{
    struct timeval limit = { .tv_sec = 60 };
    int one = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int raw_connect(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    limit_waiting(fd);
    return fd;
}

int raw_connect_unix(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(to.sun_path));
    memcpy(to.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    limit_waiting(fd);
    return fd;
}

void raw_send_bytes(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len) {
        ssize_t n = sendto(fd, at, len, MSG_NOSIGNAL, NULL, 0);

        if (n <= 0)
            return; /* the peer may have hung up: its answer tells */
        at += n;
        len -= (size_t)n;
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_bytes(fd, text, strlen(text));
}

/* The digits at `text` as a number, 0 when there are none. */
static size_t number_at(const char *text)
{
    uint64_t number = 0;

    (void)sonde_parse_u64((sonde_str){ text, strspn(text, "0123456789") }, &number);
    return (size_t)number;
}

static size_t content_length(const char *head)
{
    static const char name[] = "Content-Length: ";
    const char *at = strstr(head, name);

    return at ? number_at(at + strlen(name)) : 0;
}

static void read_answer(int fd, raw_answer *out, bool has_body)
{
    size_t len = 0;
    size_t wanted = SIZE_MAX; /* unknown before the head is complete */

    memset(out, 0, sizeof(*out));
    while (len < wanted && len < sizeof(out->text) - 1) {
        size_t room = sizeof(out->text) - 1 - len;
        /* One byte at a time up to the end of the head: what follows may be another answer. */
        size_t piece = wanted == SIZE_MAX ? 1 : wanted - len;
        ssize_t n = recvfrom(fd, out->text + len, piece < room ? piece : room, 0, NULL, NULL);

        if (n <= 0)
            return;
        len += (size_t)n;
        if (wanted == SIZE_MAX && len >= 4 && memcmp(out->text + len - 4, "\r\n\r\n", 4) == 0) {
            out->head_len = len;
            wanted = len + (has_body ? content_length(out->text) : 0);
        }
    }
    out->body = out->text + out->head_len;
    out->body_len = len - out->head_len;
    out->status = (int)number_at(out->text + strlen("HTTP/1.1 "));
}

void raw_read_answer(int fd, raw_answer *out)
{
    read_answer(fd, out, true);
}

void raw_read_answer_to_head(int fd, raw_answer *out)
{
    read_answer(fd, out, false);
}

bool raw_is_closed(int fd)
{
    char byte;

    return recvfrom(fd, &byte, 1, 0, NULL, NULL) == 0;
}

/* ---- server ---- */

/* Reads head and body of one request, or as much of it as fits; false at the end of the connection or
 * when what comes is no request. */
static bool read_request(raw_server *s, int fd)
{
    char text[65536];
    size_t len = 0, wanted = SIZE_MAX;
    char *kept = s->requests[s->requests_len];

    while (len < wanted && len < sizeof(text) - 1) {
        ssize_t n = recvfrom(fd, text + len, wanted == SIZE_MAX ? 1 : sizeof(text) - 1 - len, 0,
                             NULL, NULL);

        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
        if (wanted == SIZE_MAX && len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0)
            wanted = len + content_length(text);
    }
    if (wanted == SIZE_MAX)
        return false;
    (void)snprintf(kept, sizeof(s->requests[0]), "%.4000s", text);
    s->requests_len++;
    return true;
}

static void send_chopped(int fd, const char *text, size_t chop)
{
    size_t len = strlen(text), at, n;

    for (at = 0; at < len; at += n) {
        n = chop && chop < len - at ? chop : len - at;
        raw_send_bytes(fd, text + at, n);
    }
}

static void await_go(raw_server *s)
{
    int waits;

    for (waits = 0; !atomic_load(&s->go) && waits < 60000; waits++)
        (void)usleep(1000);
}

static void await_hang_up(raw_server *s, int fd)
{
    char bytes[4096];

    await_go(s);
    while (recvfrom(fd, bytes, sizeof(bytes), 0, NULL, NULL) > 0) {
    }
}

static void *run_script(void *arg)
{
    raw_server *s = arg;
    int fd = -1;
    size_t i;

    for (i = 0; i < s->steps_len; i++) {
        const raw_step *step = &s->steps[i];

        if (fd < 0) {
            fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0)
                return NULL;
            limit_waiting(fd);
            s->connections++;
        }
        if (!step->skip_request && !read_request(s, fd)) {
            (void)close(fd);
            fd = -1;
            i--; /* the same step on the next connection */
            continue;
        }
        if (step->wait)
            await_go(s);
        if (step->answer)
            send_chopped(fd, step->answer, step->chop);
        atomic_store(&s->steps_done, i + 1);
        if (step->then == RAW_AWAIT)
            await_hang_up(s, fd);
        if (step->then != RAW_KEEP) {
            (void)close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        char byte;

        (void)!recvfrom(fd, &byte, 1, 0, NULL, NULL); /* until the client is done with it */
        (void)close(fd);
    }
    return NULL;
}

void raw_server_open(raw_server *s, const raw_step *steps, size_t steps_len)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);

    memset(s, 0, sizeof(*s));
    s->steps = steps;
    s->steps_len = steps_len;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    limit_waiting(s->fd);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, run_script, s), 0);
}

void raw_server_await(raw_server *s, size_t steps)
{
    int waits;

    for (waits = 0; atomic_load(&s->steps_done) < steps && waits < 60000; waits++)
        (void)usleep(1000);
    assert_true(atomic_load(&s->steps_done) >= steps);
}

void raw_server_go(raw_server *s)
{
    atomic_store(&s->go, true);
}

void raw_server_close(raw_server *s)
{
    raw_server_go(s);
    (void)shutdown(s->fd, SHUT_RDWR); /* wakes an accept nobody will satisfy */
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
}
