/* intake.c - requests of agents: key, encoding, decoding, queueing, the answer after the commit. */
#include "intake.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/mutex.h"
#include "codec/compress/compress.h"
#include "decode.h"
#include "vocab/headers.h"

#define DECODERS_KEPT       8
#define INFLATED_KEPT_BYTES (8u * 1024 * 1024)

/* What one request needs while it is decoded; kept for the next one. */
typedef struct workbench {
    traces_decoder *traces;
    sonde_buf inflated;
} workbench;

struct intake {
    store *store;         /* borrowed */
    const char *api_keys; /* borrowed */
    intake_counters counters;
    sonde_mutex mu;
    workbench *idle[DECODERS_KEPT]; /* guarded by mu */
    size_t idle_len;
};

const char *const intake_drop_names[INTAKE_DROPS] = {
#define X(name, text) text,
    INTAKE_DROP_MAP(X)
#undef X
};

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- workbenches ---- */

static void workbench_free(workbench *w)
{
    if (!w)
        return;
    traces_decoder_free(w->traces);
    sonde_buf_done(&w->inflated);
    sonde_free(w);
}

static workbench *workbench_get(intake *in)
{
    workbench *w = NULL;

    sonde_mutex_lock(&in->mu);
    if (in->idle_len)
        w = in->idle[--in->idle_len];
    sonde_mutex_unlock(&in->mu);
    if (w)
        return w;
    w = (workbench *)sonde_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    sonde_buf_init(&w->inflated, INTAKE_BODY_MAX_BYTES);
    w->traces = traces_decoder_new();
    if (!w->traces) {
        workbench_free(w);
        return NULL;
    }
    return w;
}

static void workbench_put(intake *in, workbench *w)
{
    if (w->inflated.cap > INFLATED_KEPT_BYTES)
        sonde_buf_done(&w->inflated);
    sonde_buf_reset(&w->inflated);
    w->inflated.max_bytes = INTAKE_BODY_MAX_BYTES;
    sonde_mutex_lock(&in->mu);
    if (in->idle_len < DECODERS_KEPT) {
        in->idle[in->idle_len++] = w;
        w = NULL;
    }
    sonde_mutex_unlock(&in->mu);
    workbench_free(w);
}

/* ---- answers ---- */

static void answer(http_response *response, unsigned status, const char *json)
{
    response->status = status;
    response->content_type = "application/json";
    response->static_body = sonde_str_from(json);
}

static http_result refuse(intake *in, http_response *response, intake_drop why)
{
    static const struct {
        unsigned status;
        const char *json;
    } answers[INTAKE_DROPS] = {
        [INTAKE_DROP_FORBIDDEN] = { 403, "{\"errors\":[\"Forbidden\"]}" },
        [INTAKE_DROP_ENCODING] = { 415, "{\"errors\":[\"unknown Content-Encoding: send gzip, "
                                        "deflate, zstd or identity\"]}" },
        [INTAKE_DROP_TOO_BIG] = { 413, "{\"errors\":[\"payload too large\"]}" },
        [INTAKE_DROP_MALFORMED] = { 400, "{\"errors\":[\"payload is not well formed\"]}" },
        [INTAKE_DROP_BUSY] = { 503, "{\"errors\":[\"store is busy: send again\"]}" },
        [INTAKE_DROP_NO_MEMORY] = { 503, "{\"errors\":[\"out of memory: send again\"]}" },
    };

    count(&in->counters.dropped_payloads[why], 1);
    answer(response, answers[why].status, answers[why].json);
    return HTTP_DONE;
}

static intake_drop drop_of(sonde_status status)
{
    switch (status) {
    case SONDE_ERR_TOO_BIG:
        return INTAKE_DROP_TOO_BIG;
    case SONDE_ERR_NOMEM:
        return INTAKE_DROP_NO_MEMORY;
    case SONDE_ERR_FULL:
    case SONDE_ERR_CLOSED:
        return INTAKE_DROP_BUSY;
    default:
        return INTAKE_DROP_MALFORMED;
    }
}

static void answer_committed(http_request *request, sonde_status status, unsigned ok)
{
    http_response *response = http_later_response(request);

    if (status == SONDE_OK)
        answer(response, ok, "{}");
    else
        answer(response, 503, "{\"errors\":[\"could not be stored: send again\"]}");
    http_later_answer(request);
}

/* The store's writer calls these after the commit. */
static void committed(void *user, sonde_status status)
{
    answer_committed((http_request *)user, status, 200);
}

static void profiles_committed(void *user, sonde_status status)
{
    answer_committed((http_request *)user, status, 202);
}

/* ---- keys ---- */

