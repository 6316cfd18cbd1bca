/* http_server.c - the only file that knows libmicrohttpd: its callbacks become the life of a request.
 *
 * One daemon per listener, each an epoll loop per pool thread.  What libmicrohttpd asks for in return:
 *
 *  - a response can be queued only before the body or after all of it, never in between.  Therefore a
 *    refused body is drained first, and a body that does not come in time is answered by conn_watch on
 *    the socket itself.
 *  - queueing before the body of a POST or PUT ends the connection, so even a request without a body
 *    is answered at the second call.
 *  - a connection must not be suspended when its daemon stops: close() resumes those that still wait.
 *  - heads it refuses on its own (too long, malformed) are reported to the logger only; a test keeps
 *    watch over the text that refused_head is counted by. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <microhttpd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "net/server/internal.h"
#include "net/socket.h"

#define DEFAULT_CONNECTIONS       1000u
#define DEFAULT_BODY_BUDGET_BYTES (64u << 20)
#define DEFAULT_IDLE_TIMEOUT_S    60u
#define DEFAULT_READ_TIMEOUT_S    5u
#define POOL_STACK_BYTES          (512u * 1024)
#define CLOSE_GRACE_NS            (100 * (uint64_t)SONDE_NS_PER_MS) /* for the 503 of those who waited */

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

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

static void request_put(http_request *r)
{
    http_server *s = r->server;

    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    body_drop(&r->body);
    sonde_buf_done(&r->response.body);
    sonde_free(r);
    server_put(s);
}

/* ---- answering ---- */

static void free_body(void *data)
{
    sonde_free(data);
}

static struct MHD_Response *make_response(http_response *response)
{
    struct MHD_Response *m;
    uint8_t *data;
    size_t len = 0;

    if (response->body.len == 0)
        return MHD_create_response_from_buffer(response->static_body.len,
                                               (void *)(uintptr_t)response->static_body.ptr,
                                               MHD_RESPMEM_PERSISTENT);
    data = sonde_buf_take(&response->body, &len);
    m = MHD_create_response_from_buffer_with_free_callback(len, data, free_body);
    if (!m)
        sonde_free(data);
    return m;
}

static bool is_closing(http_server *s)
{
    bool closing;

    sonde_mutex_lock(&s->mu);
    closing = s->closing;
    sonde_mutex_unlock(&s->mu);
    return closing;
}

static enum MHD_Result queue_response(http_request *r, http_response *response)
{
    struct MHD_Response *m;
    enum MHD_Result result = MHD_YES;
    size_t i;

    if (response->body.status != SONDE_OK)
        http_response_text(response, 500, "the answer could not be built\n");
    m = make_response(response);
    if (!m)
        return MHD_NO;
    if (response->content_type)
        result = MHD_add_response_header(m, "Content-Type", response->content_type);
    for (i = 0; i < response->headers_len && result == MHD_YES; i++)
        result = MHD_add_response_header(m, response->headers[i].name, response->headers[i].value);
    if (result == MHD_YES && is_closing(r->server))
        result = MHD_add_response_header(m, "Connection", "close");
    if (result == MHD_YES)
        result = MHD_queue_response(r->connection, response->status, m);
    MHD_destroy_response(m);
    return result;
}

/* The one who answered is done with the body, too. */
static enum MHD_Result send_later_answer(http_request *r)
{
    body_drop(&r->body);
    return queue_response(r, &r->response);
}

static enum MHD_Result answer_detached(http_request *r)
{
    http_response response = { .status = 503, .static_body = SONDE_STR("shutting down\n") };

    return queue_response(r, &response);
}

/* ---- HTTP_LATER ---- */

static void waiting_add(http_request *r)
{
    http_server *s = r->server;

    r->next_waiting = s->waiting;
    if (s->waiting)
        s->waiting->prev_waiting = r;
    s->waiting = r;
}

static void waiting_remove(http_request *r)
{
    if (r->prev_waiting)
        r->prev_waiting->next_waiting = r->next_waiting;
    else
        r->server->waiting = r->next_waiting;
    if (r->next_waiting)
        r->next_waiting->prev_waiting = r->prev_waiting;
    r->prev_waiting = r->next_waiting = NULL;
}

