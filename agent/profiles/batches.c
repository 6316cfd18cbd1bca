/* batches.c - one request: from its body to rows of a window. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/compress/compress.h"
#include "internal.h"

#define RETRY_AFTER_S "5"

/* ---- sessions ---- */

static sonde_str key_of(const uint8_t id[SPB_SESSION_LEN])
{
    return (sonde_str){ (const char *)id, SPB_SESSION_LEN };
}

void profiles_close_session_locked(profiles *p, session *s)
{
    (void)sonde_table_remove(&p->sessions, key_of(s->id));
    p->session_bytes -= s->counted_bytes;
    session_close(s);
}

static session *oldest_locked(profiles *p, const session *but)
{
    size_t cursor = 0;
    sonde_table_entry *e;
    session *oldest = NULL;

    while ((e = sonde_table_next(&p->sessions, &cursor)) != NULL) {
        session *s = e->value;

        if (s != but && (!oldest || s->last_batch_mono_ns < oldest->last_batch_mono_ns))
            oldest = s;
    }
    return oldest;
}

/* The sessions unused longest make room; their next batch is answered with 409. */
static void evict_locked(profiles *p, const session *but, size_t max_sessions)
{
    session *s;

    while ((p->session_bytes > SESSIONS_MAX_BYTES || p->sessions.count > max_sessions) &&
           (s = oldest_locked(p, but)) != NULL) {
        p->counters.sessions_evicted++;
        profiles_close_session_locked(p, s);
    }
}

static session *begin_session_locked(profiles *p, const batch_facts *f)
{
    session *s = NULL;

    evict_locked(p, NULL, SESSIONS_MAX - 1);
    if (session_open(f->hello.session, p->symbols, &s) != SONDE_OK)
        return NULL;
    if (sonde_table_put(&p->sessions, key_of(s->id), s) != SONDE_OK) {
        session_close(s);
        return NULL;
    }
    p->counters.sessions_begun++;
    return s;
}

static void recount_locked(profiles *p, session *s)
{
    size_t bytes = session_bytes(s);

    p->session_bytes += bytes - s->counted_bytes;
    s->counted_bytes = bytes;
}

/* ---- windows ---- */

/* A window that had to end before its time waits for the thread; the oldest makes room. */
static void put_waiting_locked(profiles *p, window *w)
{
    window **last = &p->waiting, *oldest;

    if (!w)
        return;
    if (p->waiting_len == WINDOWS_WAITING_MAX) {
        oldest = p->waiting;
        p->waiting = oldest->next;
        p->waiting_len--;
        p->waiting_rows -= oldest->profile->rows;
        p->counters.rows_dropped[PROFILES_DROP_WAITING] += oldest->profile->rows;
        window_free(oldest);
    }
    while (*last)
        last = &(*last)->next;
    *last = w;
    p->waiting_len++;
    p->waiting_rows += w->profile->rows;
}

typedef struct request_facts {
    batch_facts batch;
    sonde_str body;
    pid_t pid; /* 0: unknown */
    bool pid_is_sure;
    sonde_str container;
} request_facts;

static void count_rows_locked(profiles *p, const session_counters *before,
                              const session_counters *after)
{
    profiles_counters *n = &p->counters;

    n->rows_received += after->rows - before->rows;
    n->rows_clamped += after->clamped - before->clamped;
    n->unknown_contexts += after->unknown_contexts - before->unknown_contexts;
    n->dictionary_left_out += after->left_out - before->left_out;
}

static sonde_status merge_locked(profiles *p, session *s, const request_facts *r, process *of)
{
    profile *into = process_profile(of);
    session_counters before = s->counters;
    uint64_t lost[PROFILE_LOSSES], live_lost;
    sonde_status status;

    if (!into)
        return SONDE_ERR_NOMEM;
    memcpy(lost, into->lost, sizeof(lost));
    live_lost = into->live_lost;
    status = session_merge(s, r->body, into);
    count_rows_locked(p, &before, &s->counters);
    for (size_t i = 0; i < PROFILE_LOSSES; i++)
        p->counters.rows_dropped[i] += into->lost[i] - lost[i];
    p->counters.live_rows_dropped += into->live_lost - live_lost;
    return status == SONDE_OK ? process_note(of, s, &r->batch, r->container, s->last_batch_mono_ns)
                              : status;
}

