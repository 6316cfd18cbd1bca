/* http.c - OTLP over HTTP: POST /v1/traces, protobuf or JSON, packed or not.
 *
 * Metrics and logs have no room in the agent yet; their paths do not exist, which exporters take as
 * "this receiver has no such signal". */
#include "internal.h"

#include <stdio.h>

#include "base/error.h"
#include "base/parse.h"
#include "codec/pb_write.h"
#include "limits.h"
#include "net/socket.h"
#include "vocab/headers.h"

#define TRACES_PATH "/v1/traces"
#define TYPE_PB     "application/x-protobuf"
#define TYPE_JSON   "application/json"

/* google.rpc.Code, of which the body of an error tells. */
enum { CODE_INVALID = 3, CODE_EXHAUSTED = 8, CODE_UNAVAILABLE = 14 };

static bool is_of_type(const http_request *request, const char *type)
{
    sonde_str value = http_request_header(request, "Content-Type");

    return sonde_str_eq_nocase(sonde_str_trim(sonde_str_cut(&value, ';')), sonde_str_from(type));
}

static bool is_encoding_known(const http_request *request, sonde_encoding *out)
{
    return sonde_encoding_parse(sonde_str_trim(http_request_header(request, "Content-Encoding")),
                                out) == SONDE_OK;
}

/* Before the body: what cannot be read anyhow. */
static http_result check_head(void *user, http_request *request, http_response *response)
{
    otlp *o = user;
    sonde_encoding encoding;

    response->status = 0; /* go on */
    if (!sonde_str_eq(http_request_path(request), SONDE_STR(TRACES_PATH)) ||
        !sonde_str_eq(http_request_method(request), SONDE_STR("POST")))
        return HTTP_DONE;
    if (!is_of_type(request, TYPE_PB) && !is_of_type(request, TYPE_JSON)) {
        otlp_count_lost(o, OTLP_MEDIA_TYPE);
        http_response_text(response, 415,
                           "415 unsupported media type, supported: [" TYPE_JSON ", " TYPE_PB "]\n");
    } else if (!is_encoding_known(request, &encoding)) {
        otlp_count_lost(o, OTLP_ENCODING);
        http_response_text(response, 415, "415 unsupported content encoding\n");
    }
    return HTTP_DONE;
}

static void put_partial_json(const otlp_outcome *outcome, sonde_buf *out)
{
    char count[24];
    sonde_json_writer w;

    (void)snprintf(count, sizeof(count), "%llu", (unsigned long long)outcome->rejected_spans);
    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("partialSuccess"));
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "rejectedSpans", sonde_str_from(count));
    sonde_json_put_str(&w, "errorMessage", sonde_str_from(outcome->message));
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
}

static void answer_accepted(http_response *response, const otlp_outcome *outcome, bool json)
{
    response->status = 200;
    if (!json)
        otlp_put_response_pb(outcome, &response->body);
    else if (outcome->rejected_spans)
        put_partial_json(outcome, &response->body);
    else
        response->static_body = SONDE_STR("{}");
}

static void answer_error(http_response *response, unsigned status, int code, const char *message,
                         bool json)
{
    sonde_json_writer w;

    response->status = status;
    if (status == 429 || status == 503)
        http_response_header(response, "Retry-After", OTLP_RETRY_AFTER_S);
    if (!json) {
        sonde_pb_int64(&response->body, 1, code);
        sonde_pb_str(&response->body, 2, sonde_str_from(message));
        return;
    }
    sonde_json_writer_init(&w, &response->body);
    sonde_json_begin_object(&w);
    sonde_json_put_i64(&w, "code", code);
    sonde_json_put_str(&w, "message", sonde_str_from(message));
    sonde_json_end_object(&w);
}

static void answer(http_response *response, const otlp_outcome *outcome, bool json)
{
    response->content_type = json ? TYPE_JSON : TYPE_PB;
    if (outcome->accepted) {
        answer_accepted(response, outcome, json);
        return;
    }
    switch (outcome->why) {
    case OTLP_REFUSED_BUDGET:
    case OTLP_REFUSED_QUEUE:
        answer_error(response, 429, CODE_UNAVAILABLE, outcome->message, json);
        break;
    case OTLP_REFUSED_CLOSING:
    case OTLP_NO_MEMORY:
        answer_error(response, 503, CODE_UNAVAILABLE, outcome->message, json);
        break;
    case OTLP_TOO_BIG:
    case OTLP_DECODED_TOO_BIG:
        answer_error(response, 413, CODE_EXHAUSTED, outcome->message, json);
        break;
    default:
        answer_error(response, 400, CODE_INVALID, outcome->message, json);
        break;
    }
}

static http_result take_traces(void *user, http_request *request, http_response *response)
{
    otlp *o = user;
    bool json = is_of_type(request, TYPE_JSON);
    http_body body = http_request_take_body(request);
    otlp_export e = {
        .read = json ? otlp_read_json : otlp_read_pb,
        .stats_computed = http_request_header(request, SONDE_HDR_COMPUTED_STATS).len > 0,
        .max_bytes = o->config->max_payload_bytes,
        .from_http = &body,
    };
    otlp_outcome outcome = { 0 };

    (void)is_encoding_known(request, &e.encoding);
    otlp_take(o, &e, &outcome);
    http_body_release(&body);
    answer(response, &outcome, json);
    return HTTP_DONE;
}

static http_result refuse_traces(void *user, http_request *request, http_response *response)
{
    const otlp_outcome outcome = { .why = OTLP_REFUSED_BUDGET, .message = "the agent is busy" };

    otlp_count_lost(user, OTLP_REFUSED_BUDGET);
    answer(response, &outcome, is_of_type(request, TYPE_JSON));
    return HTTP_DONE;
}

static void lose_traces(void *user, http_request *request)
{
    switch (http_request_body_status(request)) {
    case SONDE_ERR_TOO_BIG:
        otlp_count_lost(user, OTLP_TOO_BIG);
        break;
    case SONDE_ERR_TIMEOUT:
        otlp_count_lost(user, OTLP_TIMEOUT);
        break;
    case SONDE_ERR_FULL:
        otlp_count_lost(user, OTLP_REFUSED_BUDGET);
        break;
    default:
        otlp_count_lost(user, OTLP_EOF);
        break;
    }
}

sonde_status otlp_serve_http(otlp *o, sonde_error *out_error)
{
    const agent_config *c = o->config;
    http_server_options options = {
        .name = "agent-otlp",
        .routes = &o->route,
        .routes_len = c->otlp_traces ? 1 : 0,
        .before = c->otlp_traces ? check_head : NULL,
        .before_user = o,
        .threads = (unsigned)c->decoders,
        .max_connections = (unsigned)c->max_connections,
        .body_budget_bytes = o->budget_bytes,
        .read_timeout_s = (unsigned)(c->receiver_timeout_ns / 1000000000u),
    };
    http_listener listener = { .is_unix = false };
    sonde_status status = otlp_listen(c->otlp_http_endpoint, &listener.fd, out_error);

    if (status != SONDE_OK)
        return status;
    o->http_port = sonde_local_port(listener.fd);
    o->route = (http_route){ .methods = "POST",
                             .path = TRACES_PATH,
                             .handle = take_traces,
                             .refuse = refuse_traces,
                             .max_body_bytes = c->max_payload_bytes,
                             .user = o,
                             .lost = lose_traces };
    return http_server_open(&options, &listener, 1, &o->http, out_error);
}
