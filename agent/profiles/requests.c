/* requests.c - HTTP around a batch: what is refused before it is looked at, and the answers. */
#include <stdio.h>

#include "base/log.h"
#include "codec/compress/compress.h"
#include "internal.h"

#define RETRY_AFTER_S "5"

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
static void find_sender(profiles *p, const http_request *request, batch_request *r,
                        container_id room)
{
    const spb_hello *h = &r->facts.hello;

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
    batch_request r = { 0 };
    sonde_error error = { 0 };
    sonde_status status;
    sonde_buf plain;

    count_received(p);
    sonde_buf_init(&plain, SPB_BODY_MAX_BYTES);
    if (unpack(p, request, response, &plain, &r.body)) {
        status = batch_check(r.body, &r.facts, &error);
        if (status == SONDE_OK) {
            find_sender(p, request, &r, room);
            answer(response, profiles_take(p, &r), r.facts.hello.seq);
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
