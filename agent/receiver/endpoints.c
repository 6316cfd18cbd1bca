/* endpoints.c - the table of endpoints and what happens to a trace request.
 *
 *   head ── cross-site, media type ─▶ body ── budget, size ─▶ decode ─▶ sink ─▶ rates
 *
 * A payload is counted once: accepted, or dropped for one reason.
 */
#include "internal.h"

#include <stdio.h>

#include "agent/payload/limits.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/json_read.h"
#include "vocab/headers.h"

/* clang-format off */
const endpoint receiver_endpoints[] = {
    /* path             version kind               msgpack     json         answer        listed */
    { "/v0.3/traces",   "v0.3", ENDPOINT_TRACES,   decode_v04, decode_json, ANSWER_OK,    true },
    { "/v0.3/services", "v0.3", ENDPOINT_SERVICES, NULL,       NULL,        ANSWER_OK,    true },
    { "/v0.4/traces",   "v0.4", ENDPOINT_TRACES,   decode_v04, decode_json, ANSWER_RATES, true },
    { "/v0.4/services", "v0.4", ENDPOINT_SERVICES, NULL,       NULL,        ANSWER_OK,    true },
    { "/v0.5/traces",   "v0.5", ENDPOINT_TRACES,   decode_v05, NULL,        ANSWER_RATES, true },
    { "/v0.7/traces",   "v0.7", ENDPOINT_TRACES,   decode_v07, NULL,        ANSWER_RATES, true },
    { "/v1.0/traces",   "v1.0", ENDPOINT_TRACES,   decode_v10, NULL,        ANSWER_RATES, true },
    { "/v0.6/stats",    "v0.6", ENDPOINT_STATS,    decode_stats, NULL,      ANSWER_EMPTY, true },
    { "/spans",         "v0.1", ENDPOINT_TRACES,   NULL,       decode_json_flat, ANSWER_OK, false },
    { "/v0.1/spans",    "v0.1", ENDPOINT_TRACES,   NULL,       decode_json_flat, ANSWER_OK, false },
    { "/v0.2/traces",   "v0.2", ENDPOINT_TRACES,   NULL,       decode_json, ANSWER_OK,    false },
    { "/services",      "v0.1", ENDPOINT_SERVICES, NULL,       NULL,        ANSWER_OK,    false },
    { "/v0.1/services", "v0.1", ENDPOINT_SERVICES, NULL,       NULL,        ANSWER_OK,    false },
    { "/v0.2/services", "v0.2", ENDPOINT_SERVICES, NULL,       NULL,        ANSWER_OK,    false },
    { "/v0.7/config",   "v0.7", ENDPOINT_CONFIG,   NULL,       NULL,        ANSWER_OK,    false },
};
const size_t receiver_endpoints_len = sizeof(receiver_endpoints) / sizeof(receiver_endpoints[0]);

