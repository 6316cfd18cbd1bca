/* endpoints.c - the table of endpoints and what happens to a trace request.
 *
 *   head ── cross-site, media type ─▶ body ── budget, size ─▶ decode ─▶ sink ─▶ rates
 *
 * A payload is counted once: accepted, or dropped for one reason.
 */
#include "internal.h"

#include <stdio.h>

#include "agent/payload/limits.h"
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

static void count_received(receiver *r)
{
    add(&r->counters.payloads_received, 1);
}

static void count_dropped(receiver *r, receiver_reason why, uint64_t traces)
{
    add(&r->counters.payloads_dropped[why], 1);
    add(&r->counters.traces_dropped[why], traces);
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
        count_received(r);
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
    count_dropped(b->r, why, header_trace_count(request));
    SONDE_LOG(SONDE_LOG_WARN, "payload rejected: endpoint=%s status=%u reason=%s", b->row->path,
              http_status, SONDE_LOG_QUOTE(sonde_str_from(error->message)));
}

/* Ours: there is no room for a good request. */
static void refuse(const bound_endpoint *b, http_request *request, http_response *response,
                   receiver_reason why)
{
    count_dropped(b->r, why, header_trace_count(request));
    answer_refused(b->r, b->row, request, response);
}

static void answer_failure(const bound_endpoint *b, http_request *request, http_response *response,
                           sonde_status status, const sonde_error *error)
{
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

/* `p` is a copy made before the payload was handed on and became somebody else's. */
static void count_accepted(receiver *r, const payload *p, const decode_tally *tally)
{
    receiver_counters *c = &r->counters;

    add(&c->payloads_accepted, 1);
    add(&c->bytes_received, p->body.len);
    add(&c->traces_received, p->chunks_len);
    add(&c->spans_received, tally->spans);
    add(&c->stats_payloads_received, p->stats != NULL);
    add(&c->stats_groups_received, tally->groups);
    add(&c->strings_repaired, tally->strings_repaired);
    add(&c->tags_cut, tally->tags_cut);
    add(&c->nil_spans, tally->nil_spans);
    add(&c->client_dropped_p0_traces, (uint64_t)p->client_dropped_p0_traces);
    add(&c->client_dropped_p0_spans, (uint64_t)p->client_dropped_p0_spans);
}

/* SONDE_OK: the payload is gone; else SONDE_ERR_FULL or SONDE_ERR_CLOSED, and it is still ours. */
static sonde_status hand_on(receiver *r, payload *p)
{
    sonde_status status;

    if (p->chunks_len == 0 && !p->stats) {
        payload_free(p);
        return SONDE_OK;
    }
    if (atomic_load_explicit(&r->stopped, memory_order_relaxed))
        return SONDE_ERR_CLOSED;
    p->charged_bytes = p->body.len + p->arena.held_bytes;
    status = r->sink.push(r->sink.stage, p);
    return status == SONDE_OK || status == SONDE_ERR_CLOSED ? status : SONDE_ERR_FULL;
}

static sonde_status decode(const bound_endpoint *b, http_request *request, payload **out_payload,
                           decode_tally *out_tally, sonde_error *out_error)
{
    sonde_status status = make_payload(b, request, out_payload);

    if (status == SONDE_OK)
        status = decoder_for(b->row, request)(*out_payload, out_tally, out_error);
    if (status != SONDE_OK)
        return status;
    if (b->row->kind == ENDPOINT_TRACES)
        status = take_process_tags(*out_payload, request);
    else
        take_stats_headers(*out_payload, request);
    return status == SONDE_OK ? take_container_tags(b->r, *out_payload) : status;
}

http_result receive_traces(void *user, http_request *request, http_response *response)
{
    bound_endpoint *b = user;
    decode_tally tally = { 0 };
    sonde_error error = { 0 };
    payload *p = NULL;
    payload copy;
    sonde_status status;

    count_received(b->r);
    status = decode(b, request, &p, &tally, &error);
    if (status == SONDE_OK) {
        copy = *p;
        status = hand_on(b->r, p);
    }
    if (status != SONDE_OK) {
        answer_failure(b, request, response, status, &error);
        payload_free(p);
        return HTTP_DONE;
    }
    count_accepted(b->r, &copy, &tally);
    add(&b->accepted, 1);
    if (b->row->answer == ANSWER_RATES)
        answer_rates(b->r, request, response);
    else if (b->row->answer == ANSWER_OK)
        answer_ok(response);
    return HTTP_DONE;
}

http_result refuse_traces(void *user, http_request *request, http_response *response)
{
    const bound_endpoint *b = user;

    count_received(b->r);
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
    count_received(b->r);
    count_dropped(b->r, why, header_trace_count(request));
    if (why == RECEIVER_TOO_BIG)
        SONDE_LOG(SONDE_LOG_WARN, "payload too large: endpoint=%s max_bytes=%llu", b->row->path,
                  (unsigned long long)b->r->config->max_payload_bytes);
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
        add(&b->r->counters.config_requests, 1);
        if (!is_json_object(http_request_body(request))) {
            http_response_text(response, 400, "the body is not a JSON object\n");
            return HTTP_DONE;
        }
        response->content_type = "application/json";
        response->static_body = SONDE_STR("{}");
    } else {
        answer_ok(response);
    }
    return HTTP_DONE;
}
