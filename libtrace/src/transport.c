/* transport.c - the headers of a trace request, and reading its answer. */
#include "transport.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/log.h"
#include "net/http_plain.h"
#include "vocab/headers.h"

#include "collector.h"
#include "flusher.h"
#include "own_metrics.h"
#include "service.h"
#include "telemetry_metrics.h"

#define ANSWER_MAX_BYTES (1u << 20)
#define HEADERS_MAX      15 /* 11 of every request, 4 of some */

#if defined(__clang__)
#    define COMPILER "clang"
#else
#    define COMPILER "gcc"
#endif
#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

struct sonde__transport {
    sonde_http_plain *http;
    const char *agent; /* borrowed, for logs */
    char container[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];
    sonde_http_header headers[HEADERS_MAX];
    size_t headers_len;
    size_t place; /* from here on: where the process runs */
    char count[SONDE_U64_MAX_LEN];
    sonde_http_header *count_header;
    uint64_t agent_state; /* hash of the last Datadog-Agent-State, 0 none yet */
    bool agent_changed;
    bool may_diagnose;
    sonde__transport *former; /* abandoned before it */
};

static sonde__transport *abandoned; /* written in a forked child, by its only thread */

static sonde_http_header *add_header(sonde__transport *t, const char *name, sonde_str value)
{
    sonde_http_header *h = &t->headers[t->headers_len];

    if (value.len == 0 || t->headers_len == HEADERS_MAX)
        return NULL;
    t->headers_len++;
    h->name = sonde_str_from(name);
    h->value = value;
    return h;
}

static void make_headers(sonde__transport *t, const sonde__config *c)
{
    t->count_header = add_header(t, SONDE_HDR_TRACE_COUNT, SONDE_STR("0"));
    (void)add_header(t, "Content-Type", SONDE_STR("application/msgpack"));
    (void)add_header(t, SONDE_HDR_LANG, c->language);
    (void)add_header(t, SONDE_HDR_LANG_VERSION, SONDE_STR("201112"));
    (void)add_header(t, SONDE_HDR_LANG_INTERPRETER,
                     SONDE_STR(COMPILER " " TEXT_OF(__GNUC__) "." TEXT_OF(__GNUC_MINOR__)));
    (void)add_header(t, SONDE_HDR_TRACER_VERSION, c->tracer_version);
    (void)add_header(t, SONDE_HDR_COMPUTED_TOP_LEVEL, SONDE_STR("yes"));
    (void)add_header(t, SONDE_HDR_REAL_STATUS, SONDE_STR("true"));
    t->place = t->headers_len;
    (void)add_header(t, SONDE_HDR_CONTAINER_ID, sonde_str_from(t->container));
    (void)add_header(t, SONDE_HDR_ENTITY_ID, sonde_str_from(t->entity));
    (void)add_header(t, SONDE_HDR_EXTERNAL_ENV, c->external_env);
    if (!c->apm_tracing) /* nor shall the agent make any */
        (void)add_header(t, SONDE_HDR_COMPUTED_STATS, SONDE_STR("yes"));
}

sonde_status sonde__transport_open(const sonde__config *config, sonde__transport **out)
{
    sonde__transport *t = (sonde__transport *)sonde_calloc(1, sizeof(*t));
    sonde_status status;

    if (!t)
        return SONDE_ERR_NOMEM;
    t->agent = config->agent_text;
    t->may_diagnose = config->enabled && config->startup_logs;
    sonde_container_read(t->container, t->entity);
    make_headers(t, config);
    status = sonde_http_plain_open(&config->agent, ANSWER_MAX_BYTES, &t->http);
    if (status != SONDE_OK) {
        sonde_free(t);
        return status;
    }
    sonde_http_plain_end_by(t->http, &sonde__flusher_stop_at);
    *out = t;
    return SONDE_OK;
}

void sonde__transport_close(sonde__transport *t)
{
    if (!t)
        return;
    sonde_http_plain_close(t->http);
    sonde_free(t);
}

void sonde__transport_abandon(sonde__transport *t)
{
    t->former = abandoned;
    abandoned = t;
}

