/* trace_bodies.c - the mixed load of journeys and benchmarks. */
#include "support/trace_bodies.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/rng.h"
#include "codec/msgpack_write.h"

typedef struct shape { /* one kind of span */
    const char *service, *name, *resource, *type, *kind;
    const char *meta[7][2]; /* fixed tags */
    int parent;             /* index in the trace, -1: root */
} shape;

static const shape shapes[BODY_SPANS_A_TRACE] = {
    { "gateway",
      "http.request",
      "GET /orders/{id}",
      "web",
      "server",
      { { "component", "microhttpd" },
        { "http.method", "GET" },
        { "http.url", "http://gateway:8080/orders/4711" },
        { "http.useragent", "Mozilla/5.0 (X11; Linux x86_64)" },
        { "http.route", "/orders/{id}" },
        { "network.client.ip", "10.3.1.7" } },
      -1 },
    { "gateway",
      "http.request",
      "GET orders",
      "http",
      "client",
      { { "component", "libcurl" },
        { "http.method", "GET" },
        { "http.url", "http://orders:8081/orders/4711" },
        { "peer.service", "orders" },
        { "out.host", "orders" },
        { "network.destination.port", "8081" } },
      0 },
    { "orders",
      "http.request",
      "GET /orders/{id}",
      "web",
      "server",
      { { "component", "microhttpd" },
        { "http.method", "GET" },
        { "http.url", "http://orders:8081/orders/4711" },
        { "http.useragent", "libcurl/7.88.1" },
        { "http.route", "/orders/{id}" } },
      1 },
    { "orders",
      "sqlite.query",
      "SELECT id, item, price FROM orders WHERE id = ?",
      "sql",
      "client",
      { { "component", "sqlite" },
        { "db.system", "sqlite" },
        { "db.name", "orders.db" },
        { "db.operation", "SELECT" },
        { "out.host", "localhost" } },
      2 },
    { "orders",
      "render",
      "order.json",
      "template",
      "internal",
      { { "component", "template" }, { "template.name", "order.json" }, { "cache", "miss" } },
      2 },
};

static void put_str(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void put_i64(sonde_buf *b, const char *key, int64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_i64(b, value);
}

static void put_u64(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void put_meta(sonde_buf *b, const shape *s, bool root, uint64_t random)
{
    char tid[17], order[32];
    uint32_t n = 5, i;

    for (i = 0; i < 7 && s->meta[i][0]; i++)
        n++;
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, n + (root ? 3 : 0));
    put_str(b, "env", "prod");
    put_str(b, "version", "1.4.2");
    put_str(b, "language", "c");
    put_str(b, "span.kind", s->kind);
    (void)snprintf(order, sizeof(order), "%llu", (unsigned long long)(random % 100000));
    put_str(b, "order.id", order);
    for (i = 0; i < 7 && s->meta[i][0]; i++)
        put_str(b, s->meta[i][0], s->meta[i][1]);
    if (!root)
        return;
    sonde_hex_u64(random, tid);
    tid[16] = '\0';
    put_str(b, "_dd.p.tid", tid);
    put_str(b, "_dd.p.dm", "-1");
    put_str(b, "runtime-id", "5f1b2c6e-93f3-4f6b-8f3a-0d1f6f3a9b77");
}

static void put_metrics(sonde_buf *b, const shape *s, bool root, uint64_t random)
{
    bool http = s->type[0] == 'w' || s->type[0] == 'h';

    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, 1 + http + (root ? 2u : 0u));
    put_i64(b, "process_id", 4711);
    if (http) {
        sonde_mp_write_str(b, SONDE_STR("http.status_code"));
        sonde_mp_write_double(b, random % 50 ? 200 : 503);
    }
    if (root) {
        put_i64(b, "_sampling_priority_v1", 1);
        sonde_mp_write_str(b, SONDE_STR("_dd.agent_psr"));
        sonde_mp_write_double(b, 1.0);
    }
}

static void put_span(sonde_buf *b, const shape *s, uint64_t trace, uint64_t id, uint64_t parent,
                     int64_t start, uint64_t random)
{
    bool root = s->parent < 0;

    sonde_mp_write_map(b, 12);
    put_str(b, "service", s->service);
    put_str(b, "name", s->name);
    put_str(b, "resource", s->resource);
    put_u64(b, "trace_id", trace);
    put_u64(b, "span_id", id);
    put_u64(b, "parent_id", parent);
    put_i64(b, "start", start);
    put_i64(b, "duration", 50000 + (int64_t)(random % 20000000));
    put_i64(b, "error", random % 50 == 0);
    put_str(b, "type", s->type);
    put_meta(b, s, root, random);
    put_metrics(b, s, root, random);
}

static void put_trace(sonde_buf *b, sonde_rng *rng, int64_t now_unix_ns)
{
    uint64_t trace = sonde_rng_next(rng), ids[BODY_SPANS_A_TRACE];
    int i;

    sonde_mp_write_array(b, BODY_SPANS_A_TRACE);
    for (i = 0; i < BODY_SPANS_A_TRACE; i++) {
        const shape *s = &shapes[i];

        ids[i] = sonde_rng_next(rng);
        put_span(b, s, trace, ids[i], s->parent < 0 ? 0 : ids[s->parent], now_unix_ns + i * 1000,
                 sonde_rng_next(rng));
    }
}

void trace_body_v04(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns)
{
    sonde_rng rng;
    uint32_t i;

    sonde_rng_seed(&rng, seed);
    sonde_mp_write_array(out, traces);
    for (i = 0; i < traces; i++)
        put_trace(out, &rng, now_unix_ns);
}

/* ---- the same as v1.0 ---- */

#define TEXTS_MAX  4096
#define TEXT_BYTES 64