/* HELLO, window, rows. */
static sonde_status take_locked(profiles *p, session *s, const request_facts *r)
{
    process *of;
    sonde_status status;

    s->host_pid = r->pid;
    s->pid_is_sure = r->pid_is_sure;
    s->last_batch_mono_ns = p->clock->mono_ns(p->clock->user);
    status = session_greet(s, &r->batch.hello);
    if (status != SONDE_OK)
        return status;
    of = windows_process(&p->windows, s);
    if (!of)
        return SONDE_ERR_NOMEM;
    if (process_must_end(of, &r->batch))
        put_waiting_locked(p, process_end(of));
    return merge_locked(p, s, r, of);
}

typedef enum take_result {
    TAKE_OK,
    TAKE_AGAIN,
    TAKE_RESYNC,
    TAKE_CLOSING,
    TAKE_NO_MEMORY
} take_result;

static take_result take_into_locked(profiles *p, session *s, const request_facts *r)
{
    if (take_locked(p, s, r) != SONDE_OK) {
        profiles_close_session_locked(
            p, s); /* half of the batch may be missing: it comes again, with everything */
        return TAKE_NO_MEMORY;
    }
    recount_locked(p, s);
    evict_locked(p, s, SESSIONS_MAX);
    p->counters.batches_taken++;
    p->counters.batch_bytes += r->body.len;
    (void)pthread_cond_signal(&p->wake);
    return TAKE_OK;
}

static take_result take(profiles *p, const request_facts *r)
{
    take_result result = TAKE_OK;
    session *s;

    sonde_mutex_lock(&p->mu);
    s = sonde_table_get(&p->sessions, key_of(r->batch.hello.session));
    if (p->stopping)
        result = TAKE_CLOSING;
    else if (!s && !batch_begins(&r->batch))
        result = TAKE_RESYNC;
    else if (!s && !(s = begin_session_locked(p, &r->batch)))
        result = TAKE_NO_MEMORY;
    if (result == TAKE_OK) {
        switch (session_accepts(s, &r->batch)) {
        case SESSION_TAKES:
            result = take_into_locked(p, s, r);
            break;
        case SESSION_HAS_IT:
            result = TAKE_AGAIN;
            break;
        default:
            result = TAKE_RESYNC;
            profiles_close_session_locked(p, s);
            break;
        }
    }
    p->counters.batches_repeated += result == TAKE_AGAIN;
    p->counters.batches_resync += result == TAKE_RESYNC;
    p->counters.batches_refused[PROFILES_REFUSED_CLOSING] += result == TAKE_CLOSING;
    p->counters.batches_refused[PROFILES_REFUSED_NO_MEMORY] += result == TAKE_NO_MEMORY;
    sonde_mutex_unlock(&p->mu);
    symbols_open_files(p->symbols);
    return result;
}

/* ---- requests ---- */

static void count_received(profiles *p)
{
    sonde_mutex_lock(&p->mu);
    p->counters.batches_received++;
    sonde_mutex_unlock(&p->mu);
}

static void count_refused(profiles *p, profiles_refusal why)
{
    sonde_mutex_lock(&p->mu);
    p->counters.batches_refused[why]++;
    sonde_mutex_unlock(&p->mu);
}

static void answer_json(http_response *response, unsigned status, const char *text)
{
    response->status = status;
    response->content_type = "application/json";
    sonde_buf_append_str(&response->body, sonde_str_from(text));
}

static void answer_busy(http_response *response)
{
    answer_json(response, 503, "{\"error\":\"busy\"}");
    http_response_header(response, "Retry-After", RETRY_AFTER_S);
}

static void answer(http_response *response, take_result result, uint64_t seq)
{
    char text[48];

    switch (result) {
    case TAKE_OK:
    case TAKE_AGAIN:
        (void)snprintf(text, sizeof(text), "{\"ack\":%llu}", (unsigned long long)seq);
        answer_json(response, 200, text);
        break;
    case TAKE_RESYNC:
        answer_json(response, 409, "{\"resync\":true}");
        break;
    default:
        answer_busy(response);
        break;
    }
}