static void take_rates(const sonde__transport *t, sonde_str body)
{
    sonde_status status;

    body = sonde_str_trim(body);
    if (body.len == 0 || body.ptr[0] != '{')
        return; /* old agents answer "OK" */
    status = sonde__service_rates_update(body);
    if (status != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN,
                  "agent's answer not understood, keeping the rates: agent=%s reason=%s", t->agent,
                  sonde_status_str(status));
}

static void note_agent_state(sonde__transport *t, const sonde_http_plain_answer *answer)
{
    sonde_str text = sonde_http_plain_header(answer, SONDE_STR(SONDE_HDR_AGENT_STATE));
    uint64_t state = text.len > 0 ? sonde_hash(0, text.ptr, text.len) : 0;

    if (state == 0)
        return;
    t->agent_changed |= t->agent_state != 0 && t->agent_state != state;
    t->agent_state = state;
}

bool sonde__transport_agent_changed(sonde__transport *t)
{
    bool changed = t->agent_changed;

    t->agent_changed = false;
    return changed;
}

/* Says once that the agent cannot be reached, right behind a request that failed; false: it was said. */
static bool diagnose(sonde__transport *t, sonde_status status)
{
    int saved_errno = errno;
    char why[128];

    if (!t->may_diagnose)
        return false;
    t->may_diagnose = false;
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "DATADOG TRACER DIAGNOSTIC - Agent not reachable at %s: %s",
                     t->agent,
                     status == SONDE_ERR_CONNECT ? strerror_r(saved_errno, why, sizeof(why))
                                                 : sonde_status_str(status));
    return true;
}

/* DD_TRACE_DEBUG shows each request and what became of it.  errno stays. */
static sonde_status talk(sonde__transport *t, const sonde_http_plain_request *r,
                         sonde_http_plain_answer *out)
{
    sonde_status status = sonde_http_plain_send(t->http, r, out);
    int saved_errno = errno;

    if (status == SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "request: agent=%s path=%s bytes=%zu status=%d", t->agent,
                         r->path, r->body.len, out->status);
    else
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "request: agent=%s path=%s bytes=%zu reason=\"%s\"",
                         t->agent, r->path, r->body.len, sonde_status_str(status));
    errno = saved_errno;
    return status;
}

int sonde__transport_get_info(sonde__transport *t, uint64_t deadline_mono_ns, sonde_str *out_body)
{
    sonde_http_plain_answer answer = { 0 };
    sonde_http_plain_request request = {
        .method = "GET",
        .path = "/info",
        .headers = t->headers + 1, /* without the count */
        .headers_len = t->headers_len - 1,
        .deadline_mono_ns = deadline_mono_ns,
    };
    sonde_status status;

    if (sonde__collector_is_open()) {
        *out_body = SONDE_STR("{\"endpoints\":[\"/v0.4/traces\"],\"span_events\":true}");
        return 200;
    }
    status = talk(t, &request, &answer);
    *out_body = answer.body;
    if (status == SONDE_OK)
        return answer.status;
    (void)diagnose(t, status);
    return 0;
}

static sonde__verdict judge(const sonde__transport *t, const sonde_http_plain_answer *answer)
{
    if (answer->status >= 200 && answer->status < 300) {
        if (answer->status == 200)
            take_rates(t, answer->body);
        return SONDE__DELIVERED;
    }
    SONDE_LOG(SONDE_LOG_WARN, "agent did not take what it was sent: agent=%s status=%d", t->agent,
              answer->status);
    if (answer->status == 408 || answer->status == 429 || answer->status >= 500)
        return SONDE__BUSY;
    return answer->status == 404 ? SONDE__NOT_SERVED : SONDE__REFUSED;
}

