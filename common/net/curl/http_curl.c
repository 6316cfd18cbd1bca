/* http_curl.c - the only file that knows libcurl (besides the integration that instruments it).
 *
 *   send ──▶ pending ──▶ active (in the multi handle) ──▶ done() ──▶ freed
 *               │            │
 *               └────────────┴── deadline of close ──▶ done(CLOSED)
 *
 * in_flight == transfers pending or active <= max_in_flight.  A transfer has left that count before its
 * done() runs, so that done() can always send again.
 *
 * Time-outs are ours, not libcurl's: that looks at the clock before it looks at the sockets, and would give up a
 * request whose answer has long been there after the process was stopped (SIGSTOP, a sleeping machine). */
#include "net/curl/http_curl.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "net/url.h"

#define DEFAULT_IN_FLIGHT  64u
#define DEFAULT_PER_HOST   5u
#define DEFAULT_TIMEOUT_MS 10000u
#define ANSWER_MAX_BYTES   65536
#define IDLE_CONNECTION_S  45L
#define STACK_BYTES        (512 * 1024) /* TLS libraries are fond of stack */
#define POLL_MAX_MS        60000

typedef struct transfer {
    struct transfer *prev, *next;
    CURL *easy;
    struct curl_slist *headers;
    sonde_buf body;
    bool body_cut;
    bool head_ended; /* of the answer, not of an interim one */
    uint64_t start_mono_ns, deadline_mono_ns;
    void (*done)(void *user, const http_curl_answer *answer);
    bool (*take)(void *user, sonde_str part); /* NULL: kept in `body` */
    void *user;
    char error[CURL_ERROR_SIZE];
} transfer;

typedef struct transfer_list {
    transfer *head, *tail;
} transfer_list;

struct http_curl {
    http_curl_options options;
    char *proxy_http, *proxy_https, *no_proxy, *ca_file, *user_agent; /* copies for `options` */
    CURLM *multi;
    pthread_t thread;
    bool started;
    transfer_list active; /* the thread's own */

    sonde_mutex mu; /* guards everything below */
    transfer_list pending;
    size_t in_flight;
    bool closing;
    uint64_t close_deadline_mono_ns;
};

static void list_append(transfer_list *list, transfer *t)
{
    t->prev = list->tail;
    t->next = NULL;
    if (list->tail)
        list->tail->next = t;
    else
        list->head = t;
    list->tail = t;
}

static void list_remove(transfer_list *list, transfer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        list->head = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        list->tail = t->prev;
    t->prev = t->next = NULL;
}

static transfer *list_pop(transfer_list *list)
{
    transfer *t = list->head;

    if (t)
        list_remove(list, t);
    return t;
}

/* ---- one transfer ---- */

static void transfer_free(transfer *t)
{
    if (!t)
        return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    sonde_buf_done(&t->body);
    sonde_free(t);
}

/* Keeps what fits and swallows the rest. */
static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    transfer *t = user;
    size_t len = size * count;
    size_t room = t->body.max_bytes - t->body.len;

    if (t->take)
        return t->take(t->user, (sonde_str){ data, len }) ? len : CURL_WRITEFUNC_ERROR;
    sonde_buf_append(&t->body, data, len < room ? len : room);
    t->body_cut |= len > room;
    return len;
}

/* Lines of the head, with the empty one that ends it. */
static size_t on_head(char *line, size_t size, size_t count, void *user)
{
    transfer *t = user;
    size_t len = size * count;
    long http_status = 0;

    if (len && (line[0] == '\r' || line[0] == '\n')) {
        (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http_status);
        t->head_ended |= http_status >= 200;
    }
    return len;
}

static bool add_header(transfer *t, const char *line)
{
    struct curl_slist *list = curl_slist_append(t->headers, line);

    if (list)
        t->headers = list;
    return list != NULL;
}

static bool has_header(const char *const *headers, sonde_str name)
{
    for (; headers && *headers; headers++) {
        sonde_str line = sonde_str_from(*headers);

        if (sonde_str_eq_nocase(sonde_str_cut(&line, ':'), name))
            return true;
    }
    return false;
}

