/* forwarder.c - one thread that decides, libcurl's that carries. */
#include "forwarder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/thread.h"
#include "vocab/headers.h"

#include "disk.h"
#include "internal.h"

#define STACK_BYTES       (128u * 1024)
#define URL_MAX_BYTES     1400
#define HEADERS_MAX       12
#define HEADER_TEXT_BYTES 1024
#define ABORT_GRACE_NS    (UINT64_C(100) * SONDE_NS_PER_MS)

/* The only part of a key that may be shown. */
static const char *key_end(const endpoint *e)
{
    size_t len = strlen(e->api_key);

    return len >= 16 ? e->api_key + len - 4 : "";
}

/* What an intake answers, unless it repeats the key. */
static sonde_str answer_text(const endpoint *e, const http_curl_answer *a)
{
    size_t at;

    if (e->api_key[0] && sonde_str_find(a->body, sonde_str_from(e->api_key), &at))
        return SONDE_STR("(holds the API key)");
    return a->body;
}

static void log_answer(const endpoint *e, const http_curl_answer *a, outcome what, bool was_failing,
                       size_t waiting)
{
    if (what == OUTCOME_SENT) {
        if (was_failing)
            SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "intake takes payloads again: url=%s waiting=%zu",
                             e->url, waiting);
    } else if (!a->http_status) {
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
                  e->url, a->http_status, SONDE_LOG_QUOTE(answer_text(e, a)));
    }
}

/* What the counters of this life and the former ones are together, where a kill cannot reach it. */
static void publish_locked(forwarder *f, const endpoint *e)
{
    book *b = &f->books[e - f->endpoints];
    const endpoint_counters *n = &e->counters;
    int kind, why;

    for (kind = 0; b->row && kind < UPLOAD_KINDS; kind++) {
        const ledger_count *base = b->base[kind];
        tally dropped = { 0 };
        const tally *now[LEDGER_COLUMNS] = { [LEDGER_ACCEPTED] = &n->accepted[kind],
                                             [LEDGER_DELIVERED] = &n->delivered[kind],
                                             [LEDGER_DROPPED] = &dropped,
                                             [LEDGER_SPOOLED] = &n->spooled[kind] };

        for (why = 0; why < FORWARDER_DROPS; why++) {
            dropped.payloads += n->dropped[why][kind].payloads;
            dropped.items += n->dropped[why][kind].items;
        }
        for (why = 0; why < LEDGER_COLUMNS; why++)
            if (now[why])
                ledger_store(b->row, (upload_kind)kind, (ledger_column)why,
                             (ledger_count){ base[why].payloads + now[why]->payloads,
                                             base[why].items + now[why]->items });
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

    if (fl->d->on_disk.sequence && endpoint_is_last(e, fl->d, what))
        spool_remove(&e->spool, fl->d->on_disk.sequence); /* at once: a kill must not repeat it */
    sonde_mutex_lock(&f->mu);
    if (what != OUTCOME_SENT)
        e->counters.failures[failure_of(a->status, a->http_status)]++;
    was_failing = endpoint_is_failing(e);
    endpoint_done(e, fl->d, what, a->http_status, sonde_mono_ns(), sonde_random_u64());
    waiting = e->waiting.len;
    publish_locked(f, e);
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

/* Memory, then disk, then what memory has too much of. */
static delivery *next_of_locked(forwarder *f, endpoint *e, uint64_t now_mono_ns, uint64_t *out_wake,
                                bool *out_worked) SONDE_REQUIRES(f->mu)
{
    delivery *d = endpoint_next(e, now_mono_ns, out_wake);

    if (d)
        return d;
    disk_expire_locked(&f->mu, e, now_mono_ns);
    d = disk_load_locked(&f->mu, e, now_mono_ns, out_worked);
    if (!d)
        *out_worked |= disk_spill_locked(&f->mu, e, false, now_mono_ns);
    return d;
}

/* The next delivery of any endpoint; *out_wake is the earliest time to ask again. */
static delivery *next_locked(forwarder *f, uint64_t now_mono_ns, uint64_t *out_wake)
    SONDE_REQUIRES(f->mu)
{
    delivery *d = NULL;
    uint64_t wake;
    size_t i;

    *out_wake = UINT64_MAX;
    for (i = 0; i < f->endpoints_len && !d; i++) {
        bool worked = false;

        d = next_of_locked(f, &f->endpoints[i], now_mono_ns, &wake, &worked);
        if (worked)
            wake = now_mono_ns; /* the mutex was free meanwhile */
        if (worked || !d)       /* something may have been dropped or moved */
            publish_locked(f, &f->endpoints[i]);
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
        .spill_age_ns = FORWARDER_SPILL_AGE_NS,
    };
    e->limits.spill_bytes = (size_t)((double)e->limits.memory_bytes *
                                     (o->spill_ratio > 0 ? o->spill_ratio : FORWARDER_SPILL_RATIO));
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
    f->storage_fd = -1;
    f->timeout_ns = options->timeout_ns ? options->timeout_ns : FORWARDER_TIMEOUT_NS;
    status = set_endpoints(f, options, out_error);
    if (status != SONDE_OK)
        goto fail;
    forwarder_open_storage(f, options);
    status =
        http_curl_open(&(http_curl_options){ .name = "agent-curl",
                                             .max_in_flight = requests * FORWARDER_ENDPOINTS_MAX,
                                             .max_per_host = requests,
                                             .egress = options->egress,
                                             .reset_interval_ns = options->connection_reset_ns,
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
    for (i = 0; i < f->endpoints_len; i++) {
        while (disk_spill_locked(&f->mu, &f->endpoints[i], true, sonde_mono_ns()))
            ;
        endpoint_abandon(&f->endpoints[i]);
        publish_locked(f, &f->endpoints[i]);
    }
    sonde_mutex_unlock(&f->mu);
}

void forwarder_close(forwarder *f)
{
    size_t i;

    if (!f)
        return;
    forwarder_stop(f, 0);
    for (i = 0; i < f->endpoints_len; i++)
        spool_close(&f->endpoints[i].spool);
    ledger_close(f->ledger);
    if (f->storage_fd >= 0)
        (void)close(f->storage_fd);
    sonde_free(f->endpoints);
    (void)pthread_cond_destroy(&f->changed);
    sonde_mutex_done(&f->mu);
    sonde_free(f);
}

static void push_to_locked(forwarder *f, endpoint *e, shared_upload *s, uint64_t now_mono_ns)
{
    delivery *d = delivery_new(s);

    if (d)
        endpoint_push(e, d, now_mono_ns);
    else
        endpoint_lose(e, &s->what);
    publish_locked(f, e);
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
        push_to_locked(f, &f->endpoints[i], s, now);
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

void forwarder_note(forwarder *f, ledger_column column, uint64_t spans)
{
    ledger_add(f->pipeline, UPLOAD_TRACES, column, (ledger_count){ 0, spans });
}
