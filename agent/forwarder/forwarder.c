/* forwarder.c - one thread that decides, libcurl's that carries. */
#include "forwarder.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/thread.h"
#include "net/curl/http_curl.h"
#include "vocab/headers.h"

#include "limits.h"

#define STACK_BYTES       (128u * 1024)
#define URL_MAX_BYTES     1400
#define HEADERS_MAX       12
#define HEADER_TEXT_BYTES 1024
#define ABORT_GRACE_NS    (UINT64_C(100) * SONDE_NS_PER_MS)

struct forwarder {
    http_curl *curl;
    pthread_t thread;
    bool started;
    uint64_t timeout_ns;
    sonde_mutex mu;
    pthread_cond_t changed;
    endpoint *endpoints; /* all below guarded by mu */
    size_t endpoints_len;
    bool closing;
    uint64_t deadline_mono_ns;
};

/* The only part of a key that may be shown. */
static const char *key_end(const endpoint *e)
{
    size_t len = strlen(e->api_key);

    return len >= 8 ? e->api_key + len - 4 : "";
}

static void log_answer(const endpoint *e, const http_curl_answer *a, outcome what, bool was_failing,
                       size_t waiting)
{
    if (what == OUTCOME_SENT) {
        if (was_failing)
            SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "intake takes payloads again: url=%s waiting=%zu",
                             e->url, waiting);
    } else if (a->status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN,
                  "intake not reached, will try again: url=%s error=\"%s\" waiting=%zu", e->url,
                  a->error ? a->error : sonde_status_str(a->status), waiting);
    } else if (a->http_status == 403) {
        SONDE_LOG(SONDE_LOG_WARN,
                  "intake refuses the API key, will try again: url=%s key=...%s waiting=%zu",
                  e->url, key_end(e), waiting);
    } else if (what == OUTCOME_RETRY) {
        SONDE_LOG(SONDE_LOG_WARN,
                  "intake is not ready, will try again: url=%s status=%u waiting=%zu", e->url,
                  a->http_status, waiting);
    } else {
        SONDE_LOG(SONDE_LOG_ERROR, "intake refused a payload, dropped: url=%s status=%u answer=%s",
                  e->url, a->http_status, SONDE_LOG_QUOTE(a->body));
    }
}

typedef struct flight { /* what done() needs */
    forwarder *f;
    delivery *d;
} flight;

static void on_done(void *user, const http_curl_answer *a)
{
    flight *fl = user;
    forwarder *f = fl->f;
    endpoint *e = fl->d->endpoint;
    outcome what = outcome_of(a->status, a->http_status);
    size_t waiting;
    bool was_failing;

    sonde_mutex_lock(&f->mu);
    was_failing = endpoint_is_failing(e);
    endpoint_done(e, fl->d, what, a->status == SONDE_OK ? a->http_status : 0, sonde_mono_ns(),
                  sonde_random_u64());
    waiting = e->waiting.len;
    pthread_cond_signal(&f->changed);
    sonde_mutex_unlock(&f->mu);

    if (a->status != SONDE_ERR_CLOSED) /* our own stop is no news */
        log_answer(e, a, what, was_failing, waiting);
    sonde_free(fl);
}

/* Splits "Name: value\n" lines into `list`. */
static size_t extra_headers(char *lines, const char **list, size_t len)
{
    char *end;

    while (len < HEADERS_MAX && (end = strchr(lines, '\n')) != NULL) {
        *end = '\0';
        list[len++] = lines;
        lines = end + 1;
    }
    return len;
}

static sonde_status start_transfer(forwarder *f, flight *fl)
{
    const upload *u = &fl->d->upload->what;
    const endpoint *e = fl->d->endpoint;
    const char *headers[HEADERS_MAX + 1] = { 0 };
    char url[URL_MAX_BYTES], type[128], encoding[64], key[160], extra[sizeof(u->headers)];
    size_t len = 0;

    (void)snprintf(url, sizeof(url), "%s%s", e->url, u->path);
    (void)snprintf(type, sizeof(type), "Content-Type: %s", u->content_type);
    (void)snprintf(encoding, sizeof(encoding), "Content-Encoding: %s", u->content_encoding);
    (void)snprintf(key, sizeof(key), SONDE_HDR_API_KEY ": %s", e->api_key);
    memcpy(extra, u->headers, sizeof(extra));
    headers[len++] = type;
    headers[len++] = key;
    headers[len++] = "Expect:"; /* no round trip before large bodies */
    if (u->content_encoding[0])
        headers[len++] = encoding;
    (void)extra_headers(extra, headers, len);
    return http_curl_send(f->curl, &(http_curl_request){
                                       .method = "POST",
                                       .url = url,
                                       .headers = headers,
                                       .body = { (const char *)u->body, u->body_len },
                                       .timeout_ms = (unsigned)(f->timeout_ns / SONDE_NS_PER_MS),
                                       .done = on_done,
                                       .user = fl,
                                   });
}