/* The caller's, without what libcurl would add on its own. */
static bool set_headers(transfer *t, const http_curl_request *request)
{
    const char *const *h;

    for (h = request->headers; h && *h; h++) {
        if (!add_header(t, *h))
            return false;
    }
    if (!add_header(t, "Expect:"))
        return false;
    if (!has_header(request->headers, SONDE_STR("Content-Type")) && !add_header(t, "Content-Type:"))
        return false;
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

/* "unix:///path.sock:/request/path" becomes a socket and a URL libcurl understands. */
static CURLcode set_unix_url(CURL *easy, const char *url)
{
    const char *path = url + strlen("unix://");
    const char *target = strstr(path, ":/");
    char socket_path[SONDE_URL_PATH_MAX + 1], http_url[SONDE_URL_PATH_MAX + 32];
    size_t len = target ? (size_t)(target - path) : strlen(path);
    CURLcode code;

    if (len == 0 || len > SONDE_URL_PATH_MAX || (target && strlen(target) > SONDE_URL_PATH_MAX))
        return CURLE_URL_MALFORMAT;
    memcpy(socket_path, path, len);
    socket_path[len] = '\0';
    (void)snprintf(http_url, sizeof(http_url), "http://localhost%s", target ? target + 1 : "/");
    code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_URL, http_url) : code;
}

static bool has_scheme(const char *url, sonde_str scheme)
{
    return sonde_str_eq_nocase(sonde_str_sub(sonde_str_from(url), 0, scheme.len), scheme);
}

static CURLcode set_target(const http_curl *c, CURL *easy, const char *url)
{
    bool is_https = has_scheme(url, SONDE_STR("https://"));
    sonde_str proxy; /* NUL-terminated */

    if (has_scheme(url, SONDE_STR("unix://")))
        return set_unix_url(easy, url);
    if (!is_https && !has_scheme(url, SONDE_STR("http://")))
        return CURLE_URL_MALFORMAT;
    proxy = sonde_egress_proxy(&c->options.egress, url);
    /* Empty text, unlike NULL, keeps libcurl from looking into the environment. */
    if (curl_easy_setopt(easy, CURLOPT_PROXY, proxy.ptr) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "") != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(easy, CURLOPT_URL, url);
}

static CURLcode set_method(CURL *easy, const http_curl_request *request)
{
    CURLcode code;

    if (request->body.len == 0 && strcmp(request->method, "GET") == 0)
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(request->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    if (code == CURLE_OK)
        code =
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len ? request->body.ptr : "");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return code;
}

static long min_tls(const sonde_egress *e)
{
    switch (e->min_tls) {
    case SONDE_TLS_1_0:
        return CURL_SSLVERSION_TLSv1_0;
    case SONDE_TLS_1_1:
        return CURL_SSLVERSION_TLSv1_1;
    case SONDE_TLS_1_3:
        return CURL_SSLVERSION_TLSv1_3;
    default:
        return CURL_SSLVERSION_TLSv1_2;
    }
}

/* What every transfer has in common; none of these options takes memory. */
static void set_manners(const http_curl *c, transfer *t)
{
    CURL *easy = t->easy;
    bool verify = !c->options.egress.skip_tls_verify;
    uint64_t reset_s = c->options.reset_interval_ns / SONDE_NS_PER_S;

    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, min_tls(&c->options.egress));
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    if (reset_s)
        (void)curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)reset_s);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS,
                           1L); /* a proxy's are not the answer's */
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
}

static sonde_status set_request(const http_curl *c, transfer *t, const http_curl_request *request)
{
    CURLcode code = curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");

    set_manners(c, t);
    if (code == CURLE_OK && c->ca_file)
        code = curl_easy_setopt(t->easy, CURLOPT_CAINFO, c->ca_file);
    if (code == CURLE_OK && c->options.user_agent)
        code = curl_easy_setopt(t->easy, CURLOPT_USERAGENT, c->options.user_agent);
    if (code == CURLE_OK)
        code = set_target(c, t->easy, request->url);
    if (code == CURLE_OK)
        code = set_method(t->easy, request);
    if (code == CURLE_URL_MALFORMAT)
        return SONDE_ERR_INVALID;
    return code == CURLE_OK && set_headers(t, request) ? SONDE_OK : SONDE_ERR_NOMEM;
}