typedef struct v10_writer {
    sonde_buf *b;
    char texts[TEXTS_MAX][TEXT_BYTES];
    unsigned len; /* number 0 is "" */
} v10_writer;

/* A text where it first occurs, then its number. */
static void put_text(v10_writer *w, const char *text)
{
    unsigned i;

    for (i = 0; i < w->len; i++) {
        if (strcmp(w->texts[i], text) == 0) {
            sonde_mp_write_u64(w->b, i);
            return;
        }
    }
    (void)snprintf(w->texts[w->len], TEXT_BYTES, "%s", text);
    w->len += w->len + 1 < TEXTS_MAX; /* a body of the tests never gets there */
    sonde_mp_write_str(w->b, sonde_str_from(text));
}

static void put_text_field(v10_writer *w, unsigned key, const char *text)
{
    sonde_mp_write_u64(w->b, key);
    put_text(w, text);
}

static void put_number_field(v10_writer *w, unsigned key, uint64_t number)
{
    sonde_mp_write_u64(w->b, key);
    sonde_mp_write_u64(w->b, number);
}

static void put_text_attr(v10_writer *w, const char *key, const char *value)
{
    put_text(w, key);
    sonde_mp_write_u64(w->b, 1);
    put_text(w, value);
}

static void put_double_attr(v10_writer *w, const char *key, double value)
{
    put_text(w, key);
    sonde_mp_write_u64(w->b, 3);
    sonde_mp_write_double(w->b, value);
}

static void put_attributes(v10_writer *w, const shape *s, bool root, uint64_t random)
{
    bool http = s->type[0] == 'w' || s->type[0] == 'h';
    uint32_t n = 3 + http + (root ? 2u : 0u), i;
    char order[32];

    for (i = 1; i < 7 && s->meta[i][0]; i++) /* 0 is the component */
        n++;
    sonde_mp_write_u64(w->b, 9);
    sonde_mp_write_array(w->b, 3 * n);
    put_text_attr(w, "language", "c");
    (void)snprintf(order, sizeof(order), "%llu", (unsigned long long)(random % 100000));
    put_text_attr(w, "order.id", order);
    for (i = 1; i < 7 && s->meta[i][0]; i++)
        put_text_attr(w, s->meta[i][0], s->meta[i][1]);
    put_text(w, "process_id");
    sonde_mp_write_u64(w->b, 4);
    sonde_mp_write_i64(w->b, 4711);
    if (http)
        put_double_attr(w, "http.status_code", random % 50 ? 200 : 503);
    if (root) {
        put_text_attr(w, "runtime-id", "5f1b2c6e-93f3-4f6b-8f3a-0d1f6f3a9b77");
        put_double_attr(w, "_dd.agent_psr", 1.0);
    }
}

static unsigned kind_number(const char *kind)
{
    static const char *const kinds[] = { "internal", "server", "client", "producer", "consumer" };
    unsigned i;

    for (i = 0; i < 5; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return i + 1;
    return 0;
}

static void put_v10_span(v10_writer *w, const shape *s, uint64_t id, uint64_t parent, int64_t start,
                         uint64_t random)
{
    sonde_mp_write_map(w->b, 14);
    put_text_field(w, 1, s->service);
    put_text_field(w, 2, s->name);
    put_text_field(w, 3, s->resource);
    put_number_field(w, 4, id);
    put_number_field(w, 5, parent);
    put_number_field(w, 6, (uint64_t)start);
    put_number_field(w, 7, 50000 + random % 20000000);
    sonde_mp_write_u64(w->b, 8);
    sonde_mp_write_bool(w->b, random % 50 == 0);
    put_attributes(w, s, s->parent < 0, random);
    put_text_field(w, 10, s->type);
    put_text_field(w, 13, "prod");
    put_text_field(w, 14, "1.4.2");
    put_text_field(w, 15, s->meta[0][1]);
    put_number_field(w, 16, kind_number(s->kind));
}

static void put_v10_trace(v10_writer *w, sonde_rng *rng, int64_t now_unix_ns)
{
    uint64_t trace = sonde_rng_next(rng), high = 0, ids[BODY_SPANS_A_TRACE], random;
    uint8_t id[16];
    int i;

    sonde_mp_write_map(w->b, 4);
    put_number_field(w, 1, 1);
    put_number_field(w, 7, 1);
    sonde_mp_write_u64(w->b, 4);
    sonde_mp_write_array(w->b, BODY_SPANS_A_TRACE);
    for (i = 0; i < BODY_SPANS_A_TRACE; i++) {
        const shape *s = &shapes[i];

        ids[i] = sonde_rng_next(rng);
        random = sonde_rng_next(rng);
        if (s->parent < 0)
            high = random;
        put_v10_span(w, s, ids[i], s->parent < 0 ? 0 : ids[s->parent], now_unix_ns + i * 1000,
                     random);
    }
    for (i = 0; i < 8; i++) {
        id[i] = (uint8_t)(high >> (56 - 8 * i));
        id[8 + i] = (uint8_t)(trace >> (56 - 8 * i));
    }
    sonde_mp_write_u64(w->b, 6);
    sonde_mp_write_bin(w->b, id, sizeof(id));
}

void trace_body_v10(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns)
{
    static v10_writer w;
    sonde_rng rng;
    uint32_t i;

    w.b = out;
    w.len = 1;
    w.texts[0][0] = '\0';
    sonde_rng_seed(&rng, seed);
    sonde_mp_write_map(out, 2);
    put_text_field(&w, 3, "c");
    sonde_mp_write_u64(out, 11);
    sonde_mp_write_array(out, traces);
    for (i = 0; i < traces; i++)
        put_v10_trace(&w, &rng, now_unix_ns);
}