/* libmicrohttpd's suspend and resume call nothing of ours, so they may run under the lock; that makes
 * an answer that comes before the handler has returned an ordinary case. */
static enum MHD_Result wait_for_answer(http_request *r)
{
    http_server *s = r->server;
    bool answered;

    sonde_mutex_lock(&s->mu);
    answered = r->later == LATER_ANSWERED;
    if (!answered) {
        r->later = LATER_WAITING;
        waiting_add(r);
        MHD_suspend_connection(r->connection);
    }
    sonde_mutex_unlock(&s->mu);
    return answered ? send_later_answer(r) : MHD_YES;
}

http_response *http_later_response(http_request *r)
{
    return &r->response;
}

void http_later_answer(http_request *r)
{
    http_server *s = r->server;

    sonde_mutex_lock(&s->mu);
    if (r->later == LATER_WAITING) {
        waiting_remove(r);
        MHD_resume_connection(r->connection);
    }
    if (r->later != LATER_DETACHED)
        r->later = LATER_ANSWERED;
    sonde_mutex_unlock(&s->mu);
    request_put(r);
}

static void detach_waiting(http_server *s)
{
    sonde_mutex_lock(&s->mu);
    while (s->waiting) {
        http_request *r = s->waiting;

        waiting_remove(r);
        r->later = LATER_DETACHED;
        MHD_resume_connection(r->connection);
    }
    sonde_mutex_unlock(&s->mu);
}

/* ---- the head ---- */

static sonde_str header(const http_request *r, const char *name)
{
    sonde_str value = { NULL, 0 };

    if (MHD_lookup_connection_value_n(r->connection, MHD_HEADER_KIND, name, strlen(name),
                                      &value.ptr, &value.len) != MHD_YES)
        return (sonde_str){ NULL, 0 };
    return value;
}

static void choose_route(http_request *r)
{
    http_server *s = r->server;
    const http_server_options *o = &s->options;

    switch (route_find(o->routes, o->routes_len, r->method, r->path, &r->route)) {
    case ROUTE_FOUND:
        r->plan = PLAN_HANDLE;
        break;
    case ROUTE_OTHER_METHOD:
        count(&s->counters.refused_method, 1);
        http_response_text(&r->response, 405, "method not allowed\n");
        route_allow(o->routes, o->routes_len, r->path, &r->response);
        break;
    case ROUTE_NONE:
        count(&s->counters.not_found, 1);
        http_response_text(&r->response, 404, "404 page not found\n");
        if (o->not_found)
            (void)o->not_found(o->not_found_user, r, &r->response);
        break;
    }
}

static void refuse_body(http_request *r, sonde_status why)
{
    http_server *s = r->server;
    const char *text = s->options.too_big_text;

    r->body_status = why;
    if (why == SONDE_ERR_FULL) {
        count(&s->counters.refused_budget, 1);
        r->plan = PLAN_REFUSE;
        return;
    }
    count(&s->counters.refused_too_big, 1);
    r->plan = PLAN_ANSWER;
    http_response_text(&r->response, 413, text ? text : "payload-too-large\n");
}

/* Runs `before`; true when it has answered. */
static bool answered_before(http_request *r)
{
    const http_server_options *o = &r->server->options;
    bool answered;

    if (!o->before)
        return false;
    r->response.status = 0;
    answered = o->before(o->before_user, r, &r->response) == HTTP_DONE && r->response.status != 0;
    if (!answered)
        r->response.status = 200;
    return answered;
}

/* What the client says it will send; 0 when it does not say. */
static uint64_t declared_bytes(const http_request *r)
{
    uint64_t bytes = 0;

    if (header(r, "Transfer-Encoding").len == 0)
        (void)sonde_parse_u64(header(r, "Content-Length"), &bytes);
    return bytes;
}

/* The answer stands and the client will not miss it if the body is left unread. */
static bool may_answer_now(const http_request *r, uint64_t declared)
{
    if (r->plan == PLAN_HANDLE)
        return false;
    return declared > HTTP_DRAIN_MAX_BYTES ||
           sonde_str_eq_nocase(header(r, "Expect"), SONDE_STR("100-continue"));
}

static enum MHD_Result answer(http_request *r);