static bool key_is_known(const intake *in, sonde_str key)
{
    sonde_str left;

    if (!in->api_keys)
        return true;
    for (left = sonde_str_from(in->api_keys); left.len;)
        if (sonde_str_eq(sonde_str_trim(sonde_str_cut(&left, ',')), key))
            return true;
    return false;
}

static bool may_send(const intake *in, const http_request *request)
{
    sonde_str key = sonde_str_trim(http_request_header(request, SONDE_HDR_API_KEY));

    if (key.len == 0)
        (void)http_request_query(request, "api_key", &key);
    return key.len > 0 && key_is_known(in, key);
}

/* ---- payloads ---- */

static sonde_status inflate_body(workbench *w, const http_request *request, sonde_str *out_body,
                                 bool *out_known_encoding)
{
    sonde_str encoding = sonde_str_trim(http_request_header(request, "Content-Encoding"));
    sonde_encoding e;
    sonde_status status;

    *out_known_encoding = sonde_encoding_parse(encoding, &e) == SONDE_OK;
    *out_body = http_request_body(request);
    if (!*out_known_encoding)
        return SONDE_ERR_INVALID;
    if (e == SONDE_ENCODING_IDENTITY)
        return SONDE_OK;
    sonde_buf_reset(&w->inflated);
    status = sonde_decompress(e, *out_body, &w->inflated);
    *out_body = sonde_buf_str(&w->inflated);
    return status;
}

/* What a payload had in it, beside what is in its batch. */
typedef struct taken {
    traces_counts traces;
    profile_counts profiles;
    uint64_t stats_groups;
} taken;

/* One kind of payload, from its body to its answer. */
typedef struct kind {
    sonde_status (*decode)(intake *in, workbench *w, const http_request *request, sonde_str body,
                           store_batch *batch, taken *out);
    void (*count)(intake_counters *c, const taken *t);
    void (*committed)(void *user, sonde_status status);
    unsigned ok; /* status of an answer that says so */
} kind;

static sonde_status decode_traces(intake *in, workbench *w, const http_request *request,
                                  sonde_str body, store_batch *batch, taken *out)
{
    (void)in;
    (void)request;
    return traces_decode(w->traces, body, batch, &out->traces);
}

static sonde_status decode_stats(intake *in, workbench *w, const http_request *request,
                                 sonde_str body, store_batch *batch, taken *out)
{
    sonde_status status = stats_decode(body, batch);

    (void)in, (void)w, (void)request;
    out->stats_groups = batch->stats_len;
    return status;
}

static sonde_status decode_profiles(intake *in, workbench *w, const http_request *request,
                                    sonde_str body, store_batch *batch, taken *out)
{
    (void)in, (void)w;
    return profile_decode(http_request_header(request, "Content-Type"), body, batch,
                          &out->profiles);
}

static void count_traces(intake_counters *c, const taken *t)
{
    count(&c->trace_payloads, 1);
    count(&c->chunks, t->traces.chunks);
    count(&c->spans, t->traces.spans + t->traces.spans_too_big);
    count(&c->spans_too_big, t->traces.spans_too_big);
}

static void count_stats(intake_counters *c, const taken *t)
{
    count(&c->stats_payloads, 1);
    count(&c->stats_groups, t->stats_groups);
}

static void count_profiles(intake_counters *c, const taken *t)
{
    size_t i;

    count(&c->profile_payloads, 1);
    count(&c->attachments, t->profiles.attachments);
    count(&c->profiles, t->profiles.profiles);
    for (i = 0; i < PROFILE_SKIPS; i++)
        count(&c->skipped_attachments[i], t->profiles.skipped[i]);
}

static const kind traces_kind = { decode_traces, count_traces, committed, 200 };
static const kind stats_kind = { decode_stats, count_stats, committed, 200 };
static const kind profiles_kind = { decode_profiles, count_profiles, profiles_committed, 202 };

/* Queues the batch, or answers at once when there is nothing in it. */
static http_result hand_over(intake *in, http_request *request, http_response *response,
                             store_batch *batch, const taken *t, const kind *k)
{
    sonde_status status;

    if (batch->spans == 0 && batch->stats_len == 0 && batch->profiles_len == 0) {
        store_batch_free(batch);
        k->count(&in->counters, t);
        answer(response, k->ok, "{}");
        return HTTP_DONE;
    }
    batch->done = k->committed;
    batch->user = request;
    status = store_append(in->store, batch);
    if (status != SONDE_OK) {
        store_batch_free(batch);
        return refuse(in, response, drop_of(status));
    }
    k->count(&in->counters, t);
    return HTTP_LATER; /* `request` belongs to committed() now */
}

