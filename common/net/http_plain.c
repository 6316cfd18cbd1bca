/* http_plain.c - one request at a time on one kept connection, driven by poll and a deadline.
 *
 * An agent may answer while the body is still being sent (413, 429) and then close.  Therefore the
 * exchange listens while it sends: once the head of the final answer is there, the rest of the
 * request is not sent any more; and a connection that breaks while sending is still read, because
 * the answer may lie in the receive queue.
 *
 * Nothing here calls shutdown(): after a fork both processes hold the descriptor, and the child must
 * be able to drop its copy without ending the parent's connection. */
#include "net/http_plain.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/http_answer.h"
#include "net/socket.h"

#define REQUEST_HEAD_MAX_BYTES 16384
#define KEEP_OUT_FD            1000
#define LOOK_MS                25
#define CONNECT_MAX_NS         (1 * (uint64_t)SONDE_NS_PER_S) /* where somebody waits for the caller */

struct sonde_http_plain {
    sonde_url url;
    int fd;                                 /* -1: not connected */
    const _Atomic uint64_t *latest_mono_ns; /* NULL: none */
    void (*meanwhile)(void *user);          /* NULL: nothing */
    void *meanwhile_user;
    bool keeps_out;
    sonde_buf head;           /* of the request */
    sonde_http_answer answer; /* of the last request */
    char in[4096];
};

/* One try of a request on one connection. */
typedef struct exchange {
    sonde_str head; /* still to be sent */
    sonde_str body; /* the same, after the head */
    uint64_t deadline_mono_ns;
    bool broken;   /* sending failed: only what has already come can still be read */
    bool received; /* at least one byte of an answer */
} exchange;