static sonde_status transfer_new(const http_curl *c, const http_curl_request *request,
                                 transfer **out_transfer)
{
    transfer *t = sonde_calloc(1, sizeof(*t));
    sonde_status status;

    if (!t)
        return SONDE_ERR_NOMEM;
    sonde_buf_init(&t->body,
                   request->max_answer_bytes ? request->max_answer_bytes : ANSWER_MAX_BYTES);
    t->done = request->done;
    t->take = request->take;
    t->user = request->user;
    t->start_mono_ns = sonde_mono_ns();
    t->deadline_mono_ns =
        sonde_deadline(t->start_mono_ns, sonde_ms_to_ns(request->timeout_ms ? request->timeout_ms
                                                                            : DEFAULT_TIMEOUT_MS));
    t->easy = curl_easy_init();
    status = t->easy ? set_request(c, t, request) : SONDE_ERR_NOMEM;
    if (status != SONDE_OK) {
        transfer_free(t);
        return status;
    }
    *out_transfer = t;
    return SONDE_OK;
}

static sonde_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return SONDE_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return SONDE_ERR_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return SONDE_ERR_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return SONDE_ERR_REFUSED;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return SONDE_ERR_EOF;
    case CURLE_URL_MALFORMAT:
        return SONDE_ERR_INVALID;
    case CURLE_OUT_OF_MEMORY:
        return SONDE_ERR_NOMEM;
    case CURLE_WRITE_ERROR:
        return SONDE_ERR_TOO_BIG;
    case CURLE_ABORTED_BY_CALLBACK:
        return SONDE_ERR_CLOSED;
    default: /* no HTTP, or broken HTTP */
        return SONDE_ERR_SYNTAX;
    }
}

/* libcurl's own words, unless they might quote a URL with its credentials or query. */
static const char *error_text(const transfer *t, CURLcode code)
{
    if (t->error[0] == '\0' || strpbrk(t->error, "@?"))
        return curl_easy_strerror(code);
    return t->error;
}

/* The transfer has ended or never began: tells its owner and frees it. */
static void finish(http_curl *c, transfer *t, sonde_status status, const char *error)
{
    long http_status = 0;
    http_curl_answer answer = { .status = status,
                                .elapsed_ns = sonde_mono_ns() - t->start_mono_ns,
                                .error = error };

    if (status == SONDE_OK || t->head_ended) {
        (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http_status);
        answer.http_status = (unsigned)http_status;
    }
    if (status == SONDE_OK) {
        answer.body = sonde_buf_str(&t->body);
        answer.body_cut = t->body_cut || t->body.status != SONDE_OK;
        answer.transfer = t;
    }
    sonde_mutex_lock(&c->mu);
    c->in_flight--;
    sonde_mutex_unlock(&c->mu);
    t->done(t->user, &answer);
    transfer_free(t);
}

sonde_str http_curl_answer_header(const http_curl_answer *answer, const char *name)
{
    const transfer *t = answer->transfer;
    struct curl_header *h = NULL;

    if (!t || curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return (sonde_str){ NULL, 0 };
    return sonde_str_from(h->value);
}

/* ---- the thread ---- */

static void begin_pending(http_curl *c)
{
    for (;;) {
        transfer *t;

        sonde_mutex_lock(&c->mu);
        t = list_pop(&c->pending);
        sonde_mutex_unlock(&c->mu);
        if (!t)
            return;
        if (curl_multi_add_handle(c->multi, t->easy) == CURLM_OK)
            list_append(&c->active, t);
        else
            finish(c, t, SONDE_ERR_NOMEM, sonde_status_str(SONDE_ERR_NOMEM));
    }
}

static void finish_ended(http_curl *c)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        CURL *easy = message->easy_handle;
        transfer *t = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        (void)curl_multi_remove_handle(c->multi, easy);
        list_remove(&c->active, t);
        finish(c, t, status_of(code), code == CURLE_OK ? NULL : error_text(t, code));
    }
}

static void give_up(http_curl *c, transfer *t, sonde_status status, const char *error)
{
    (void)curl_multi_remove_handle(c->multi, t->easy);
    list_remove(&c->active, t);
    finish(c, t, status, error);
}

