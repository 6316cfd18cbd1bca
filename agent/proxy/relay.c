/* relay.c - one request to every target of its door; the client gets the first one's answer.
 *
 *   handler ── send to each target ──▶ HTTP_LATER
 *                     │  done() on libcurl's thread
 *                     ├─ first target: answer the client, count
 *                     └─ the last one to end: give the body back
 *
 * The body belongs to the relay, because further targets may still be at it when the client has its
 * answer.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

typedef struct relay_state relay_state;

typedef struct leg {
    relay_state *of;
    bool is_first;
} leg;

struct relay_state {
    proxy *p;
    proxy_door door;
    http_request *request; /* waits for the first leg */
    http_body body;
    uint64_t began_mono_ns;
    _Atomic unsigned refs; /* legs under way, and the handler's */
    leg legs[PROXY_TARGETS_MAX];
};

/* What an intake says about its answer; everything else is between it and us. */
static const char *const passed_headers[] = {
    "Content-Type",      "Content-Encoding",   "Retry-After",           "ETag",
    "X-RateLimit-Limit", "X-RateLimit-Period", "X-RateLimit-Remaining", "X-RateLimit-Reset",
};

static void put(relay_state *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    http_body_release(&s->body);
    atomic_fetch_sub_explicit(&s->p->relays, 1, memory_order_relaxed);
    sonde_free(s);
}

static void fill_from_target(proxy_door which, const http_curl_answer *answer,
                             http_response *response)
{
    response->status = answer->http_status;
    if (which == DOOR_PROFILING && response->status == 202)
        response->status = 200;
    for (size_t i = 0; i < sizeof(passed_headers) / sizeof(passed_headers[0]); i++) {
        sonde_str value = http_curl_answer_header(answer, passed_headers[i]);

        if (value.len && value.len < sizeof(response->headers[0].value))
            http_response_header(response, passed_headers[i], value.ptr);
    }
    sonde_buf_append_str(&response->body, answer->body);
}

static void fill_failure(proxy_door which, sonde_status why, const char *error,
                         http_response *response)
{
    response->status = 502;
    if (which != DOOR_PROFILING)
        return;
    http_response_text(response, why == SONDE_ERR_TIMEOUT ? 408 : 502, error);
    sonde_buf_append_byte(&response->body, '\n');
}

static void fill(proxy_door which, const http_curl_answer *answer, http_response *response)
{
    if (answer->status != SONDE_OK)
        fill_failure(which, answer->status, answer->error, response);
    else if (answer->body_cut)
        fill_failure(which, SONDE_ERR_TOO_BIG, "the answer is too long", response);
    else
        fill_from_target(which, answer, response);
}

/* How long the main target took. */
static void measure(const relay_state *s)
{
    uint64_t ns = sonde_mono_ns() - s->began_mono_ns;

    if (s->door == DOOR_EVP)
        timings_add(s->p->timings, TIMING_EVP, ns);
    else if (s->door == DOOR_DEBUGGER || s->door == DOOR_DIAGNOSTICS)
        timings_add(s->p->timings, TIMING_DEBUGGER, ns);
}

static void on_answer(void *user, const http_curl_answer *answer)
{
    leg *l = user;
    relay_state *s = l->of;

    if (l->is_first) {
        measure(s);
        count_answer(s->p, s->door, answer, s->body.len);
        fill(s->door, answer, http_later_response(s->request));
        http_later_answer(s->request);
    } else if (answer->status != SONDE_OK || answer->http_status >= 300) {
        count_add(&s->p->doors[s->door].counters.copies_failed, 1);
        SONDE_LOG(SONDE_LOG_WARN, "a further target did not take its copy: door=%d status=%u",
                  (int)s->door, answer->http_status);
    }
    put(s);
}

static relay_state *new_state(proxy *p, proxy_door which, http_request *request)
{
    relay_state *s = NULL;

    if (atomic_fetch_add_explicit(&p->relays, 1, memory_order_relaxed) < PROXY_RELAYS_MAX)
        s = sonde_calloc(1, sizeof(*s));
    if (!s) {
        atomic_fetch_sub_explicit(&p->relays, 1, memory_order_relaxed);
        return NULL;
    }
    s->p = p;
    s->door = which;
    s->began_mono_ns = sonde_mono_ns();
    s->request = request;
    s->body = http_request_take_body(request);
    atomic_init(&s->refs, 1);
    return s;
}

static sonde_status send_leg(relay_state *s, size_t i, const relay_request *what)
{
    http_curl_request request = {
        .method = what->method,
        .body = { (const char *)s->body.data, s->body.len },
        .timeout_ms = what->timeout_ms,
        .max_answer_bytes = PROXY_ANSWER_MAX_BYTES,
        .done = on_answer,
        .user = &s->legs[i],
    };
    sonde_status status;

    s->legs[i] = (leg){ s, i == 0 };
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    status = send_to(s->p, s->door, &s->p->doors[s->door].targets[i], what->out, &request);
    if (status != SONDE_OK) {
        if (i > 0)
            count_add(&s->p->doors[s->door].counters.copies_failed, 1);
        put(s);
    }
    return status;
}

/* The main target was not even tried. */
static http_result fail_at_once(proxy *p, proxy_door which, sonde_status why,
                                http_response *response)
{
    http_curl_answer answer = { .status = why, .error = sonde_status_str(why) };

    count_answer(p, which, &answer, 0);
    fill_failure(which, why, answer.error, response);
    return HTTP_DONE;
}

http_result relay(proxy *p, const relay_request *what, http_request *request,
                  http_response *response)
{
    const door *d = &p->doors[what->door];
    relay_state *s = new_state(p, what->door, request);
    sonde_status status;

    if (!s) {
        count_dropped(p, what->door, PROXY_BUSY);
        http_response_text(response, 503, "too many requests in flight\n");
        return HTTP_DONE;
    }
    /* the others first: after the main target's answer the request is gone */
    for (size_t i = 1; i < d->targets_len; i++)
        (void)send_leg(s, i, what);
    atomic_fetch_add_explicit(&p->doors[what->door].counters.held, 1, memory_order_relaxed);
    status = send_leg(s, 0, what);
    put(s);
    return status == SONDE_OK ? HTTP_LATER : fail_at_once(p, what->door, status, response);
}