static sonde__verdict post(sonde__transport *t, sonde__call api,
                           const sonde_http_plain_request *request)
{
    sonde_http_plain_answer answer = { 0 };
    uint64_t from = sonde_mono_ns();
    sonde_status status = talk(t, request, &answer);

    sonde__telemetry_note_request(api, status, answer.status, request->body.len,
                                  sonde_mono_ns() - from);
    sonde__health_answered(status == SONDE_OK ? answer.status : 0);
    if (status == SONDE_OK) {
        note_agent_state(t, &answer);
        return judge(t, &answer);
    }
    if (!diagnose(t, status))
        SONDE_LOG(SONDE_LOG_WARN, "agent unreachable: agent=%s reason=\"%s\"", t->agent,
                  sonde_status_str(status));
    return SONDE__UNREACHABLE;
}

sonde__verdict sonde__transport_send(sonde__transport *t, const sonde__trace_request *r)
{
    size_t own_len = t->headers_len;
    char traces[SONDE_U64_MAX_LEN];
    char spans[SONDE_U64_MAX_LEN];
    sonde_http_plain_request request = {
        .method = "POST",
        .path = r->path,
        .headers = t->headers,
        .body = r->body,
        .deadline_mono_ns = r->deadline_mono_ns,
    };
    sonde__verdict verdict;

    if (sonde__collector_is_open())
        return strcmp(r->path, "/v0.4/traces") != 0 || sonde__collector_take(r->body)
                   ? SONDE__DELIVERED
                   : SONDE__REFUSED;
    t->count_header->value = (sonde_str){ t->count, sonde_format_u64(r->chunks, t->count) };
    if (r->counted)
        (void)add_header(t, SONDE_HDR_COMPUTED_STATS, SONDE_STR("yes"));
    if (r->p0_spans > 0) {
        (void)add_header(t, SONDE_HDR_DROPPED_P0_TRACES,
                         (sonde_str){ traces, sonde_format_u64(r->p0_traces, traces) });
        (void)add_header(t, SONDE_HDR_DROPPED_P0_SPANS,
                         (sonde_str){ spans, sonde_format_u64(r->p0_spans, spans) });
    }
    request.headers_len = t->headers_len;
    verdict = post(t, SONDE__CALL_TRACE, &request);
    t->headers_len = own_len;
    return verdict;
}

sonde__verdict sonde__transport_send_stats(sonde__transport *t, sonde_str body, bool obfuscated,
                                           uint64_t deadline_mono_ns)
{
    size_t own_len = t->headers_len;
    sonde__verdict verdict;
    sonde_http_plain_request request = {
        .method = "POST",
        .path = "/v0.6/stats",
        .headers = t->headers + 1, /* without the count */
        .body = body,
        .deadline_mono_ns = deadline_mono_ns,
    };

    if (obfuscated)
        (void)add_header(t, SONDE_HDR_OBFUSCATION, SONDE_STR("1"));
    request.headers_len = t->headers_len - 1;
    verdict = post(t, SONDE__CALL_STATS, &request);
    t->headers_len = own_len;
    return verdict;
}

sonde_status sonde__transport_ask(sonde__transport *t, const sonde__request *r, sonde__answer *out)
{
    sonde_http_header headers[SONDE__REQUEST_HEADERS_MAX + 3];
    size_t place_len = t->headers_len - t->place;
    size_t own_len =
        r->headers_len < SONDE__REQUEST_HEADERS_MAX ? r->headers_len : SONDE__REQUEST_HEADERS_MAX;
    sonde_http_plain_answer answer = { 0 };
    sonde_http_plain_request request = {
        .method = r->method ? r->method : "POST",
        .path = r->path,
        .headers = headers,
        .headers_len = own_len + place_len,
        .body = r->body,
        .deadline_mono_ns = r->deadline_mono_ns,
    };
    sonde_status status;

    if (own_len > 0)
        memcpy(headers, r->headers, own_len * sizeof(headers[0]));
    memcpy(headers + own_len, t->headers + t->place, place_len * sizeof(headers[0]));
    status = talk(t, &request, &answer);
    *out = (sonde__answer){ answer.status, answer.body };
    if (status != SONDE_OK) {
        *out = (sonde__answer){ 0, { NULL, 0 } };
        return status;
    }
    note_agent_state(t, &answer);
    return SONDE_OK;
}