/* Those whose deadline had passed when libcurl last looked at their sockets; returns the next deadline. */
static uint64_t give_up_late(http_curl *c, uint64_t looked_mono_ns)
{
    uint64_t next_mono_ns = UINT64_MAX;
    transfer *t, *next;

    for (t = c->active.head; t; t = next) {
        next = t->next;
        if (t->deadline_mono_ns <= looked_mono_ns)
            give_up(c, t, SONDE_ERR_TIMEOUT, "no answer within the time a request may take");
        else if (t->deadline_mono_ns < next_mono_ns)
            next_mono_ns = t->deadline_mono_ns;
    }
    return next_mono_ns;
}

static void abort_all(http_curl *c)
{
    while (c->active.head)
        give_up(c, c->active.head, SONDE_ERR_CLOSED, "the client was closed");
}

/* False when the thread is to end; else how long it may sleep. */
static bool may_go_on(http_curl *c, int *out_sleep_ms)
{
    bool go_on = true;

    *out_sleep_ms = POLL_MAX_MS;
    sonde_mutex_lock(&c->mu);
    if (c->closing) {
        *out_sleep_ms = sonde_ms_left(c->close_deadline_mono_ns, sonde_mono_ns());
        go_on = c->in_flight > 0 && *out_sleep_ms > 0;
    }
    sonde_mutex_unlock(&c->mu);
    return go_on;
}

static void *run_transfers(void *arg)
{
    http_curl *c = arg;
    uint64_t looked, deadline;
    int running, sleep_ms, left_ms;

    while (may_go_on(c, &sleep_ms)) {
        begin_pending(c);
        looked = sonde_mono_ns();
        (void)curl_multi_perform(c->multi, &running);
        finish_ended(c);
        deadline = give_up_late(c, looked);
        if (may_go_on(c, &sleep_ms)) {
            left_ms = sonde_ms_left(deadline, sonde_mono_ns());
            (void)curl_multi_poll(c->multi, NULL, 0, left_ms < sleep_ms ? left_ms : sleep_ms, NULL);
        }
    }
    begin_pending(c);
    abort_all(c);
    return NULL;
}

/* ---- opening, sending, closing ---- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void init_global(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool copy_text(const char *text, char **out_copy)
{
    *out_copy = text ? sonde_strndup(text, strlen(text)) : NULL;
    return !text || *out_copy;
}

/* The same for a text that may be empty: a copy, NULL for that. */
static bool copy_str(sonde_str *text, char **out_copy)
{
    *out_copy = text->len ? sonde_strndup(text->ptr, text->len) : NULL;
    if (text->len && !*out_copy)
        return false;
    text->ptr = *out_copy;
    return true;
}

static sonde_status copy_options(http_curl *c, const http_curl_options *options)
{
    sonde_egress *e = &c->options.egress;

    c->options = *options;
    if (!copy_str(&e->proxy_http, &c->proxy_http) || !copy_str(&e->proxy_https, &c->proxy_https) ||
        !copy_str(&e->no_proxy, &c->no_proxy) || !copy_str(&e->ca_file, &c->ca_file) ||
        !copy_text(options->user_agent, &c->user_agent))
        return SONDE_ERR_NOMEM;
    c->options.user_agent = c->user_agent;
    if (!c->options.max_in_flight)
        c->options.max_in_flight = DEFAULT_IN_FLIGHT;
    if (!c->options.max_per_host)
        c->options.max_per_host = DEFAULT_PER_HOST;
    return SONDE_OK;
}

static sonde_status open_multi(http_curl *c)
{
    (void)pthread_once(&global_once, init_global);
    if (global_result != CURLE_OK)
        return SONDE_ERR_SYS;
    c->multi = curl_multi_init();
    if (!c->multi)
        return SONDE_ERR_NOMEM;
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)c->options.max_per_host);
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->options.max_in_flight);
    return SONDE_OK;
}