/* The listed rows again, in the order of the protocol; a test keeps the two together. */
const char *const receiver_listed_endpoints[] = {
    "/v0.3/traces", "/v0.3/services", "/v0.4/traces", "/v0.4/services", "/v0.5/traces",
    "/v0.7/traces", "/v1.0/traces",
    "/v0.6/stats",
};
/* clang-format on */
const size_t receiver_listed_endpoints_len =
    sizeof(receiver_listed_endpoints) / sizeof(receiver_listed_endpoints[0]);

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void note_size(receiver *r, uint64_t bytes)
{
    _Atomic uint64_t *largest = &r->counters.largest_payload_bytes;
    uint64_t seen = atomic_load_explicit(largest, memory_order_relaxed);

    while (bytes > seen && !atomic_compare_exchange_weak_explicit(
                               largest, &seen, bytes, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void count_received(receiver *r, const http_request *request)
{
    add(&r->counters.payloads_received, 1);
    note_size(r, http_request_body_bytes(request));
}

static void count_dropped(receiver *r, receiver_reason why, uint64_t traces)
{
    add(&r->counters.payloads_dropped[why], 1);
    add(&r->counters.traces_dropped[why], traces);
}

/* A request that was not taken, for its tracer. */
static void tell_source(const bound_endpoint *b, const http_request *request, receiver_reason why)
{
    static const source_count by_reason[] = {
        [RECEIVER_REFUSED_BUDGET] = SOURCE_PAYLOADS_REFUSED,
        [RECEIVER_REFUSED_QUEUE] = SOURCE_PAYLOADS_REFUSED,
        [RECEIVER_REFUSED_CLOSING] = SOURCE_PAYLOADS_REFUSED,
        [RECEIVER_NO_MEMORY] = SOURCE_PAYLOADS_REFUSED,
        [RECEIVER_TOO_BIG] = SOURCE_DROP_PAYLOAD_TOO_LARGE,
        [RECEIVER_DECODED_TOO_BIG] = SOURCE_DROP_PAYLOAD_TOO_LARGE,
        [RECEIVER_EOF] = SOURCE_DROP_UNEXPECTED_EOF,
        [RECEIVER_TIMEOUT] = SOURCE_DROP_TIMEOUT,
        [RECEIVER_DECODE] = SOURCE_DROP_DECODING_ERROR,
    };
    payload_source *source;

    if (b->row->kind == ENDPOINT_STATS && why == RECEIVER_TIMEOUT)
        add(&b->r->counters.stats_rejected_timeout, 1);
    else if (b->row->kind == ENDPOINT_STATS && by_reason[why] != SOURCE_PAYLOADS_REFUSED)
        add(&b->r->counters.stats_rejected_decode, 1);
    if (b->row->kind != ENDPOINT_TRACES)
        return;
    source = find_source(b, request, (sonde_str){ NULL, 0 });
    source_add(source, by_reason[why],
               by_reason[why] == SOURCE_PAYLOADS_REFUSED ? 1 : header_trace_count(request));
}

static void lose(const bound_endpoint *b, const http_request *request, receiver_reason why)
{
    count_dropped(b->r, why, header_trace_count(request));
    tell_source(b, request, why);
}

static const endpoint *find_endpoint(sonde_str path)
{
    for (size_t i = 0; i < receiver_endpoints_len; i++) {
        if (sonde_str_eq(path, sonde_str_from(receiver_endpoints[i].path)))
            return &receiver_endpoints[i];
    }
    return NULL;
}

static bool is_msgpack(const http_request *request)
{
    return sonde_str_eq_nocase(media_type(request), SONDE_STR("application/msgpack"));
}

/* Trace requests that end at their head. */
static bool refuse_head(receiver *r, const endpoint *e, http_request *request,
                        http_response *response)
{
    receiver_reason why;

    if (e->kind == ENDPOINT_TRACES && !e->msgpack && is_msgpack(request)) {
        why = RECEIVER_MEDIA_TYPE;
        http_response_text(response, 415, "unsupported media type: \"application/msgpack\"\n");
    } else if (e->kind != ENDPOINT_CONFIG && e->kind != ENDPOINT_STATS &&
               sonde_str_eq_nocase(http_request_header(request, HDR_SEC_FETCH_SITE),
                                   SONDE_STR("cross-site"))) {
        why = RECEIVER_CROSS_SITE;
        http_response_text(response, 403, "cross-site request rejected\n");
    } else {
        return false;
    }
    if (e->kind == ENDPOINT_TRACES) {
        count_received(r, request);
        count_dropped(r, why, header_trace_count(request));
    }
    return true;
}

http_result receive_head(void *user, http_request *request, http_response *response)
{
    receiver *r = user;
    sonde_str path = http_request_path(request);
    const endpoint *e = find_endpoint(path);

    if (!sonde_str_eq(path, SONDE_STR("/info"))) {
        http_response_header(response, SONDE_HDR_AGENT_VERSION, r->agent_version);
        http_response_header(response, SONDE_HDR_AGENT_STATE, r->agent_state);
    }
    if (!e || !refuse_head(r, e, request, response))
        response->status = 0; /* go on */
    return HTTP_DONE;
}

/* The client's fault: an error status and the decoder's words. */
static void reject(const bound_endpoint *b, http_request *request, http_response *response,
                   unsigned http_status, receiver_reason why, const sonde_error *error)
{
    char text[sizeof(error->message) + 2];

    (void)snprintf(text, sizeof(text), "%s\n", error->message);
    http_response_text(response, http_status, text);
    lose(b, request, why);
    SONDE_LOG(SONDE_LOG_WARN, "payload rejected: endpoint=%s status=%u reason=%s", b->row->path,
              http_status, SONDE_LOG_QUOTE(sonde_str_from(error->message)));
}

/* Ours: there is no room for a good request. */
static void refuse(const bound_endpoint *b, http_request *request, http_response *response,
                   receiver_reason why)
{
    lose(b, request, why);
    answer_refused(b->r, b->row, request, response);
}

static bool is_of_body(sonde_status status)
{
    return status == SONDE_ERR_SYNTAX || status == SONDE_ERR_EOF;
}

static void answer_failure(const bound_endpoint *b, http_request *request, http_response *response,
                           sonde_status status, const sonde_error *error)
{
    if (http_request_body_status(request) == SONDE_ERR_TOO_BIG && is_of_body(status)) {
        http_response_text(response, 413, "payload-too-large\n");
        lose(b, request, RECEIVER_TOO_BIG);
        return;
    }
    switch (status) {
    case SONDE_ERR_FULL:
        refuse(b, request, response, RECEIVER_REFUSED_QUEUE);
        break;
    case SONDE_ERR_CLOSED:
        refuse(b, request, response, RECEIVER_REFUSED_CLOSING);
        break;
    case SONDE_ERR_NOMEM:
        refuse(b, request, response, RECEIVER_NO_MEMORY);
        break;
    case SONDE_ERR_TOO_BIG:
        reject(b, request, response, 413, RECEIVER_DECODED_TOO_BIG, error);
        break;
    case SONDE_ERR_EOF:
        reject(b, request, response, 400, RECEIVER_EOF, error);
        break;
    default:
        reject(b, request, response, 400, RECEIVER_DECODE, error);
        break;
    }
}

static void release_body(payload *p)
{
    http_body_release(p->body_owner);
}

/* A payload that owns the request's body and knows what its head says. */
static sonde_status make_payload(const bound_endpoint *b, http_request *request,
                                 payload **out_payload)
{
    size_t body_bytes = http_request_body(request).len;
    size_t arena_bytes = PAYLOAD_ARENA_BASE_BYTES + body_bytes * PAYLOAD_ARENA_FACTOR;
    payload *p =
        payload_new(arena_bytes < b->r->max_arena_bytes ? arena_bytes : b->r->max_arena_bytes);
    http_body *body;

    if (!p)
        return SONDE_ERR_NOMEM;
    p->endpoint_version = b->row->version;
    p->is_cut = http_request_body_status(request) == SONDE_ERR_TOO_BIG;
    body = sonde_arena_alloc(&p->arena, sizeof(*body));
    if (!body || read_request_headers(b->r, p, request) != SONDE_OK) {
        payload_free(p);
        return SONDE_ERR_NOMEM;
    }
    *body = http_request_take_body(request);
    p->body_owner = body;
    p->release_body = release_body;
    p->body = (sonde_str){ (const char *)body->data, body->len };
    *out_payload = p;
    return SONDE_OK;
}

static decode_fn decoder_for(const endpoint *e, const http_request *request)
{
    return e->msgpack && (!e->json || is_msgpack(request)) ? e->msgpack : e->json;
}

/* The traces beyond those that were taken. */
static void count_cut(const arrival *a)
{
    receiver_counters *c = &a->endpoint->r->counters;
    uint64_t said = header_trace_count(a->request), taken = a->said.chunks_len;

    add(&c->payloads_cut, 1);
    add(&c->traces_dropped[RECEIVER_TOO_BIG], said > taken ? said - taken : 0);
}

/* Of the copy: the payload itself is somebody else's now. */
static void count_accepted(const arrival *a)
{
    receiver_counters *c = &a->endpoint->r->counters;
    const payload *p = &a->said;
    const decode_tally *tally = &a->tally;

    add(&c->payloads_accepted, 1);
    add(&a->endpoint->accepted, 1);
    add(&c->bytes_received, p->body.len);
    add(&c->traces_received, p->chunks_len);
    add(&c->spans_received, tally->spans);
    add(&c->stats_payloads_received, p->stats != NULL);
    add(&c->stats_groups_received, tally->groups);
    add(&c->stats_buckets_received, tally->buckets);
    add(&c->stats_bytes_received, a->endpoint->row->kind == ENDPOINT_STATS ? p->body.len : 0);
    add(&c->strings_repaired, tally->strings_repaired);
    add(&c->tags_cut, tally->tags_cut);
    add(&c->nil_spans, tally->nil_spans);
    add(&c->client_dropped_p0_traces, (uint64_t)p->client_dropped_p0_traces);
    add(&c->client_dropped_p0_spans, (uint64_t)p->client_dropped_p0_spans);
    source_add(p->source, SOURCE_PAYLOADS_ACCEPTED, 1);
    source_add(p->source, SOURCE_BYTES, p->body.len);
    source_add(p->source, SOURCE_TRACES_RECEIVED, p->chunks_len);
    source_add(p->source, SOURCE_SPANS_RECEIVED, tally->spans);
    source_add(p->source, SOURCE_CLIENT_DROPPED_TRACES, (uint64_t)p->client_dropped_p0_traces);
    source_add(p->source, SOURCE_CLIENT_DROPPED_SPANS, (uint64_t)p->client_dropped_p0_spans);
    if (p->is_cut)
        count_cut(a);
}

static sonde_str first_service(const payload *p)
{
    return p->chunks_len && p->chunks[0].spans_len ? p->chunks[0].spans[0].service
                                                   : (sonde_str){ NULL, 0 };
}

/* Whose it was, as far as that is known: `p` is what could be decoded of it, or NULL. */
static void log_too_large(const bound_endpoint *b, const http_request *request, const payload *p)
{
    sonde_str service = p ? first_service(p) : (sonde_str){ NULL, 0 };

    SONDE_LOG(SONDE_LOG_WARN,
              "payload too large: endpoint=%s bytes=%llu max_bytes=%llu traces_taken=%u "
              "language=%s service=%s",
              b->row->path, (unsigned long long)http_request_body_bytes(request),
              (unsigned long long)b->r->config->max_payload_bytes, p ? p->chunks_len : 0,
              SONDE_LOG_QUOTE(http_request_header(request, SONDE_HDR_LANG)),
              SONDE_LOG_QUOTE(service));
}

/* How long the answer took. */
static void tell_served(const arrival *a, bool taken)
{
    payload_source *source = a->said.source;

    if (a->endpoint->row->kind != ENDPOINT_TRACES)
        return;
    if (!source)
        source = find_source(a->endpoint, a->request, (sonde_str){ NULL, 0 });
    if (source)
        timing_add(&source->served[taken], sonde_mono_ns() - a->began_mono_ns);
}

static bool is_empty(const payload *p)
{
    return p->chunks_len == 0 && !p->stats;
}

/* SONDE_OK: the payload is gone; else SONDE_ERR_FULL, CLOSED or NOMEM, and it is still ours. */
static sonde_status hand_on(receiver *r, payload *p)
{
    sonde_status status;

    if (is_empty(p)) {
        payload_free(p);
        return SONDE_OK;
    }
    if (atomic_load_explicit(&r->stopped, memory_order_relaxed))
        return SONDE_ERR_CLOSED;
    status = r->sink.push(r->sink.stage, p);
    return status == SONDE_OK || status == SONDE_ERR_CLOSED || status == SONDE_ERR_NOMEM
               ? status
               : SONDE_ERR_FULL;
}

sonde_status offer_again(const arrival *a)
{
    return hand_on(a->endpoint->r, a->p);
}

static sonde_status decode(const bound_endpoint *b, http_request *request, payload **out_payload,
                           decode_tally *out_tally, sonde_error *out_error)
{
    sonde_status status = make_payload(b, request, out_payload);

    if (status == SONDE_OK)
        status = decoder_for(b->row, request)(*out_payload, out_tally, out_error);
    if (status != SONDE_OK)
        return status;
    if (b->row->kind == ENDPOINT_TRACES) {
        status = take_process_tags(*out_payload, request);
        (*out_payload)->source = find_source(b, request, first_service(*out_payload));
    } else {
        take_stats_headers(b->r, *out_payload, request);
    }
    return status == SONDE_OK ? take_container_tags(b->r, *out_payload) : status;
}

static void answer_accepted(const arrival *a, http_response *response)
{
    const bound_endpoint *b = a->endpoint;

    count_accepted(a);
    if (b->row->answer == ANSWER_RATES)
        answer_rates(b->r, a->request, response);
    else if (b->row->answer == ANSWER_OK)
        answer_ok(response);
}

/* It waits as long as a request may take, not as long as one may wait for the workers. */
static bool waits_to_its_end(const bound_endpoint *b)
{
    const agent_config *c = b->r->config;

    return b->row->kind == ENDPOINT_STATS || c->decoder_timeout_ns > c->receiver_timeout_ns;
}

static void answer_late(const arrival *a, http_response *response)
{
    count_dropped(a->endpoint->r, RECEIVER_TIMEOUT, header_trace_count(a->request));
    source_add(a->said.source, SOURCE_PAYLOADS_TIMEOUT, 1);
    if (a->endpoint->row->kind == ENDPOINT_STATS)
        http_response_text(response, 408, "timeout\n");
    else
        response->status = 429;
}

void settle_arrival(arrival *a, sonde_status status)
{
    http_response *response = http_later_response(a->request);
    const sonde_error error = { 0 };

    tell_served(a, status == SONDE_OK);
    if (status == SONDE_OK) {
        answer_accepted(a, response);
    } else {
        if (status == SONDE_ERR_FULL && waits_to_its_end(a->endpoint))
            answer_late(a, response);
        else
            answer_failure(a->endpoint, a->request, response, status, &error);
        payload_free(a->p);
    }
    http_later_answer(a->request);
}

/* True: the answer comes later. */
static bool wait_for_room(const arrival *a)
{
    const agent_config *c = a->endpoint->r->config;
    uint64_t ns = waits_to_its_end(a->endpoint) ? c->receiver_timeout_ns : c->decoder_timeout_ns;

    return waiting_enter(a->endpoint->r->waiting, a, sonde_deadline(sonde_mono_ns(), ns));
}

http_result receive_traces(void *user, http_request *request, http_response *response)
{
    arrival a = { .endpoint = user, .request = request, .began_mono_ns = sonde_mono_ns() };
    receiver *r = a.endpoint->r;
    sonde_error error = { 0 };
    sonde_status status;

    count_received(r, request);
    status = decode(a.endpoint, request, &a.p, &a.tally, &error);
    if (a.p && a.p->is_cut)
        log_too_large(a.endpoint, request, a.p);
    if (status == SONDE_OK) {
        a.p->charged_bytes = a.p->body.len + a.p->arena.held_bytes;
        a.said = *a.p;
        status = waiting_has_line(r->waiting) && !is_empty(a.p) ? SONDE_ERR_FULL : hand_on(r, a.p);
        if (status == SONDE_ERR_FULL && wait_for_room(&a))
            return HTTP_LATER;
    }
    tell_served(&a, status == SONDE_OK);
    if (status == SONDE_OK) {
        answer_accepted(&a, response);
    } else {
        answer_failure(a.endpoint, request, response, status, &error);
        payload_free(a.p);
    }
    return HTTP_DONE;
}

http_result refuse_traces(void *user, http_request *request, http_response *response)
{
    const bound_endpoint *b = user;

    count_received(b->r, request);
    refuse(b, request, response, RECEIVER_REFUSED_BUDGET);
    return HTTP_DONE;
}

void lose_traces(void *user, http_request *request)
{
    const bound_endpoint *b = user;
    receiver_reason why;

    switch (http_request_body_status(request)) {
    case SONDE_ERR_TOO_BIG:
        why = RECEIVER_TOO_BIG;
        break;
    case SONDE_ERR_TIMEOUT:
        why = RECEIVER_TIMEOUT;
        break;
    case SONDE_ERR_FULL:
        why = RECEIVER_REFUSED_BUDGET;
        break;
    default:
        why = RECEIVER_EOF;
        break;
    }
    count_received(b->r, request);
    lose(b, request, why);
    if (why == RECEIVER_TOO_BIG)
        log_too_large(b, request, NULL);
}

static bool is_json_object(sonde_str text)
{
    sonde_json_reader j;
    sonde_json_event first;
    bool good;

    sonde_json_reader_init(&j, text, text.len);
    first = sonde_json_next(&j);
    good = first == SONDE_JSON_OBJECT && sonde_json_skip(&j, first) &&
           sonde_json_next(&j) == SONDE_JSON_END;
    sonde_json_reader_done(&j);
    return good;
}

http_result receive_anything(void *user, http_request *request, http_response *response)
{
    const bound_endpoint *b = user;

    if (b->row->kind == ENDPOINT_CONFIG) {
        uint64_t began = sonde_mono_ns();

        add(&b->r->counters.config_requests, 1);
        if (!is_json_object(http_request_body(request))) {
            http_response_text(response, 400, "the body is not a JSON object\n");
            return HTTP_DONE;
        }
        response->content_type = "application/json";
        response->static_body = SONDE_STR("{}");
        timings_add(b->r->timings, TIMING_CONFIG_PROCESS, sonde_mono_ns() - began);
    } else {
        answer_ok(response);
    }
    return HTTP_DONE;
}