/* Called without the mutex; a request that could not even start comes back like a failed one. */
static void send_delivery(forwarder *f, delivery *d)
{
    flight *fl = sonde_malloc(sizeof(*fl));
    sonde_status status = SONDE_ERR_NOMEM;

    if (fl) {
        *fl = (flight){ f, d };
        status = start_transfer(f, fl);
    }
    if (status == SONDE_OK)
        return;
    sonde_free(fl);
    sonde_mutex_lock(&f->mu);
    endpoint_done(d->endpoint, d, OUTCOME_RETRY, 0, sonde_mono_ns(), sonde_random_u64());
    sonde_mutex_unlock(&f->mu);
}

/* The next delivery of any endpoint; *out_wake is the earliest time one may be due. */
static delivery *next_locked(forwarder *f, uint64_t now_mono_ns, uint64_t *out_wake)
{
    delivery *d = NULL;
    uint64_t wake;
    size_t i;

    *out_wake = UINT64_MAX;
    for (i = 0; i < f->endpoints_len && !d; i++) {
        d = endpoint_next(&f->endpoints[i], now_mono_ns, &wake);
        if (wake < *out_wake)
            *out_wake = wake;
    }
    return d;
}

static bool all_idle_locked(const forwarder *f)
{
    size_t i;

    for (i = 0; i < f->endpoints_len; i++)
        if (!endpoint_is_idle(&f->endpoints[i]))
            return false;
    return true;
}

static bool is_over_locked(const forwarder *f, uint64_t now_mono_ns)
{
    return f->closing && (now_mono_ns >= f->deadline_mono_ns || all_idle_locked(f));
}

static void *run(void *arg)
{
    forwarder *f = arg;
    uint64_t now, wake;
    delivery *d;

    sonde_mutex_lock(&f->mu);
    while (now = sonde_mono_ns(), !is_over_locked(f, now)) {
        d = next_locked(f, now, &wake);
        if (d) {
            sonde_mutex_unlock(&f->mu);
            send_delivery(f, d);
            sonde_mutex_lock(&f->mu);
        } else {
            if (f->closing && f->deadline_mono_ns < wake)
                wake = f->deadline_mono_ns;
            sonde_cond_wait_until(&f->changed, &f->mu, wake);
        }
    }
    sonde_mutex_unlock(&f->mu);
    return NULL;
}

static sonde_status set_endpoint(endpoint *e, const forwarder_endpoint *from,
                                 const forwarder_options *o, sonde_error *out_error)
{
    sonde_str url = from->url;
    sonde_url parsed;
    sonde_status status = sonde_url_parse(url, &parsed, out_error);

    if (status != SONDE_OK)
        return status;
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    if (parsed.scheme == SONDE_URL_UNIX || url.len >= sizeof(e->url))
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "intake address \"%.*s\": http:// or https:// is needed",
                          (int)(url.len > 100 ? 100 : url.len), url.ptr);
    if (from->api_key.len >= sizeof(e->api_key) ||
        memchr(from->api_key.ptr ? from->api_key.ptr : "", '\n', from->api_key.len))
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "API key for %.*s: too long, or with a line break", SONDE_STR_ARG(url));
    memcpy(e->url, url.ptr, url.len);
    if (from->api_key.len)
        memcpy(e->api_key, from->api_key.ptr, from->api_key.len);
    e->limits = (endpoint_limits){
        .memory_bytes = o->memory_bytes ? o->memory_bytes : FORWARDER_MEMORY_BYTES,
        .max_age_ns = o->max_age_ns ? o->max_age_ns : FORWARDER_MAX_AGE_NS,
        .requests = o->requests ? o->requests : FORWARDER_REQUESTS,
        .max_attempts = o->max_attempts,
    };
    e->backoff.base_ns = o->backoff_base_ns ? o->backoff_base_ns : FORWARDER_BACKOFF_BASE_NS;
    e->backoff.max_ns = o->backoff_max_ns ? o->backoff_max_ns : FORWARDER_BACKOFF_MAX_NS;
    return SONDE_OK;
}

static sonde_status set_endpoints(forwarder *f, const forwarder_options *o, sonde_error *out_error)
{
    sonde_status status = SONDE_OK;
    size_t i;

    if (o->endpoints_len > FORWARDER_ENDPOINTS_MAX)
        return sonde_fail(out_error, SONDE_ERR_CONFIG,
                          "%zu intakes configured, at most %d are possible", o->endpoints_len,
                          FORWARDER_ENDPOINTS_MAX);
    f->endpoints = sonde_calloc(o->endpoints_len, sizeof(*f->endpoints));
    if (!f->endpoints)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "forwarder");
    for (i = 0; status == SONDE_OK && i < o->endpoints_len; i++, f->endpoints_len++)
        status = set_endpoint(&f->endpoints[i], &o->endpoints[i], o, out_error);
    return status;
}

