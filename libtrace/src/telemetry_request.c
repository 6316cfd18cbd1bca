/* telemetry_request.c - who sends, from where, and the events. */
#include "telemetry_request.h"

#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "codec/telemetry_write.h"

#include "beats.h"
#include "counters.h"
#include "telemetry_metrics.h"
#include "tracer.h"

#define PATH "/telemetry/proxy/api/v2/apmtelemetry"

void sonde__telemetry_request_done(sonde__telemetry_request *r)
{
    sonde_buf_done(&r->payloads);
    sonde_buf_done(&r->body);
    memset(r, 0, sizeof(*r));
}

/* -- events --------------------------------------------------------------------------------------- */

sonde_json_writer *sonde__telemetry_begin(sonde__telemetry_request *r, const char *type)
{
    sonde__telemetry_event *e = &r->event[r->events];

    if (r->payloads.max_bytes == 0)
        sonde_buf_init(&r->payloads, SONDE__TELEMETRY_BODY_MAX);
    if (r->events == SONDE__TELEMETRY_EVENTS_MAX)
        r->payloads.status = SONDE_ERR_TOO_BIG;
    else
        r->events++;
    e = &r->event[r->events - 1];
    e->type = type;
    e->from = r->payloads.len;
    sonde_json_writer_init(&r->json, &r->payloads);
    return &r->json;
}

void sonde__telemetry_end(sonde__telemetry_request *r)
{
    sonde__telemetry_event *e = &r->event[r->events - 1];

    e->len = r->payloads.len - e->from;
}

static sonde_str payload_of(const sonde__telemetry_request *r, unsigned i)
{
    return sonde_str_sub(sonde_buf_str(&r->payloads), r->event[i].from, r->event[i].len);
}

/* -- the envelope --------------------------------------------------------------------------------- */

static const char *type_of(const sonde__telemetry_request *r)
{
    return r->events == 1 ? r->event[0].type : "message-batch";
}

static void put_payload(sonde_json_writer *w, const sonde__telemetry_request *r)
{
    unsigned i;

    if (r->events == 1) {
        sonde_json_raw(w, payload_of(r, 0));
        return;
    }
    sonde_json_begin_array(w);
    for (i = 0; i < r->events; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "request_type", sonde_str_from(r->event[i].type));
        sonde_json_key(w, SONDE_STR("payload"));
        sonde_json_raw(w, payload_of(r, i));
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

static void write_body(sonde__telemetry_request *r, const sonde__config *c)
{
    sonde_machine machine;
    const sonde_telemetry_head head = {
        .type = type_of(r),
        .unix_s = sonde_unix_ns() / SONDE_NS_PER_S,
        .seq = r->seq + 1,
        .debug = c->telemetry_debug,
        .runtime_id = sonde_str_from(sonde__runtime_id()),
        .service = c->service,
        .env = c->env,
        .version = c->version,
        .tracer_version = c->tracer_version,
        .language = c->language,
        .process_tags = c->process_tags,
        .hostname = c->hostname,
        .machine = &machine,
    };
    sonde_json_writer w;

    if (r->body.max_bytes == 0)
        sonde_buf_init(&r->body, SONDE__TELEMETRY_BODY_MAX + (64u << 10));
    sonde_buf_reset(&r->body);
    sonde_machine_read(&machine);
    sonde_json_writer_init(&w, &r->body);
    sonde_telemetry_begin(&w, &head);
    put_payload(&w, r);
    sonde_json_end_object(&w);
}

/* -- the request ---------------------------------------------------------------------------------- */

static void add_header(sonde__request *to, sonde_http_header *headers, const char *name,
                       sonde_str value)
{
    headers[to->headers_len++] = (sonde_http_header){ sonde_str_from(name), value };
}

static sonde_status ask(const sonde__telemetry_request *r, const sonde__config *c,
                        sonde__answer *answer)
{
    sonde_http_header headers[SONDE__REQUEST_HEADERS_MAX];
    sonde__request request = { .path = PATH, .headers = headers, .body = sonde_buf_str(&r->body) };
    const char *root = sonde__root_runtime_id();

    add_header(&request, headers, "Content-Type", SONDE_STR("application/json"));
    add_header(&request, headers, "DD-Telemetry-API-Version", SONDE_STR("v2"));
    add_header(&request, headers, "DD-Telemetry-Request-Type", sonde_str_from(type_of(r)));
    add_header(&request, headers, "DD-Client-Library-Language", c->language);
    add_header(&request, headers, "DD-Client-Library-Version", c->tracer_version);
    add_header(&request, headers, "DD-Session-ID", sonde_str_from(sonde__runtime_id()));
    if (strcmp(root, sonde__runtime_id()) != 0)
        add_header(&request, headers, "DD-Root-Session-ID", sonde_str_from(root));
    if (c->telemetry_debug)
        add_header(&request, headers, "DD-Telemetry-Debug-Enabled", SONDE_STR("true"));
    return sonde__beat_request(&request, answer);
}

static void reset(sonde__telemetry_request *r)
{
    sonde_buf_done(&r->payloads);
    sonde_buf_done(&r->body);
    r->events = 0;
}

bool sonde__telemetry_send(sonde__telemetry_request *r, const sonde__config *c)
{
    sonde__answer answer = { 0 };
    sonde_status status = r->payloads.status;

    if (r->events == 0)
        return true;
    if (status == SONDE_OK)
        write_body(r, c);
    if (status == SONDE_OK)
        status = r->body.status;
    if (status == SONDE_OK) {
        uint64_t from = sonde_mono_ns();

        status = ask(r, c, &answer);
        sonde__telemetry_note_request(SONDE__CALL_TELEMETRY, status, answer.http_status,
                                      r->body.len, sonde_mono_ns() - from);
        r->seq += status != SONDE_ERR_CONNECT; /* else it never left */
    }
    reset(r);
    if (status == SONDE_OK && answer.http_status >= 200 && answer.http_status < 300) {
        sonde__count(SONDE__TELEMETRY_SENT, 1);
        return true;
    }
    sonde__count(SONDE__TELEMETRY_FAILED, 1);
    return false;
}
