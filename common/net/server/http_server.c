/* http_server.c - opens and closes the door: one daemon of libmicrohttpd per listener, each an epoll loop
 * per pool thread.
 *
 *  - A connection must not be suspended when its daemon stops: close() resumes those that still wait.
 *  - Heads libmicrohttpd refuses on its own (too long, malformed) are reported to the logger only; a
 *    test keeps watch over the text that refused_head is counted by. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <microhttpd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/server/callbacks.h"
#include "net/server/internal.h"
#include "net/server/lease.h"

#define DEFAULT_CONNECTIONS       1000u
#define DEFAULT_BODY_BUDGET_BYTES (64u << 20)
#define DEFAULT_IDLE_TIMEOUT_S    60u
#define DEFAULT_READ_TIMEOUT_S    5u
#define POOL_STACK_BYTES          (512u * 1024)
#define REFUSED_TEXT              "Error processing request (HTTP response code is %u"
#define CLOSE_GRACE_NS            (100 * (uint64_t)SONDE_NS_PER_MS) /* for the 503 of those who waited */

void server_get(http_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void server_put(http_server *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_cond_destroy(&s->idle);
    sonde_mutex_done(&s->mu);
    sonde_free(s->listening);
    sonde_free(s);
}

static void name_thread(http_server *s)
{
    static _Thread_local const http_server *named_for;
    char name[16];

    if (named_for == s)
        return;
    named_for = s;
    (void)snprintf(name, sizeof(name), "%.12s-%u", s->options.name,
                   atomic_fetch_add_explicit(&s->threads_named, 1, memory_order_relaxed) % 100);
    (void)pthread_setname_np(pthread_self(), name);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    http_listening *on = cls;
    http_server *s = on->server;
    http_conn *conn = *socket_context;

    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (conn) {
            conn_watch_forget(s->watch, &conn->watch);
            sonde_free(conn->query);
        }
        sonde_free(conn);
        *socket_context = NULL;
        return;
    }
    name_thread(s);
    atomic_fetch_add_explicit(&s->counters.connections, 1, memory_order_relaxed);
    if (on->is_unix)
        atomic_fetch_add_explicit(&s->counters.unix_connections, 1, memory_order_relaxed);
    conn = sonde_calloc(1, sizeof(*conn));
    *socket_context = conn;
    if (!conn) /* its first request will be refused */
        return;
    conn->on = on;
    conn->watch.fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    conn_watch_set(s->watch, &conn->watch, CONN_READING);
}

static void on_log(void *cls, const char *fmt, va_list args) SONDE_PRINTF(2, 0);
static void on_log(void *cls, const char *fmt, va_list args)
{
    http_listening *on = cls;

    if (strncmp(fmt, REFUSED_TEXT, sizeof(REFUSED_TEXT) - 1) != 0)
        return;
    atomic_fetch_add_explicit(&on->server->counters.refused_head, 1, memory_order_relaxed);
    SONDE_LOG(SONDE_LOG_WARN,
              "request refused: status=%u reason=\"head malformed, or longer than %u bytes\"",
              va_arg(args, unsigned), HTTP_HEAD_MAX_BYTES);
}

/* ---- opening and closing ---- */

static unsigned pool_size(const http_server_options *o)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = o->threads ? o->threads : cpus > 0 ? (unsigned)cpus : 1;
    unsigned limit = o->max_connections;

    return wanted < limit ? wanted : limit;
}

static sonde_status add_connection(http_listening *on, int fd)
{
    struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof(peer);

    (void)getpeername(fd, (struct sockaddr *)&peer, &len);
    /* closes the descriptor when it cannot take it */
    return MHD_add_connection(on->daemon, fd, (struct sockaddr *)&peer, len) == MHD_YES
               ? SONDE_OK
               : SONDE_ERR_FULL;
}

static void on_accepted(void *user, int fd)
{
    (void)add_connection(user, fd);
}

static sonde_status start_lease(http_listening *on)
{
    const http_server_options *o = &on->server->options;
    char name[16];

    (void)snprintf(name, sizeof(name), "%.9s-lease", o->name);
    return lease_open(&(lease_options){ .name = name,
                                        .fd = on->fd,
                                        .connections = o->lease,
                                        .period_ns = o->lease_ns,
                                        .accepted = on_accepted,
                                        .user = on,
                                        .waits = &on->server->counters.lease_waits },
                      &on->lease);
}