static enum MHD_Result begin_body(http_request *r)
{
    uint64_t declared = declared_bytes(r);

    r->plan = PLAN_ANSWER;
    if (!answered_before(r))
        choose_route(r);
    if (r->plan == PLAN_HANDLE) {
        sonde_status status = body_declare(r, declared);

        if (status != SONDE_OK)
            refuse_body(r, status);
    }
    return may_answer_now(r, declared) ? answer(r) : MHD_YES;
}

static http_conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static http_request *new_request(http_conn *conn, struct MHD_Connection *connection,
                                 const char *method, const char *path)
{
    http_server *s = conn->on->server;
    http_request *r = sonde_calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->server = s;
    server_get(s);
    r->conn = conn;
    r->connection = connection;
    r->method = sonde_str_from(method);
    r->path = sonde_str_from(path);
    r->body.server = s;
    r->response.status = 200;
    sonde_buf_init(&r->response.body, HTTP_RESPONSE_MAX_BYTES);
    /* The second reference is for http_later_answer(), which may come before the handler returns. */
    atomic_init(&r->refs, 2);
    return r;
}

static enum MHD_Result begin_request(struct MHD_Connection *connection, const char *method,
                                     const char *path, void **req_cls)
{
    http_conn *conn = conn_of(connection);
    http_request *r = conn ? new_request(conn, connection, method, path) : NULL;

    if (!r)
        return MHD_NO;
    *req_cls = r;
    count(&r->server->counters.requests, 1);
    conn_watch_head_read(r->server->watch, &conn->watch);
    sonde_mutex_lock(&r->server->mu);
    r->server->active++;
    sonde_mutex_unlock(&r->server->mu);
    return begin_body(r);
}

/* ---- the body ---- */

static enum MHD_Result take_data(http_request *r, const char *data, size_t len)
{
    count(&r->server->counters.body_bytes, len);
    if (r->plan == PLAN_HANDLE) {
        sonde_status status = body_append(r, data, len);

        if (status != SONDE_OK)
            refuse_body(r, status);
        return MHD_YES;
    }
    r->drained_bytes += len;
    return r->drained_bytes > HTTP_DRAIN_MAX_BYTES ? MHD_NO : MHD_YES;
}

static http_result run_handler(http_request *r)
{
    if (r->plan == PLAN_HANDLE)
        return r->route->handle(r->route->user, r, &r->response);
    if (r->plan == PLAN_REFUSE) {
        if (r->route->refuse)
            return r->route->refuse(r->route->user, r, &r->response);
        http_response_text(&r->response, 503, "too many requests in flight\n");
    }
    if (r->body_status == SONDE_ERR_TOO_BIG && r->route->lost)
        r->route->lost(r->route->user, r);
    return HTTP_DONE;
}

/* The body is there, or nobody wants it. */
static enum MHD_Result answer(http_request *r)
{
    r->body_complete = true;
    conn_watch_set(r->server->watch, &r->conn->watch, CONN_BUSY);
    if (run_handler(r) == HTTP_LATER)
        return wait_for_answer(r);
    request_put(r); /* nobody will answer it later */
    body_drop(&r->body);
    return queue_response(r, &r->response);
}

/* ---- callbacks of libmicrohttpd, on the pool's threads ---- */

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **req_cls)
{
    http_request *r = *req_cls;
    size_t len = *upload_data_size;

    (void)cls, (void)version;
    if (!r)
        return begin_request(connection, method, url, req_cls);
    if (len) {
        *upload_data_size = 0;
        return take_data(r, upload_data, len);
    }
    if (!r->body_complete)
        return answer(r);
    return r->later == LATER_DETACHED ? answer_detached(r) : send_later_answer(r);
}

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    http_listening *on = cls;
    http_conn *conn = conn_of(connection);

    (void)uri;
    if (conn)
        conn_watch_set(on->server->watch, &conn->watch, CONN_READING);
    return NULL;
}

static void body_broke_off(http_request *r)
{
    http_server *s = r->server;
    bool expired = conn_watch_expired(s->watch, &r->conn->watch);

    count(expired ? &s->counters.read_timeouts : &s->counters.aborted, 1);
    if (r->body_status == SONDE_OK)
        r->body_status = expired ? SONDE_ERR_TIMEOUT : SONDE_ERR_EOF;
    if (r->route && r->route->lost)
        r->route->lost(r->route->user, r);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
                         enum MHD_RequestTerminationCode why)
{
    http_request *r = *req_cls;
    http_server *s;