static http_result accept_payload(intake *in, http_request *request, http_response *response,
                                  const kind *k)
{
    taken t;
    workbench *w;
    store_batch *batch;
    sonde_str body;
    sonde_status status = SONDE_ERR_NOMEM;
    bool known_encoding = true;

    if (!may_send(in, request))
        return refuse(in, response, INTAKE_DROP_FORBIDDEN);
    memset(&t, 0, sizeof(t));
    w = workbench_get(in);
    batch = store_batch_new();
    if (w && batch)
        status = inflate_body(w, request, &body, &known_encoding);
    if (status == SONDE_OK)
        status = k->decode(in, w, request, body, batch, &t);
    if (w)
        workbench_put(in, w);
    if (status == SONDE_OK)
        return hand_over(in, request, response, batch, &t, k);
    store_batch_free(batch);
    return refuse(in, response, known_encoding ? drop_of(status) : INTAKE_DROP_ENCODING);
}

static http_result handle_traces(void *user, http_request *request, http_response *response)
{
    return accept_payload((intake *)user, request, response, &traces_kind);
}

static http_result handle_stats(void *user, http_request *request, http_response *response)
{
    return accept_payload((intake *)user, request, response, &stats_kind);
}

static http_result handle_profile(void *user, http_request *request, http_response *response)
{
    return accept_payload((intake *)user, request, response, &profiles_kind);
}

/* The old door of profiles, and of logs. */
static http_result handle_v1_input(void *user, http_request *request, http_response *response)
{
    sonde_str type = http_request_header(request, "Content-Type");

    if (sonde_str_starts(type, SONDE_STR("multipart/form-data")))
        return handle_profile(user, request, response);
    intake_ignore((intake *)user, response);
    return HTTP_DONE;
}

static http_result handle_busy(void *user, http_request *request, http_response *response)
{
    (void)request;
    return refuse((intake *)user, response, INTAKE_DROP_BUSY);
}

static http_result handle_validate(void *user, http_request *request, http_response *response)
{
    bool valid = may_send((intake *)user, request);

    answer(response, valid ? 200 : 403,
           valid ? "{\"valid\":true}" : "{\"errors\":[\"Forbidden\"]}");
    return HTTP_DONE;
}

/* The agent asks this to see whether it is redirected. */
static http_result handle_flare(void *user, http_request *request, http_response *response)
{
    (void)user, (void)request;
    answer(response, 200, "{}");
    return HTTP_DONE;
}

void intake_ignore(intake *in, http_response *response)
{
    count(&in->counters.ignored_requests, 1);
    answer(response, 202, "{}");
}

/* ---- the object ---- */

sonde_status intake_open(store *s, const char *api_keys, intake **out_intake)
{
    intake *in = (intake *)sonde_calloc(1, sizeof(*in));

    if (!in)
        return SONDE_ERR_NOMEM;
    in->store = s;
    in->api_keys = api_keys;
    sonde_mutex_init(&in->mu, SONDE_RANK_ROOM);
    *out_intake = in;
    return SONDE_OK;
}

void intake_close(intake *in)
{
    size_t i;

    if (!in)
        return;
    for (i = 0; i < in->idle_len; i++)
        workbench_free(in->idle[i]);
    sonde_mutex_done(&in->mu);
    sonde_free(in);
}

const intake_counters *intake_read_counters(const intake *in)
{
    return &in->counters;
}

void intake_routes(intake *in, http_route out_routes[INTAKE_ROUTES])
{
    const http_route routes[INTAKE_ROUTES] = {
        { "POST,PUT", "/api/v0.2/traces", handle_traces, handle_busy, INTAKE_BODY_MAX_BYTES, in,
          NULL, false },
        { "POST,PUT", "/api/v0.2/stats", handle_stats, handle_busy, INTAKE_BODY_MAX_BYTES, in, NULL,
          false },
        { "POST,PUT", "/api/v2/profile", handle_profile, handle_busy, INTAKE_BODY_MAX_BYTES, in,
          NULL, false },
        { "POST,PUT", "/v1/input", handle_v1_input, handle_busy, INTAKE_BODY_MAX_BYTES, in, NULL,
          false },
        { "GET", "/api/v1/validate", handle_validate, NULL, 4096, in, NULL, false },
        { "HEAD,GET", "/support/flare", handle_flare, NULL, 4096, in, NULL, false },
        { "POST,PUT", "/support/flare", handle_flare, NULL, INTAKE_BODY_MAX_BYTES, in, NULL,
          false },
    };

    memcpy(out_routes, routes, sizeof(routes));
}
