/* request.c - the life of a request, from its head to its completion (diagram in internal.h).
 *
 * What libmicrohttpd asks for:
 *
 *  - a response can be queued only before the body or after all of it, never in between.  Therefore a
 *    refused body is drained first, and a body that does not come in time is answered by conn_watch on
 *    the socket itself.
 *  - queueing before the body of a POST or PUT ends the connection, so even a request without a body
 *    is answered at the second call.
 *
 * Threads   the callbacks run on the pool's threads, those of one connection always on the same. */
#include <string.h>

#include <microhttpd.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "net/server/callbacks.h"
#include "net/server/internal.h"

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void request_put(http_request *r)
{
    http_server *s = r->server;

    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    body_drop(&r->body);
    sonde_buf_done(&r->response.body);
    sonde_free(r->path_room);
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

/* libmicrohttpd takes no empty value and none of two lines: rather an answer without that header than none. */
static void add_header(struct MHD_Response *m, const char *name, const char *value)
{
    (void)MHD_add_response_header(m, name, value);
}

static enum MHD_Result queue_response(http_request *r, http_response *response)
{
    struct MHD_Response *m;
    enum MHD_Result result;
    size_t i;

    if (response->body.status != SONDE_OK)
        http_response_text(response, 500, "the answer could not be built\n");
    m = make_response(response);
    if (!m)
        return MHD_NO;
    if (response->content_type)
        add_header(m, "Content-Type", response->content_type);
    for (i = 0; i < response->headers_len; i++)
        add_header(m, response->headers[i].name, response->headers[i].value);
    if (is_closing(r->server))
        add_header(m, "Connection", "close");
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

/* ---- the head ---- */

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
static uint64_t read_declared_bytes(const http_request *r)
{
    uint64_t bytes = 0;

    if (http_request_header(r, "Transfer-Encoding").len == 0)
        (void)sonde_parse_u64(http_request_header(r, "Content-Length"), &bytes);
    return bytes;
}

/* The answer stands and the client will not miss it if the body is left unread. */
static bool may_answer_now(const http_request *r)
{
    if (r->plan == PLAN_HANDLE)
        return false;
    return r->declared_bytes > HTTP_DRAIN_MAX_BYTES ||
           sonde_str_eq_nocase(http_request_header(r, "Expect"), SONDE_STR("100-continue"));
}

static enum MHD_Result answer(http_request *r);

static enum MHD_Result begin_body(http_request *r)
{
    r->declared_bytes = read_declared_bytes(r);
    r->plan = PLAN_ANSWER;
    if (!answered_before(r))
        choose_route(r);
    if (r->plan == PLAN_HANDLE) {
        sonde_status status = body_declare(r, r->declared_bytes);

        if (status != SONDE_OK)
            refuse_body(r, status);
    }
    return may_answer_now(r) ? answer(r) : MHD_YES;
}

/* False: no memory. */
static bool set_path(http_request *r, const char *target)
{
    r->path = sonde_str_from(target);
    if (path_is_clean(r->path))
        return true;
    r->path_room = sonde_malloc(r->path.len + 1);
    if (!r->path_room)
        return false;
    r->path = path_clean(r->path, r->path_room);
    return true;
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

    if (!r || !set_path(r, path)) {
        sonde_free(r);
        return NULL;
    }
    r->server = s;
    server_get(s);
    r->conn = conn;
    r->connection = connection;
    r->method = sonde_str_from(method);
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
    r->received_bytes += len;
    if (r->plan == PLAN_HANDLE) {
        sonde_status status = body_append(r, data, len);

        if (status != SONDE_OK)
            refuse_body(r, status);
    } else {
        r->drained_bytes += len;
    }
    return r->drained_bytes > HTTP_DRAIN_MAX_BYTES ? MHD_NO : MHD_YES;
}

static http_result run_handler(http_request *r)
{
    if (r->plan == PLAN_HANDLE)
        return r->route->handle(r->route->user, r, &r->response);
    if (r->body_status == SONDE_ERR_TOO_BIG && r->route->lost)
        r->route->lost(r->route->user, r);
    if (r->plan == PLAN_REFUSE) {
        if (r->route->refuse)
            return r->route->refuse(r->route->user, r, &r->response);
        http_response_text(&r->response, 503, "too many requests in flight\n");
    }
    return HTTP_DONE;
}

/* The body is there, or nobody wants it. */
static enum MHD_Result answer(http_request *r)
{
    r->body_complete = true;
    conn_watch_set(r->server->watch, &r->conn->watch, CONN_BUSY);
    if (run_handler(r) == HTTP_LATER)
        return later_wait(r) ? MHD_YES : send_later_answer(r);
    request_put(r); /* nobody will answer it later */
    body_drop(&r->body);
    return queue_response(r, &r->response);
}

/* ---- callbacks of libmicrohttpd ---- */

enum MHD_Result request_on_access(void *cls, struct MHD_Connection *connection, const char *url,
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
    return later_is_detached(r) ? answer_detached(r) : send_later_answer(r);
}

/* Copied now, because libmicrohttpd decodes it in place. */
static void keep_query(http_conn *conn, const char *uri)
{
    const char *query = strchr(uri, '?');

    sonde_free(conn->query);
    conn->query = query && query[1] ? sonde_strndup(query + 1, strlen(query + 1)) : NULL;
}

void *request_on_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    http_listening *on = cls;
    http_conn *conn = conn_of(connection);

    if (conn) {
        keep_query(conn, uri);
        conn_watch_set(on->server->watch, &conn->watch, CONN_READING);
    }
    return NULL;
}

static void body_broke_off(http_request *r)
{
    http_server *s = r->server;
    bool expired = conn_watch_expired(s->watch, &r->conn->watch);

    if (r->plan == PLAN_HANDLE) /* any other has been counted by its reason */
        count(expired ? &s->counters.read_timeouts : &s->counters.aborted, 1);
    if (r->body_status == SONDE_OK)
        r->body_status = expired ? SONDE_ERR_TIMEOUT : SONDE_ERR_EOF;
    if (r->route && r->route->lost)
        r->route->lost(r->route->user, r);
}

void request_on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
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