    (void)cls, (void)connection, (void)why;
    if (!r)
        return;
    *req_cls = NULL;
    s = r->server;
    if (!r->body_complete) {
        body_broke_off(r);
        request_put(r); /* no handler ran: nobody will answer it later */
    }
    conn_watch_set(s->watch, &r->conn->watch, CONN_IDLE);
    sonde_mutex_lock(&s->mu);
    s->active--;
    if (s->active == 0)
        pthread_cond_broadcast(&s->idle);
    sonde_mutex_unlock(&s->mu);
    request_put(r);
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
        if (conn)
            conn_watch_forget(s->watch, &conn->watch);
        sonde_free(conn);
        *socket_context = NULL;
        return;
    }
    name_thread(s);
    count(&s->counters.connections, 1);
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

    (void)args;
    if (strncmp(fmt, "Error processing request", 24) == 0)
        count(&on->server->counters.refused_head, 1);
}

/* ---- opening and closing ---- */

static unsigned pool_size(const http_server_options *o)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = o->threads ? o->threads : cpus > 0 ? (unsigned)cpus : 1;
    unsigned limit = o->max_connections;

    return wanted < limit ? wanted : limit;
}

static sonde_status start_daemon(http_listening *on)
{
    const http_server_options *o = &on->server->options;
    unsigned threads = pool_size(o);
    /* libmicrohttpd's own time-out is left the writing of answers; the rest is conn_watch's. */
    unsigned stall_s =
        o->idle_timeout_s > o->read_timeout_s ? o->idle_timeout_s : o->read_timeout_s;
    struct MHD_OptionItem pool[] = {
        { MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* the pool's threads inherit the mask */
    on->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_access, on, MHD_OPTION_EXTERNAL_LOGGER, on_log, on,
        MHD_OPTION_LISTEN_SOCKET, on->fd, MHD_OPTION_CONNECTION_LIMIT, o->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, stall_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_HEAD_MAX_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)POOL_STACK_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, on, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        on, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, on, MHD_OPTION_ARRAY,
        threads > 1 ? pool : none, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return on->daemon ? SONDE_OK : SONDE_ERR_SYS;
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
    http_listening *listening = sonde_calloc(listeners_len, sizeof(*listening));

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
                                .is_unix = listeners[started].is_unix };
        status = start_daemon(on);
        if (status != SONDE_OK)
            break;
        started++;
        s->listening_len = started;
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

static void stop_accepting(http_server *s)
{
    size_t i;

    for (i = 0; i < s->listening_len; i++) {
        (void)MHD_quiesce_daemon(s->listening[i].daemon);
        (void)shutdown(s->listening[i].fd, SHUT_RDWR); /* closed when no thread can use it */
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

void http_server_close(http_server *s, uint64_t deadline_mono_ns)
{
    size_t i;

    if (!s)
        return;
    stop_accepting(s);
    await_idle(s, deadline_mono_ns);
    detach_waiting(s);
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

/* ---- asking a request ---- */

sonde_str http_request_method(const http_request *r)
{
    return r->method;
}

sonde_str http_request_path(const http_request *r)
{
    return r->path;
}

sonde_str http_request_header(const http_request *r, const char *name)
{
    return header(r, name);
}

bool http_request_query(const http_request *r, const char *key, sonde_str *out_value)
{
    sonde_str value = { NULL, 0 };

    if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, key, strlen(key),
                                      &value.ptr, &value.len) != MHD_YES)
        return false;
    *out_value = value;
    return true;
}

sonde_str http_request_body(const http_request *r)
{
    return (sonde_str){ (const char *)r->body.data, r->body.len };
}

bool http_request_is_unix(const http_request *r)
{
    return r->conn->on->is_unix;
}

pid_t http_request_peer_pid(const http_request *r)
{
    return r->conn->on->is_unix ? sonde_peer_pid(r->conn->watch.fd) : 0;
}

sonde_status http_request_body_status(const http_request *r)
{
    return r->body_status;
}