sonde_status forwarder_open(const forwarder_options *options, forwarder **out_forwarder,
                            sonde_error *out_error)
{
    unsigned requests = options->requests ? options->requests : FORWARDER_REQUESTS;
    forwarder *f = sonde_calloc(1, sizeof(*f));
    sonde_status status;

    if (!f)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "forwarder");
    sonde_mutex_init(&f->mu, SONDE_RANK_ROOM);
    sonde_cond_init(&f->changed);
    f->timeout_ns = options->timeout_ns ? options->timeout_ns : FORWARDER_TIMEOUT_NS;
    status = set_endpoints(f, options, out_error);
    if (status != SONDE_OK)
        goto fail;
    status =
        http_curl_open(&(http_curl_options){ .name = "agent-curl",
                                             .max_in_flight = requests * FORWARDER_ENDPOINTS_MAX,
                                             .max_per_host = requests,
                                             .skip_tls_verify = options->skip_tls_verify,
                                             .user_agent = options->user_agent },
                       &f->curl, out_error);
    if (status != SONDE_OK)
        goto fail;
    status = sonde_thread_start(&f->thread, "agent-forward", STACK_BYTES, run, f);
    if (status != SONDE_OK) {
        (void)sonde_fail(out_error, status, "thread agent-forward");
        goto fail;
    }
    f->started = true;
    *out_forwarder = f;
    return SONDE_OK;

fail:
    forwarder_close(f);
    return status;
}

void forwarder_stop(forwarder *f, uint64_t deadline_mono_ns)
{
    size_t i;

    sonde_mutex_lock(&f->mu);
    f->closing = true;
    f->deadline_mono_ns = deadline_mono_ns;
    pthread_cond_signal(&f->changed);
    sonde_mutex_unlock(&f->mu);
    if (f->started)
        (void)pthread_join(f->thread, NULL);
    f->started = false;

    /* Nobody starts a transfer any more; those in flight come back through on_done(). */
    http_curl_close(f->curl, sonde_deadline(sonde_mono_ns(), ABORT_GRACE_NS));
    f->curl = NULL;
    sonde_mutex_lock(&f->mu);
    for (i = 0; i < f->endpoints_len; i++)
        endpoint_abandon(&f->endpoints[i]);
    sonde_mutex_unlock(&f->mu);
}

void forwarder_close(forwarder *f)
{
    if (!f)
        return;
    forwarder_stop(f, 0);
    sonde_free(f->endpoints);
    (void)pthread_cond_destroy(&f->changed);
    sonde_mutex_done(&f->mu);
    sonde_free(f);
}

static void push_to_locked(endpoint *e, shared_upload *s, uint64_t now_mono_ns)
{
    delivery *d = delivery_new(s);

    if (d)
        endpoint_push(e, d, now_mono_ns);
    else
        endpoint_lose(e, &s->what);
}

sonde_status forwarder_push(void *forwarder_, upload *u)
{
    forwarder *f = forwarder_;
    shared_upload *s = shared_upload_new(u);
    uint64_t now = sonde_mono_ns();
    bool closing;
    size_t i;

    if (!s)
        return SONDE_ERR_NOMEM;
    sonde_mutex_lock(&f->mu);
    closing = f->closing;
    for (i = 0; !closing && i < f->endpoints_len; i++)
        push_to_locked(&f->endpoints[i], s, now);
    pthread_cond_signal(&f->changed);
    sonde_mutex_unlock(&f->mu);
    if (closing)
        s->what.body = NULL; /* stays the caller's */
    shared_upload_put(s);
    return closing ? SONDE_ERR_CLOSED : SONDE_OK;
}

bool forwarder_read_counters(forwarder *f, size_t index, endpoint_counters *out)
{
    if (index >= f->endpoints_len)
        return false;
    sonde_mutex_lock(&f->mu);
    *out = f->endpoints[index].counters;
    sonde_mutex_unlock(&f->mu);
    return true;
}

static void write_tally(sonde_json_writer *w, const char *key, const tally *t)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "payloads", t->payloads);
    sonde_json_put_u64(w, "items", t->items);
    sonde_json_put_u64(w, "chunks", t->chunks);
    sonde_json_put_u64(w, "bytes", t->bytes);
    sonde_json_end_object(w);
}

static void write_kind(sonde_json_writer *w, const char *name, const endpoint_counters *n,
                       upload_kind kind)
{
    int i;

    sonde_json_key(w, sonde_str_from(name));
    sonde_json_begin_object(w);
    write_tally(w, "accepted", &n->accepted[kind]);
    write_tally(w, "delivered", &n->delivered[kind]);
    write_tally(w, "queued", &n->queued[kind]);
    sonde_json_key(w, SONDE_STR("dropped"));
    sonde_json_begin_object(w);
    for (i = 0; i < FORWARDER_DROPS; i++)
        if (n->dropped[i][kind].payloads)
            write_tally(w, forwarder_drop_names[i], &n->dropped[i][kind]);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

void forwarder_write_json(void *arg, sonde_json_writer *w)
{
    forwarder *f = arg;
    endpoint_counters n;
    size_t i;

    sonde_json_begin_array(w);
    for (i = 0; forwarder_read_counters(f, i, &n); i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "url", sonde_str_from(f->endpoints[i].url));
        write_kind(w, "traces", &n, UPLOAD_TRACES);
        write_kind(w, "stats", &n, UPLOAD_STATS);
        sonde_json_put_u64(w, "attempts", n.attempts);
        sonde_json_put_u64(w, "retries", n.retries);
        sonde_json_put_u64(w, "last_http_status", n.last_http_status);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}
