/* link.c - headers of every request, and the two things an answer may say beside its status. */
#include "link.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/parse.h"
#include "codec/json_read.h"
#include "vocab/headers.h"

#define ANSWER_MAX_BYTES (256u * 1024)
#define OWN_HEADERS_MAX  5

struct sonde_prof__link {
    sonde_http_plain *http;
    const char *agent; /* for logs */
    char container[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];
    sonde_http_header own[OWN_HEADERS_MAX];
    size_t own_len;
};

static void add_header(sonde_prof__link *l, const char *name, sonde_str value)
{
    if (value.len > 0)
        l->own[l->own_len++] = (sonde_http_header){ sonde_str_from(name), value };
}

sonde_status sonde_prof__link_open(const sonde_prof__config *c,
                                   const _Atomic uint64_t *latest_mono_ns,
                                   void (*meanwhile)(void *user), void *user,
                                   sonde_prof__link **out)
{
    sonde_prof__link *l = (sonde_prof__link *)sonde_calloc(1, sizeof(*l));
    sonde_status status;

    if (!l)
        return SONDE_ERR_NOMEM;
    status = sonde_http_plain_open(&c->agent, ANSWER_MAX_BYTES, &l->http);
    if (status != SONDE_OK) {
        sonde_free(l);
        return status;
    }
    sonde_http_plain_end_by(l->http, latest_mono_ns);
    sonde_http_plain_meanwhile(l->http, meanwhile, user);
    sonde_http_plain_keep_out(l->http);
    l->agent = c->agent_text;
    add_header(l, "User-Agent", SONDE_STR("Sonde/" SONDE_VERSION));
    sonde_container_read(l->container, l->entity);
    add_header(l, SONDE_HDR_CONTAINER_ID, sonde_str_from(l->container));
    add_header(l, SONDE_HDR_ENTITY_ID, sonde_str_from(l->entity));
    add_header(l, SONDE_HDR_EXTERNAL_ENV, c->external_env);
    *out = l;
    return SONDE_OK;
}

void sonde_prof__link_close(sonde_prof__link *l)
{
    if (!l)
        return;
    sonde_http_plain_close(l->http);
    sonde_free(l);
}

/* -- what the agent takes --------------------------------------------------------------------------- */

static bool read_endpoints(sonde_json_reader *r, bool *batches, bool *profiles)
{
    sonde_json_event e;

    while ((e = sonde_json_next(r)) != SONDE_JSON_ARRAY_END) {
        if (e == SONDE_JSON_STRING) {
            *batches |= sonde_str_eq(r->text, SONDE_STR(SONDE_PROF__BATCH_PATH));
            *profiles |= sonde_str_eq(r->text, SONDE_STR(SONDE_PROF__PROFILE_PATH));
        } else if (!sonde_json_skip(r, e)) {
            return false;
        }
    }
    return true;
}

static bool read_info(sonde_json_reader *r, bool *batches, bool *profiles)
{
    sonde_json_event e;

    if (sonde_json_next(r) != SONDE_JSON_OBJECT)
        return false;
    while ((e = sonde_json_next(r)) == SONDE_JSON_KEY) {
        bool is_list = sonde_str_eq(r->text, SONDE_STR("endpoints"));

        e = sonde_json_next(r);
        if (is_list && e == SONDE_JSON_ARRAY) {
            if (!read_endpoints(r, batches, profiles))
                return false;
        } else if (!sonde_json_skip(r, e)) {
            return false;
        }
    }
    return e == SONDE_JSON_OBJECT_END;
}

sonde_prof__takes sonde_prof__info_says(sonde_str json)
{
    bool batches = false, profiles = false, ok;
    sonde_json_reader r;

    sonde_json_reader_init(&r, json, json.len);
    ok = read_info(&r, &batches, &profiles);
    sonde_json_reader_done(&r);
    if (!ok)
        return SONDE_PROF__TAKES_UNKNOWN;
    return batches    ? SONDE_PROF__TAKES_BATCHES
           : profiles ? SONDE_PROF__TAKES_PROFILES
                      : SONDE_PROF__TAKES_NOTHING;
}

/* -- requests --------------------------------------------------------------------------------------- */

static sonde_status talk(sonde_prof__link *l, const sonde_http_plain_request *r,
                         sonde_http_plain_answer *out)
{
    sonde_status status = sonde_http_plain_send(l->http, r, out);

    if (status == SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "request: agent=%s path=%s bytes=%zu status=%d", l->agent,
                         r->path, r->body.len, out->status);
    else
        SONDE_LOG_ALWAYS(SONDE_LOG_DEBUG, "request: agent=%s path=%s bytes=%zu reason=\"%s\"",
                         l->agent, r->path, r->body.len, sonde_status_str(status));
    return status;
}

sonde_prof__takes sonde_prof__link_ask(sonde_prof__link *l, uint64_t deadline_mono_ns)
{
    sonde_http_plain_answer answer = { 0 };
    sonde_http_plain_request request = {
        .method = "GET",
        .path = "/info",
        .headers = l->own,
        .headers_len = l->own_len,
        .deadline_mono_ns = deadline_mono_ns,
    };

    if (talk(l, &request, &answer) != SONDE_OK)
        return SONDE_PROF__TAKES_UNKNOWN;
    if (answer.status == 404) /* an agent older than that */
        return SONDE_PROF__TAKES_PROFILES;
    return answer.status == 200 ? sonde_prof__info_says(answer.body) : SONDE_PROF__TAKES_UNKNOWN;
}

static uint64_t retry_after(const sonde_http_plain_answer *answer)
{
    uint64_t seconds;

    if (sonde_parse_u64(sonde_http_plain_header(answer, SONDE_STR("Retry-After")), &seconds) !=
        SONDE_OK)
        return 0;
    return sonde_s_to_ns(seconds < 600 ? seconds : 600);
}

sonde_prof__link_answer sonde_prof__link_post(sonde_prof__link *l, const char *path,
                                              const sonde_http_header *headers, size_t headers_len,
                                              sonde_str body, uint64_t deadline_mono_ns)
{
    sonde_http_header all[SONDE_PROF__LINK_HEADERS_MAX + OWN_HEADERS_MAX];
    sonde_http_plain_answer answer = { 0 };
    sonde_http_plain_request request = {
        .method = "POST",
        .path = path,
        .headers = all,
        .headers_len = headers_len + l->own_len,
        .body = body,
        .deadline_mono_ns = deadline_mono_ns,
    };
    sonde_status status;

    memcpy(all, headers, headers_len * sizeof(all[0]));
    memcpy(all + headers_len, l->own, l->own_len * sizeof(all[0]));
    status = talk(l, &request, &answer);
    if (status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN, "agent unreachable: agent=%s reason=\"%s\"", l->agent,
                  sonde_status_str(status));
        return (sonde_prof__link_answer){ 0, 0, { NULL, 0 } };
    }
    return (sonde_prof__link_answer){ answer.status, retry_after(&answer), answer.body };
}