static void refuse_malformed(profiles *p, http_response *response, sonde_status status,
                             const sonde_error *error)
{
    bool big = status == SONDE_ERR_TOO_BIG;

    count_refused(p, big ? PROFILES_REFUSED_TOO_BIG : PROFILES_REFUSED_MALFORMED);
    http_response_text(response, big ? 413 : 400, error->message);
    SONDE_LOG(SONDE_LOG_WARN, "a batch of profile data was refused: error=\"%s\"", error->message);
}

/* The body in the clear: `plain` when it had to be unpacked.  False: answered. */
static bool unpack(profiles *p, const http_request *request, http_response *response,
                   sonde_buf *plain, sonde_str *out)
{
    sonde_encoding encoding;
    sonde_status status;

    *out = http_request_body(request);
    if (sonde_encoding_parse(http_request_header(request, "Content-Encoding"), &encoding) !=
        SONDE_OK) {
        count_refused(p, PROFILES_REFUSED_ENCODING);
        http_response_text(response, 415, "unknown Content-Encoding\n");
        return false;
    }
    if (encoding == SONDE_ENCODING_IDENTITY)
        return true;
    status = sonde_decompress(encoding, *out, plain);
    *out = sonde_buf_str(plain);
    if (status != SONDE_OK) {
        count_refused(p, status == SONDE_ERR_TOO_BIG ? PROFILES_REFUSED_TOO_BIG
                                                     : PROFILES_REFUSED_MALFORMED);
        http_response_text(response, status == SONDE_ERR_TOO_BIG ? 413 : 400,
                           "the body cannot be unpacked\n");
    }
    return status == SONDE_OK;
}

/* Who sent it.  A pid that the kernel did not tell is good for finding files, not for telling who is gone. */
static void find_sender(profiles *p, const http_request *request, request_facts *r,
                        container_id room)
{
    const spb_hello *h = &r->batch.hello;

    r->pid = http_request_peer_pid(request);
    r->pid_is_sure = r->pid > 0;
    if (r->pid <= 0 && http_request_is_local(request)) {
        uint64_t pid = h->nspid_len ? h->nspid[0] : h->pid;

        r->pid = pid <= INT32_MAX ? (pid_t)pid : 0;
    }
    r->container = origin_container_id(p->origin, request, room);
}

static http_result receive_batch(void *user, http_request *request, http_response *response)
{
    profiles *p = user;
    container_id room;
    request_facts r = { 0 };
    sonde_error error = { 0 };
    sonde_status status;
    sonde_buf plain;

    count_received(p);
    sonde_buf_init(&plain, SPB_BODY_MAX_BYTES);
    if (unpack(p, request, response, &plain, &r.body)) {
        status = batch_check(r.body, &r.batch, &error);
        if (status == SONDE_OK) {
            find_sender(p, request, &r, room);
            answer(response, take(p, &r), r.batch.hello.seq);
        } else {
            refuse_malformed(p, response, status, &error);
        }
    }
    sonde_buf_done(&plain);
    return HTTP_DONE;
}

static http_result refuse_batch(void *user, http_request *request, http_response *response)
{
    profiles *p = user;

    (void)request;
    count_received(p);
    count_refused(p, PROFILES_REFUSED_BUSY);
    answer_busy(response);
    return HTTP_DONE;
}

static void lose_batch(void *user, http_request *request)
{
    profiles *p = user;
    sonde_status status = http_request_body_status(request);

    count_received(p);
    count_refused(p, status == SONDE_ERR_TOO_BIG ? PROFILES_REFUSED_TOO_BIG
                     : status == SONDE_ERR_FULL  ? PROFILES_REFUSED_BUSY
                                                 : PROFILES_REFUSED_LOST);
}

void profiles_routes(profiles *p, http_route out[PROFILES_ROUTES])
{
    out[0] = (http_route){ .methods = "POST,PUT",
                           .path = PROFILES_PATH,
                           .handle = receive_batch,
                           .refuse = refuse_batch,
                           .max_body_bytes = SPB_BODY_MAX_BYTES,
                           .user = p,
                           .lost = lose_batch };
}