static sonde_status start_daemon(http_listening *on)
{
    const http_server_options *o = &on->server->options;
    unsigned threads = pool_size(o);
    /* libmicrohttpd's own time-out is left the writing of answers; the rest is conn_watch's. */
    unsigned stall_s =
        o->idle_timeout_s > o->read_timeout_s ? o->idle_timeout_s : o->read_timeout_s;
    struct MHD_OptionItem more[3] = { { MHD_OPTION_END, 0, NULL } };
    unsigned accepting = o->lease ? MHD_USE_NO_LISTEN_SOCKET : 0;
    sigset_t block, old;
    size_t n = 0;

    if (!o->lease)
        more[n++] = (struct MHD_OptionItem){ MHD_OPTION_LISTEN_SOCKET, on->fd, NULL };
    if (threads > 1)
        more[n++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL };
    more[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    sonde_thread_signals_to_block(&block);
    (void)pthread_sigmask(SIG_BLOCK, &block, &old); /* the pool's threads inherit the mask */
    on->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG | accepting,
        0, NULL, NULL, request_on_access, on, MHD_OPTION_EXTERNAL_LOGGER, on_log, on,
        MHD_OPTION_CONNECTION_LIMIT, o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, stall_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MAX_BYTES,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)POOL_STACK_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, on, MHD_OPTION_NOTIFY_COMPLETED, request_on_completed, on,
        MHD_OPTION_URI_LOG_CALLBACK, request_on_line, on, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!on->daemon)
        return SONDE_ERR_SYS;
    return o->lease ? start_lease(on) : SONDE_OK;
}

static void set_defaults(http_server_options *o)
{
    if (!o->name)
        o->name = "http";
    if (!o->max_connections)
        o->max_connections = DEFAULT_CONNECTIONS;
    if (!o->body_budget_bytes)
        o->body_budget_bytes = DEFAULT_BODY_BUDGET_BYTES;
    if (!o->idle_timeout_s)
        o->idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S;
    if (!o->read_timeout_s)
        o->read_timeout_s = DEFAULT_READ_TIMEOUT_S;
}

static sonde_status open_watch(http_server *s)
{
    char name[16];
    conn_watch_options options = {
        .name = name,
        .read_timeout_ns = sonde_s_to_ns(s->options.read_timeout_s),
        .idle_timeout_ns = sonde_s_to_ns(s->options.idle_timeout_s),
    };

    (void)snprintf(name, sizeof(name), "%.9s-watch", s->options.name);
    return conn_watch_open(&options, &s->watch);
}

static http_server *new_server(const http_server_options *options, size_t listeners_len)
{
    http_server *s = sonde_calloc(1, sizeof(*s));
    http_listening *listening = sonde_calloc(listeners_len ? listeners_len : 1, sizeof(*listening));

    if (!s || !listening) {
        sonde_free(listening);
        sonde_free(s);
        return NULL;
    }
    s->listening = listening;
    s->options = *options;
    set_defaults(&s->options);
    sonde_mutex_init(&s->mu, SONDE_RANK_QUEUE);
    sonde_cond_init(&s->idle);
    atomic_init(&s->refs, 1);
    return s;
}

sonde_status http_server_open(const http_server_options *options, const http_listener *listeners,
                              size_t listeners_len, http_server **out_server,
                              sonde_error *out_error)
{
    http_server *s = new_server(options, listeners_len);
    sonde_status status = s ? open_watch(s) : SONDE_ERR_NOMEM;
    size_t started = 0;

    while (status == SONDE_OK && started < listeners_len) {
        http_listening *on = &s->listening[started];

        *on = (http_listening){ .server = s,
                                .fd = listeners[started].fd,
                                .is_unix = listeners[started].is_unix,
                                .is_shared = listeners[started].is_shared };
        status = start_daemon(on);
        if (on->daemon)
            s->listening_len = ++started;
    }
    if (status == SONDE_OK) {
        *out_server = s;
        return SONDE_OK;
    }
    http_server_close(s, 0);
    for (; started < listeners_len; started++)
        (void)close(listeners[started].fd);
    return sonde_fail(out_error, status, "the HTTP server could not be started: %s",
                      sonde_status_str(status));
}

sonde_status http_server_adopt(http_server *s, int fd)
{
    return add_connection(&s->listening[0], fd);
}

static void stop_accepting(http_server *s)
{
    size_t i;

    for (i = 0; i < s->listening_len; i++) {
        lease_close(s->listening[i].lease);
        s->listening[i].lease = NULL;
        (void)MHD_quiesce_daemon(s->listening[i].daemon);
        if (!s->listening[i].is_shared) /* closed when no thread can use it */
            (void)shutdown(s->listening[i].fd, SHUT_RDWR);
    }
}

static void await_idle(http_server *s, uint64_t deadline_mono_ns)
{
    sonde_mutex_lock(&s->mu);
    s->closing = true;
    while (s->active && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&s->idle, &s->mu, deadline_mono_ns);
    sonde_mutex_unlock(&s->mu);
}

void http_server_drain(http_server *s, uint64_t deadline_mono_ns)
{
    if (!s)
        return;
    stop_accepting(s);
    await_idle(s, deadline_mono_ns);
}

void http_server_close(http_server *s, uint64_t deadline_mono_ns)
{
    size_t i;

    if (!s)
        return;
    http_server_drain(s, deadline_mono_ns);
    later_detach_all(s);
    await_idle(s, sonde_deadline(sonde_mono_ns(), CLOSE_GRACE_NS));
    for (i = 0; i < s->listening_len; i++) {
        MHD_stop_daemon(s->listening[i].daemon);
        (void)close(s->listening[i].fd);
    }
    conn_watch_close(s->watch);
    server_put(s);
}

const http_server_counters *http_server_read_counters(const http_server *s)
{
    return &s->counters;
}