/* Neither may end the line it is put into. */
static bool is_field_text(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_word(sonde_str s)
{
    return s.len > 0 && is_field_text(s) && !memchr(s.ptr, ' ', s.len) &&
           !memchr(s.ptr, '\t', s.len);
}

static void append_host(sonde_buf *b, const sonde_url *url)
{
    if (url->scheme == SONDE_URL_UNIX)
        sonde_buf_append_str(b, SONDE_STR("localhost"));
    else
        sonde_buf_printf(b, strchr(url->host, ':') ? "[%s]:%u" : "%s:%u", url->host,
                         (unsigned)url->port);
}

static sonde_status append_headers(sonde_buf *b, const sonde_http_plain_request *request)
{
    size_t i;

    for (i = 0; i < request->headers_len; i++) {
        const sonde_http_header *h = &request->headers[i];

        if (!is_word(h->name) || !is_field_text(h->value))
            return SONDE_ERR_INVALID;
        sonde_buf_append_str(b, h->name);
        sonde_buf_append_str(b, SONDE_STR(": "));
        sonde_buf_append_str(b, h->value);
        sonde_buf_append_str(b, SONDE_STR("\r\n"));
    }
    return SONDE_OK;
}

static sonde_status build_head(sonde_http_plain *c, const sonde_http_plain_request *request)
{
    sonde_buf *b = &c->head;
    bool has_prefix = c->url.scheme != SONDE_URL_UNIX;
    bool announces = request->body.len > 0 ||
                     (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0);
    sonde_status status;

    if (!is_word(sonde_str_from(request->method)) || !is_word(sonde_str_from(request->path)) ||
        request->path[0] != '/')
        return SONDE_ERR_INVALID;
    sonde_buf_reset(b);
    sonde_buf_append_str(b, sonde_str_from(request->method));
    sonde_buf_append_byte(b, ' ');
    if (has_prefix)
        sonde_buf_append_str(b, sonde_str_from(c->url.path));
    sonde_buf_append_str(b, sonde_str_from(request->path));
    sonde_buf_append_str(b, SONDE_STR(" HTTP/1.1\r\nHost: "));
    append_host(b, &c->url);
    sonde_buf_append_str(b, SONDE_STR("\r\n"));
    status = append_headers(b, request);
    if (status != SONDE_OK)
        return status;
    if (announces)
        sonde_buf_printf(b, "Content-Length: %zu\r\n", request->body.len);
    sonde_buf_append_str(b, SONDE_STR("\r\n"));
    return b->status;
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Nothing came in while the connection was idle: what a peer says unasked (a 408, the end of the
 * connection) must not be taken for the answer to the next request. */
static bool is_quiet(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && would_block(errno);
}

static sonde_status send_part(int fd, sonde_str *part, int flags)
{
    while (part->len) {
        ssize_t n = send(fd, part->ptr, part->len, MSG_NOSIGNAL | MSG_DONTWAIT | flags);

        if (n < 0)
            return would_block(errno) ? SONDE_OK : SONDE_ERR_EOF;
        *part = sonde_str_sub(*part, (size_t)n, part->len);
    }
    return SONDE_OK;
}

static sonde_status send_some(sonde_http_plain *c, exchange *x)
{
    sonde_status status = send_part(c->fd, &x->head, x->body.len ? MSG_MORE : 0);

    if (status == SONDE_OK && x->head.len == 0)
        status = send_part(c->fd, &x->body, 0);
    return status;
}

static bool is_sending(const exchange *x)
{
    return x->head.len || x->body.len;
}

static void stop_sending(exchange *x)
{
    x->head.len = 0;
    x->body.len = 0;
}

/* Reads once.  SONDE_OK also when nothing is there. */
static sonde_status receive_some(sonde_http_plain *c, exchange *x)
{
    ssize_t n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
    size_t used = 0;
    sonde_status status;

    if (n < 0)
        return would_block(errno) && !x->broken ? SONDE_OK : SONDE_ERR_EOF;
    if (n == 0)
        return sonde_http_answer_eof(&c->answer);
    x->received = true;
    status = sonde_http_answer_feed(&c->answer, (sonde_str){ c->in, (size_t)n }, &used);
    if (status == SONDE_OK && used < (size_t)n)
        c->answer.keep_alive = false; /* bytes nobody asked for */
    return status;
}

/* How long to wait before the deadlines are looked at; 0: one has come. */
static int patience_ms(const sonde_http_plain *c, const exchange *x)
{
    uint64_t now = sonde_mono_ns();
    int ms = sonde_ms_left(x->deadline_mono_ns, now);
    int latest_ms;

    if (!c->latest_mono_ns && !c->meanwhile)
        return ms;
    if (c->latest_mono_ns) {
        latest_ms =
            sonde_ms_left(atomic_load_explicit(c->latest_mono_ns, memory_order_relaxed), now);
        ms = latest_ms < ms ? latest_ms : ms;
    }
    return ms < LOOK_MS ? ms : LOOK_MS;
}

static sonde_status await_io(sonde_http_plain *c, const exchange *x)
{
    struct pollfd p = { .fd = c->fd, .events = (short)(POLLIN | (is_sending(x) ? POLLOUT : 0)) };
    int timeout_ms = patience_ms(c, x);

    if (timeout_ms == 0)
        return SONDE_ERR_TIMEOUT;
    if (c->meanwhile)
        c->meanwhile(c->meanwhile_user);
    if (poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
        return SONDE_ERR_SYS;
    return SONDE_OK;
}

static sonde_status run_exchange(sonde_http_plain *c, exchange *x)
{
    while (!sonde_http_answer_is_done(&c->answer)) {
        sonde_status status = SONDE_OK;

        x->broken = x->broken || send_some(c, x) != SONDE_OK;
        if (x->broken)
            stop_sending(x);
        else
            status = await_io(c, x);
        if (status == SONDE_OK)
            status = receive_some(c, x);
        if (status != SONDE_OK)
            return status;
        if (sonde_http_answer_has_head(&c->answer) && is_sending(x)) {
            stop_sending(x);
            c->answer.keep_alive = false; /* the peer still waits for the rest of the body */
        }
    }
    if (x->broken)
        c->answer.keep_alive = false;
    return SONDE_OK;
}

static void disconnect(sonde_http_plain *c)
{
    int saved_errno = errno;

    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    errno = saved_errno;
}

static void move_up(sonde_http_plain *c)
{
    int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, KEEP_OUT_FD);

    if (fd < 0)
        return;
    (void)close(c->fd);
    c->fd = fd;
}

/* Connecting does not look at the latest deadline, so it may not take long. */
static sonde_status connect_client(sonde_http_plain *c, uint64_t deadline_mono_ns)
{
    uint64_t soon = sonde_deadline(sonde_mono_ns(), CONNECT_MAX_NS);
    sonde_status status;

    if ((c->latest_mono_ns || c->meanwhile) && soon < deadline_mono_ns)
        deadline_mono_ns = soon;
    status = sonde_connect(&c->url, deadline_mono_ns, &c->fd);
    if (status == SONDE_OK && c->keeps_out)
        move_up(c);
    return status;
}

static sonde_status try_once(sonde_http_plain *c, const sonde_http_plain_request *request,
                             exchange *x)
{
    sonde_status status = SONDE_OK;

    *x = (exchange){ .head = sonde_buf_str(&c->head),
                     .body = request->body,
                     .deadline_mono_ns = request->deadline_mono_ns };
    sonde_http_answer_begin(&c->answer, strcmp(request->method, "HEAD") == 0);
    if (c->fd < 0)
        status = connect_client(c, request->deadline_mono_ns);
    if (status == SONDE_OK)
        status = run_exchange(c, x);
    if (status != SONDE_OK || !c->answer.keep_alive || c->keeps_out)
        disconnect(c);
    return status;
}

sonde_status sonde_http_plain_open(const sonde_url *url, size_t max_body_bytes,
                                   sonde_http_plain **out_client)
{
    sonde_http_plain *c;

    if (url->scheme == SONDE_URL_HTTPS)
        return SONDE_ERR_INVALID;
    c = sonde_calloc(1, sizeof(*c));
    if (!c)
        return SONDE_ERR_NOMEM;
    c->url = *url;
    c->fd = -1;
    sonde_buf_init(&c->head, REQUEST_HEAD_MAX_BYTES);
    sonde_http_answer_init(&c->answer, max_body_bytes);
    *out_client = c;
    return SONDE_OK;
}

void sonde_http_plain_end_by(sonde_http_plain *c, const _Atomic uint64_t *latest_mono_ns)
{
    c->latest_mono_ns = latest_mono_ns;
}

void sonde_http_plain_meanwhile(sonde_http_plain *c, void (*call)(void *user), void *user)
{
    c->meanwhile = call;
    c->meanwhile_user = user;
}

void sonde_http_plain_keep_out(sonde_http_plain *c)
{
    c->keeps_out = true;
}

void sonde_http_plain_close(sonde_http_plain *c)
{
    if (!c)
        return;
    disconnect(c);
    sonde_buf_done(&c->head);
    sonde_http_answer_done(&c->answer);
    sonde_free(c);
}

sonde_status sonde_http_plain_send(sonde_http_plain *c, const sonde_http_plain_request *request,
                                   sonde_http_plain_answer *out)
{
    exchange x;
    bool reused;
    sonde_status status = build_head(c, request);

    if (status != SONDE_OK)
        return status;
    if (c->fd >= 0 && !is_quiet(c->fd))
        disconnect(c);
    reused = c->fd >= 0;
    status = try_once(c, request, &x);
    if (status == SONDE_ERR_EOF && reused && !x.received)
        status = try_once(c, request, &x);
    if (status != SONDE_OK)
        return status;
    out->status = c->answer.status;
    out->head = sonde_buf_str(&c->answer.head);
    out->body = sonde_buf_str(&c->answer.body);
    return SONDE_OK;
}

sonde_str sonde_http_plain_header(const sonde_http_plain_answer *answer, sonde_str name)
{
    return sonde_http_head_find(answer->head, name);
}