sonde_status http_curl_open(const http_curl_options *options, http_curl **out_client,
                            sonde_error *out_error)
{
    http_curl *c = sonde_calloc(1, sizeof(*c));
    const char *name = options->name ? options->name : "http-client";
    sonde_status status;

    if (!c)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "the HTTP client could not be started");
    sonde_mutex_init(&c->mu, SONDE_RANK_QUEUE);
    status = copy_options(c, options);
    if (status == SONDE_OK)
        status = open_multi(c);
    if (status == SONDE_OK)
        status = sonde_thread_start(&c->thread, name, STACK_BYTES, run_transfers, c);
    if (status != SONDE_OK) {
        http_curl_close(c, 0);
        return sonde_fail(out_error, status, "the HTTP client could not be started: %s",
                          sonde_status_str(status));
    }
    c->started = true;
    *out_client = c;
    return SONDE_OK;
}

void http_curl_close(http_curl *c, uint64_t deadline_mono_ns)
{
    if (!c)
        return;
    if (c->started) {
        sonde_mutex_lock(&c->mu);
        c->closing = true;
        c->close_deadline_mono_ns = deadline_mono_ns;
        sonde_mutex_unlock(&c->mu);
        (void)curl_multi_wakeup(c->multi);
        (void)pthread_join(c->thread, NULL);
    }
    (void)curl_multi_cleanup(c->multi);
    sonde_free(c->proxy_http);
    sonde_free(c->proxy_https);
    sonde_free(c->no_proxy);
    sonde_free(c->ca_file);
    sonde_free(c->user_agent);
    sonde_mutex_done(&c->mu);
    sonde_free(c);
}

/* Takes a place among the transfers in flight. */
static sonde_status admit(http_curl *c)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&c->mu);
    if (c->closing)
        status = SONDE_ERR_CLOSED;
    else if (c->in_flight >= c->options.max_in_flight)
        status = SONDE_ERR_FULL;
    else
        c->in_flight++;
    sonde_mutex_unlock(&c->mu);
    return status;
}

sonde_status http_curl_send(http_curl *c, const http_curl_request *request)
{
    transfer *t = NULL;
    sonde_status status = admit(c);

    if (status != SONDE_OK)
        return status;
    status = transfer_new(c, request, &t);
    sonde_mutex_lock(&c->mu);
    if (status == SONDE_OK && c->closing)
        status = SONDE_ERR_CLOSED;
    if (status == SONDE_OK)
        list_append(&c->pending, t);
    else
        c->in_flight--;
    sonde_mutex_unlock(&c->mu);
    if (status == SONDE_OK)
        (void)curl_multi_wakeup(c->multi);
    else
        transfer_free(t);
    return status;
}

typedef struct call {
    sonde_mutex mu;
    pthread_cond_t ended;
    bool has_ended;
    http_curl_answer *out;
    sonde_buf *out_body; /* may be NULL */
} call;

static void end_call(void *user, const http_curl_answer *answer)
{
    call *k = user;

    sonde_mutex_lock(&k->mu);
    *k->out = *answer;
    k->out->body = (sonde_str){ NULL, 0 };
    k->out->transfer = NULL;
    if (answer->error)
        k->out->error = sonde_status_str(answer->status);
    if (k->out_body) {
        sonde_str text = answer->error ? sonde_str_from(answer->error) : answer->body;

        sonde_buf_append_str(k->out_body, text);
        if (answer->error)
            k->out->error = sonde_buf_cstr(k->out_body);
        else
            k->out->body = sonde_buf_str(k->out_body);
    }
    k->has_ended = true;
    pthread_cond_signal(&k->ended);
    sonde_mutex_unlock(&k->mu);
}

sonde_status http_curl_call(http_curl *c, const http_curl_request *request, http_curl_answer *out,
                            sonde_buf *out_body)
{
    http_curl_request with_done = *request;
    call k = { .out = out, .out_body = out_body };
    sonde_status status;

    sonde_mutex_init(&k.mu, SONDE_RANK_QUEUE);
    sonde_cond_init(&k.ended);
    with_done.done = end_call;
    with_done.take = NULL;
    with_done.user = &k;
    status = http_curl_send(c, &with_done);
    if (status == SONDE_OK) {
        sonde_mutex_lock(&k.mu);
        while (!k.has_ended)
            sonde_cond_wait_until(&k.ended, &k.mu, UINT64_MAX);
        sonde_mutex_unlock(&k.mu);
        status = out->status;
    }
    pthread_cond_destroy(&k.ended);
    sonde_mutex_done(&k.mu);
    return status;
}
