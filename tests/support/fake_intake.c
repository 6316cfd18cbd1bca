/* fake_intake.c - see fake_intake.h. */
#include "support/fake_intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <msgpack.h>

#include "base/clock.h"
#include "base/parse.h"
#include "codec/compress/compress.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "net/server/http_server.h"
#include "net/socket.h"

#define BODY_MAX_BYTES ((size_t)64 << 20)
#define WAIT_NS        (UINT64_C(60) * SONDE_NS_PER_S)
#define WAIT_STEP_NS   (2 * SONDE_NS_PER_MS)
#define CLOSE_NS       (UINT64_C(60) * SONDE_NS_PER_S)

static void copy_text(char out[FAKE_TEXT_BYTES], const char *text, size_t len)
{
    if (len >= FAKE_TEXT_BYTES)
        len = FAKE_TEXT_BYTES - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

/* ---- traces ---- */

static void read_tags(const Datadog__Trace__Span *from, fake_span *s)
{
    uint64_t status = 0;
    size_t i;

    for (i = 0; i < from->n_meta; i++) {
        const char *key = from->meta[i]->key, *value = from->meta[i]->value;

        s->names_installation |= strcmp(key, "_dd.install.id") == 0;
        if (strcmp(key, "span.kind") == 0)
            copy_text(s->kind, value, strlen(value));
        if (strcmp(key, "http.status_code") == 0 && s->http_status == 0 &&
            sonde_parse_u64(sonde_str_from(value), &status) == SONDE_OK)
            s->http_status = (uint32_t)status;
    }
    for (i = 0; i < from->n_metrics; i++) {
        const char *key = from->metrics[i]->key;

        if (strcmp(key, "http.status_code") == 0)
            s->http_status = (uint32_t)from->metrics[i]->value;
        if (strcmp(key, "_top_level") == 0)
            s->top_level = from->metrics[i]->value > 0.5;
    }
}

static void record_span(fake_intake *f, const Datadog__Trace__Span *from, const char *env)
{
    fake_span *s;

    if (f->spans_len == FAKE_SPANS_MAX) {
        f->overflow = true;
        return;
    }
    s = &f->spans[f->spans_len++];
    *s = (fake_span){ .trace_id = from->traceid,
                      .span_id = from->spanid,
                      .parent_id = from->parentid,
                      .start = from->start,
                      .duration = from->duration,
                      .error = from->error };
    copy_text(s->service, from->service, strlen(from->service));
    copy_text(s->name, from->name, strlen(from->name));
    copy_text(s->resource, from->resource, strlen(from->resource));
    copy_text(s->type, from->type, strlen(from->type));
    copy_text(s->env, env, strlen(env));
    read_tags(from, s);
}

static bool record_traces(fake_intake *f, const sonde_buf *raw)
{
    Datadog__Trace__AgentPayload *p =
        datadog__trace__agent_payload__unpack(NULL, raw->len, raw->data);
    size_t i, j, k;

    if (!p)
        return false;
    for (i = 0; i < p->n_tracerpayloads; i++)
        for (j = 0; j < p->tracerpayloads[i]->n_chunks; j++)
            for (k = 0; k < p->tracerpayloads[i]->chunks[j]->n_spans; k++)
                record_span(f, p->tracerpayloads[i]->chunks[j]->spans[k],
                            p->tracerpayloads[i]->env);
    datadog__trace__agent_payload__free_unpacked(p, NULL);
    return true;
}

/* ---- statistics ---- */

static const msgpack_object *find(const msgpack_object *map, const char *key)
{
    static const msgpack_object nil = { .type = MSGPACK_OBJECT_NIL };
    uint32_t i;

    if (map->type != MSGPACK_OBJECT_MAP)
        return &nil;
    for (i = 0; i < map->via.map.size; i++) {
        const msgpack_object *k = &map->via.map.ptr[i].key;

        if (k->via.str.size == strlen(key) && memcmp(k->via.str.ptr, key, k->via.str.size) == 0)
            return &map->via.map.ptr[i].val;
    }
    return &nil;
}

static uint64_t number(const msgpack_object *map, const char *key)
{
    const msgpack_object *v = find(map, key);

    return v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v->via.u64 : 0;
}

static void text(const msgpack_object *map, const char *key, char out[FAKE_TEXT_BYTES])
{
    const msgpack_object *v = find(map, key);

    if (v->type == MSGPACK_OBJECT_STR)
        copy_text(out, v->via.str.ptr, v->via.str.size);
}

static uint32_t length(const msgpack_object *array)
{
    return array->type == MSGPACK_OBJECT_ARRAY ? array->via.array.size : 0;
}

static void record_group(fake_intake *f, const msgpack_object *from, const msgpack_object *client,
                         uint64_t start)
{
    fake_group *g;

    if (f->groups_len == FAKE_GROUPS_MAX) {
        f->overflow = true;
        return;
    }
    g = &f->groups[f->groups_len++];
    *g = (fake_group){ .start = start,
                       .hits = number(from, "Hits"),
                       .errors = number(from, "Errors"),
                       .duration = number(from, "Duration"),
                       .top_level_hits = number(from, "TopLevelHits"),
                       .http_status = (uint32_t)number(from, "HTTPStatusCode"),
                       .is_trace_root = (int)number(from, "IsTraceRoot") };
    text(from, "Service", g->service);
    text(from, "Name", g->name);
    text(from, "Resource", g->resource);
    text(from, "Type", g->type);
    text(from, "SpanKind", g->kind);
    text(client, "Env", g->env);
}

static bool record_stats(fake_intake *f, const sonde_buf *raw)
{
    msgpack_unpacked u;
    const msgpack_object *clients, *buckets, *groups;
    size_t off = 0;
    uint32_t i, j, k;
    bool ok;

    msgpack_unpacked_init(&u);
    ok = msgpack_unpack_next(&u, (const char *)raw->data, raw->len, &off) == MSGPACK_UNPACK_SUCCESS;
    clients = ok ? find(&u.data, "Stats") : NULL;
    for (i = 0; ok && i < length(clients); i++) {
        buckets = find(&clients->via.array.ptr[i], "Stats");
        for (j = 0; j < length(buckets); j++) {
            groups = find(&buckets->via.array.ptr[j], "Stats");
            for (k = 0; k < length(groups); k++)
                record_group(f, &groups->via.array.ptr[k], &clients->via.array.ptr[i],
                             number(&buckets->via.array.ptr[j], "Start"));
        }
    }
    msgpack_unpacked_destroy(&u);
    return ok;
}

/* ---- requests ---- */

static bool record(fake_intake *f, http_request *r)
{
    sonde_encoding encoding = SONDE_ENCODING_IDENTITY;
    bool traces = sonde_str_eq(http_request_path(r), SONDE_STR("/api/v0.2/traces")), ok;
    sonde_str languages = http_request_header(r, "X-Datadog-Reported-Languages");
    sonde_buf raw;

    sonde_buf_init(&raw, BODY_MAX_BYTES);
    ok = sonde_encoding_parse(http_request_header(r, "Content-Encoding"), &encoding) == SONDE_OK &&
         sonde_decompress(encoding, http_request_body(r), &raw) == SONDE_OK;
    (void)pthread_mutex_lock(&f->mu);
    if (ok)
        ok = traces ? record_traces(f, &raw) : record_stats(f, &raw);
    if (traces)
        (void)snprintf(f->languages, sizeof(f->languages), "%.*s", SONDE_STR_ARG(languages));
    (void)pthread_mutex_unlock(&f->mu);
    sonde_buf_done(&raw);
    return ok;
}

static http_result handle(void *user, http_request *r, http_response *response)
{
    fake_intake *f = user;

    response->status = atomic_load(&f->status);
    if (http_request_header(r, "DD-Api-Key").len == 0)
        atomic_fetch_add(&f->without_key, 1);
    if (response->status != 200)
        atomic_fetch_add(&f->refused, 1);
    else if (record(f, r))
        atomic_fetch_add(&f->taken, 1);
    else
        atomic_fetch_add(&f->malformed, 1);
    atomic_fetch_add(&f->requests, 1);
    return HTTP_DONE;
}

void fake_intake_open(fake_intake *f, uint16_t port)
{
    static http_route routes[2];
    int fd;

    memset(f, 0, sizeof(*f));
    (void)pthread_mutex_init(&f->mu, NULL);
    f->spans = calloc(FAKE_SPANS_MAX, sizeof(*f->spans));
    f->groups = calloc(FAKE_GROUPS_MAX, sizeof(*f->groups));
    atomic_store(&f->status, 200);
    routes[0] = (http_route){ .methods = "POST",
                              .path = "/api/v0.2/traces",
                              .handle = handle,
                              .max_body_bytes = BODY_MAX_BYTES,
                              .user = f };
    routes[1] = routes[0];
    routes[1].path = "/api/v0.2/stats";
    if (!f->spans || !f->groups || sonde_listen_tcp("127.0.0.1", port, &fd, NULL) != SONDE_OK ||
        http_server_open(&(http_server_options){ .name = "intake",
                                                 .routes = routes,
                                                 .routes_len = 2,
                                                 .threads = 1,
                                                 .body_budget_bytes = 2 * BODY_MAX_BYTES },
                         &(http_listener){ .fd = fd }, 1, &f->server, NULL) != SONDE_OK) {
        (void)fprintf(stderr, "fake intake: cannot serve\n");
        abort();
    }
    f->port = port ? port : sonde_local_port(fd);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", (unsigned)f->port);
}

void fake_intake_close(fake_intake *f)
{
    http_server_close(f->server, sonde_deadline(sonde_mono_ns(), CLOSE_NS));
    f->server = NULL;
}

void fake_intake_done(fake_intake *f)
{
    free(f->spans);
    free(f->groups);
    (void)pthread_mutex_destroy(&f->mu);
}

bool fake_intake_wait_requests(fake_intake *f, unsigned n)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), WAIT_NS);
    struct timespec step = sonde_ns_to_timespec(WAIT_STEP_NS);

    while (atomic_load(&f->requests) < n) {
        if (sonde_mono_ns() > deadline)
            return false;
        (void)nanosleep(&step, NULL);
    }
    return true;
}
